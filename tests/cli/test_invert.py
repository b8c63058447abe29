"""modalgap invert, as a user meets it: files, kills, refusals, and what comes after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.invert_cases import refused, said
from commands import Run
from invert.cases import some

import modalgap as mg
from modalgap.invert import invert, read

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


@pytest.mark.parametrize("method", ["gap_shift", "ridge_map", "caption_mixture"])
def test_a_bank_of_the_queries_is_reported(method: str, place: Path, run: Run) -> None:
    """A .npy file has no names: the rows are compared."""
    random = np.random.default_rng(0)
    np.save("ok.npy", random.normal(size=(2, 40, 8)).astype(np.float32))
    np.save("other.npy", random.normal(size=(2, 40, 8)).astype(np.float32))
    code, _, err = run("invert", method, "ok.npy", "--bank", "ok.npy", "-o", "a.safetensors")
    assert code == 0
    assert "40 of the items are in the bank too" in err
    code, _, err = run("invert", method, "ok.npy", "--bank", "other.npy", "-o", "b.safetensors")
    assert code == 0
    assert "in the bank" not in err


def test_help(run: Run) -> None:
    code, out, _ = run("invert", "--help")
    assert code == 0
    commands = ("oti", "ovi", "caption_mixture", "ridge_map", "gap_shift", "words", "curve")
    for name in commands:
        assert name in out
        assert run("invert", name, "--help")[0] == 0


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
    ("images", ("--set", "lr=nan"), "lr must be a finite number of at least 0 and"),
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


# refusals -----------------------------------------------------------------------------------------


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
