"""encode, list and data from the command line, with a model of functions in place of a library."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import functions
import pytest
from commands import Run
from layouts.classification import BUILD
from layouts.drawing import draw

import modalgap as mg
from modalgap.data import DATASETS
from modalgap.encode import ENCODERS


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images and captions, and ``open_clip:X`` standing for functions."""
    for i in range(6):
        draw(tmp_path / "photos" / f"{i}.png", i)
        (tmp_path / "photos" / f"{i}.txt").write_text(f"a face {i}\nbad {'b' * i}")
    (tmp_path / "photos" / "bad\n.png").write_bytes(b"junk")
    (tmp_path / "photos" / "bad\n.txt").write_text("nothing")
    monkeypatch.chdir(tmp_path)

    module = ModuleType("open_clip")
    module.load = lambda _, spec, seed: functions.encoder(  # type: ignore[attr-defined]
        spec=f"{spec}, seed {seed}"
    )
    monkeypatch.setitem(sys.modules, "modalgap.encode.libraries.open_clip", module)
    return tmp_path


def test_encode(place: Path, run: Run) -> None:
    command = ("encode", "photos", "--model", "open_clip:a/b", "-o", "o.safetensors")
    code, out, err = run(*command, "--seed", "5")
    assert code == 0
    assert out == "o.safetensors\n"
    assert "encoded 6 images and 12 texts" in err
    first, second, third = err.splitlines()
    assert "photos (images beside .txt captions): read 7 images, 13 texts; 6 .txt files" in first
    assert "encoded 6 images and 12 texts" in second
    assert "skipped 1: not an image that Pillow reads (bad" in third
    assert "skipped 1: its image was not encoded" in third
    assert "o.safetensors.skipped.jsonl lists what was left out or not used: 2" in third
    pair = mg.load("o.safetensors")
    assert pair.image.provenance["model"] == "open_clip:a/b, seed 5"
    code, _, err = run(*command)
    assert code == 2
    assert "exists; replace it with --force" in err
    assert run(*command, "--force", "--limit", "3", "--batch-size", "2")[0] == 0
    code, out, _ = run("measure", "o.safetensors", "--only", "l2m", "--json")
    assert code == 0
    assert "l2m" in json.loads(out)["measures"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("nowhere", "-m", "open_clip:a/b"), "nowhere: no such path or data set; see"),
        (("photos", "-m", "openclip:a/b"), "did you mean 'open_clip'"),
        (("photos", "-m", "ViT-B-32/openai"), "must be LIBRARY:MODEL, such as open_clip:ViT-B-32"),
        (("photos", "-m", "open_clip:a/b", "--precision", "int8"), "unknown precision 'int8'"),
        (("photos", "-m", "open_clip:a/b", "--device", "tpu9"), "device: cannot use 'tpu9'"),
        (("photos", "-m", "open_clip:a/b", "--limit", "0"), "limit: must be an integer"),
        (("photos", "-m", "open_clip:a/b", "--template", "x"), "must hold {} once"),
        (("photos", "-m", "open_clip:a/b", "--template", "a {}"), "is for class names"),
        (("photos", "-m", "open_clip:a/b", "--split", "val"), "--split: photos has none"),
        (("photos", "-m", "open_clip:a/b", "--workers", "-1"), "workers: must be an integer"),
        (("photos", "-m", "open_clip:a/b", "--strict"), "not an image that Pillow reads"),
        (("dtd", "-m", "open_clip:a/b"), "modalgap data check dtd"),
        (("dtd", "-m", "open_clip:a/b", "--split", "vall"), "did you mean 'val'"),
    ],
)
def test_refusals_are_one_line(
    place: Path, run: Run, arguments: tuple[str, ...], reason: str
) -> None:
    code, out, err = run("encode", *arguments, "-o", "o.safetensors")
    assert code == 2
    assert reason in err
    assert out == ""
    began = "--strict" in arguments  # the source is described once the work begins
    assert len(err.splitlines()) == 1 + began
    assert not Path("o.safetensors").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--precision", "int8"),
        ("--device", "meta"),
        ("--template", "x"),
        ("--batch-size", str(2**40)),
        ("--strict",),
    ],
)
def test_options_are_checked_before_the_model_is_loaded(
    place: Path, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys.modules["modalgap.encode.libraries.open_clip"], "load", interrupt)
    (place / "photos" / "lost.txt").write_text("nobody's")
    code, _, err = run("encode", "photos", "-m", "open_clip:a/b", "-o", "o.npz", *arguments)
    assert (code, len(err.splitlines())) == (2, 1)


def test_report_of_a_source(place: Path, run: Run) -> None:
    assert run("report", "photos", "--model", "open_clip:a/b", "-o", "p.html")[0] == 0
    assert Path("p.html").stat().st_size > 30_000
    assert mg.load("p.safetensors").image.n == 6
    assert "open_clip:a/b" in Path("p.html").read_text(encoding="utf-8")
    code, _, err = run("report", "p.safetensors", "--limit", "3", "-o", "q.html")
    assert (code, err) == (2, "modalgap: --limit: is for encoding; give --model too\n")
    code, _, err = run("report", "photos", "x", "--model", "open_clip:a/b", "-o", "q.html")
    assert code == 2
    assert "needs one SOURCE" in err


def test_a_run_goes_on(place: Path, run: Run) -> None:
    stop = functions.encoder(texts=interrupt, spec="open_clip:a/b, seed 0")
    with pytest.raises(KeyboardInterrupt):
        mg.encode("photos", stop, "o.npz")
    code, _, err = run("encode", "photos", "-m", "open_clip:a/b", "-o", "o.npz")
    assert code == 0
    assert "7 were there already" in err


def interrupt(*_: object) -> object:
    raise KeyboardInterrupt


# list and data ----------------------------------------------------------------------------------


def test_list_models(run: Run) -> None:
    _, out, _ = run("list", "models")
    for name, library in ENCODERS.items():
        for form in library.forms:
            assert f"{name}:{form}" in out
    assert set(json.loads(run("list", "models", "--json")[1])["models"]) == set(ENCODERS)


def test_list_data_says_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    BUILD["oxford-pets"](tmp_path / DATASETS["oxford-pets"].card.folder)
    monkeypatch.setenv("MODALGAP_DATA", str(tmp_path))
    found = json.loads(run("list", "data", "--json")[1])["data"]
    assert set(found) == set(DATASETS)
    assert "test" in found["oxford-pets"]["here"]
    assert [name for name in found if found[name]["here"]] == ["oxford-pets"]
    assert "oxford-pets" in run("list", "data")[1]


def test_check_says_what_is_missing(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / DATASETS["oxford-pets"].card.folder
    check = ("data", "check", "oxford-pets", "--root", tmp_path, "--split", "test")
    code, out, _ = run(*check)
    assert code == 1
    assert "test: missing" in out
    assert str(folder / "annotations" / "test.txt") in out
    BUILD["oxford-pets"](folder)
    code, out, _ = run(*check)
    assert code == 0
    assert "test: complete" in out
    for path in (folder / "images").glob("*.jpg"):
        path.unlink()
        lost = path
    draw(folder / "images" / "other.jpg")  # so that the folder is there
    code, out, _ = run(*check)
    assert code == 1
    assert str(lost.parent) in out.partition("test: missing")[2]
    odd = tmp_path / "o\x1b[31m\nx"
    odd.mkdir()
    code, out, _ = run("data", "check", "oxford-pets", "--root", odd, "--split", "test")
    assert (code, "\x1b" in out) == (1, False)
    assert f"looked in {tmp_path}/o�[31m�x" in out
    code, _, err = run("data", "check", "oxfordpets")
    assert code == 2
    assert "did you mean 'oxford-pets'" in err


def test_captions_that_repeat(place: Path, run: Run) -> None:
    """One line says what was joined; an option keeps every row."""
    for i in range(6):
        (place / "photos" / f"{i}.txt").write_text(f"a face {i // 3}")
    command = ("encode", "photos", "--model", "open_clip:a/b", "-o")
    code, _, err = run(*command, "o.safetensors")
    assert code == 0
    said = "7 images share 3 distinct texts; identical texts were merged (--keep-repeats keeps them"
    assert said in err
    pair = mg.load("o.safetensors")
    assert (pair.image.n, pair.text.n, pair.matched_by) == (6, 2, "pairs")
    code, _, err = run(*command, "kept.safetensors", "--keep-repeats")
    assert code == 0
    assert "joined" not in err
    assert mg.load("kept.safetensors").text.n == 6
