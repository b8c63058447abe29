"""Check the items to invert, and transfer their names and factors to the result."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from modalgap._version import __version__
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.matching import only_match
from modalgap.embeddings.repeats import SAME
from modalgap.encode import Encoder
from modalgap.errors import InputError, quoted
from modalgap.invert.base import InversionContext, Prepares


def side_of(data: Embeddings | Pair, method: Prepares) -> Embeddings:
    """The side of ``data`` that a method inverts; images of a pair if it inverts both.

    Raises:
        InputError: the embeddings are of the other modality.
    """
    roles = method.card.roles
    if isinstance(data, Pair):
        data = data.text if roles == ("text",) else data.image
        return _not_inverted(data)
    if not isinstance(data, Embeddings):
        raise InputError(f"data: must be embeddings, a pair or a path; got {type(data).__name__}")
    if ("text" if data.modality == "text" else "image") not in roles:
        other = "ovi" if "image" in roles else "oti"
        raise InputError(
            f"{data.source}: {method.name} takes {'texts' if 'text' in roles else 'images'}; these"
            f" are {data.modality}s: see {other}"
        )
    return _not_inverted(data)


def check_model(data: Embeddings, encoder: Encoder) -> None:
    """Raise an error if another model made the embeddings.

    Raises:
        InputError: the provenance has other weights, or the width differs.
    """
    if data.dim != encoder.dim:
        raise InputError(
            f"{data.source}: must have the width of {encoder.spec}, {encoder.dim}; has {data.dim}"
        )
    theirs, ours = data.provenance.get("weights_hash"), encoder.provenance.get("weights_hash")
    if theirs is not None and ours is not None and theirs != ours:
        by = data.provenance.get("model", "another model")
        raise InputError(
            f"{data.source}: must come from {encoder.spec}; comes from {by} with weights"
            f" {theirs[:12]}, where the model has {ours[:12]}"
        )


def item_names(rows: Embeddings) -> list[str]:
    """The key of each item's noise: its name, or its row number.

    A name may occur twice only with equal rows, such as one caption of two images.
    """
    if rows.names is None:
        return [str(i) for i in range(rows.n)]
    twice = [name for name, count in Counter(rows.names).items() if count > 1]
    if twice:
        where: dict[str, list[int]] = {name: [] for name in twice}
        for i, name in enumerate(rows.names):
            if name in where:
                where[name].append(i)
        for name, index in where.items():
            same = rows.take(index)
            if float((same @ same[0]).min()) < 1 - SAME:
                raise InputError(
                    f"{rows.source}: names must be different for different rows, since the noise of"
                    f" an item depends on its name; {quoted(name)} occurs {len(index)} times"
                )
    return list(rows.names)


def known_features(
    data: Embeddings | Pair,
    rows: Embeddings,
    made: Any,
    context: InversionContext | None,
    settings: Mapping[str, Any] | None = None,
) -> Embeddings:
    """Embeddings of the rows with the names, factors and provenance of the items.

    Args:
        data: the input as passed.
        rows: the side of it that is inverted.
        made: (n, d) rows that replace its rows.
        context: the context that made them; None to keep the native provenance.
        settings: settings of the method.
    """
    factors: dict[str, Any] = dict(rows.factors)
    if isinstance(data, Pair):  # the facts of the pair that retrieval needs
        if rows is data.text:
            factors["row"] = np.arange(rows.n)
            if data.labels is None:
                images, texts = (index.numpy() for index in data.matches)
                owner = only_match(texts, images, rows.n)
                if owner is not None:  # a factor has one value per row
                    factors["image"] = owner
        elif data.labels is not None:
            factors["label"] = data.labels
    provenance = dict(rows.provenance)
    if context is not None:
        if (encoder := context.encoder) is not None:
            provenance["model"] = encoder.spec
            provenance["weights_hash"] = encoder.provenance.get("weights_hash", "")
        provenance["inverted_from"] = context.modality
        provenance["inversion"] = json.dumps(settings or {}, ensure_ascii=False)
        provenance["inverted_with"] = f"modalgap {__version__}, torch {torch.__version__}"
    return Embeddings(
        made,
        rows.modality if context is None else context.into,
        names=rows.names,
        factors=factors,
        provenance=provenance,
        source=rows.source if context is None else f"{rows.source}, inverted",
    )


def _not_inverted(data: Embeddings) -> Embeddings:
    if "inverted_from" in data.provenance:
        before = data.provenance["inverted_from"]
        raise InputError(f"{data.source}: must be native; is already inverted, from {before}s")
    return data
