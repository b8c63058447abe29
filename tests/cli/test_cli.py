"""The command line, as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Run
from patience import LIMIT

import modalgap as mg
from modalgap.measure import MEASURES


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images with two captions each."""
    random = np.random.default_rng(0)
    images = random.normal(size=(40, 16)) + 1
    texts = np.repeat(images, 2, axis=0) + random.normal(size=(80, 16)) - 2
    pair = mg.Pair(
        mg.Embeddings(images, "image", provenance={"model": "none"}),
        mg.Embeddings(texts, "text", names=[f"<script>alert({i})</script>" for i in range(80)]),
        np.arange(80) // 2,
    )
    return mg.save(pair, tmp_path_factory.mktemp("cli") / "pair.npz")


def test_json_is_one_object_and_nothing_else(run: Run, npz: Path) -> None:
    code, out, err = run("measure", npz, "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"schema", "measures", "skipped", "pair", "versions"}
    assert (found["pair"]["n_image"], found["pair"]["n_text"], found["pair"]["dim"]) == (40, 80, 16)
    assert found["pair"]["fingerprint"] == mg.load(npz).fingerprint
    for value in found["measures"].values():
        assert (
            {"value", "interval", "params"}
            <= set(value)
            <= {"value", "interval", "params", "details", "source"}
        )
    expected = {"l2m", "cone_image", "cone_text", "itr", "tir", "tmr", "imr", "rmg"}
    assert expected <= set(found["measures"])
    assert "not unit" in err or "were not unit" in err
    assert set(found["versions"]) >= {"modalgap", "torch", "numpy"}


def test_coco_has_the_numbers_of_the_field(run: Run, shared_data: Callable[[str], Path]) -> None:
    code, out, err = run("measure", shared_data("clip_coco500.npy"), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)["measures"]
    for name, value in {"l2m": 0.8514, "l2i": 1.1745, "rmg": 0.5915}.items():
        assert round(found[name]["value"], 4) == value
        low, high = found[name]["interval"]
        assert low < value < high
    assert round(found["cone_image"]["value"], 3) == 0.531
    assert round(found["cone_text"]["value"], 3) == 0.515
    assert found["per_dimension_gap"]["details"]["dimensions"][:2] == [442, 362]


def test_table_says_sizes_and_skips(run: Run, npz: Path) -> None:
    code, out, _ = run("measure", npz)
    assert code == 0
    assert "40 images and 80 texts, 16 dimensions" in out
    for word in ("rmg", "cone_text", "95 % interval", "not measured", "prediction_gini"):
        assert word in out


def test_only_takes_commas_repeats_and_suffixes(run: Run, npz: Path) -> None:
    code, out, _ = run("measure", npz, "--json", "--only", "l2m,cone_text", "--only", "rmg")
    assert code == 0
    assert list(json.loads(out)["measures"]) == ["l2m", "rmg", "cone_text"]


def test_one_modality_alone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32))
    code, out, err = run("measure", path, "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found["measures"]) >= {
        "cone_image", "uniformity_image", "effective_rank_image", "hubness_image",
    }  # fmt: skip
    assert "n_text" not in found["pair"]
    assert "read as images" in err
    code, out, _ = run("measure", "--text", path, "--json")
    assert code == 0
    assert "cone_text" in json.loads(out)["measures"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["measure"], ["INPUT", "neither"]),
        (["measure", "{npz}", "--image", "{npz}"], ["INPUT", "both"]),
        (["measure", "missing.npz"], ["missing.npz"]),
        (["measure", "{npz}", "--only", "rgm"], ["rgm", "rmg"]),
        (["measure", "{npz}", "--only", ","], ["only"]),
        (["measure", "{npz}", "--set", "temperature=0"], ["temperature", "0"]),
        (["measure", "{npz}", "--set", "temperature=nan"], ["temperature", "nan"]),
        (["measure", "{npz}", "--only", "l2m", "--set", "temperature=1"], ["temperature"]),
        (["measure", "{npz}", "--set", "max_rows=1"], ["max_rows", "1"]),
        (["measure", "{npz}", "--only", "prediction_gini"], ["prediction_gini", "labels"]),
        (["measure", "{npz}", "--pairs", "p.npy"], ["--pairs"]),
        (["report", "{npz}", "-o", "{taken}"], ["taken.html", "exists"]),
        (["report", "{npz}", "-o", "nowhere/r.html"], ["nowhere"]),
        (["report", "{npz}", "-o", "r6.txt"], ["r6.txt: must end in .html; found .txt"]),
        (["report", "{npz}", "-o", "r6"], ["r6: must end in .html; found no extension"]),
        (["study", "imbalance", "-o", "stu", "--set", "attributes=9"], ["attributes", "9"]),
        (["convert", "{npz}", "{taken}"], ["taken.html", ".npz"]),
        (["convert", "{npz}", "{npz}"], ["pair.npz"]),
    ],
)
def test_refusals_are_one_line_and_exit_2(
    run: Run, npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], words: list[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    taken = tmp_path / "taken.html"
    taken.write_text("mine")
    code, out, err = run(*(each.format(npz=npz, taken=taken) for each in arguments))
    assert code == 2
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("modalgap: ")
    for word in words:
        assert word in lines[0]
    assert taken.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken.html"]


def test_a_usage_error_exits_2(run: Run) -> None:
    assert run("measure", "--seed", "-1", "x.npz")[0] == 2
    assert run("measure", "--no-such-option")[0] == 2
    assert run("list", "planets")[0] == 2


def test_convert_keeps_the_fingerprint(run: Run, npz: Path, tmp_path: Path) -> None:
    before = mg.load(npz).fingerprint
    for name in ("a.safetensors", "a.parquet", "a.npz"):
        code, out, _ = run("convert", npz, tmp_path / name)
        assert (code, out.strip()) == (0, str(tmp_path / name))
        assert mg.load(tmp_path / name).fingerprint == before
    code, _, err = run("convert", npz, tmp_path / "a.npz")
    assert code == 2
    assert "exists" in err
    assert run("convert", npz, tmp_path / "a.npz", "--force")[0] == 0


def test_report_with_figures(run: Run, npz: Path, tmp_path: Path) -> None:
    page, folder = tmp_path / "r.html", tmp_path / "figures"
    code, out, _ = run("report", npz, "-o", page, "--figures", folder, "--format", "png,pdf,svg")
    assert (code, out.strip()) == (0, str(page))
    text = page.read_text(encoding="utf-8")
    assert "<script>alert(" not in text
    assert {path.suffix for path in folder.iterdir()} == {".png", ".pdf", ".svg"}
    assert len(list(folder.glob("*.png"))) == 6


def test_report_of_some_measures(run: Run, npz: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    chosen = ("--only", "l2m,hubness_image", "--set", "k=5", "--set", "max_rows=30")
    pages = []
    for seed in ((), ("--seed", "0"), ("--seed", "3")):
        code, _, err = run("report", npz, "-o", page, *chosen, *seed, "--force")
        assert code == 0, err
        pages.append(page.read_text(encoding="utf-8"))
    result = mg.measure(mg.load(npz), only=["hubness_image"], k=5, max_rows=30, seed=3)
    other = mg.measure(mg.load(npz), only=["hubness_image"], k=5, max_rows=30, seed=0)
    shown = [f"{each['hubness_image'].value:.3f}" for each in (result, other)]
    assert shown[0] != shown[1]
    assert shown[0] in pages[2]
    assert shown[1] in pages[0]
    assert "rmg" not in pages[0]
    for wrong, words in (
        (("--only", "l2n"), "did you mean 'l2m'"),
        (("--only", "l2m", "--set", "k=5"), "option 'k' belongs to"),
        (("--set", "k=x"), "k must be an integer; got 'x'"),
    ):
        code, out, err = run("report", npz, "-o", page, *wrong, "--force")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words in err


def test_list_measures(run: Run) -> None:
    code, out, _ = run("list", "measures")
    assert code == 0
    for name in MEASURES:
        assert name in out
    found = json.loads(run("list", "measures", "--json")[1])["measures"]
    assert set(found) == set(MEASURES)
    assert found["rmg"]["source"]


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"modalgap {mg.__version__}\n", "")


def test_a_closed_pipe_is_quiet(npz: Path) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "modalgap", "list", "measures", "--json"]
    reader = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.close()  # head(1) that wants nothing
    assert reader.stderr.read() == b""
    assert reader.wait(LIMIT) in (0, 1)
    reader.stderr.close()


def test_interrupt_is_130(run: Run, npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modalgap.embeddings.store.load_all", stop)
    code, out, err = run("measure", npz)
    assert (code, out, err) == (130, "", "")


@pytest.mark.parametrize("n", [10**12, 10**18])
def test_too_little_memory_is_one_line(run: Run, tmp_path: Path, n: int) -> None:
    output = tmp_path / "p.safetensors"
    code, out, err = run("simulate", "free_points", "-o", output, "--set", f"n={n}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "n, dim: must fit in the available memory" in err
    assert not output.exists()


@pytest.mark.parametrize("n", [10**12, 10**18])
def test_memory_that_runs_out_is_one_line(
    run: Run, npz: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    monkeypatch.setattr("modalgap.embeddings.store.load_all", lambda *_, **__: torch.empty(n))
    code, out, err = run("measure", npz)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not enough memory" in err


def test_other_runtime_errors_are_not_hidden(
    run: Run, npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("modalgap.embeddings.store.load_all", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        run("measure", npz)


def test_terminal_control_in_names_is_not_printed(run: Run, tmp_path: Path) -> None:
    code, _, err = run("measure", tmp_path / "a\x1b[31m.npz")
    assert code == 2
    assert "\x1b" not in err


def test_nothing_writes_over_what_it_reads(run: Run, npz: Path, tmp_path: Path) -> None:
    mine = tmp_path / "shards" / "a.npz"
    mine.parent.mkdir()
    mine.write_bytes(npz.read_bytes())
    link = tmp_path / "link.npz"
    link.symlink_to(mine)
    for arguments in (
        ("report", mine, "-o", mine),
        ("report", link, "-o", link),
        ("report", mine.parent, "-o", mine),
        ("convert", mine, mine),
        ("convert", mine.parent, mine),
    ):
        code, _, err = run(*arguments, "--force")
        assert code == 2
        assert "must not be a file that is being read" in err
    assert mine.read_bytes() == npz.read_bytes()


def test_a_terminal_without_our_letters(npz: Path) -> None:
    command = [sys.executable, "-m", "modalgap", "measure", str(npz), "--only", "l2m"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0
    assert b"l2m" in done.stdout
    assert b"Traceback" not in done.stderr


def test_two_files_of_one_modality_are_said_to_be_joined(run: Run, tmp_path: Path) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, np.random.default_rng(0).normal(size=(30, 8)))
    code, _, err = run("measure", tmp_path / "a.npy", tmp_path / "b.npy", "--only", "cone")
    assert code == 0
    assert "2 files, joined, hold one modality" in err


def test_reasons_for_one_column_are_true(run: Run, tmp_path: Path) -> None:
    rows = np.ones((2, 40, 1), np.float32)
    rows[0, :4] = rows[1, :4] = -1
    np.save(tmp_path / "d1.npy", rows)
    code, out, _ = run("measure", tmp_path / "d1.npy")
    out = " ".join(out.split())
    assert code == 0
    assert "40 images and 40 texts, 1 dimension measure" in out
    assert "mmd: the median distance between an image and a text is 0: set sigma" in out
    assert (
        "loss_landscape: there is no gap to shift along: the means of the matched rows are" in out
    )


def test_the_table_says_where_measures_are_described(run: Run, npz: Path) -> None:
    _, out, _ = run("measure", npz, "--only", "l2m")
    assert out.endswith("\nmodalgap explain NAME describes a measure\n")
    assert "modalgap explain NAME" not in run("measure", npz, "--only", "l2m", "--json")[1]


def test_the_table_names_the_modality_of_a_number(run: Run, npz: Path) -> None:
    _, out, _ = run("measure", npz, "--only", "cone,uniformity,leakage,l2m")
    for title in ("Cone", "Uniformity", "Leakage"):
        assert out.count(f"{title}, image") == out.count(f"{title}, text") == 1
    assert "Distance between means\n" in "".join(f"{line.rstrip()}\n" for line in out.splitlines())


def test_explain_says_what_to_type_if_kinds_share_a_name(run: Run) -> None:
    code, _, err = run("explain", "cone_effect")
    assert code == 2
    for kind in ("simulation", "study"):
        assert f"'modalgap explain cone_effect --kind {kind}'" in err
        assert run("explain", "cone_effect", "--kind", kind)[0] == 0


@pytest.mark.parametrize(
    ("number", "task"),
    [
        ("image_to_text_r1", "retrieval"), ("audio_to_text_r5", "retrieval"),
        ("retrieval.image_to_text_map", "retrieval"), ("text_ndcg10", "mixed"),
        ("image_ndcg10_zscore", "mixed"), ("image_to_text_top1", "answers"),
        ("int8_accuracy", "robustness"), ("top5", "zero_shot"),
    ],
)  # fmt: skip
def test_explain_knows_the_task_of_a_number(run: Run, number: str, task: str) -> None:
    code, out, err = run("explain", number)
    assert code == 0
    assert out.splitlines()[0].split() == ["task", task]
    assert err == f"modalgap: {number} is a number of the task {task}\n"


def test_explain_lists_no_hundred_names(run: Run) -> None:
    code, _, err = run("explain", "image_to_text_map")
    assert code == 2
    assert "'modalgap list KIND'" in err
    assert "TASK.NUMBER" in err
    assert "did you mean 'rmg'" in run("explain", "rmgg")[2]


def test_explain_prints_no_latex(run: Run) -> None:
    for name in MEASURES:
        code, out, _ = run("explain", name, "--kind", "measure")
        assert code == 0
        assert "\\" not in out
    assert "\\" in json.loads(run("explain", "rmg", "--json")[1])["card"]["equation"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("-o", ""), "-o"), (("--output=",), "--output"), (("", "-o", "x"), "an argument")],
)
def test_empty_arguments_are_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str], named: str
) -> None:
    """An empty path would be the current folder."""
    monkeypatch.chdir(tmp_path)
    code, out, err = run("study", "three_points", *arguments)
    assert (code, out) == (2, "")
    assert f"{named} must not be empty" in err
    assert not list(tmp_path.iterdir())
