"""What a result records about its input."""

from __future__ import annotations

from typing import Any

from modalgap.arguments import checked
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.pair import Pair


@checked
def describe_input(data: Pair | Embeddings | Modalities) -> dict[str, Any]:
    """What a result records about its input, in plain JSON types."""
    sides = data.sides
    found: dict[str, Any] = {f"n_{side.modality}": side.n for side in sides}
    if isinstance(data, Modalities) and len(data) > 2:
        found |= {"items": data.complete, "incomplete": data.incomplete}
    return found | {
        "dim": data.dim,
        "fingerprint": data.fingerprint,
        "matched_by": None if isinstance(data, Embeddings) else _matched_by(data),
        "were_unit": {side.modality: side.were_unit for side in sides},
        "norms": {side.modality: list(side.norm_range) for side in sides},
        "provenance": {side.modality: dict(side.provenance) for side in sides},
    }


def _matched_by(pair: Pair | Modalities) -> str:
    """How the sides match, under the names of the modalities: "rows", "text_to_audio", "labels"."""
    if isinstance(pair, Modalities):
        return pair.matched_by
    if pair.matched_by != "text_to_image":
        return pair.matched_by
    return f"{pair.text.modality}_to_{pair.image.modality}"
