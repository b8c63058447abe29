"""Search by text: one query, three lists: raw, centred, and standardised scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modalgap.close.verb import fit
from modalgap.embeddings import Modalities, Pair
from modalgap.encode.base import Encoder
from modalgap.errors import InputError
from modalgap.explore.frames import scales
from modalgap.explore.scene import Scene

FIRST = 8  # results of a list
Answer = dict[str, Any]


def searcher(scene: Scene, encoder: Encoder) -> Callable[[str], list[Answer]]:
    """A function from a query to its three lists.

    Args:
        scene: the items that are searched.
        encoder: the model that made their embeddings; its text tower encodes the query.

    Raises:
        InputError: there is one modality, none of them is text, or the model has another width.
    """
    sides = scene.sides
    names = [side.modality for side in sides]
    asking = next((name for name in ("text", encoder.modalities[-1]) if name in names), None)
    if len(sides) < 2 or asking is None or not isinstance(scene.shown, Pair | Modalities):
        raise InputError(
            "model: search by text needs texts and another modality; these are"
            f" {' and '.join(names)}"
        )
    if encoder.dim != sides[0].dim:
        raise InputError(
            f"model: must have the width of the embeddings, {sides[0].dim}; got {encoder.dim}"
        )
    centre = fit(scene.shown, "center")
    rows = [side.unit() for side in sides]
    centred = [torch.from_numpy(centre(each, name)) for each, name in zip(rows, names, strict=True)]
    scale = scales(sides[names.index(asking)], sides)

    def search(text: str) -> list[Answer]:
        query = normalize(encoder.encode_text(encoder.tokenize([text])).float().cpu(), dim=1)
        scores = [each @ query[0] for each in rows]
        moved = torch.from_numpy(centre(query, asking))[0]
        near = [each @ moved for each in centred]
        standard = [(each - mean) / sd for each, (mean, sd) in zip(scores, scale, strict=True)]
        return [
            _list("Raw cosines", "The embeddings as they are.", scores),
            _list("Centred", "The mean of each modality is subtracted.", near),
            _list("Standardised scores", "The scores of each modality are standardised.", standard),
        ]

    return search


def _list(title: str, about: str, scores: list[Tensor]) -> Answer:
    owner = torch.cat([torch.full((len(each),), side) for side, each in enumerate(scores)])
    row = torch.cat([torch.arange(len(each)) for each in scores])
    all_scores = torch.cat(scores)
    first = torch.argsort(all_scores, descending=True, stable=True)[:FIRST]
    items = [[int(owner[i]), int(row[i]), round(float(all_scores[i]), 3)] for i in first]
    return {"title": title, "about": about, "items": items}
