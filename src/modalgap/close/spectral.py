"""Spectral: replace images and texts by the eigenvectors of their similarity graph.

Equation: A = [[0, W], [Wᵀ, 0]], W = XYᵀ; rows of the k eigenvectors of L_rw = I − D⁻¹A of smallest
eigenvalue beyond the constant one. A is bipartite: these come from the SVD of D_x^(−½) W D_y^(−½),
which has the rank of the embeddings: O(n d²), and no eigensolver for non-symmetric matrices is
needed (or misused, as in public code). Source: Fill the Gap (arXiv 2505.03703, section 4).
Transductive: it cannot be applied to new rows. Reported to hurt retrieval.
"""

from __future__ import annotations

from modalgap import checks, linalg
from modalgap.card import Card
from modalgap.close.base import Closer
from modalgap.close.moved import moved
from modalgap.embeddings import Pair

CARD = Card(
    name="spectral",
    title="Spectral embedding",
    idea="Replaces all rows by eigenvectors of the Laplacian of the image-text similarity graph.",
    equation=r"D^{-1} A v = (1 - \lambda) v",
    source="Fill the Gap, arXiv 2505.03703, section 4",
    roles=("image", "text"),
    reads="rows",
    traits=("free sign",),
    use_when="Studying one fixed set.",
    fails_when="Transductive; it removes content, and retrieval becomes worse.",
)


def _transform(pair: Pair, *, k: int = 64) -> Pair:
    """``k``: number of eigenvectors."""
    checks.whole("k", k, 1)
    x, y = pair.image.unit().double(), pair.text.unit().double()
    degree_x, degree_y = x @ y.sum(0), y @ x.sum(0)
    checks.needs(
        bool((degree_x > 1e-9).all() and (degree_y > 1e-9).all()),
        "a row is on average dissimilar to the other modality: the graph has negative degrees",
    )
    qx, rx = linalg.qr(x / degree_x.sqrt()[:, None])
    qy, ry = linalg.qr(y / degree_y.sqrt()[:, None])
    U, values, Vt = linalg.svd(rx @ ry.T)
    rank = int((values > 1e-10 * values[0]).sum())
    checks.needs(rank > 1, "the similarity graph has one direction only")
    kept = slice(1, min(k + 1, rank))  # the first is constant
    found = []
    for q, vectors, degree in ((qx, U[:, kept], degree_x), (qy, Vt[kept].T, degree_y)):
        rows = (q @ vectors) / degree.sqrt()[:, None]
        lengths = rows.norm(dim=1, keepdim=True)
        checks.needs(bool((lengths > 0).all()), "a row is zero in all of the eigenvectors")
        found.append(rows / lengths)
    return moved(pair, found[0], found[1], "spectral")


spectral = Closer(CARD, transform=_transform)
