"""Principal angles: do the two modalities vary along the same directions?

Equation: θ_i = arccos σ_i(U_xᵀU_y), U the top-k covariance eigenvectors of each modality. The
    value is the mean angle; lower means more similar subspaces.
Source: Björck & Golub 1973; for CLIP, arXiv 2510.03268.
Relations: leakage compares a single direction, the gap vector, with these subspaces.
Fails when: eigenvalues k and k + 1 are equal. The subspace is then not unique.
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
    interval="none: biased upward, because sampling noise can only increase the angles",
    unit="°",
)


def _principal_angles(evidence: Evidence, *, directions: int = 10) -> Value:
    """``directions``: k, principal directions per modality; at most the rank."""
    whole("directions", directions, 1)
    _ = evidence.moments
    (dx, ux), (dy, uy) = evidence.image.spectrum, evidence.text.spectrum
    # eigenvalues below this are rounding errors: float32 products of equal rows reach 1e-6
    rank = min(int((each > 2e-6 * each[0]).sum()) for each in (dx, dy))
    used = min(directions, rank)
    needs(used > 0, "all rows of one modality are the same")
    angles = torch.rad2deg(principal_angles_of(ux[:, :used], uy[:, :used]))
    return Value(float(angles.mean()), params={"used": used}, details={"angles": angles.tolist()})


def principal_angles_of(u: Tensor, v: Tensor) -> Tensor:
    """Principal angles (k,), ascending, between the spans of orthonormal columns (d, k).

    Small angles are computed from sines and large angles from cosines, because arccos and arcsin
    both lose half of the digits for arguments near 1 (Knyazev & Argentati 2002).
    """
    product = u.T @ v
    cosines = singular_values(product).clamp(max=1)
    sines = singular_values(v - u @ product).clamp(max=1).flip(0)
    return torch.where(cosines**2 >= 0.5, sines.asin(), cosines.acos())


principal_angles = Measure(CARD, _principal_angles)
