"""Closers of three modalities: the map treats each pair as a map of that pair would."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import modalgap as mg
from modalgap import errors
from modalgap.close import CLOSERS

NAMES = ("image", "text", "audio")
ABLE = [name for name, each in CLOSERS.items() if "any role" in each.card.traits]


@pytest.fixture
def mods() -> mg.Modalities:
    random = np.random.default_rng(0)
    sides = {name: random.normal(size=(40, 6)) + random.normal(size=6) for name in NAMES}
    ids = {"image": np.arange(40), "text": np.arange(5, 45), "audio": np.arange(40)}
    return mg.Modalities(sides, items=ids)


@pytest.mark.parametrize("name", ABLE)
def test_each_pair_is_closed_as_alone(name: str, mods: mg.Modalities) -> None:
    closing = mg.close.fit(mods, name)
    assert set(closing.roles) == set(NAMES)
    closed = closing.apply(mods)
    assert isinstance(closed, mg.Modalities)
    for two in combinations(NAMES, 2):
        alone = mg.close(mods.pair(*two), name)
        together = closed.pair(*two)
        for ours, theirs in zip(together.sides, alone.sides, strict=True):
            np.testing.assert_allclose(ours.unit().numpy(), theirs.unit().numpy(), atol=1e-6)
        np.testing.assert_array_equal(together.matches[0], alone.matches[0])
        part = closing.apply(mods.pair(*two))  # the map of all closes a pair, too
        assert part.fingerprint == together.fingerprint
    assert mg.close(mods, name).fingerprint == closed.fingerprint


@pytest.mark.parametrize("name", sorted(set(CLOSERS) - set(ABLE)))
def test_closers_of_two_are_refused(name: str, mods: mg.Modalities) -> None:
    for verb in (mg.close, mg.close.fit):
        with pytest.raises(errors.NotApplicable) as caught:
            verb(mods, name)
        said = str(caught.value)
        assert said.startswith(f"{name}: closes the gap of two modalities; these are 3 (image, ")
        assert f"take {', '.join(ABLE)}, or two of them" in said
        assert "--pair image,text" in said


def test_methods_and_verbs_of_two_say_how_to_pick_them(mods: mg.Modalities) -> None:
    assert mg.close.center(mods).fingerprint == mg.close(mods, "center").fingerprint
    for takes_two in (mg.close.shift, mg.compare, mg.preflight, mg.evaluate.retrieval):
        with pytest.raises(errors.InputError, match="pick two"):
            takes_two(mods)
    two = mg.Modalities.of(mods.pair("image", "text"))
    assert mg.close.shift(two).fingerprint == mg.close.shift(mods.pair("image", "text")).fingerprint


def test_two_modalities_are_the_pair(mods: mg.Modalities) -> None:
    pair = mods.pair("image", "audio")
    found = mg.close(mg.Modalities.of(pair), "shift")
    assert found.fingerprint == mg.close(pair, "shift").fingerprint
    ours, theirs = (mg.close.fit(data, "shift") for data in (mg.Modalities.of(pair), pair))
    assert ours.fingerprint == theirs.fingerprint


def test_files(mods: mg.Modalities, tmp_path: Path) -> None:
    path = mg.close.fit(mods, "center").save(tmp_path / "map.safetensors")
    closed = mg.close.load(path).apply(mg.load(mg.save(mods, tmp_path / "a.npz")))
    assert float(mg.measure(closed, only="l2m.text.audio")["l2m.text.audio"]) < 0.2
    with pytest.raises(errors.InputError, match="is closed already"):
        mg.close.load(path).apply(closed)
