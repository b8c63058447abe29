"""MAD as a folder, its captions, as a source, on the command line."""

from __future__ import annotations

import json
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patience import in_full, until

from modalgap import errors
from modalgap.data import mad as package
from modalgap.data.mad import (
    FACTORS,
    VARIANTS,
    Digits,
    Mad,
    build,
    digits,
    load,
    store,
)
from modalgap.work import Parts, parts

pytest.importorskip("cv2")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of few digits."""
    monkeypatch.setattr(store, "BLOCK", 8)


def test_the_face() -> None:
    assert sorted(package.__all__) == sorted(set(package.__all__))
    assert all(hasattr(package, name) for name in package.__all__)


# pixels and codes ---------------------------------------------------------------------------------


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


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# determinism, folders, kills ----------------------------------------------------------------------


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
@pytest.mark.parametrize("workers", [pytest.param(1, marks=in_full), 2])
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
    (tmp_path / "file").write_text("mine")
    for path in ("file", "file/m"):
        with pytest.raises(errors.OutputError, match="cannot be"):
            build(few, tmp_path / path, workers=1)
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


def copy(whole: Path, folder: Path) -> Path:
    folder.mkdir()
    for name, content in contents(whole).items():
        (folder / name).write_bytes(content)
    return folder


# damage -------------------------------------------------------------------------------------------


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
