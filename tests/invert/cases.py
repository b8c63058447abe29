"""A small model, its pairs and banks, which the tests of inversion share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trained

import modalgap as mg
from modalgap.data.mad import Captions, build, digits, source
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, encode
from modalgap.invert import (
    Inverted,
)

QUICK: dict[str, Any] = {"optimiser": "lbfgs", "steps": 6}


def small_model(base: Path) -> str:
    """A model trained on MAD for some steps; where it is there already, it is taken."""
    config = trained.config(
        steps=40,
        data={"limit": 200, "captions": "object_attribute_2"},
        watch={"measure": 0, "every": 40},
        checkpoint={"every": 40},
    )
    return mg.train(config, base / "inverted-model").spec


def looks(encoder: Encoder) -> Pair:
    """24 looks of 12 digits, with a caption each."""
    found = encode(
        source(build(digits(limit=60)), Captions(attributes=2), images=2), encoder, workers=0
    )
    assert isinstance(found, Pair)
    texts = found.text
    named = Embeddings(
        texts.unit(), "text", [f"c{i}" for i in range(texts.n)], texts.factors, texts.provenance
    )
    return Pair(found.image, named)


def some(n: int = 5, modality: str = "image", dim: int = 16, seed: int = 0, **more: Any) -> Any:
    """Embeddings of noise."""
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    more.setdefault("names", [f"{modality} {i}" for i in range(n)])
    return Embeddings(rows, modality, **more)


def side(pair: Pair, method: str) -> Embeddings:
    return pair.image if method == "oti" else pair.text


def pick(data: Embeddings, index: Sequence[int]) -> Embeddings:
    assert data.names is not None
    return Embeddings(
        data.take(index), data.modality, [data.names[i] for i in index], provenance=data.provenance
    )


def same(ours: Inverted, theirs: Inverted, *, within: float = 0.0) -> None:
    """Equal in all that there is."""
    for name in ("cosines", "vectors", "losses", "steps"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert (one is None) == (other is None), name
        if one is not None:
            torch.testing.assert_close(one, other, rtol=0, atol=within)
    torch.testing.assert_close(ours.features.unit(), theirs.features.unit(), rtol=0, atol=within)
    assert ours.features.names == theirs.features.names
    assert ours.features.modality == theirs.features.modality


def bank(n: int = 40, dim: int = 16) -> Pair:
    """Captions, two or three of each image, in no order."""
    random = np.random.default_rng(5)
    of = random.permutation(np.concatenate([np.arange(n), np.arange(n), np.arange(0, n, 3)]))
    image = random.normal(size=(n, dim)) + 0.5
    text = image[of] @ random.normal(size=(dim, dim)) + random.normal(size=(len(of), dim)) - 0.5
    return Pair(Embeddings(image, "image"), Embeddings(text, "text"), of)


def planted(encoder: Encoder, words: Sequence[Sequence[str]], **told: str) -> Inverted:
    """Pseudo-tokens that are the embeddings of words, at any length."""
    tower = encoder.text_tower()
    assert tower is not None
    table = next(tower.embedding.parameters()).detach()
    ids = [[int(encoder.tokenize([word]).ids[0, 1]) for word in row] for row in words]
    vectors = table[torch.tensor(ids)] * 7.5
    n = len(words)
    told = told or {"weights_hash": encoder.provenance["weights_hash"], "model": encoder.spec}
    features = Embeddings(
        np.random.default_rng(0).normal(size=(n, encoder.dim)),
        "text",
        [f"item {i}" for i in range(n)],
        provenance={**told, "inverted_from": "image"},
    )
    return Inverted(features, torch.ones(n), vectors.float())
