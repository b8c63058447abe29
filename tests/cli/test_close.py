"""modalgap close and modalgap list closers, as a user meets them."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from commands import Run
from reference.cases import two_cones

import modalgap as mg
from modalgap.cli.settings import settings
from modalgap.close import CLOSERS, CORRECTIONS, Transductive, fit, load
from modalgap.embeddings import Embeddings, Pair

N, D = 40, 10


def pair() -> Pair:
    of = np.arange(N).repeat(2)
    image, text = two_cones(N, D, seed=8, of=of)
    told = {"model": "ViT-B/16", "weights_hash": "aa"}
    return Pair(
        Embeddings(image, "image", [f"{i}.png" for i in range(N)], provenance=told),
        Embeddings(text, "text", provenance=told),
        of,
    )


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    return mg.save(pair(), tmp_path / "pair.npz")


@pytest.fixture
def map_(tmp_path: Path, npz: Path) -> Path:
    path: Path = fit(mg.load(npz), "center").save(tmp_path / "map.safetensors")
    return path


def refused(found: tuple[int, str, str], words: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr."""
    code, out, err = found
    assert (code, out) == (2, "")
    assert err.startswith("modalgap: ")
    assert err.count("\n") == 1
    assert words in err


def rows(path: Path) -> dict[str, Any]:
    found = mg.load(path)
    return {side.modality: side.unit().numpy() for side in found.sides}


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for role in ("image", "text"):
        np.testing.assert_allclose(found[role], expected[role], atol=1e-6)


def expected(method: str = "center", **options: Any) -> dict[str, Any]:
    closed = fit(pair(), method, **options).apply(pair())
    return {side.modality: side.unit().numpy() for side in closed.sides}


# fit -----------------------------------------------------------------------------------------


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


# files that are there ------------------------------------------------------------------------


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


# apply ---------------------------------------------------------------------------------------


def test_vectors_of_another_model_or_closed_already(
    run: Run, tmp_path: Path, npz: Path, map_: Path
) -> None:
    told = {"model": "ViT-L/14", "weights_hash": "bb"}
    sides = (
        Embeddings(side.unit(), side.modality, provenance=told | {"closed": closed})
        for side, closed in zip(pair().sides, ("", ""), strict=True)
    )
    other = mg.save(Pair(*sides, pair().text_to_image), tmp_path / "other.npz")
    output = tmp_path / "closed.npz"
    found = run("close", "apply", map_, other, "-o", output)
    refused(found, "fitted on, 'ViT-B/16'; found 'ViT-L/14' (to apply it anyway, use --force")
    assert not output.exists()
    assert run("close", "apply", map_, other, "-o", output, "--force")[0] == 0
    same(rows(output), expected())
    assert run("close", "apply", map_, npz, "-o", output, "--force")[0] == 0
    again = tmp_path / "again.npz"
    refused(run("close", "apply", map_, output, "-o", again), "is closed already, by 'center ")
    assert not again.exists()


def test_embeddings_of_another_width(run: Run, tmp_path: Path, map_: Path) -> None:
    narrow = mg.save(Pair(np.eye(7), np.eye(7) + 1), tmp_path / "narrow.npz")
    found = run("close", "apply", map_, narrow, "-o", tmp_path / "closed.npz")
    refused(found, "must have 10 columns, as the map was fitted; found 7")


# run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["noise", "transport", "spectral"])
def test_run_of_what_is_no_map(run: Run, tmp_path: Path, method: str) -> None:
    with warnings.catch_warnings():  # a doc string of POT's warns when it is first compiled
        warnings.simplefilter("ignore")
        __import__("ot")
    image, text = np.random.default_rng(0).normal(size=(2, 20, 5)) + 2
    path, output = mg.save(Pair(image, text), tmp_path / "pair.npz"), tmp_path / "closed.parquet"
    options = ("--set", "reg=0") if method == "transport" else ()
    code, out, err = run("close", method, path, "-o", output, *options)
    assert (code, out) == (0, f"{output}\n")
    assert f"modalgap: {method} is transductive: it moves these rows" in err
    with pytest.warns(Transductive):
        closed = mg.close(
            Pair(image, text), method, **settings(list(options[1:]), [CLOSERS[method]])
        )
    same(rows(output), {side.modality: side.unit().numpy() for side in closed.sides})


def test_run_on_coco(run: Run, tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    output = tmp_path / "closed.safetensors"
    code, out, err = run("close", "center", shared_data("clip_coco500.npy"), "-o", output)
    assert (code, out, err) == (0, f"{output}\n", "")
    closed = rows(output)
    hits = (closed["image"] @ closed["text"].T).argmax(1) == np.arange(500)
    assert hits.sum() == 271
    code, out, _ = run("measure", output, "--json", "--only", "l2m")
    assert code == 0
    assert json.loads(out)["measures"]["l2m"]["value"] < 0.03


# export --------------------------------------------------------------------------------------


def test_export_of_plain_numbers(run: Run, tmp_path: Path, map_: Path) -> None:
    path = tmp_path / "map.json"
    assert run("close", "export", map_) == (0, f"{path}\n", "")
    told = json.loads(path.read_text())
    assert told["fingerprint"] == load(map_).fingerprint
    (step,) = told["roles"]["image"]["steps"]
    np.testing.assert_array_equal(step["offset"], load(map_).roles["image"][0].offset)
    refused(run("close", "export", map_), "map.json: exists; replace it with --force")
    assert run("close", "export", map_, "--force")[0] == 0
    elsewhere = tmp_path / "numbers.json"
    assert run("close", "export", map_, "--to", "json", "-o", elsewhere)[1] == f"{elsewhere}\n"
    assert elsewhere.read_bytes() == path.read_bytes()


def test_export_to_onnx(run: Run, tmp_path: Path, map_: Path) -> None:
    path = tmp_path / "map.onnx"
    found = run("close", "export", map_, "--to", "onnx", "--role", "text")
    assert found == (0, f"{path}\n", "")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    raw = pair().text.rows.read(0, 2 * N).float().numpy()
    np.testing.assert_allclose(session.run(None, {"rows": raw})[0], load(map_).text(raw), atol=1e-6)
    found = run("close", "export", map_, "--to", "onnx", "--role", "text")
    refused(found, "map.onnx: exists; replace it with --force")


# list closers --------------------------------------------------------------------------------


def test_list_closers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = run("list", "closers")
    assert (code, err) == (0, "")
    for name, closer in CLOSERS.items():
        line = next(line for line in out.splitlines() if line.split()[:1] == [name])
        assert closer.card.requirements in line
        assert " and ".join(closer.card.roles) in line
        assert ("(transductive)" in line) == closer.transductive
    _, out, _ = run("list", "corrections")
    for name in CORRECTIONS:
        line = next(line for line in out.splitlines() if line.split()[:1] == [name])
        assert line.split()[-1] == "bank"


def test_list_closers_as_json(run: Run) -> None:
    code, out, err = run("list", "closers", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)["closers"]
    assert list(told) == list(CLOSERS)
    for name, closer in CLOSERS.items():
        card = dataclasses.asdict(closer.card) | {"options": dict(closer.options)}
        assert told[name] == json.loads(json.dumps(card))


# as a process --------------------------------------------------------------------------------


def test_a_process_ends_with_one_line(npz: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modalgap", "close", "fit", "cca", npz, "--set", "dims=0"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "modalgap: dims must be an integer of at least 1; got 0\n"
