"""What a result says of its input."""

from __future__ import annotations

from typing import Any

from modalgap.arguments import checked
from modalgap.embeddings.pair import Embeddings, Pair


@checked
def describe_input(data: Pair | Embeddings) -> dict[str, Any]:
    """What a result says of its input; plain JSON types."""
    sides = data.sides if isinstance(data, Pair) else (data,)
    found: dict[str, Any] = {"n_image": None, "n_text": None}
    found |= {f"n_{side.modality}": side.n for side in sides}
    return found | {
        "dim": data.dim,
        "fingerprint": data.fingerprint,
        "matched_by": data.matched_by if isinstance(data, Pair) else None,
        "were_unit": {side.modality: side.were_unit for side in sides},
        "norms": {side.modality: list(side.norm_range) for side in sides},
        "provenance": {side.modality: dict(side.provenance) for side in sides},
    }
