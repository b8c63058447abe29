"""What a result records about its input."""

from __future__ import annotations

from typing import Any

from modalgap.arguments import checked
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.scan import FORM, earlier_fingerprint


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


def is_of(fingerprint: object, data: Pair | Embeddings | Modalities) -> bool:
    """Whether a stored fingerprint is that of the data; also one without ``2-``."""
    if not isinstance(fingerprint, str) or fingerprint.startswith(FORM):
        return fingerprint == data.fingerprint
    prints = [
        earlier_fingerprint(side.rows.shape, side.rows.dtype, side.factors, side.stored())
        for side in data.sides
    ]
    return fingerprint == (prints[0] if isinstance(data, Embeddings) else data.hash_of(prints))


def _matched_by(pair: Pair | Modalities) -> str:
    """How the sides match, under the names of the modalities: "rows", "text_to_audio", "labels"."""
    if isinstance(pair, Modalities):
        return pair.matched_by
    if pair.matched_by != "text_to_image":
        return pair.matched_by
    return f"{pair.text.modality}_to_{pair.image.modality}"
