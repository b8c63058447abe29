"""modalgap evaluate, as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run
from patience import in_full
from reference.cases import two_cones

import modalgap as mg
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import TASKS


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty images with two captions each."""
    of = np.arange(60) // 2
    images, texts = two_cones(30, 8, of=of)
    return mg.save(Pair(images, texts, of), tmp_path_factory.mktemp("cli") / "captions.npz")


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty images of three groups, six class prompts with names."""
    random = np.random.default_rng(0)
    words, labels = random.normal(size=(6, 8)), np.arange(60) % 6
    races = np.array(["Pacific Islander", "[b]x", "no"])[labels // 2]
    image = Embeddings(words[labels] + random.normal(size=(60, 8)), factors={"race": races})
    text = Embeddings(words, "text", names=["man", "woman", "child", "elder", "thief", "an ape"])
    return mg.save(
        Pair(image, text, labels=labels), tmp_path_factory.mktemp("cli") / "prompts.safetensors"
    )


def described(out: str) -> dict[str, list[str]]:
    """Of a table: the words of the line that each number has."""
    lines = [line.split() for line in out.splitlines() if line.startswith("  ")]
    return {words[0]: words[1:] for words in lines if words}


def found_by(run: Run, *arguments: object) -> dict[str, Any]:
    code, out, _ = run("evaluate", *arguments, "--json")
    assert code == 0
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


# tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["80", pytest.param("200", marks=in_full)])
def test_a_table_fits_and_shows_every_value(
    run: Run, shared_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    path = shared_data("clip_coco500.npy")
    code, out, err = run("evaluate", path)
    assert (code, err) == (0, "")
    # reasons are sentences, and wrap
    assert max(map(len, out.splitlines())) <= int(columns)
    lines = described(out)
    result = mg.evaluate(mg.load(path))
    for name, value in result.items():
        words = lines[name.partition(".")[2]]
        assert float(words[0].replace(",", "")) == pytest.approx(value.value, rel=1e-3, abs=6e-5)
        if value.interval is not None:
            assert words[2] == "…"
            low, high = float(words[1]), float(words[3])
            assert (low, high) == pytest.approx(value.interval, rel=1e-3, abs=6e-5)
        better = value.params["better"]
        assert words[-1] == better or better == "neither"
    assert "500 images and 500 texts, 512 dimensions" in out
    for name, task in TASKS.items():
        assert (task.card.title in out) != (name in result.skipped)


def test_a_table_says_what_is_left_out(run: Run, captions: Path) -> None:
    code, out, _ = run("evaluate", captions, "--set", "indexes=none,")
    assert code == 2  # no such index
    code, out, _ = run("evaluate", captions, "--set", "indexes=,")
    assert code == 0
    said = " ".join(out.split())
    assert "not measured: zero_shot: it needs labels" in said
    assert "not measured: fairness: it needs the factor 'race'" in said
    assert "95 % interval" in said
    assert "task and number" in said


def test_names_of_groups_leave_values_visible(
    run: Run, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run("evaluate", prompts, "--only", "fairness", "--set", "harmful=thief")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    found = mg.evaluate(mg.load(prompts), "fairness", harmful="thief")
    for group in ("Pacific Islander", "[b]x", "no"):  # as it is, no markup
        name = f"harmful_{group} "
        (line,) = [line for line in map(str.strip, out.splitlines()) if line.startswith(name)]
        value = found[f"fairness.harmful_{group}"]
        words = line.removeprefix(name).split()
        assert float(words[0]) == pytest.approx(value.value, abs=6e-5)
        assert (float(words[1]), float(words[3])) == pytest.approx(value.interval, abs=6e-5)
        assert (words[2], words[4]) == ("…", "lower")


# json ----------------------------------------------------------------------------------------


def test_json_is_one_object_and_nothing_else(run: Run, captions: Path) -> None:
    code, out, err = run("evaluate", captions, "--json", "--seed", "3")
    assert code == 0
    assert "not unit" in err
    found = json.loads(out)
    expected = json.loads(mg.evaluate(mg.load(captions), seed=3).to_json())
    assert found == expected
    assert set(found["skipped"]) == {"zero_shot", "fairness"}


def test_coco_has_the_numbers_of_the_field(run: Run, shared_data: Callable[[str], Path]) -> None:
    found = found_by(
        run, shared_data("clip_coco500.npy"), "--only", "retrieval,robustness",
        "--set", "retrieved=text", "--set", "indexes=rabitq,sq4_uniform",
    )["measures"]  # fmt: skip
    expected = {
        "retrieval.image_to_text_r1": 0.552,
        "retrieval.text_to_image_r1": 0.506,
        "robustness.flat_accuracy": 0.552,
        "robustness.rabitq_accuracy": 0.152,
        "robustness.sq4_uniform_accuracy": 0.412,
        "robustness.binary_accuracy": 0.336,
    }
    assert {name: found[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_tasks_take_commas_and_repeats(run: Run, captions: Path) -> None:
    found = found_by(run, captions, "--only", "retrieval, mixed", "--only", "clustering")
    tasks = {name.partition(".")[0] for name in found["measures"]}
    assert tasks == {"retrieval", "mixed", "clustering"}
    assert found["skipped"] == {}


def test_image_and_text_files(run: Run, tmp_path: Path) -> None:
    of = np.arange(40) // 2
    for name, rows in zip(("image", "text"), two_cones(20, 6, of=of), strict=True):
        np.save(tmp_path / f"{name}.npy", rows)
    np.save(tmp_path / "of.npy", of)
    found = found_by(
        run, "--image", tmp_path / "image.npy", "--text", tmp_path / "text.npy",
        "--pairs", tmp_path / "of.npy", "--only", "retrieval",
    )  # fmt: skip
    assert (found["pair"]["n_image"], found["pair"]["n_text"]) == (20, 40)
    assert "retrieval.text_to_image_r10" in found["measures"]


@pytest.mark.parametrize(
    ("settings", "name", "option", "value"),
    [
        (["ks=1,3"], "retrieval.image_to_text_r3", "ks", [1, 3]),
        (["ks=2"], "retrieval.image_to_text_r2", "ks", [2]),
        (["ks=4,"], "retrieval.image_to_text_r4", "ks", [4]),
        (["shares=1,0,0.5"], "mixed.text_r1", "shares", [1, 0, 0.5]),
        (["ratios=0.5"], "mixed.text_ndcg10_50pct_images", "ratios", [0.5]),
        (["k=3", "max_rows=20"], "mixed.text_ndcg3", "max_rows", 20),
        (["retrieved=text"], "robustness.flat_accuracy", "retrieved", "text"),
        (["retrieved=none"], "robustness.flat_accuracy", "retrieved", None),
        (["sigmas=1e-2, 0.5"], "robustness.gaussian_0.5_rob", "sigmas", [0.01, 0.5]),
        (["bins=4,8"], "robustness.bins_8_rob", "bins", [4, 8]),
        (["indexes=sq8"], "robustness.sq8_rob", "indexes", ["sq8"]),
        (["noise_on=index"], "robustness.gaussian_0.02_rob", "noise_on", "index"),
        (["prior=0.1", "negatives=5"], "calibration.image_text_auc", "prior", 0.1),
    ],
)
def test_options_of_tasks(
    run: Run, captions: Path, settings: list[str], name: str, option: str, value: Any
) -> None:
    arguments = [part for setting in settings for part in ("--set", setting)]
    found = found_by(run, captions, "--only", name.partition(".")[0], *arguments)
    assert found["measures"][name]["params"][option] == value


@pytest.mark.parametrize("harmful", ["thief, an ape", "4,5", "5,thief"])
def test_harmful_by_name_and_by_number(run: Run, prompts: Path, harmful: str) -> None:
    found = found_by(run, prompts, "--only", "fairness", "--set", f"harmful={harmful}")
    assert found["measures"]["fairness.largest_difference"]["params"]["group"] == "race"
    first = next(iter(found["measures"].values()))
    assert first["details"]["harmful"] == [4, 5]


# refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["INPUT", "neither"]),
        (["missing.npz"], ["missing.npz"]),
        (["{captions}", "--only", "retreival"], ["retreival", "did you mean 'retrieval'"]),
        (["{captions}", "--only", ","], ["at least one task"]),
        (["{captions}", "--only", "zero_shot"], ["zero_shot: it needs labels"]),
        (["{captions}", "--only", "fairness"], ["fairness: it needs the factor 'race'"]),
        (["{prompts}", "--only", "fairness"], ["option harmful"]),
        (["{prompts}", "--only", "retrieval"], ["class prompts are not captions"]),
        (["{prompts}", "--set", "harmful=thife"], ["'thife'", "did you mean 'thief'"]),
        (["{prompts}", "--set", "harmful=6"], ["0 … 5", "got 6"]),
        (["{captions}", "--set", "sigma=0.1"], ["'sigma'", "did you mean 'sigmas'"]),
        (["{captions}", "--set", "sigmas"], ["NAME=VALUE", "'sigmas'"]),
        (["{captions}", "--set", "=1"], ["NAME=VALUE"]),
        (["{captions}", "--set", "sigmas="], ["sigmas must be a list of numbers", "got ''"]),
        (["{captions}", "--set", "sigmas=nan"], ["sigmas must be a finite number"]),
        (["{captions}", "--set", "ks=0"], ["ks must be", "got 0"]),
        (["{captions}", "--set", "ks=true"], ["ks must be a list of integers", "got 'true'"]),
        (["{captions}", "--set", "ks=1.5"], ["ks must be a list of integers", "got '1.5'"]),
        (["{captions}", "--set", "shares=1,1"], ["shares must be three numbers"]),
        (["{captions}", "--set", "ratios=2"], ["ratios must be", "got 2"]),
        (["{captions}", "--set", "retrieved=both"], ["retrieved must be one of image, text"]),
        (["{captions}", "--set", "indexes=sq8,PQ8"], ["indexes must be one of", "'PQ8'"]),
        (["{captions}", "--set", "noise_on=all"], ["noise_on must be one of"]),
        (["{captions}", "--set", "prior=1"], ["prior must be", "got 1"]),
        (["{captions}", "--set", "precision=90"], ["precision must be", "got 90"]),
        (["{captions}", "--set", "max_rows=1"], ["max_rows must be", "got 1"]),
        (
            ["{captions}", "--only", "retrieval", "--set", "max_rows=9"],
            ["option 'max_rows' belongs to"],
        ),
        (["{captions}", "--set", "other_text=none.npy"], ["text"]),
        (["{alone}"], ["two modalities"]),
        (["{captions}", "--image", "{alone}"], ["INPUT", "both"]),
    ],
)
def test_refusals_are_one_line_and_exit_2(
    run: Run, captions: Path, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], words: list[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    alone = tmp_path / "alone.npy"
    np.save(alone, np.eye(5, dtype=np.float32))
    given = [each.format(captions=captions, prompts=prompts, alone=alone) for each in arguments]
    for more in ([], ["--json"]):
        code, out, err = run("evaluate", *given, *more)
        assert code == 2
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("modalgap: ")
        for word in words:
            assert word in line
    assert [path.name for path in tmp_path.iterdir()] == ["alone.npy"]


def test_usage_errors_exit_2(run: Run, captions: Path) -> None:
    assert run("evaluate", captions, "--seed", "-1")[0] == 2
    assert run("evaluate", captions, "--seed", "x")[0] == 2
    assert run("evaluate", captions, "--no-such-option")[0] == 2


def test_help_and_lists_name_the_tasks(run: Run) -> None:
    code, out, _ = run("evaluate", "--help")
    assert code == 0
    assert "--only" in out
    assert "--set" in out
    code, out, _ = run("list", "tasks")
    assert code == 0
    assert all(name in out for name in TASKS)
