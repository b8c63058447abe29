"""Measures of three and more modalities against those of each pair, and GRAM volume and PMRL."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modalgap as mg
from modalgap import errors
from modalgap.measure import MEASURES

NAMES = ("image", "text", "audio")
BETWEEN = {name for name, each in MEASURES.items() if each.between}
SWAP = {"itr": "tir", "tir": "itr", "tmr": "imr", "imr": "tmr"}  # of the reversed pair
# numbers that depend on which modality is the first
ONE_SIDED = {"loss_landscape", "kendall_tau", "class_bias_spread", "trace_ratio", "separability"}


def rows(names: tuple[str, ...], n: int = 70, d: int = 8) -> dict[str, np.ndarray[Any, Any]]:
    """Rows that share content, in cones of their own."""
    random = np.random.default_rng(len(names))
    content = random.normal(size=(n, d))
    return {
        name: (content + random.normal(size=(n, d)) / 2 + 2 * random.normal(size=d))
        for name in names
    }


def full_name(name: str, a: str, b: str) -> str:
    """The name of a number of the pair (a, b) among three modalities."""
    for modality, other in ((a, b), (b, a)):
        measure = name.removesuffix(f"_{modality}")
        if measure != name and measure in MEASURES:
            return f"{name}.{other}" if measure in BETWEEN else name
    return f"{name}.{a}.{b}"


@pytest.fixture(scope="module")
def mods() -> mg.Modalities:
    return mg.Modalities(rows(NAMES))


@pytest.fixture(scope="module")
def result(mods: mg.Modalities) -> mg.Result:
    return mg.measure(mods, batch=10)


@pytest.mark.parametrize("two", list(combinations(NAMES, 2)))
def test_every_number_is_that_of_the_pair(
    two: tuple[str, str], mods: mg.Modalities, result: mg.Result
) -> None:
    alone = mg.measure(mods.pair(*two), batch=10)
    for name, value in alone.items():
        assert result[full_name(name, *two)].to_dict() == value.to_dict(), name
    for name, reason in alone.skipped.items():
        assert result.skipped[full_name(name, *two)] == reason


def test_names(result: mg.Result) -> None:
    every = {*result, *result.skipped}
    for name, each in MEASURES.items():
        if each.between:
            own = {f"{name}_{a}.{b}" for a, b in permutations(NAMES, 2)}
        elif each.per_modality:
            own = {f"{name}_{a}" for a in NAMES}
        else:
            own = {f"{name}.{a}.{b}" for a, b in combinations(NAMES, 2)}
            own |= {name} if each.together else set()
        assert own <= every
        every -= own
    assert not every
    assert result.pair["items"] == 70
    assert mg.Result.from_json(result.to_json()).to_json() == result.to_json()


def test_two_modalities_are_the_pair(mods: mg.Modalities) -> None:
    pair = mods.pair("image", "audio")
    assert mg.measure(mg.Modalities.of(pair)).to_dict() == mg.measure(pair).to_dict()


@given(st.permutations(NAMES))
@settings(deadline=None, max_examples=6)
def test_another_order_changes_the_order_only(order: list[str]) -> None:
    sides = rows(NAMES)
    only = [name for name in MEASURES if name not in ONE_SIDED]
    wanted = mg.measure(mg.Modalities(sides), only=_applies(only), batch=10)
    found = mg.measure(
        mg.Modalities({name: sides[name] for name in order}), only=_applies(only), batch=10
    )
    assert len(found) == len(wanted)
    for name, value in found.items():
        measure, *two = name.split(".")
        if len(two) == 2 and NAMES.index(two[0]) > NAMES.index(two[1]):
            name = ".".join([SWAP.get(measure, measure), two[1], two[0]])
        assert wanted[name].value == pytest.approx(value.value, rel=1e-4, abs=1e-5), name


@given(st.permutations(NAMES))
@settings(deadline=None, max_examples=6)
def test_another_order_of_items_that_lack_modalities(order: list[str]) -> None:
    sides = rows(NAMES, 60)
    ids = {name: np.arange(60) + 7 * i for i, name in enumerate(NAMES)}
    only = ["l2m", "rmg", "cone", "leakage", "frechet", "gram_volume", "pmrl"]
    wanted = mg.measure(mg.Modalities(sides, items=ids), only=only)
    mods = mg.Modalities({name: sides[name] for name in order}, items=ids)
    found = mg.measure(mods, only=only)
    assert found.pair["incomplete"] == wanted.pair["incomplete"] == dict.fromkeys(NAMES, 14)
    for name, value in found.items():
        measure, *two = name.split(".")
        if len(two) == 2:
            name = ".".join([measure, *sorted(two, key=NAMES.index)])
        assert wanted[name].value == pytest.approx(value.value, rel=1e-4, abs=1e-5), name


def test_other_names_change_the_names_only(mods: mg.Modalities, result: mg.Result) -> None:
    new = {"image": "video", "text": "code", "audio": "touch"}
    renamed = mg.Modalities(mg.Embeddings(side.unit(), new[name]) for name, side in mods.items())
    found = mg.measure(renamed, batch=10)
    for (ours, value), (theirs, other) in zip(result.items(), found.items(), strict=True):
        assert "".join(new.get(part, part) for part in _parts(ours)) == theirs
        assert other.value == pytest.approx(value.value, rel=1e-4, abs=1e-5)


def _parts(name: str) -> list[str]:
    import re

    return re.split(r"([._])", name)


def _applies(names: list[str]) -> list[str]:
    without = {"prediction_gini", "prediction_entropy", "moad"}
    return [name for name in names if name not in without]


def test_only(mods: mg.Modalities) -> None:
    def names(*only: Any) -> list[str]:
        return list(mg.measure(mods, only=only))

    assert names("rmg") == ["rmg.image.text", "rmg.image.audio", "rmg.text.audio"]
    assert names("rmg.text.audio", "cone_text") == ["rmg.text.audio", "cone_text"]
    assert names("leakage_text") == ["leakage_text.image", "leakage_text.audio"]
    assert names(mg.measure.leakage.of("audio"))[0] == "leakage_audio.image"
    assert names("gram_volume")[:2] == ["gram_volume", "gram_volume.image.text"]
    assert names("cone", "cone_text") == ["cone_image", "cone_text", "cone_audio"]
    with pytest.raises(errors.OptionError, match=r"did you mean 'rmg.image.text'"):
        names("rmg.image.txt")
    with pytest.raises(errors.OptionError, match="at least one measure"):
        names()
    with pytest.raises(errors.NotApplicable, match="moad_image: it needs factors"):
        names("moad")
    with pytest.raises(errors.OptionError, match="'k' belongs to"):
        mg.measure(mods, only="rmg", k=3)


def test_matrix(result: mg.Result, mods: mg.Modalities) -> None:
    found = result.matrix("rmg")
    assert {a: list(row) for a, row in found.items()} == {
        "image": ["text", "audio"],
        "text": ["audio"],
    }
    assert found["text"]["audio"] is result["rmg.text.audio"]
    assert result.matrix("cone")["audio"]["audio"] is result["cone_audio"]
    assert result.matrix("leakage")["audio"]["text"] is result["leakage_audio.text"]
    with pytest.raises(errors.OptionError, match="unknown measure of modalities 'rgm'"):
        result.matrix("rgm")
    pair = mg.measure(mods.pair("image", "text"), only="rmg")
    assert pair.matrix("rmg") == {"image": {"text": pair["rmg"]}}


def test_each_modality_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = dict.fromkeys(NAMES, 0)
    reading = mg.Embeddings.reading

    def counted(side: mg.Embeddings, *args: Any, **options: Any) -> Any:
        reads[side.modality] += 1
        return reading(side, *args, **options)

    mods = mg.Modalities(rows(NAMES))
    monkeypatch.setattr(mg.Embeddings, "reading", counted)
    mg.measure(mods, only=["l2m", "rmg", "l2i", "cone", "frechet", "trace_ratio"])
    assert reads == dict.fromkeys(NAMES, 1)


def test_a_pair_without_common_items_is_left_out() -> None:
    sides = rows(NAMES, 40)
    ids = {"image": np.arange(40), "text": np.arange(40), "audio": np.arange(39, 79)}
    mods = mg.Modalities(sides, items=ids)
    found = mg.measure(mods, only=["rmg", "gram_volume", "cone"])
    assert {name for name in found if name.startswith("rmg")} == {"rmg.image.text"}
    assert "at least two items in common; found 1" in found.skipped["rmg.image.audio"]
    assert "fewer than two items have all of image, text, audio" in found.skipped["gram_volume"]
    assert "cone_audio" in found
    with pytest.raises(errors.NotApplicable, match=r"rmg.text.audio: .* found 1"):
        mg.measure(mods, only="rmg.text.audio")


def test_captions_are_resampled_with_their_image() -> None:
    random = np.random.default_rng(1)
    image, audio = random.normal(size=(2, 60, 8))
    text = np.repeat(image, 3, 0) + random.normal(size=(180, 8))
    mods = mg.Modalities(
        {"image": image, "text": text, "audio": audio},
        items={"image": range(60), "text": np.arange(180) // 3, "audio": range(60)},
    )
    found, alone = mg.measure(mods), mg.measure(mods.pair("image", "text"))
    for name, value in alone.items():
        same = found[full_name(name, "image", "text")]
        assert same.value == pytest.approx(value.value, rel=1e-6), name
        if value.interval is not None:
            assert same.interval == pytest.approx(value.interval, rel=1e-3), name


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_gram_volume_and_pmrl_of_three(seed: int) -> None:
    random = np.random.default_rng(seed)
    sides = {name: random.normal(size=(7, 5)) for name in NAMES}
    mods = mg.Modalities(sides)
    x, y, z = (side.unit().double().numpy() for side in mods.sides)
    a, b, c = (x * y).sum(1), (x * z).sum(1), (y * z).sum(1)
    volume = np.sqrt(1 + 2 * a * b * c - a**2 - b**2 - c**2)
    assert float(mg.measure.gram_volume(mods)) == pytest.approx(volume.mean(), rel=1e-5)
    leading = [
        np.linalg.svd(np.stack(three), compute_uv=False)[0] for three in zip(x, y, z, strict=True)
    ]
    assert float(mg.measure.pmrl(mods)) == pytest.approx(np.mean(leading), rel=1e-5)


def test_volumes_of_orthogonal_and_of_equal_rows() -> None:
    turned = [np.roll(np.eye(6), i, 1) for i in range(3)]
    apart = mg.Modalities(dict(zip(NAMES, turned, strict=True)))
    same = mg.Modalities(dict.fromkeys(NAMES, np.eye(6)))
    assert float(mg.measure.gram_volume(apart)) == pytest.approx(1)
    assert float(mg.measure.pmrl(apart)) == pytest.approx(1)
    assert float(mg.measure.gram_volume(same)) == pytest.approx(0, abs=1e-6)
    assert float(mg.measure.pmrl(same)) == pytest.approx(3**0.5)


def test_other_measures_refuse_three_at_once(mods: mg.Modalities) -> None:
    with pytest.raises(errors.InputError, match=r"rmg needs two .*: pick two with pair\("):
        mg.measure.rmg(mods)
    with pytest.raises(errors.InputError, match="cone is a number of one modality"):
        mg.measure.cone(mods)
    pair = mods.pair("image", "text")
    assert mg.measure.rmg(mg.Modalities.of(pair)) == mg.measure.rmg(pair)
