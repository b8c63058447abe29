"""A pair whose rows are replaced; for transductive closers."""

from __future__ import annotations

from torch import Tensor

from modalgap.embeddings import Embeddings, Pair


def moved(pair: Pair, image: Tensor, text: Tensor, how: str) -> Pair:
    """The same names, factors and matches over rows (n, e) and (m, e)."""
    sides = []
    for side, rows in zip(pair.sides, (image, text), strict=True):
        before = side.provenance.get("closed")
        provenance = {**side.provenance, "closed": f"{before} > {how}" if before else how}
        sides.append(
            Embeddings(
                rows.float(), side.modality, side.names, side.factors, provenance, side.source
            )
        )
    return pair.over(sides[0], sides[1])
