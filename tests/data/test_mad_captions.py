"""MAD as a folder, its captions, as a source, on the command line."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run
from PIL import Image

from modalgap import data, errors
from modalgap.data.mad import (
    FACTORS,
    Captions,
    Digits,
    Mad,
    build,
    contact_sheet,
    load,
    source,
)

pytest.importorskip("cv2")


NAMES = list(FACTORS)


def some_codes(n: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(len(words), size=n) for words in FACTORS.values()], 1)


def factors_of(caption: str) -> list[str]:
    return [next(n for n, words in FACTORS.items() if word in words) for word in caption.split("-")]


# captions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("object_", NAMES)
@pytest.mark.parametrize("k", range(6))
def test_object_and_attributes(object_: str, k: int) -> None:
    codes = some_codes(2000)
    texts = Captions(object_, k).write(codes, np.random.default_rng(1))
    told: Counter[str] = Counter()
    places: Counter[int] = Counter()
    for row, text in zip(codes, texts, strict=True):
        named = factors_of(text)
        assert len(set(named)) == len(named) == k + 1
        assert object_ in named
        told.update(named)
        places[named.index(object_)] += 1
        for word, name in zip(text.split("-"), named, strict=True):
            assert word == FACTORS[name][row[NAMES.index(name)]]
    for name in set(NAMES) - {object_}:
        assert abs(told[name] / 2000 - k / 5) < 0.05
    for place in range(k + 1):
        assert abs(places[place] / 2000 - 1 / (k + 1)) < 0.05


def test_presence() -> None:
    codes = some_codes(4000)
    chance = {"colour": 1, "scale": 0, "thickness": 0.3, "swelling": 0.8}
    captions = Captions(presence=chance)
    told = Counter(
        name
        for text in captions.write(codes, np.random.default_rng(0))
        for name in factors_of(text)
    )
    assert told["digit"] == told["colour"] == 4000
    assert told["scale"] == told["fracture"] == 0
    assert abs(told["thickness"] / 4000 - 0.3) < 0.03
    assert abs(told["swelling"] / 4000 - 0.8) < 0.03
    assert hash(captions) == hash(Captions(presence=chance))
    assert captions == Captions(presence=chance)
    assert Captions(presence={}).write(codes[:5], np.random.default_rng(0)) == Captions().write(
        codes[:5], np.random.default_rng(0)
    )


def test_what_must_be_named() -> None:
    codes, rng = some_codes(500), np.random.default_rng(0)
    for text in Captions(attributes=2).write(codes, rng, always=["colour"]):
        named = factors_of(text)
        assert {"digit", "colour"} <= set(named)
        assert len(named) == 3
    for text in Captions().write(codes, rng, always=("colour", "scale")):
        assert sorted(factors_of(text)) == ["colour", "digit", "scale"]
    for text in Captions(presence={"colour": 0.0}).write(codes, rng, always=["colour", "digit"]):
        assert sorted(factors_of(text)) == ["colour", "digit"]
    assert Captions().write(codes[:0], rng) == []


def test_captions_are_reproducible() -> None:
    codes = some_codes(50)
    one, two = (Captions(attributes=3).write(codes, np.random.default_rng(4)) for _ in range(2))
    assert one == two
    assert pickle.loads(pickle.dumps(Captions(presence={"colour": 1}))).name  # noqa: S301


def test_names_of_captions() -> None:
    assert Captions.named("object_only") == Captions() == Captions(attributes=0)
    assert Captions.named("object_attribute_3", object="colour") == Captions("colour", 3)
    for k in range(1, 6):
        assert Captions.named(f"object_attribute_{k}").name == f"object_attribute_{k}"
    assert Captions().name == "object_only"
    assert Captions(presence={"scale": 0.5}).name == "presence (scale 0.5)"
    with pytest.raises(errors.OptionError, match="must name at most 5 attributes"):
        Captions.named("object_attribute_6")
    with pytest.raises(errors.OptionError, match="did you mean 'object_attribute_3'"):
        Captions.named("object_atribute_3")
    for wrong in ("", "x", "object_attribute_", "object_attribute_-1", "object_only_2"):
        with pytest.raises(errors.OptionError, match="unknown captions"):
            Captions.named(wrong)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"object": "color"}, "unknown factor 'color'; did you mean 'colour'"),
        ({"object": 3}, "factor: must be a name"),
        ({"attributes": 6}, "of 0 … 5, the number of other factors; got 6"),
        ({"attributes": -1}, "of 0 … 5"),
        ({"attributes": True}, "of 0 … 5"),
        ({"attributes": 1.0}, "of 0 … 5"),
        ({"attributes": 1, "presence": {}}, "not both"),
        ({"presence": ["colour"]}, "must be a dict"),
        ({"presence": {"size": 1}}, "unknown factor 'size'"),
        ({"presence": {"digit": 1}}, "digit is the object"),
        ({"presence": {"colour": 1.1}}, "must be a number of 0 … 1; got 1.1"),
        ({"presence": {"colour": float("nan")}}, "must be a number of 0 … 1"),
        ({"presence": {"colour": "1"}}, "must be a number of 0 … 1"),
    ],
)
def test_captions_that_break_a_rule(options: Any, reason: str) -> None:
    with pytest.raises(errors.OptionError, match=reason):
        Captions(**options)


def test_captions_of_wrong_codes() -> None:
    rng = np.random.default_rng(0)
    for codes in (np.zeros((2, 5), int), np.zeros(6, int), np.zeros((2, 6)), "x"):
        with pytest.raises(errors.InputError, match="codes: must be integers"):
            Captions().write(codes, rng)  # type: ignore[arg-type]
    codes = np.zeros((2, 6), int)
    codes[1, 3] = 2
    with pytest.raises(errors.InputError, match="codes: of fracture must lie in 0 … 1"):
        Captions().write(codes, rng)
    with pytest.raises(errors.OptionError, match="unknown factor 'color'"):
        Captions().write(some_codes(1), rng, always=["color"])
    with pytest.raises(errors.OptionError, match="always: must be a list"):
        Captions().write(some_codes(1), rng, always="colour")


# as a source --------------------------------------------------------------------------------------


def test_every_look(made: Mad) -> None:
    found = source(made, Captions("colour", 2))
    assert found.media is not None
    assert found.texts is not None
    assert len(found.media) == len(found.texts) == len(made.test) * 168
    assert found.text_to_image.tolist() == list(range(len(found.texts)))  # type: ignore[union-attr]
    assert list(found.factors) == ["digit", "thickness", "swelling", "fracture", "scale", "object"]
    assert found.factors == found.text_factors
    assert len(set(found.media.names)) == len(found.media)
    for i in (0, 1, 7, 168, len(found.media) - 1):
        image = found.media[i]
        assert isinstance(image, Image.Image)
        assert image.mode == "RGB"
        assert image.size == (28, 28)
        name, words = found.media.names[i].split("/")
        values = {key: column[i] for key, column in found.factors.items()}
        assert words.split("-") == [*list(values.values())[1:5], values["object"]]
        assert values["digit"] == FACTORS["digit"][made.labels[int(name)]]
        look = i % 168
        expected = made.pixels(*(np.array([k]) for k in (int(name), look // 7, look % 7)))[0]
        np.testing.assert_array_equal(np.asarray(image), expected)
        assert set(found.texts[i].split("-")) <= {str(each) for each in values.values()}
    copied = pickle.loads(pickle.dumps(found.media))  # noqa: S301
    np.testing.assert_array_equal(np.asarray(copied[9]), np.asarray(found.media[9]))
    assert found.provenance["captions"] == "object_attribute_2"
    assert found.provenance["object"] == "colour"


def test_some_looks(made: Mad) -> None:
    found = source(made, Captions(attributes=1), split="train", images=5, seed=3)
    assert found.media is not None
    assert len(found.media) == 5 * len(made.train)
    assert len(set(found.media.names)) == len(found.media)
    owners = Counter(int(name.split("/")[0]) for name in found.media.names)
    assert set(owners) == set(made.train.tolist())
    assert set(owners.values()) == {5}
    again = source(made, Captions(attributes=1), split="train", images=5, seed=3)
    other = source(made, Captions(attributes=1), split="train", images=5, seed=4)
    assert again.texts == found.texts
    assert other.texts != found.texts
    assert len(found.limited(20, 0).media or ()) == 20


def test_sources_that_break_a_rule(made: Mad) -> None:
    for looks in (0, 169, True, "all", 1.0):
        with pytest.raises(errors.OptionError, match="images: must be"):
            source(made, Captions(), images=looks)  # type: ignore[arg-type]
    with pytest.raises(
        errors.OptionError, match="unknown split of MAD 'tset'; did you mean 'test'"
    ):
        source(made, Captions(), split="tset")
    with pytest.raises(errors.OptionError, match="captions: must be Captions"):
        source(made, "object_only")  # type: ignore[arg-type]
    with pytest.raises(errors.InputError, match="mad: must be a Mad"):
        source("m", Captions())  # type: ignore[arg-type]
    none = Digits(np.ones((2, 28, 28), np.uint8), np.array([1, 2]), "two", np.array([], int))
    with pytest.raises(errors.InputError, match="its test split holds no digits"):
        source(build(none, workers=1), Captions())


def test_read_finds_the_folder(whole: Path) -> None:
    found = data.read(whole)
    assert found.name == str(whole)
    assert found.provenance["captions"] == "object_attribute_5"
    assert found.provenance["split"] == "test"
    assert {len(text.split("-")) for text in found.texts or ()} == {6}
    assert len(data.read(whole, split="train", limit=10).media or ()) == 10
    with pytest.raises(errors.OptionError, match="unknown split of MAD"):
        data.read(whole, split="val")
    with pytest.raises(errors.OptionError, match="--text-column"):
        data.read(whole, text_column="x")


# the sheet and the command line -------------------------------------------------------------------


def test_contact_sheet(made: Mad) -> None:
    page = np.asarray(contact_sheet(made, 3))
    assert page.shape == (7 * 60 + 4, 24 * 60 + 4, 3)
    look = page[4 + 60 * 2 : 60 * 3, 4 + 60 * 5 : 60 * 6][::2, ::2]
    np.testing.assert_array_equal(look, made.pixels(*(np.array([k]) for k in (3, 5, 2)))[0])
    for wrong in (-1, 40, "3", True):
        with pytest.raises(errors.OptionError, match="digit: must be an integer of 0 … 39"):
            contact_sheet(made, wrong)  # type: ignore[arg-type]


def test_the_command(run: Run, tmp_path: Path) -> None:
    folder, sheet = tmp_path / "m", tmp_path / "sheet.png"
    wanted = ("data", "mad", "-o", folder, "--limit", 20, "--workers", 1, "--sheet", sheet)
    code, out, err = run(*wanted)
    assert (code, err) == (0, "")
    assert "digits   20 of scikit-learn digits" in out
    assert "train    16\ntest     4\nimages   168 per digit" in out
    with Image.open(sheet) as page:
        assert page.size == (24 * 60 + 4, 7 * 60 + 4)
    assert len(load(folder)) == 20
    code, _, err = run(*wanted)
    assert code == 2
    assert "sheet.png: exists" in err
    assert run(*wanted[:-2])[0] == 0
    code, _, err = run(*wanted[:-2], "--seed", 1)
    assert code == 2
    assert err.count("\n") == 1
    assert "holds a MAD of other digits or another seed" in err
    assert run(*wanted, "--seed", 1, "--force")[0] == 0
    assert load(folder).seed == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--workers", 0), "workers: must be an integer of at least 1; got 0"),
        (("--digits", "none"), "none: must be a folder with MNIST's IDX files"),
        (("--limit", 1), "limit: must be an integer of at least 2; got 1"),
        (("--sheet", "a.jpg"), "a.jpg: must end in .png"),
        (("--sheet", "none/a.png"), "must be in a folder that exists"),
    ],
)
def test_refusals_of_the_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run("data", "mad", "-o", tmp_path / "m", *options)
    assert (code, out) == (2, "")
    assert err.startswith("modalgap: ")
    assert err.count("\n") == 1
    assert reason in err
    assert not (tmp_path / "m").exists()
