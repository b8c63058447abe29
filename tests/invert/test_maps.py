"""Inversion as a whole: what comes out, what is refused, and what is kept on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invert.cases import bank, same, some
from numpy.typing import NDArray

import modalgap as mg
from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import (
    InputError,
    ModalgapError,
    OptionError,
)
from modalgap.invert import (
    Inverted,
    caption_mixture,
    gap_shift,
    invert,
    read,
    ridge_map,
)

Floats = NDArray[np.float64]


def unit(rows: Any) -> Floats:
    rows = np.asarray(rows, np.float64)
    made: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def both(pair: Pair, modality: str) -> tuple[Floats, Floats, Floats, Floats]:
    """All rows of where from and where to, and those of matches."""
    image, text = unit(pair.image.unit()), unit(pair.text.unit())
    assert pair.text_to_image is not None
    matched = (image[pair.text_to_image], text)
    if modality == "text":
        return text, image, matched[1], matched[0]
    return image, text, *matched


@pytest.mark.parametrize("modality", ["image", "text"])
def test_caption_mixture(modality: str) -> None:
    data, pairs = some(7, modality, seed=2), bank()
    x, y = unit(data.unit()), both(pairs, modality)[1]
    for k, temperature in ((1, 0.01), (4, 0.1), (len(y), 0.01)):
        expected = []
        for row in x:
            near = np.argsort(-(y @ row))[:k]
            scores = y[near] @ row / temperature
            weights = np.exp(scores - scores.max())
            expected.append((weights / weights.sum()) @ y[near])
        found = caption_mixture(data, bank=pairs, k=k, temperature=temperature)
        check(found, data, unit(expected), {"k": k, "temperature": temperature})
        alone = pairs.text if modality == "image" else pairs.image
        same(caption_mixture(data, bank=alone, k=k, temperature=temperature), found)


@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 3.0])
def test_ridge_map(modality: str, alpha: float) -> None:
    data, pairs = some(7, modality, seed=2), bank()
    x, y = both(pairs, modality)[2:]
    mx, my = x.mean(0), y.mean(0)
    if alpha == 0:
        weights = np.linalg.lstsq(x - mx, y - my, rcond=None)[0]
    else:
        within = (x - mx).T @ (x - mx)
        penalty = alpha * np.trace(within) / len(within)
        weights = np.linalg.inv(within + penalty * np.eye(len(within))) @ (x - mx).T @ (y - my)
    expected = my + (unit(data.unit()) - mx) @ weights
    check(ridge_map(data, bank=pairs, alpha=alpha), data, unit(expected), {"alpha": alpha})


@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("amount", [0.0, 1.0, -0.3])
def test_gap_shift(modality: str, amount: float) -> None:
    data, pairs = some(7, modality, seed=2), bank()
    x, y = both(pairs, modality)[:2]
    expected = unit(data.unit()) - amount * (x.mean(0) - y.mean(0))
    found = gap_shift(data, bank=pairs, amount=amount)
    check(found, data, unit(expected), {"amount": amount})


def check(found: Inverted, data: Embeddings, expected: Floats, said: dict[str, Any]) -> None:
    np.testing.assert_allclose(found.features.unit().numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(
        found.cosines.numpy(), (expected * unit(data.unit())).sum(1), atol=2e-6
    )
    assert (found.vectors, found.losses, found.steps) == (None, None, None)
    assert {data.modality, found.features.modality} == {"image", "text"}
    assert found.features.names == data.names
    told = found.features.provenance
    assert told["inverted_from"] == data.modality
    assert "model" not in told
    settings = json.loads(told["inversion"])
    assert {name: settings[name] for name in said} == said


def test_closed_forms_from_files(tmp_path: Path) -> None:
    data = mg.save(some(), tmp_path / "data.npz")
    pairs = mg.save(bank(), tmp_path / "bank.safetensors")
    for method, options in (("caption_mixture", {"k": 3}), ("ridge_map", {}), ("gap_shift", {})):
        output = tmp_path / f"{method}.safetensors"
        found = invert(data, method, output=output, bank=pairs, batch_size=2, **options)
        same(read(output), found)
        same(invert(some(), method, bank=bank(), **options), found, within=1e-6)


def test_ridge_map_of_pairs_that_are_all_alike() -> None:
    alike = Pair(*(Embeddings(np.ones((4, 16)), name) for name in ("image", "text")))
    try:
        found = ridge_map(some(), bank=alike)
    except ModalgapError:
        return
    assert bool(found.features.unit().isfinite().all())


@pytest.mark.parametrize("method", ["caption_mixture", "ridge_map", "gap_shift"])
def test_a_bank_of_another_model(method: str) -> None:
    ours = some(provenance={"weights_hash": "aa", "model": "m:a"})
    made = bank()
    told = {"weights_hash": "bb", "model": "m:b"}
    other = Pair(
        Embeddings(made.image.unit(), "image", provenance=told),
        Embeddings(made.text.unit(), "text", provenance=told),
        made.text_to_image,
    )
    with pytest.raises(InputError, match="bank"):
        invert(ours, method, bank=other)


def test_closed_forms_refuse_what_is_inverted_already() -> None:
    once = gap_shift(some(), bank=bank())
    with pytest.raises(InputError, match="already inverted"):
        gap_shift(once.features, bank=bank())


@pytest.mark.parametrize("modality", ["image", "text"])
def test_images_and_texts_of_several_modalities(modality: str, tmp_path: Path) -> None:
    pair = bank()
    audio = Embeddings(pair.image.unit() + 1, "audio")
    matches = {("text", "image"): pair.text_to_image, ("audio", "image"): np.arange(pair.image.n)}
    mods = mg.Modalities([*pair.sides, audio], matches)
    path = mg.save(mods, tmp_path / "three.safetensors")
    items = Embeddings(getattr(pair, modality).unit()[:5], modality)
    expected = invert(items, "gap_shift", bank=pair).features.unit()
    for learnt in (mods, path):
        found = invert(items, "gap_shift", bank=learnt).features.unit()
        np.testing.assert_allclose(found, expected, atol=1e-6)
    whole = invert(mods, "gap_shift", bank=pair).features
    assert (whole.n, whole.provenance["inverted_from"]) == (pair.image.n, "image")
    lacking = mg.Modalities({"audio": audio, "sound": audio.unit(), "image": pair.image})
    with pytest.raises(OptionError, match="unknown modality 'text'"):
        invert(items, "gap_shift", bank=lacking)
