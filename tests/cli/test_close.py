"""modalgap close and modalgap list closers, as a user meets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli.close_cases import N, expected, pair, refused, rows, same
from commands import Run

import modalgap as mg
from modalgap.close import CLOSERS, fit, load
from modalgap.embeddings import Pair

# fit ----------------------------------------------------------------------------------------------


def test_fit_and_apply(run: Run, tmp_path: Path, npz: Path) -> None:
    path, output = tmp_path / "m.safetensors", tmp_path / "closed.npz"
    code, out, err = run("close", "fit", "center", npz, "-o", path)
    assert (code, out) == (0, f"{path}\n")
    assert "modalgap: length_of_mean: image 0." in err
    assert "rows were not unit" in err
    assert load(path).fingerprint == fit(mg.load(npz), "center").fingerprint
    code, out, _ = run("close", "apply", path, npz, "-o", output)
    assert (code, out) == (0, f"{output}\n")
    same(rows(output), expected())
    kept = mg.load(output)
    assert kept.image.names == pair().image.names
    np.testing.assert_array_equal(kept.text_to_image, pair().text_to_image)
    assert kept.image.provenance["model"] == "ViT-B/16"
    assert kept.image.provenance["closed"] == f"center {load(path).fingerprint[:12]}"


@pytest.mark.parametrize("method", [name for name, closer in CLOSERS.items() if closer.fit])
def test_fit_by_every_closer(run: Run, tmp_path: Path, npz: Path, method: str) -> None:
    path = tmp_path / "m.safetensors"
    found = run("close", "fit", method, npz, "-o", path)
    if method == "isoclip":
        refused(found, "isoclip needs projection weights")
        assert not path.exists()
        return
    assert found[:2] == (0, f"{path}\n")
    assert load(path).method == method
    for name in load(path).facts:
        assert f"modalgap: {name}: " in found[2]
    output = tmp_path / "closed.safetensors"
    assert run("close", "apply", path, npz, "-o", output)[0] == 0
    same(rows(output), expected(method))


def test_options_of_a_closer(run: Run, tmp_path: Path, npz: Path) -> None:
    path = tmp_path / "m.safetensors"
    options = ("--set", "alpha=0.25", "--set", "side=text", "--set", "length=none")
    assert run("close", "fit", "shift", npz, "-o", path, *options)[0] == 0
    assert load(path).options == {"alpha": 0.25, "side": "text", "length": None}
    assert load(path).fingerprint == fit(mg.load(npz), "shift", alpha=0.25, side="text").fingerprint
    output = tmp_path / "closed.npz"
    found = run("close", "drop_dims", npz, "-o", output, "--set", " k = 3 ")
    assert found[:2] == (0, f"{output}\n")
    same(rows(output), expected("drop_dims", k=3))


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("noise", (), "noise is transductive: it cannot be applied to new data"),
        ("shift", ("alhpa=1",), "option of shift 'alhpa'; did you mean 'alpha'?"),
        ("shift", ("alpha=x",), "alpha must be a number; got 'x'"),
        ("shift", ("alpha=nan",), "alpha must be a finite number; got nan"),
        ("shift", ("alpha=true",), "alpha must be a number; got 'true'"),
        ("shift", ("alpha=",), "alpha must be a number; got ''"),
        ("shift", ("length=long",), "length must be a number or None; got 'long'"),
        ("shift", ("side=left",), "side must be one of both, image, text; got 'left"),
        ("drop_dims", ("k=1.5",), "k must be an integer; got '1.5'"),
        ("drop_dims", ("k=1,2",), "k must be an integer; got '1,2'"),
        ("drop_dims", ("k=0",), "k must be an integer of at least 1; got 0"),
        ("drop_dims", ("k=10",), "k must be below the 10 columns; got 10"),
        ("project", ("explained_variance=1",), "use a smaller explained_variance"),
        ("center", ("k=2",), "unknown option of center 'k'; known: none"),
        ("center", ("k",), "--set must be NAME=VALUE; got 'k'"),
        ("center", ("=1",), "--set must be NAME=VALUE; got '=1'"),
        ("ridge", ("seed=1",), "--set seed: must be given as --seed"),
    ],
    ids=str,
)
def test_fit_is_refused(
    run: Run, tmp_path: Path, npz: Path, method: str, options: tuple[str, ...], words: str
) -> None:
    path = tmp_path / "m.safetensors"
    given = [part for option in options for part in ("--set", option)]
    refused(run("close", "fit", method, npz, "-o", path, *given), words)
    assert not path.exists()


def test_the_seed_of_a_closer(run: Run, tmp_path: Path, npz: Path) -> None:
    path = tmp_path / "m.safetensors"
    assert run("close", "fit", "ridge", npz, "-o", path, "--seed", "3")[0] == 0
    assert load(path).options["seed"] == 3
    refused(run("close", "fit", "center", npz, "-o", path, "--force", "--seed", 3), "'seed'")


def test_fit_on_two_files_and_on_one(run: Run, tmp_path: Path) -> None:
    for side in pair().sides:
        np.save(tmp_path / f"{side.modality}.npy", side.rows.read(0, side.n).numpy())
    np.save(tmp_path / "pairs.npy", pair().text_to_image)
    path = tmp_path / "m.safetensors"
    sides = ("--image", tmp_path / "image.npy", "--text", tmp_path / "text.npy")
    matched = (*sides, "--pairs", tmp_path / "pairs.npy")
    assert run("close", "fit", "ridge", *matched, "-o", path)[0] == 0
    np.testing.assert_allclose(
        load(path).text(pair().text.unit()), expected("ridge")["text"], atol=1e-6
    )
    assert run("close", "apply", path, *matched, "-o", tmp_path / "closed.npz")[0] == 0
    same(rows(tmp_path / "closed.npz"), expected("ridge"))

    alone = tmp_path / "images.safetensors"
    assert run("close", "fit", "center", *sides[:2], "-o", alone)[0] == 0
    assert set(load(alone).roles) == {"image"}
    output = tmp_path / "images.npz"
    assert run("close", "apply", alone, *sides[:2], "-o", output)[0] == 0
    np.testing.assert_allclose(mg.load_embeddings(output).unit(), expected()["image"], atol=1e-6)
    output = tmp_path / "other.npz"
    refused(run("close", "apply", alone, *sides[2:], "-o", output), "unknown role of this map")
    refused(run("close", "fit", "shift", *sides[:2], "-o", path, "--force"), "there is image")
    refused(run("close", "center", *sides[:2], "-o", output), "close center needs two modalities")


def test_fit_on_shards(run: Run, tmp_path: Path) -> None:
    whole, paths = pair(), []
    for i, (a, b) in enumerate(((0, 3), (3, 30), (30, N))):
        part = Pair(
            whole.image.rows.read(a, b).numpy(),
            whole.text.rows.read(2 * a, 2 * b).numpy(),
            np.arange(2 * (b - a)) // 2,
        )
        paths.append(mg.save(part, tmp_path / f"part_{i}.npz"))
    path = tmp_path / "m.safetensors"
    assert run("close", "fit", "whiten", *paths, "-o", path)[0] == 0
    assert load(path).fingerprint == fit(whole, "whiten").fingerprint


# files that are there -----------------------------------------------------------------------------


def test_nothing_is_overwritten_unasked(run: Run, tmp_path: Path, npz: Path, map_: Path) -> None:
    closed = mg.save(pair(), tmp_path / "closed.npz")
    written = {path: path.read_bytes() for path in (npz, map_, closed)}
    for command in (
        ("close", "fit", "shift", npz, "-o", map_),
        ("close", "apply", map_, npz, "-o", closed),
        ("close", "center", npz, "-o", closed),
    ):
        refused(run(*command), "exists; replace it with --force")
    found = run("close", "fit", "center", tmp_path / "none.npz", "-o", map_)
    refused(found, "exists; replace it with --force")  # before anything is read
    for command in (
        ("close", "fit", "center", npz, "-o", npz, "--force"),
        ("close", "apply", map_, npz, "-o", npz, "--force"),
        ("close", "apply", map_, npz, "-o", map_, "--force"),
        ("close", "center", npz, "-o", npz, "--force"),
        ("close", "export", map_, "-o", map_, "--force"),
    ):
        refused(run(*command), "must not be a file that is being read")
    assert {path: path.read_bytes() for path in written} == written
    assert run("close", "fit", "shift", npz, "-o", map_, "--force")[0] == 0
    assert load(map_).method == "shift"
    assert run("close", "apply", map_, npz, "-o", closed, "--force")[0] == 0
    same(rows(closed), expected("shift"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("fit", "center", "pair.npz", "-o", "m.npz"), "must end in .safetensors; found .npz"),
        (
            ("fit", "center", "pair.npz", "-o", "no/m.safetensors"),
            "must be in a folder that exists",
        ),
        (("fit", "center", "none.npz", "-o", "m.safetensors"), "none.npz: no such file"),
        (
            ("fit", "center", "-o", "m.safetensors"),
            "give either INPUT, or --image and --text; got neither",
        ),
        (("apply", "none.safetensors", "pair.npz"), "must be a map; found no such file"),
        (("apply", "pair.npz", "pair.npz"), "pair.npz: cannot be read as safetensors"),
        (("apply", "pair.safetensors", "pair.npz"), "must be a map written by modalgap"),
        (("apply", "map.safetensors"), "give either INPUT, or --image and --text; got neither"),
        (("apply", "map.safetensors", "pair.npz", "-o", "c.txt"), "c.txt: must end in .npz, .par"),
        (("center", "pair.npz", "-o", "c.txt"), "c.txt: must end in .npz, .parquet, .safetensors"),
        (("export", "none.safetensors"), "must be a map; found no such file"),
        (("export", "pair.safetensors"), "must be a map written by modalgap"),
        (("export", "map.safetensors", "--to", "onnx"), "--role must be one of image, text; got n"),
        (
            ("export", "map.safetensors", "--to", "onnx", "--role", "img"),
            "unknown role of this map 'img'; did you mean 'image'?",
        ),
        (
            ("export", "map.safetensors", "--to", "onnx", "--role", "image", "-o", "m.json"),
            "m.json: must end in .onnx; found .json",
        ),
        (
            ("export", "map.safetensors", "--role", "image"),
            "--role: must be given only with --to onnx; got --to json",
        ),
        (
            ("export", "map.safetensors", "--to", "model", "-o", "m"),
            "--model: must be given with --to model, and only then; got none",
        ),
        (
            ("export", "map.safetensors", "--model", "st:m", "-o", "m"),
            "--model: must be given with --to model, and only then; got --to json",
        ),
    ],
    ids=str,
)
def test_refusals(
    run: Run,
    tmp_path: Path,
    npz: Path,
    map_: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    words: str,
) -> None:
    mg.save(pair(), tmp_path / "pair.safetensors")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    refused(run("close", *command), words)
    assert sorted(tmp_path.iterdir()) == before


def test_words_that_no_command_has(run: Run, map_: Path) -> None:
    for command in (
        ("close", "export", map_, "--to", "pdf"),
        ("close", "apply"),
        ("close", "fit", "shift", "--metod", "x"),
    ):
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert "Traceback" not in err
    _, out, err = run("close")  # its help, whatever code typer gives it
    assert all(each in out + err for each in ("fit", "apply", "export", *CLOSERS))
