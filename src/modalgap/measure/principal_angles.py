"""Principal angles: do the two modalities vary along the same directions?

Equation: θ_i = arccos σ_i(U_xᵀU_y), U the top-k covariance eigenvectors of each modality; the
    number is their mean.
Source: Björck & Golub 1973; for CLIP, arXiv 2510.03268.
Relations: leakage asks the same of one direction, the gap.
Fails when: k cuts through equal eigenvalues: the subspace is then arbitrary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modalgap.card import Card
from modalgap.checks import needs, whole
from modalgap.linalg import singular_values
from modalgap.measure.base import Evidence, Measure
from modalgap.result import Value

CARD = Card(
    name="principal_angles",
    group="Do both modalities agree?",
    reads="covariances",
    title="Mean principal angle",
    question="Do both modalities vary in the same directions?",
    idea=(
        "The mean angle between the leading principal subspaces of the modalities; 0° means"
        " equal, 90° orthogonal."
    ),
    equation=r"\operatorname{mean}_i \arccos \sigma_i(U_x^\top U_y)",
    source="Björck & Golub 1973; arXiv 2510.03268",
    direction="lower",
    low=0.0,
    high=90.0,
    interval="none: sampling noise can only turn the subspaces apart",
    unit="°",
)


def _principal_angles(evidence: Evidence, *, directions: int = 10) -> Value:
    """``directions``: how many of each modality; fewer where the rank is lower."""
    whole("directions", directions, 1)
    _ = evidence.moments
    (dx, ux), (dy, uy) = evidence.image.spectrum, evidence.text.spectrum
    # below this a direction is rounding: products of repeated rows in float32 reach 1e-6
    rank = min(int((each > 2e-6 * each[0]).sum()) for each in (dx, dy))
    used = min(directions, rank)
    needs(used > 0, "all rows of one modality are the same")
    angles = torch.rad2deg(principal_angles_of(ux[:, :used], uy[:, :used]))
    return Value(float(angles.mean()), params={"used": used}, details={"angles": angles.tolist()})


def principal_angles_of(u: Tensor, v: Tensor) -> Tensor:
    """Principal angles (k,), ascending, between the spans of orthonormal columns (d, k).

    Small angles are taken from their sines and large ones from their cosines, since arccos loses
    half of the digits near 1 and arcsin near 1 too (Knyazev & Argentati 2002).
    """
    product = u.T @ v
    cosines = singular_values(product).clamp(max=1)
    sines = singular_values(v - u @ product).clamp(max=1).flip(0)
    return torch.where(cosines**2 >= 0.5, sines.asin(), cosines.acos())


principal_angles = Measure(CARD, _principal_angles)
