"""MAD as a folder, its captions, as a source, on the command line."""

from __future__ import annotations

import json
import pickle
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patience import until

pytest.importorskip("cv2")

from commands import Run
from PIL import Image

from modalgap import data, errors
from modalgap.data import mad as package
from modalgap.data.mad import (
    FACTORS,
    VARIANTS,
    Captions,
    Digits,
    Mad,
    build,
    contact_sheet,
    digits,
    load,
    source,
    store,
)
from modalgap.work import Parts, parts

NAMES = list(FACTORS)


@pytest.fixture(scope="module")
def few() -> Digits:
    return digits(limit=40)


@pytest.fixture(scope="module")
def made(few: Digits) -> Mad:
    return build(few, workers=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of few digits."""
    monkeypatch.setattr(store, "BLOCK", 8)


def test_the_face() -> None:
    assert sorted(package.__all__) == sorted(set(package.__all__))
    assert all(hasattr(package, name) for name in package.__all__)


# pixels and codes -------------------------------------------------------------------------------


def test_pixels_and_codes(made: Mad) -> None:
    rng = np.random.default_rng(0)
    digit, variant, colour = (rng.integers(k, size=200) for k in (len(made), 24, 7))
    seen = made.pixels(digit, variant, colour)
    codes = made.codes(digit, variant, colour)
    assert seen.shape == (200, 28, 28, 3)
    assert seen.dtype == np.uint8
    assert codes.dtype == np.int64
    channels = {"red": "r", "green": "g", "blue": "b", "cyan": "gb", "magenta": "rb"}
    channels |= {"yellow": "rg", "gray": "rgb"}
    for i in range(200):
        grey = made.images[digit[i], variant[i]]
        name = FACTORS["colour"][codes[i, 5]]
        for j, letter in enumerate("rgb"):
            expected = grey if letter in channels[name] else 0 * grey
            np.testing.assert_array_equal(seen[i, ..., j], expected)
        assert codes[i].tolist() == [made.labels[digit[i]], *VARIANTS[variant[i]], colour[i]]


def test_train_and_test_share_out_the_digits(made: Mad, few: Digits) -> None:
    assert sorted([*made.train, *made.test]) == list(range(len(few)))
    assert made.test.tolist() == few.held_out.tolist()
    assert repr(made) == "Mad('scikit-learn digits', 40 digits, 8 of them held out)"


# determinism, folders, kills --------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.usefixtures("small")
def test_workers_and_folders_change_nothing(tmp_path: Path, few: Digits, made: Mad) -> None:
    for workers in (1, 2):
        found = build(few, tmp_path / str(workers), workers=workers)
        np.testing.assert_array_equal(found.images, made.images)
    np.testing.assert_array_equal(build(few, workers=2).images, made.images)
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert one == two
    assert sorted(one) == ["images.npy", "labels.npy", "mad.json", "test.npy", "train.npy"]
    assert not (tmp_path / "1.parts").exists()
    other = build(few, seed=1, workers=1)
    assert (other.images != made.images).any()
    # without what is random it is the same
    np.testing.assert_array_equal(other.images[:, 0], made.images[:, 0])


def test_randomness_belongs_to_the_seed_and_the_position() -> None:
    table = store.draws(5, 0, 300)
    for first, count in ((0, 7), (13, 1), (128, 100), (299, 1)):
        np.testing.assert_array_equal(store.draws(5, first, count), table[first : first + count])
    assert 0 <= table.min() < table.max() < 1
    assert abs(table.mean() - 0.5) < 0.005


def test_a_second_call_opens(tmp_path: Path, few: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(few, tmp_path / "m", workers=1)

    def fail(*_: Any) -> None:
        raise AssertionError("must not be made again")

    monkeypatch.setattr(store.morphology, "vary_all", fail)
    again = build(few, tmp_path / "m", workers=1)
    np.testing.assert_array_equal(again.images, first.images)
    assert isinstance(again.images, np.memmap)
    assert again.folder == tmp_path / "m"
    assert len(pickle.dumps(again)) < 500  # the images stay where they are
    assert (pickle.loads(pickle.dumps(again)).images == first.images).all()  # noqa: S301
    with pytest.raises(errors.OutputError, match="other digits or another seed; replace"):
        build(few, tmp_path / "m", workers=1, seed=1)
    with pytest.raises(AssertionError):
        build(few, tmp_path / "m", workers=1, seed=1, overwrite=True)


def test_replaced(tmp_path: Path, few: Digits) -> None:
    build(few, tmp_path / "m", workers=1)
    build(few, tmp_path / "m", workers=1, seed=1, overwrite=True)
    assert load(tmp_path / "m").seed == 1
    build(few, tmp_path / "n", workers=1, seed=1)
    assert contents(tmp_path / "m") == contents(tmp_path / "n")
    (tmp_path / "m" / "mad.json").write_text("{}")
    with pytest.raises(errors.FileError):
        build(few, tmp_path / "m", workers=1)
    build(few, tmp_path / "m", workers=1, overwrite=True)
    assert load(tmp_path / "m").seed == 0


def slow(folder: Path, workers: int) -> subprocess.Popen[str]:
    code = f"""
import time
from pathlib import Path
from modalgap.data.mad import build, digits, morphology, store
store.BLOCK = 8
real = morphology.vary_all
def vary_all(*arguments):
    time.sleep(0.05)
    return real(*arguments)
morphology.vary_all = vary_all
few = digits(limit=160)
print("begin", flush=True)
build(few, Path({str(folder)!r}), workers={workers})
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("small")
def test_killed_it_goes_on_to_the_same_bytes(tmp_path: Path, workers: int) -> None:
    folder = tmp_path / "m"
    clock = random.Random(3)  # noqa: S311
    kills = 0

    def parts() -> int:
        return len(list((tmp_path / "m.parts").glob("*.safetensors")))

    while not (folder / "mad.json").exists() and kills < 2:
        with slow(folder, workers) as process:
            assert process.stdout is not None
            process.stdout.readline()
            before = parts()
            until(lambda before=before: parts() > before, process)
            time.sleep(clock.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        kills += 1
    assert kills >= 2, "it must be killed before it is done, or nothing is tested"
    assert 1 < parts() < 20
    many = digits(limit=160)
    before = {
        path.name: path.stat().st_mtime_ns for path in (tmp_path / "m.parts").glob("digits-*")
    }
    with pytest.raises(errors.InputError, match="run made with other settings"):
        build(many, folder, workers=1, seed=9)
    kept: list[int] = []
    real = store._finish

    def finish(folder: Path, digits: Digits, parts: Parts, said: Any) -> None:
        kept.extend(before[name] == (parts.folder / name).stat().st_mtime_ns for name in before)
        real(folder, digits, parts, said)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_finish", finish)
        build(many, folder, workers=1)
    assert kept
    assert all(kept), "what was made is not made again"
    build(many, tmp_path / "whole", workers=1)
    assert contents(folder) == contents(tmp_path / "whole")
    assert not (tmp_path / "m.parts").exists()


@pytest.mark.usefixtures("small")
def test_stopped_at_every_step(
    tmp_path: Path, few: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file it replaces is the last one before a stop; then it goes on."""
    build(few, tmp_path / "whole", workers=1)
    real, left = store.replacing, 0

    def replacing(path: Path, *, overwrite: bool = False) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return real(path, overwrite=overwrite)

    for module in (store, parts):
        monkeypatch.setattr(module, "replacing", replacing)
    stops = 0
    while True:
        left = 1
        try:
            build(few, tmp_path / "m", workers=1)
        except KeyboardInterrupt:
            stops += 1
            assert stops < 20
            if stops == 6:  # damaged on the way: made again
                next((tmp_path / "m.parts").glob("digits-*")).write_bytes(b"junk")
                left = 1
            if stops > 6:
                break
            continue
        break
    for module in (store, parts):
        monkeypatch.setattr(module, "replacing", real)
    build(few, tmp_path / "m", workers=1)
    assert contents(tmp_path / "m") == contents(tmp_path / "whole")


def test_folders_that_hold_something_else(tmp_path: Path, few: Digits) -> None:
    for name in ("images.npy", "notes.txt"):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_text("mine")
        for overwrite in (False, True):
            with pytest.raises(errors.OutputError, match=f"a MAD folder; found {name}"):
                build(few, folder, workers=1, overwrite=overwrite)
        assert (folder / name).read_text() == "mine"
    with pytest.raises(errors.OutputError, match="cannot be"):
        build(few, tmp_path / "none" / "m", workers=1)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(errors.OutputError, match="cannot be"):
        build(few, tmp_path / "file", workers=1)
    (tmp_path / "taken.parts").mkdir()
    (tmp_path / "taken.parts" / "mine").write_text("")
    with pytest.raises(errors.OutputError, match="of an unfinished run; found mine"):
        build(few, tmp_path / "taken", workers=1)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_workers(few: Digits, workers: Any) -> None:
    with pytest.raises(errors.OptionError, match="workers: must be an integer of at least 1"):
        build(few, workers=workers)


def test_other_arguments(few: Digits) -> None:
    with pytest.raises(errors.OptionError, match="seed: must be"):
        build(few, seed=-1)
    with pytest.raises(errors.InputError, match="digits: must be Digits; got list"):
        build([1])  # type: ignore[arg-type]
    with pytest.raises(errors.OptionError, match="folder: must be a path"):
        build(few, 3)  # type: ignore[arg-type]
    with pytest.raises(errors.InputError, match="folder: must be a path"):
        load(3)  # type: ignore[arg-type]


# damage -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few: Digits) -> Path:
    folder = tmp_path_factory.mktemp("mad") / "m"
    build(few, folder, workers=1)
    return folder


def copy(whole: Path, folder: Path) -> Path:
    folder.mkdir()
    for name, content in contents(whole).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "must have format 1; got 2"),
        ({"factors": {}}, "must have the factors"),
        ({"count": 39}, r"images.npy: must be uint8 \(39, 24, 28, 28\)"),
        ({"count": 0}, "at least one digit"),
        ({"count": True}, "must have 'count', int"),
        ({"seed": None}, "must have 'seed', int"),
        ({"digits": 3}, "must have 'digits', str"),
        ({"train": -1}, "is damaged"),
        ({"train": 30}, r"train.npy: must be int64 \(30,\); got int64 \(32,\)"),
    ],
)
def test_damaged_manifests(whole: Path, tmp_path: Path, change: Any, reason: str) -> None:
    folder = copy(whole, tmp_path / "m")
    said = json.loads((folder / "mad.json").read_text()) | change
    (folder / "mad.json").write_text(json.dumps(said))
    with pytest.raises(errors.FileError, match=reason) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_damaged_files(whole: Path, tmp_path: Path) -> None:
    folder = copy(whole, tmp_path / "m")
    with pytest.raises(errors.FileError, match=r"must be a MAD folder, with mad\.json"):
        load(tmp_path)
    for content in ("", "[]", "{", '{"format": 1'):
        (folder / "mad.json").write_text(content)
        with pytest.raises(errors.FileError, match=r"mad\.json"):
            load(folder)
    (folder / "mad.json").write_bytes((whole / "mad.json").read_bytes())
    for name in ("images", "labels", "train", "test"):
        path = folder / f"{name}.npy"
        kept = path.read_bytes()
        for content in (b"", b"junk", kept[:-9], kept[:40]):
            path.write_bytes(content)
            with pytest.raises(errors.FileError, match=f"{name}.npy"):
                load(folder)
        path.unlink()
        with pytest.raises(errors.FileError, match=f"{name}.npy: must be there"):
            load(folder)
        path.write_bytes(kept)
    np.save(folder / "labels.npy", np.full(40, 10))
    with pytest.raises(errors.FileError, match="must hold 0 … 9"):
        load(folder)
    (folder / "labels.npy").write_bytes((whole / "labels.npy").read_bytes())
    np.save(folder / "test.npy", np.arange(8))
    with pytest.raises(errors.FileError, match="must divide all digits"):
        load(folder)
    np.save(folder / "test.npy", np.array([{}] * 8), allow_pickle=True)
    with pytest.raises(errors.FileError, match=r"test\.npy"):
        load(folder)


# captions ---------------------------------------------------------------------------------------


def some_codes(n: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(len(words), size=n) for words in FACTORS.values()], 1)


def factors_of(caption: str) -> list[str]:
    return [next(n for n, words in FACTORS.items() if word in words) for word in caption.split("-")]


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


# as a source ------------------------------------------------------------------------------------


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


# the sheet and the command line -----------------------------------------------------------------


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
