"""modalgap invert, as a user meets it: files, kills, refusals, and what comes after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from commands import Run
from invert.test_invert import bank, looks, pick, planted, small_model, some
from layouts.drawing import draw
from torch.nn.functional import normalize

import modalgap as mg
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import load_model
from modalgap.invert import curve, invert, parts, read
from modalgap.invert.optimise import Descender
from modalgap.search import search
from modalgap.work import Parts

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ODD = "<b>[red]x"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return small_model(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def files(spec: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of features of the model, good ones and bad ones."""
    folder = tmp_path_factory.mktemp("files")
    tiny.add_configs(tmp_path_factory.mktemp("configs"))
    encoder = load_model(spec)
    pair = looks(encoder)
    image, text = pair.image, pair.text
    told = image.provenance
    prompts = normalize(encoder.encode_text(encoder.tokenize(list(DIGITS))), dim=1)
    rows = image.unit()
    made: dict[str, Pair | Embeddings] = {
        "pair": pair,
        "images": image,
        "texts": text,
        "captions": Pair(pick(image, range(12)), text, np.arange(12).repeat(2)),
        "prompts": Embeddings(prompts, "text", DIGITS, provenance=told),
        "other": Embeddings(rows, provenance={"weights_hash": "ab" * 16, "model": "x:y"}),
        "narrow": Embeddings(rows[:, :8]),
        "twice": Embeddings(rows[:3], names=["a", "b", "a"]),
        "said twice": Embeddings(rows[[0, 1, 0]], names=["a", "b", "a"]),
        "inverted": Embeddings(rows, "text", provenance={"inverted_from": "image"}),
        "odd": Embeddings(rows, names=image.names, factors={ODD: image.factors["object"]}),
        "bank": bank(),
        "narrow bank": bank(dim=8),
        "few": some(4, "text"),
    }
    for name, data in made.items():
        mg.save(data, folder / f"{name}.safetensors")
    broken = rows.numpy().copy()
    broken[3, 2] = np.nan
    np.save(folder / "nan.npy", broken)
    (folder / "junk.safetensors").write_bytes(b"junk" * 99)
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(found: tuple[int, str, str], *words: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr."""
    code, out, err = found
    assert (code, out) == (2, ""), err
    assert err.startswith("modalgap: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for word in words:
        assert word in err


def said(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mg.load_embeddings(path).provenance["inversion"])
    return found


# runs ---------------------------------------------------------------------------------------------


def test_oti(files: Path, spec: str, place: Path, run: Run) -> None:
    native = files / "images.safetensors"
    asked = ("invert", "oti", native, "-m", spec, "-o", "o.safetensors", "--set", "steps=3")
    code, out, err = run(*asked)
    assert (code, out) == (0, "o.safetensors\n")
    assert "24 images became texts: cosine " in err
    assert "3 steps each" in err
    expected = invert(native, "oti", spec, steps=3)
    assert read(place / "o.safetensors").cosines.tolist() == expected.cosines.tolist()
    refused(run(*asked), "o.safetensors: exists; replace it with --force")
    assert run(*asked, "--force")[0] == 0
    assert [path.name for path in place.iterdir()] == ["o.safetensors"]
    assert mg.load(files / "pair.safetensors").image.names == read("o.safetensors").features.names


def test_every_option_arrives(files: Path, spec: str, place: Path, run: Run) -> None:
    code, _, err = run(
        "invert", "oti", files / "images.safetensors", "-m", spec, "-o", "o.safetensors",
        "--set", "template=red {}", "--set", "tokens=2", "--set", "optimiser=adamw",
        "--set", "steps=4",
        "--set", "lr=0.1", "--set", "weight_decay=0.2", "--set", "wanted=0.9", "--set", "keep=best",
        "--set", "loss=angle",
        "--seed", "3", "--precision", "bf16", "--batch-size", "5", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    assert said(Path("o.safetensors")) == {
        "method": "oti", "template": "red {}", "tokens": 2, "optimiser": "adamw", "steps": 4,
        "lr": 0.1, "weight_decay": 0.2, "std": 0.02, "wanted": 0.9, "keep": "best",
        "loss": "angle", "seed": 3, "precision": "bf16",
    }  # fmt: skip
    code, _, err = run(
        "invert", "ovi", files / "pair.safetensors", "-m", spec, "-o", "v.safetensors",
        "--set", "tokens=2", "--set", "steps=2",
    )  # fmt: skip
    assert code == 0, err
    assert "24 texts became images" in err
    assert (said(Path("v.safetensors"))["tokens"], said(Path("v.safetensors"))["steps"]) == (2, 2)
    assert run(
        "invert", "oti", files / "said twice.safetensors", "-m", spec, "-o", "t.safetensors",
        "--set", "steps=0",
    )[0] == 0  # fmt: skip


@pytest.mark.parametrize(
    ("method", "options", "settings"),
    [
        (
            "caption_mixture",
            ("--set", "k=3", "--set", "temperature=0.2"),
            {"k": 3, "temperature": 0.2},
        ),
        ("ridge_map", ("--set", "alpha=2"), {"alpha": 2}),
        ("gap_shift", ("--set", "amount=-0.5"), {"amount": -0.5}),
        ("gap_shift", (), {"amount": 1}),
    ],
)
def test_closed_forms(
    method: str,
    options: tuple[object, ...],
    settings: dict[str, Any],
    files: Path,
    place: Path,
    run: Run,
) -> None:
    data, pairs = files / "images.safetensors", files / "bank.safetensors"
    asked = ("invert", method, data, "--bank", pairs, "-o", "o.safetensors", *options)
    code, out, err = run(*asked)
    assert (code, out) == (0, "o.safetensors\n")
    assert "24 images became texts: cosine" in err
    assert "steps" not in err
    assert settings.items() <= said(Path("o.safetensors")).items()
    expected = invert(data, method, bank=pairs, **settings)
    assert read("o.safetensors").cosines.tolist() == expected.cosines.tolist()
    assert [path.name for path in place.iterdir()] == ["o.safetensors"]


def test_help(run: Run) -> None:
    code, out, _ = run("invert", "--help")
    assert code == 0
    commands = ("oti", "ovi", "caption_mixture", "ridge_map", "gap_shift", "words", "curve")
    for name in commands:
        assert name in out
        assert run("invert", name, "--help")[0] == 0


# refusals -----------------------------------------------------------------------------------------

REFUSED: list[tuple[str, tuple[str, ...], str]] = [
    ("images", ("--set", "template=a photo"), "template: must hold {} for the pseudo-tokens; got"),
    ("images", ("--set", "template=red{}"), "template: each {} must be separated from words"),
    ("images", ("--set", "template=red red red red red red {}"), "must fit into the 8 positions"),
    (
        "images",
        ("--set", "tokens=7"),
        "with 7 pseudo-tokens in each {} must fit into the 8 positions",
    ),
    ("images", ("--set", "tokens=0"), "tokens must be an integer of at least 1 and at most"),
    ("images", ("--set", "steps=-1"), "steps must be an integer of at least 0 and at most"),
    ("images", ("--set", "lr=nan"), "lr must be a number of at least 0 and at most 1e+06; got nan"),
    ("images", ("--set", "lr=inf"), "got inf"),
    ("images", ("--set", "lr=-1"), "lr must be a number of at least 0 and at most 1e+06; got -1"),
    ("images", ("--set", "weight_decay=-1"), "weight_decay must be a number"),
    (
        "images",
        ("--set", "wanted=2"),
        "wanted must be a number of at least -1 and at most 1; got 2",
    ),
    ("images", ("--batch-size", "0"), "batch_size must be an integer of at least 1"),
    ("images", ("--jobs", "0"), "jobs must be an integer of at least 1"),
    ("images", ("--device", "tpu9"), "device: cannot use 'tpu9'"),
    ("images", ("--device", "cpu,tpu9"), "device: cannot use 'tpu9'"),
    ("images", ("--precision", "fp16", "--device", "cpu"), "precision: fp16 needs a GPU"),
    ("images", ("--precision", "int8"), "unknown precision 'int8'"),
    ("images", ("--set", "optimiser=sgd"), "optimiser must be one of adamw, lbfgs; got 'sgd'"),
    ("images", ("--set", "loss=cosin"), "unknown loss 'cosin'; did you mean 'cosine'"),
    ("images", ("--set", "keep=first"), "keep must be one of last, best; got 'first'"),
    ("images", ("--split", "val"), "--split and --root must be given with --data"),
    ("images", ("--root", "."), "--split and --root must be given with --data"),
    ("images", ("--data", "photos"), "give either INPUT or --data; got both"),
    ("images", ("-o", "o.npz"), "o.npz: must end in .safetensors; found .npz"),
    ("images", ("-o", "no/o.safetensors"), "must be in a folder that exists; found no"),
    ("images", ("-m", "openclip:a/b"), "did you mean 'open_clip'"),
    ("images", ("-m", "open_clip:tiny-resnet/random"), "comes from open_clip:"),
    ("texts", (), "oti takes images; these are texts: see ovi"),
    ("other", (), "comes from x:y with weights abababababab, where the model has"),
    ("narrow", (), "must have the width of open_clip:"),
    ("twice", (), "'a' occurs 2 times"),
    ("nan.npy", (), "every row must be finite and not zero; row 3 holds nan or infinity"),
    ("inverted", ("ovi",), "is already inverted, from images"),
    ("images", ("ovi",), "ovi takes texts; these are images: see oti"),
    (
        "texts",
        ("ovi", "--set", "tokens=17"),
        "tokens: must be at most 16, the patches of open_clip:",
    ),
    ("junk", (), "junk.safetensors: must have a header"),
    ("nowhere", (), "nowhere.safetensors: no such file or directory"),
    ("images", ("--set", "steps=1.5"), "steps must be an integer or None; got '1.5'"),
    ("images", ("--set", "step=1"), "unknown option of oti 'step'; did you mean 'steps'?"),
    ("images", ("--set", "seed=1"), "--set seed: must be given as --seed"),
    ("images", ("--bank", "b.npz"), "bank: oti takes no bank; it takes model="),
    ("", (), "give either INPUT or --data; got neither"),
]


@pytest.mark.parametrize(
    ("name", "options", "reason"), REFUSED, ids=[f"{n}-{r[:40]}" for n, _, r in REFUSED]
)
def test_refusals(
    name: str,
    options: tuple[str, ...],
    reason: str,
    files: Path,
    spec: str,
    place: Path,
    run: Run,
) -> None:
    method, options = ("ovi", options[1:]) if options[:1] == ("ovi",) else ("oti", options)
    path = [files / (name if "." in name else f"{name}.safetensors")] if name else []
    found = run("invert", method, *path, "-m", spec, "-o", "o.safetensors", *options)
    refused(found, reason)
    assert list(place.iterdir()) == []


CLOSED: list[tuple[str, str, str, tuple[str, ...], str]] = [
    ("caption_mixture", "images", "images", (), "bank: must hold texts; got images"),
    ("caption_mixture", "texts", "few", (), "bank: must hold images; got texts"),
    ("caption_mixture", "images", "few", (), "k must be at most the 4 items of the bank; got 16"),
    ("caption_mixture", "images", "bank", ("--set", "k=0"), "k must be an integer of at least 1"),
    (
        "caption_mixture",
        "images",
        "bank",
        ("--set", "temperature=0"),
        "temperature must be a number",
    ),
    ("ridge_map", "images", "texts", (), "bank: must hold pairs of images and texts; got texts"),
    ("ridge_map", "images", "narrow bank", (), "bank: must have rows of width 16; got 8"),
    ("ridge_map", "images", "bank", ("--set", "alpha=-1"), "alpha must be a number of at least 0"),
    ("gap_shift", "images", "images", (), "bank: must hold pairs of images and texts; got images"),
    (
        "gap_shift",
        "images",
        "bank",
        ("--set", "amount=nan"),
        "amount must be a finite number; got nan",
    ),
    ("gap_shift", "images", "nowhere", (), "nowhere.safetensors: no such file"),
]


@pytest.mark.parametrize(("method", "name", "held", "options", "reason"), CLOSED)
def test_refusals_of_closed_forms(
    method: str,
    name: str,
    held: str,
    options: tuple[str, ...],
    reason: str,
    files: Path,
    place: Path,
    run: Run,
) -> None:
    data, pairs = (files / f"{each}.safetensors" for each in (name, held))
    refused(run("invert", method, data, "--bank", pairs, "-o", "o.safetensors", *options), reason)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("oti", "x", "-m", "a:b"), "--output"),
        (("oti", "x", "-m", "a:b", "-o", "o.safetensors", "--steps", "3"), "--steps"),
        (("oti", "x", "-m", "a:b", "-o", "o.safetensors", "--foo"), "--foo"),
        (("oti", "x", "-m", "a:b", "-o", "o.safetensors", "--seed", "-1"), "--seed"),
        (("otii", "x"), "otii"),
    ],
)
def test_what_the_command_line_itself_refuses(
    arguments: tuple[str, ...], reason: str, place: Path, run: Run
) -> None:
    code, out, err = run("invert", *arguments)
    assert (code, out) == (2, "")
    assert reason in err
    assert "Traceback" not in err
    assert list(place.iterdir()) == []


def test_what_is_read_is_not_written_over(files: Path, spec: str, place: Path, run: Run) -> None:
    native, pairs = place / "n.safetensors", place / "b.safetensors"
    native.write_bytes((files / "images.safetensors").read_bytes())
    pairs.write_bytes((files / "bank.safetensors").read_bytes())
    oti = ("invert", "oti", native, "-m", spec, "--set", "steps=1", "-o")
    refused(run(*oti, native), "exists; replace it with --force")
    refused(run(*oti, native, "--force"), "must not be a file that is being read")
    shift = ("invert", "gap_shift", native, "--bank", pairs, "--force", "-o")
    refused(run(*shift, pairs), "must not be a file that is being read")
    refused(run(*shift, native), "must not be a file that is being read")
    assert native.read_bytes() == (files / "images.safetensors").read_bytes()
    assert sorted(path.name for path in place.iterdir()) == ["b.safetensors", "n.safetensors"]


def test_an_image_tower_without_patches(place: Path, files: Path, run: Run) -> None:
    rows = some(4, "text")
    mg.save(rows, place / "t.safetensors")
    found = run(
        "invert", "ovi", "t.safetensors", "-m", "open_clip:tiny-resnet/random", "-o",
        "o.safetensors",
    )  # fmt: skip
    refused(found, "open_clip:tiny-resnet/random: pseudo-patches need an image tower with patches")
    assert [path.name for path in place.iterdir()] == ["t.safetensors"]


def test_a_search_that_goes_astray(files: Path, spec: str, place: Path, run: Run) -> None:
    found = run(
        "invert", "oti", files / "images.safetensors", "-m", spec, "-o", "o.safetensors",
        "--set", "steps=20", "--set", "lr=1e6", "--set", "weight_decay=1e6",
    )  # fmt: skip
    refused(found, "diverged (NaN or infinity)", "lr 1e+06; use a smaller lr")
    assert not Path("o.safetensors").exists()


# words --------------------------------------------------------------------------------------------


def test_words(spec: str, place: Path, run: Run) -> None:
    made = planted(load_model(spec), [["nine", "red"], ["thin", "zero"], ["two", "two"]])
    names = ["a.png", f"{ODD}\x1b[31m", "three\nlines"]
    features = Embeddings(made.features.unit(), "text", names, provenance=made.features.provenance)
    type(made)(features, made.cosines, made.vectors).save("w.safetensors")
    code, out, err = run("invert", "words", "w.safetensors", "-m", spec, "--k", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("a.png: nine 1.00, ")
    assert "  |  red 1.00, " in lines[0]
    assert "\x1b" not in out
    assert lines[1].startswith("<b>[red]x�[31m: thin 1.00")
    assert lines[2].startswith("three�lines: two 1.00")
    code, out, _ = run("invert", "words", "w.safetensors", "-m", spec, "--items", "1")
    assert (code, out.count("\n")) == (0, 1)
    code, out, _ = run(
        "invert", "words", "w.safetensors", "-m", spec, "--json", "--k", "3", "--items", "1"
    )
    assert code == 0
    items = json.loads(out)["items"]
    assert [item["name"] for item in items] == names
    assert [[token[0][0] for token in item["words"]] for item in items] == [
        ["nine", "red"], ["thin", "zero"], ["two", "two"],
    ]  # fmt: skip
    assert all(len(token) == 3 for item in items for token in item["words"])
    assert items[0]["words"][0][0][1] == pytest.approx(1, abs=1e-5)


def test_refusals_of_words(files: Path, spec: str, place: Path, run: Run) -> None:
    planted(load_model(spec), [["nine"], ["one"]]).save("w.safetensors")
    refused(run("invert", "words", files / "images.safetensors", "-m", spec), "holds no inversion")
    refused(run("invert", "words", "nowhere.safetensors", "-m", spec), "no such file")
    refused(run("invert", "words", "w.safetensors", "-m", spec, "--k", "0"), "k must be an integer")
    model = "open_clip:tiny-short/random"
    refused(
        run("invert", "words", "w.safetensors", "-m", model), "model: must have the weights", spec
    )


def test_how_many_items_of_words(spec: str, place: Path, run: Run) -> None:
    planted(load_model(spec), [["nine"], ["one"]]).save("w.safetensors")
    code, _, err = run("invert", "words", "w.safetensors", "-m", spec, "--items", "-1")
    assert code == 2
    assert "--items" in err


# the curve ----------------------------------------------------------------------------------------


def test_curve(files: Path, spec: str, place: Path, run: Run) -> None:
    data = files / "odd.safetensors"
    asked = (
        "invert", "curve", "oti", data, "--query", data, "-m", spec, "-o", "c",
        "--protocol", "self_removed", "--factor", ODD, "--set", "optimiser=lbfgs",
        "--set", "steps=6",
    )  # fmt: skip
    code, out, err = run(*asked)
    assert code == 0, err
    assert "\x1b" not in out + err
    names = {"table.csv", "table.md", "table.json", "curve.png", "curve.svg", "report.html"}
    folder = place / "c"
    assert {path.name for path in folder.iterdir()} == names
    assert list(place.iterdir()) == [folder]
    table = json.loads((folder / "table.json").read_text())
    expected = curve(
        mg.load_embeddings(data), mg.load_embeddings(data), "oti", spec, optimiser="lbfgs",
        steps=6, protocol="self_removed", factor=ODD,
    )  # fmt: skip
    assert table == json.loads(expected.to_json())
    assert (folder / "table.csv").read_text() == expected.to_csv()
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "curve.svg").read_text()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<b>[red]" not in page
    assert "&lt;b&gt;[red]x" in page
    assert "The highest mAP is" in page
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refused(run(*asked), "table.csv: exists; replace it with --force")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    code, _, err = run(*asked, "--force", "--at", "6,0")
    assert code == 0, err
    table = json.loads((folder / "table.json").read_text())
    assert list(table["rows"]) == ["native", "0", "6"]


@pytest.mark.parametrize(
    ("method", "options", "reason"),
    [
        ("gap_shift", (), "method: must be oti or ovi; got 'gap_shift'"),
        ("ovi", (), "ovi takes texts; these are images: see oti"),
        ("oti", ("--at", "7"), "at must be an integer of at least 0 and at most 6; got 7"),
        ("oti", ("--at", "1.5"), "at must be a list of integers"),
        ("oti", ("--protocol", "selfremoved"), "did you mean 'self_removed'"),
        ("oti", ("--factor", "digit"), "factor 'digit'"),
        ("oti", ("--device", "tpu9"), "device: cannot use 'tpu9'"),
        ("oti", ("--set", "tokens=7"), "must fit into the 8 positions"),
        ("oti", ("--query", "nowhere.npz"), "nowhere.npz: no such file"),
        ("oti", ("-o", "f.txt"), "f.txt: cannot be made"),
    ],
)
def test_refusals_of_the_curve(
    method: str,
    options: tuple[str, ...],
    reason: str,
    files: Path,
    spec: str,
    place: Path,
    run: Run,
) -> None:
    (place / "f.txt").write_text("a file")
    data = files / "images.safetensors"
    asked = (
        "invert", "curve", method, data, "--query", data, "-m", spec, "-o", "c",
        "--protocol", "self_removed", "--factor", "object",
    )  # fmt: skip
    steps = () if method == "gap_shift" else ("--set", "steps=6")
    refused(run(*asked, *steps, *options), reason)
    assert [path for path in place.rglob("*") if path.is_file()] == [place / "f.txt"]


@pytest.mark.parametrize("at", ["a,5", "", "none,1"])
def test_steps_that_are_none(at: str, files: Path, spec: str, place: Path, run: Run) -> None:
    data = files / "images.safetensors"
    found = run(
        "invert", "curve", "oti", data, "--query", data, "-m", spec, "-o", "c",
        "--protocol", "self_removed", "--factor", "object", "--set", "steps=6", "--at", at,
    )  # fmt: skip
    refused(found, "at")


# data, encoded first ------------------------------------------------------------------------------


@pytest.fixture
def photos(place: Path) -> Path:
    for i in range(5):
        draw(place / "photos" / f"{i}.png", i)
    return place / "photos"


def test_data_are_encoded_first(photos: Path, spec: str, run: Run) -> None:
    asked = (
        "invert", "oti", "--data", "photos", "-m", spec, "-o", "o.safetensors", "--set", "steps=2",
    )  # fmt: skip
    code, out, err = run(*asked)
    assert (code, out) == (0, "o.safetensors\n"), err
    assert "features of photos are in o.native.safetensors" in err
    assert "5 images became texts" in err
    native = mg.load_embeddings("o.native.safetensors")
    assert native.names == read("o.safetensors").features.names
    assert native.provenance["weights_hash"] == load_model(spec).provenance["weights_hash"]
    expected = invert(native, "oti", spec, steps=2)
    assert read("o.safetensors").cosines.tolist() == expected.cosines.tolist()
    written = Path("o.native.safetensors").stat().st_mtime_ns
    refused(run(*asked), "o.safetensors: exists")
    code, _, err = run(*asked, "--force")
    assert code == 0
    assert "features are there already: o.native.safetensors" in err
    assert Path("o.native.safetensors").stat().st_mtime_ns == written
    assert sorted(path.name for path in photos.parent.iterdir()) == [
        "o.native.safetensors", "o.safetensors", "photos",
    ]  # fmt: skip


def test_native_features_of_another_model(photos: Path, spec: str, files: Path, run: Run) -> None:
    Path("o.native.safetensors").write_bytes((files / "other.safetensors").read_bytes())
    asked = ("invert", "oti", "--data", "photos", "-m", spec, "-o", "o.safetensors")
    code, _, err = run(*asked)
    assert code == 2
    assert "o.native.safetensors: holds features of other data" in err
    assert not Path("o.safetensors").exists()


@pytest.mark.parametrize("how", ["another folder", "another image"])
def test_native_features_of_other_data(how: str, photos: Path, spec: str, run: Run) -> None:
    asked = ("invert", "oti", "-m", spec, "-o", "o.safetensors", "--set", "steps=1", "--data")
    assert run(*asked, "photos")[0] == 0
    Path("o.safetensors").unlink()
    if how == "another folder":
        draw(photos.parent / "others" / "x.png", 8)
        draw(photos.parent / "others" / "y.png", 9)
        refused(run(*asked, "others"), "o.native.safetensors")
    else:
        draw(photos / "another.png", 9)
        refused(run(*asked, "photos"), "o.native.safetensors")


@pytest.mark.parametrize(
    "options", [("--set", "steps=-1"), ("--set", "template=x"), ("--jobs", "0")]
)
def test_options_are_checked_before_data_are_encoded(
    options: tuple[str, ...], photos: Path, spec: str, run: Run
) -> None:
    asked = ("invert", "oti", "--data", "photos", "-m", spec, "-o", "o.safetensors", *options)
    refused(run(*asked))
    assert [path.name for path in photos.parent.iterdir()] == ["photos"]


def test_data_that_were_skipped_are_told(photos: Path, spec: str, run: Run) -> None:
    (photos / "bad.png").write_bytes(b"junk")
    asked = (
        "invert",
        "oti",
        "--data",
        "photos",
        "-m",
        spec,
        "-o",
        "o.safetensors",
        "--set",
        "steps=1",
    )
    code, _, err = run(*asked)
    assert code == 0
    assert "skipped 1" in err


def test_data_that_are_none(photos: Path, spec: str, run: Run) -> None:
    asked = ("invert", "oti", "-m", spec, "-o", "o.safetensors", "--data")
    refused(run(*asked, "nowhere"), "nowhere: no such path or data set")
    refused(run(*asked, "photos", "--split", "val"), "--split: photos has none")
    assert [path.name for path in photos.parent.iterdir()] == ["photos"]


# what comes after ---------------------------------------------------------------------------------


def test_evaluation_of_inverted_images(files: Path, spec: str, place: Path, run: Run) -> None:
    native = files / "images.safetensors"
    asked = ("--set", "optimiser=lbfgs", "--set", "steps=8")
    assert run("invert", "oti", native, "-m", spec, "-o", "o.safetensors", *asked)[0] == 0
    code, out, err = run(
        "search", native, "--query", "o.safetensors",
        "--protocol", "self_removed", "--factor", "object", "--json",
    )  # fmt: skip
    assert code == 0, err
    features = invert(native, "oti", spec, optimiser="lbfgs", steps=8).features
    found = search(features, mg.load_embeddings(native), "self_removed", factor="object")
    assert json.loads(out)["measures"]["map"]["value"] == pytest.approx(found["map"].value)
    code, out, err = run(
        "search", files / "pair.safetensors", "--query", "o.safetensors",
        "--protocol", "self_removed", "--factor", "object",
    )  # fmt: skip
    assert code == 0, err
    assert "24 queries (text) and 24 gallery (image)" in " ".join(out.split())
    top = []
    for query in ("o.safetensors", native):
        code, out, err = run(
            "search", files / "prompts.safetensors", "--query", query, "--protocol", "zero_shot",
            "--factor", "object", "--json",
        )  # fmt: skip
        assert code == 0, err
        top.append(json.loads(out)["measures"]["top1"]["value"])
    assert all(0 <= each <= 1 for each in top)


def test_evaluation_of_inverted_captions(files: Path, spec: str, place: Path, run: Run) -> None:
    native = files / "captions.safetensors"
    assert run(
        "invert", "ovi", native, "-m", spec, "-o", "o.safetensors", "--set", "steps=8",
    )[0] == 0  # fmt: skip
    made = mg.load_embeddings("o.safetensors")
    assert made.factors["row"].tolist() == list(range(24))
    assert made.factors["image"].tolist() == np.arange(12).repeat(2).tolist()
    asked = (native, "--query", "o.safetensors", "--protocol", "first_caption")
    code, out, err = run("search", *asked, "--json")
    assert code == 0, err
    found = search(made, mg.load(native), "first_caption")
    for name in ("map", "r1"):
        assert json.loads(out)["measures"][name]["value"] == pytest.approx(found[name].value)
    code, out, err = run("search", *asked)
    assert code == 0
    assert "12 queries are not first captions; not used" in err


# kills --------------------------------------------------------------------------------------------


STOPS = """
import os, signal, sys
import safetensors.numpy
from modalgap.cli import main

real, calls = safetensors.numpy.save, []

def save(tensors, said=None):  # of a batch: its file is open
    calls.append(0)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGSTOP)
    return real(tensors, said)

safetensors.numpy.save = save
main()
"""


@pytest.fixture(scope="module", autouse=True)
def stopped(
    files: Path, spec: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[str], list[object]]]:
    """``modalgap invert oti``, which stops within its third batch, and its arguments.

    It begins with the first test, as a process takes long to begin.
    """
    output = tmp_path_factory.mktemp("stopped") / "o.safetensors"
    command: list[object] = [
        "invert", "oti", files / "images.safetensors", "-m", spec, "--set", "steps=20",
        "--batch-size", 5, "-o", output,
    ]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-c", STOPS, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield child, command
    child.kill()
    child.communicate()


def test_killed_it_goes_on_to_the_same_bytes(
    stopped: tuple[subprocess.Popen[str], list[object]],
    place: Path,
    files: Path,
    spec: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child, command = stopped
    output = Path(str(command[-1]))
    folder = output.with_name("o.safetensors.parts")
    found = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert found is not None
    assert found.si_code == os.CLD_STOPPED, child.communicate()
    for force in ((), ("--force",)):
        refused(run(*command, *force), f"{folder}: another run is using it")
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert not output.exists()
    assert Parts(folder, "items").spans() == [(0, 5), (5, 10)]
    assert len(list(folder.glob(".modalgap-*.part"))) == 1  # which was being written

    for changes, keys in (
        (("--set", "steps=2"), "(steps: 20, now 2)"),
        (("--seed", 4), "(seed: 0, now 4)"),
        (("--set", "template=red {}"), '(template: "{}", now "red {}")'),
    ):
        refused(run(*command, *changes), "holds a run made with other settings", keys, "--force")
    inverted: list[str] = []
    real = Descender.__call__

    def noted(self: Descender, names: Sequence[str], *given: Any) -> Any:
        inverted.extend(names)
        return real(self, names, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Descender, "__call__", noted)
        code, _, err = run(*command)
    assert code == 0, err
    assert len(inverted) == 14
    assert [path.name for path in output.parent.iterdir()] == ["o.safetensors"]
    assert run(*command[:-1], place / "whole.safetensors")[0] == 0
    assert output.read_bytes() == (place / "whole.safetensors").read_bytes()


def test_a_damaged_part(
    files: Path, spec: str, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (
        "invert", "oti", files / "images.safetensors", "-m", spec, "-o", "o.safetensors",
        "--set", "steps=2", "--batch-size", 9,
    )  # fmt: skip
    real = parts.write

    def stop(*given: Any) -> None:
        real(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write", stop)
        assert run(*asked)[0] == 130
    part = place / "o.safetensors.parts" / "items-000000000-000000009.safetensors"
    part.write_bytes(part.read_bytes()[:-40])
    refused(run(*asked), part.name)
    part.unlink()
    assert run(*asked)[0] == 0
    assert [path.name for path in place.iterdir()] == ["o.safetensors"]


def test_force_begins_anew(
    files: Path, spec: str, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    asked = ("invert", "oti", files / "images.safetensors", "-m", spec, "-o", "o.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr(Descender, "__call__", stop)
        assert run(*asked, "--set", "steps=4")[0] == 130
    assert (place / "o.safetensors.parts" / "plan.json").exists()
    refused(run(*asked, "--set", "steps=2"), "(steps: 4, now 2)")
    assert run(*asked, "--set", "steps=2", "--force")[0] == 0
    assert said(Path("o.safetensors"))["steps"] == 2
    assert [path.name for path in place.iterdir()] == ["o.safetensors"]
