"""modalgap invert, as a user meets it: files, kills, refusals, and what comes after it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli.invert_cases import ODD, refused
from commands import Run
from invert.cases import planted
from layouts.drawing import draw

import modalgap as mg
from modalgap.embeddings import Embeddings
from modalgap.encode import load_model
from modalgap.invert import curve, invert, read
from modalgap.search import search

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
        ("oti", ("-o", "f.txt"), "f.txt: must be a folder; found a file"),
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
    assert list(place.iterdir()) == [place / "f.txt"]


@pytest.mark.parametrize("at", ["a,5", "", "none,1"])
def test_steps_that_are_none(at: str, files: Path, spec: str, place: Path, run: Run) -> None:
    data = files / "images.safetensors"
    found = run(
        "invert", "curve", "oti", data, "--query", data, "-m", spec, "-o", "c",
        "--protocol", "self_removed", "--factor", "object", "--set", "steps=6", "--at", at,
    )  # fmt: skip
    refused(found, "at")


# data, encoded first ------------------------------------------------------------------------------


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
