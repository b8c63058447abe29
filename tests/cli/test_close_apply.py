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

import numpy as np
import onnxruntime
import pytest
from cli.close_cases import N, expected, pair, refused, rows, same
from commands import Run

import modalgap as mg
from modalgap.cli.settings import settings
from modalgap.close import CLOSERS, CORRECTIONS, Transductive, load
from modalgap.embeddings import Embeddings, Pair

# apply --------------------------------------------------------------------------------------------


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


def test_an_output_without_extension_is_a_folder(
    run: Run, tmp_path: Path, npz: Path, map_: Path
) -> None:
    folder = tmp_path / "closed"
    assert run("close", "apply", map_, npz, "-o", folder)[:2] == (0, f"{folder}\n")
    same(rows(folder), expected())
    refused(run("close", "apply", map_, npz, "-o", folder), "holds shards; replace them")
    assert run("close", "apply", map_, npz, "-o", folder, "--force", "--on", "here")[0] == 0
    assert run("convert", folder, tmp_path / "again", "--on", "here")[0] == 0
    same(rows(tmp_path / "again"), expected())


def test_embeddings_of_another_width(run: Run, tmp_path: Path, map_: Path) -> None:
    narrow = mg.save(Pair(np.eye(7), np.eye(7) + 1), tmp_path / "narrow.npz")
    found = run("close", "apply", map_, narrow, "-o", tmp_path / "closed.npz")
    refused(found, "must have 10 columns, as the map was fitted; found 7")


# run ----------------------------------------------------------------------------------------------


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


# export -------------------------------------------------------------------------------------------


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


# list closers -------------------------------------------------------------------------------------


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
        assert " bank" in line


def test_list_closers_as_json(run: Run) -> None:
    code, out, err = run("list", "closers", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)["closers"]
    assert list(told) == list(CLOSERS)
    for name, closer in CLOSERS.items():
        card = dataclasses.asdict(closer.card) | {"options": dict(closer.options)}
        assert told[name] == json.loads(json.dumps(card))


# as a process -------------------------------------------------------------------------------------


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


# notes on the data --------------------------------------------------------------------------------


def test_closing_again_names_the_earlier_closer(run: Run, tmp_path: Path, npz: Path) -> None:
    once, twice = tmp_path / "once.safetensors", tmp_path / "twice.safetensors"
    code, _, err = run("close", "center", npz, "-o", once)
    assert code == 0
    assert "closed already" not in err
    mark = mg.load(once).image.provenance["closed"]
    for command in (("close", "center"), ("close", "fit", "shift")):
        code, _, err = run(*command, once, "-o", twice, "--force")
        assert code == 0
        assert f"the input is closed already, by {mark}; " in err
    assert "shift is fitted on the closed rows" in err


@pytest.mark.parametrize(
    ("method", "n", "words"),
    [
        ("center", 6, "center is fitted on 6 rows: the map is mostly noise"),
        ("ridge", 6, "ridge is fitted on 6 matched rows: the map is mostly noise"),
        ("ridge", 12, "ridge is fitted on 12 matched rows, fewer than the 16 columns"),
        ("whiten", 12, "whiten is fitted on 12 rows, fewer than the 16 columns"),
        ("center", 12, None),
        ("ridge", 16, None),
        ("whiten", 16, None),
    ],
)
@pytest.mark.parametrize("fitting", [False, True])
def test_few_rows_are_reported(
    run: Run, tmp_path: Path, method: str, n: int, words: str | None, fitting: bool
) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).normal(size=(2, n, 16)).astype(np.float32))
    command = ("close", "fit", method) if fitting else ("close", method)
    code, _, err = run(*command, path, "-o", tmp_path / "o.safetensors")
    assert code == 0
    if words is None:
        assert "is fitted on" not in err
    else:
        assert words in err
        assert err.count("is fitted on") == 1


@pytest.mark.parametrize(
    ("method", "n", "words"),
    [
        ("gap_shift", 6, "gap_shift is fitted on 6 rows: the map is mostly noise"),
        ("ridge_map", 12, "ridge_map is fitted on 12 matched rows, fewer than the 16 columns"),
    ],
)
def test_a_small_bank_is_reported(
    run: Run, tmp_path: Path, method: str, n: int, words: str
) -> None:
    random = np.random.default_rng(0)
    for name in ("a.npy", "bank.npy"):
        np.save(tmp_path / name, random.normal(size=(2, n, 16)).astype(np.float32))
    code, _, err = run(
        "invert", method, tmp_path / "a.npy", "--bank", tmp_path / "bank.npy",
        "-o", tmp_path / "o.safetensors",
    )  # fmt: skip
    assert code == 0
    assert words in err


def test_score_scales_are_not_a_map(run: Run, tmp_path: Path, npz: Path) -> None:
    scales = tmp_path / "scales.json"
    assert run("close", "fit", "zscore", npz, "-o", scales)[0] == 0
    found = run("close", "apply", scales, npz, "-o", tmp_path / "o.npz")
    refused(found, "are used by modalgap search --scales")
