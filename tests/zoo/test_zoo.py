"""A zoo against encode, measure and evaluate; resuming, failures, the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commands import Run
from encode.cases import folder_of, picture
from zoo.cases import dies_on_second

import modalgap as mg
from modalgap.errors import FileError, InputError, OptionError, OutputError
from modalgap.result import Value
from modalgap.zoo import Zoo, cell, features, verb
from modalgap.zoo.cells import Cell

MODEL = "open_clip:ViT-S-32-alt/random"
OTHER = "open_clip:ViT-M-32-alt/random"
FEW: dict[str, Any] = {"measures": ["l2m", "rmg"], "isolated": False, "workers": 0}


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("data") / "captions", 8)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "classes"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            picture(i).save(folder / name / f"{i}.png")
    return folder


def test_numbers_equal_those_of_the_verbs(captions: Path, classes: Path, tmp_path: Path) -> None:
    found = mg.zoo(MODEL, [captions, classes], tmp_path / "z", **FEW)
    assert found.data == ["captions", "classes"]
    assert not found.failed
    for data, task in ((captions, "retrieval"), (classes, "zero_shot")):
        pair = mg.encode(data, MODEL)
        own = found.values[MODEL][data.name]
        expected = {**mg.measure(pair, ["l2m", "rmg"]), **mg.evaluate(pair, task)}
        assert own.keys() == expected.keys()
        for name, value in expected.items():
            assert own[name].value == pytest.approx(value.value, abs=1e-6)
            assert own[name].interval == pytest.approx(value.interval, abs=1e-6)
    facts = found.models[MODEL]
    assert facts["width"] == 256


def test_files(captions: Path, tmp_path: Path) -> None:
    found = mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], **FEW)
    rows = pq.read_table(tmp_path / "z" / "results.parquet").to_pylist()
    assert [(row["model"], row["data"], row["number"]) for row in rows] == [
        (MODEL, "captions", "l2m"), (MODEL, "captions", "rmg"),
    ]  # fmt: skip
    assert rows[1]["value"] == found.column("captions", "rmg")[MODEL].value
    again = Zoo.read(tmp_path / "z")
    assert again.column("captions", "rmg")[MODEL].value == rows[1]["value"]
    assert again.models == found.models
    assert Zoo.from_json(found.to_json()) == found
    table = found.table()
    assert list(table.heads) == ["rmg", "l2m"]
    with pytest.raises(OptionError, match="did you mean 'rmg'"):
        found.table("rmgg")
    with pytest.raises(OptionError, match="data set of the zoo 'captionz'"):
        found.column("captionz", "rmg")


def test_results_are_reused(
    captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    first = mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], **FEW)
    with monkeypatch.context() as patched:
        patched.setattr(verb, "compute", refuse)
        assert mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], **FEW).values == first.values
    with monkeypatch.context() as patched:  # other measures: the features are reused
        patched.setattr(features, "encode", refuse)
        more = mg.zoo(MODEL, captions, tmp_path / "z", tasks=["retrieval"], **FEW)
        assert not more.failed
    with monkeypatch.context() as patched:
        patched.setattr(features, "encode", refuse)
        other = mg.zoo(MODEL, captions, tmp_path / "z", limit=5, tasks=[], **FEW)
        assert "computed again" in other.failed[0][2]


def test_a_broken_model_costs_its_own_cells(captions: Path, tmp_path: Path) -> None:
    broken = "open_clip:ViT-S-32-alt/none"
    found = mg.zoo([broken, MODEL], captions, tmp_path / "z", tasks=[], **FEW)
    assert list(found.values) == [MODEL]
    assert [each[:2] for each in found.failed] == [(broken, "captions")]
    assert "unknown weights" in found.failed[0][2]
    assert (tmp_path / "z" / "failed.csv").read_text("utf-8").startswith("model,data,reason\n")
    assert Zoo.read(tmp_path / "z").failed == found.failed
    mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], **FEW)
    assert not (tmp_path / "z" / "failed.csv").exists()


def test_broken_data_costs_its_own_cell(captions: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = mg.zoo(MODEL, [tmp_path / "empty", captions], tmp_path / "z", tasks=[], **FEW)
    assert list(found.values[MODEL]) == ["captions"]
    assert found.failed[0][1] == "empty"


def test_errors_of_libraries_are_reasons() -> None:
    assert cell.reason_of(RuntimeError("two\nlines")) == "RuntimeError: two lines"
    assert cell.reason_of(MemoryError()) == "not enough memory"
    assert cell.reason_of(KeyError()) == "KeyError"
    assert len(cell.reason_of(ValueError("x" * 9999))) < 400


def test_a_process_that_dies_costs_one_cell(
    captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "compute", dies_on_second)
    found = [
        Cell(model=MODEL, data=str(captions), name=name) for name in ("first", "second", "third")
    ]
    result = verb.run_cells(
        found, tmp_path / "z", measures=["rmg"], tasks=[], workers=0, isolated=True
    )
    assert list(result.values[MODEL]) == ["first", "third"]
    assert result.failed == [(MODEL, "second", "its process ended (exit code 137)")]


def test_damaged_records_are_computed_again(captions: Path, tmp_path: Path) -> None:
    first = mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], **FEW)
    record = next((tmp_path / "z" / "cells").iterdir())
    for text in ("", "{", "[]", '{"state": "ok"}', '{"state": "failed", "values": {}}'):
        record.write_text(text, "utf-8")
        assert mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], **FEW).values == first.values
        assert json.loads(record.read_text("utf-8"))["state"] == "ok"


def test_the_disk(captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["one", "two", "three"]
    found = [Cell(model=MODEL, data=str(captions), name=name) for name in names]
    options = {**FEW, "tasks": []}
    verb.run_cells(found[:1], tmp_path / "z", **options)
    folder = tmp_path / "z" / "embeddings"
    size = next(folder.iterdir()).stat().st_size
    needed = (8 + 16) * 256 * 4 * 2
    result = verb.run_cells(found, tmp_path / "z", disk=(size + needed + 99) / 1e9, **options)
    assert list(result.values[MODEL]) == names
    kept = sorted(path.name.split("--")[1] for path in folder.iterdir())
    assert kept == ["three", "two"]
    small = verb.run_cells(found, tmp_path / "y", disk=needed / 2e9, **options)
    assert "disk must hold the features of one cell" in small.failed[0][2]

    class Full:
        free = 10

    monkeypatch.setattr(features.shutil, "disk_usage", lambda _: Full)
    full = verb.run_cells(found[:1], tmp_path / "x", **options)
    assert "are free" in full.failed[0][2]


def test_a_record_that_cannot_be_written_ends_the_run(
    captions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr(verb, "replacing", full)
    with pytest.raises(OutputError, match="no space left"):
        mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], **FEW)


def test_facts_of_the_user(captions: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.csv"
    facts.write_text(f"model,training_pairs\n{MODEL},15\n", "utf-8")
    found = mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], facts=facts, **FEW)
    assert found.models[MODEL]["training_pairs"] == 15
    facts.write_text("model,training_pairs\nother:1,15\n", "utf-8")
    with pytest.raises(InputError, match="facts must name a model of the zoo"):
        mg.zoo(MODEL, captions, tmp_path / "z", tasks=[], facts=facts, **FEW)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"measures": ["no"]}, "unknown measure 'no'"),
        ({"tasks": ["no"]}, "unknown"),
        ({"disk": -1}, "disk must be a number of at least 0"),
        ({"seed": -1}, "seed must be"),
        ({"precision": "int8"}, "precision"),
        ({"limit": 1}, "limit must be an integer of at least 2; got 1"),
        ({"device": "tpu"}, "device"),
    ],
)
def test_refusals(options: dict[str, Any], said: str, captions: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        mg.zoo(MODEL, captions, tmp_path / "z", **options)
    assert not (tmp_path / "z").exists()


def test_other_files_in_the_folder(captions: Path, tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "thesis.tex").touch()
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        mg.zoo(MODEL, captions, tmp_path / "z", **FEW)
    with pytest.raises(FileError, match="no such file"):
        Zoo.read(tmp_path / "z")


def test_command(captions: Path, tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "z"
    given = ("--measures", "rmg", "--tasks", "retrieval", "--workers", "0", "-o", folder)
    code, out, err = run("zoo", "-m", MODEL, "-d", captions, *given)
    assert code == 0, err
    assert f"{MODEL} | captions" in out
    assert "R@1" in out
    assert "cell 1 of 1" in err
    code, out, err = run("zoo", "-m", MODEL, "-d", captions, *given, "--json")
    assert code == 0
    assert Zoo.from_json(out).data == ["captions"]
    table = tmp_path / "cells.csv"
    table.write_text(f"model,data\n{MODEL},{captions}\nopen_clip:RN50/none,{captions}\n", "utf-8")
    code, out, err = run("zoo", "--cells", table, *given)
    assert code == 1
    assert "failed: open_clip:RN50/none | captions" in out.replace("\n", " ")
    for wrong, said in (
        (("-m", MODEL), "--data: must be given"),
        (("-d", captions), "--model: must be given"),
        (("--cells", table, "-m", MODEL), "--model: is a column"),
        (("--cells", table, "--limit", "5"), "--limit: is a column"),
    ):
        code, _, err = run("zoo", *wrong, "-o", folder)
        assert code == 2
        assert said in err


def test_closers(captions: Path, tmp_path: Path) -> None:
    found = mg.zoo(MODEL, captions, tmp_path / "z", tasks=["retrieval"], closers=["center"], **FEW)
    pair = mg.encode(captions, MODEL)
    own = found.values[MODEL]["captions"]
    closed = mg.close(pair, "center")
    assert own["center.rmg"].value == pytest.approx(mg.measure(closed, "rmg")["rmg"].value)
    name = "retrieval.image_to_text_r1"
    assert own[f"center.{name}"].value == mg.evaluate(closed, "retrieval")[name].value
    assert "center.l2m" in own
    with pytest.raises(OptionError, match="did you mean 'center'"):
        mg.zoo(MODEL, captions, tmp_path / "z", closers=["centre"], **FEW)
    with pytest.raises(OptionError, match="isoclip needs weights"):
        mg.zoo(MODEL, captions, tmp_path / "z", closers=["isoclip"], **FEW)


def test_models_that_have_numbers() -> None:
    both, one = {"a": Value(1.0), "b": Value(2.0)}, {"a": Value(3.0)}
    found = Zoo(values={"m:1": {"x": both}, "m:2": {"x": one}, "m:3": {}}, models={})
    assert found.having("x", "a", "b") == {"m:1": both}
    assert list(found.having("x", "a")) == ["m:1", "m:2"]
    assert found.having("y", "a") == {}
