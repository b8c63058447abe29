"""Studies: the findings hold on real digits, and what is there is not made again.

The small versions run in CI; ``MODALGAP_FULL=1`` runs them at full length.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from conftest import find_shared
from patience import FULL, in_full
from trained import VIT, config

import modalgap as mg
from modalgap.card import Card
from modalgap.errors import FileError, InputError
from modalgap.report.tables import table_figure
from modalgap.result import Table, Value
from modalgap.study import Work, embedded, imbalance
from modalgap.study.keeping import write_files
from modalgap.study.training import train_all
from modalgap.trace import traced
from modalgap.train import train

SMALL = {"steps": 3, "batch": 32, "data.limit": 200, "watch": {"measure": 0}}


def of(table: Table, name: str) -> list[float]:
    return [value.value for value in table.column(name)]


# the findings -----------------------------------------------------------------------------------


@pytest.mark.slow
@in_full
def test_imbalance_on_mnist(tmp_path: Path) -> None:
    """MOAD and RMG fall as captions tell more; test_demo has a small version on other digits."""
    table = imbalance(
        tmp_path / "study",
        attributes=(1, 2, 3, 4, 5),
        digits=find_shared("mnist"),
        jobs=2,
        train={"steps": 600, "data.limit": 10_000, "watch.measure": 0},
    )
    for name in ("rmg", "moad_image", "moad_text"):
        values = of(table, name)
        assert min(a - b for a, b in itertools.pairwise(values)) > 0, (name, values)
    assert of(table, "accuracy_object")[0] > 0.6


FEW: dict[str, Any] = {
    "data": {"limit": 600},
    "optimiser": {"lr": 3e-3, "warmup": 5},
    "watch": {"measure": 0, "rows": 500, "every": 50},
}
ALL: dict[str, Any] = {
    "data": {"limit": None},
    "batch": 256,
    "steps": 600,
    "watch": {"measure": 0, "rows": 1500, "every": 50},
}


def test_the_amended_start_begins_and_ends_with_a_smaller_gap(tmp_path: Path) -> None:
    made: dict[str, Any] = FEW | {"batch": 64, "steps": 60}
    shape: Any = VIT
    if FULL:
        made, shape = ALL | {"optimiser": {"lr": 2e-3, "warmup": 20}}, "mad_vit"
    plain, amended = (
        train(config(**made, model={"architecture": shape, "amended": on}), tmp_path / f"{on}")
        for on in (False, True)
    )
    assert amended.first["l2m"] < plain.first["l2m"] / 3
    assert amended.last["l2m"] < plain.last["l2m"] - (0.05 if FULL else 0.3)


def test_a_higher_frozen_temperature_ends_with_a_smaller_gap(tmp_path: Path) -> None:
    """A few steps are enough for the gap; the digits are learned at full length."""
    made = ALL if FULL else FEW | {"batch": 128, "steps": 40}
    found = []
    for tau in (0.07, 0.3):
        changes = {
            "model": {"architecture": "mad_cnn"},
            "optimiser": {"lr": 6e-3, "warmup": 20 if FULL else 10},
            "temperature": {"mode": "frozen", "initial": tau},
        }
        run = train(config(**(made | changes)), tmp_path / str(tau))
        assert run.last["temperature"] == pytest.approx(tau)
        assert run.last["accuracy/object"] > (0.3 if FULL else 0.1)
        found.append(run.last["l2m"])
    assert found[1] < found[0] - (0.1 if FULL else 0.3)


# how it works -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return imbalance(
        tmp_path_factory.mktemp("study") / "one", attributes=(0, 2), seeds=2, train=SMALL, jobs=1
    )


def test_a_table_of_two_seeds(table: Table) -> None:
    assert list(table.rows) == ["0", "2"]
    value = table.rows["2"]["rmg"]
    runs = value.details["runs"]
    assert len(runs) == 2
    assert value.value == pytest.approx(sum(runs) / 2)
    half = 12.7062 * abs(runs[0] - runs[1]) / 2  # Student's t of one degree of freedom
    assert value.interval == pytest.approx((value.value - half, value.value + half), rel=1e-4)
    assert "accuracy_attributes" not in table.rows["0"], "its captions name none"
    assert "accuracy_attributes" in table.rows["2"]


def test_a_table_in_every_form(table: Table) -> None:
    assert Table.from_dict(json.loads(table.to_json())) == table
    lines = table.to_csv().splitlines()
    assert lines[0].startswith("attributes,rmg,rmg_low,rmg_high,")
    assert float(lines[2].split(",")[1]) == table.rows["2"]["rmg"].value
    assert table.to_markdown().partition("\n\n")[0].count("\n") == 3
    figure = table_figure(table, imbalance.parts)
    assert figure is not None
    assert len(figure.axes) == 3


def test_what_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = imbalance(tmp_path, attributes=(1,), train=SMALL)
    monkeypatch.setattr(sys.modules["modalgap.study.training"], "train_all", None)
    assert imbalance(tmp_path, attributes=(1,), train=SMALL) == first
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(FileError, match="is damaged"):
        imbalance(tmp_path, attributes=(1,), train=SMALL)


def test_two_models_at_once_are_those_of_one_after_the_other(tmp_path: Path) -> None:
    """On digits of MNIST."""
    options: dict[str, Any] = {"digits": find_shared("mnist"), "train": SMALL}
    two = imbalance(tmp_path / "two", attributes=(1, 5), jobs=2, **options)
    one = imbalance(tmp_path / "one", attributes=(5,), jobs=1, **options)
    assert list(two.rows) == ["1", "5"]
    for name, value in two.rows["5"].items():
        assert value.value == pytest.approx(one.rows["5"][name].value, abs=1e-3), name
    assert "mnist" in two.settings["runs"]["k5_seed0"]["data"]["digits"]


def test_studies_share_models(tmp_path: Path) -> None:
    """A model of the same settings is trained once."""
    folder = tmp_path / "models"
    first = imbalance(tmp_path / "a", attributes=(1,), train=SMALL, models=folder)
    (model,) = folder.glob("[!.]*")
    (checkpoint,) = (model / "checkpoints").glob("step-*")
    made = checkpoint.stat().st_mtime_ns
    second = imbalance(tmp_path / "b", attributes=(1,), train=SMALL, models=folder)
    assert [each.name for each in folder.glob("[!.]*")] == [model.name]
    assert checkpoint.stat().st_mtime_ns == made
    assert second.rows == first.rows
    assert not (tmp_path / "b" / "runs").exists()


def test_embedded_pairs_and_classes(tmp_path: Path) -> None:
    """Few steps stand in for the embedded models; the names and rows are those of MAD."""
    configs = embedded.models(
        "short", "untrained", settings=["steps=2", "data.limit=200", "batch=32"]
    )
    assert configs["untrained"].steps == 2  # settings of the caller come last
    runs = train_all(configs, tmp_path, jobs=1)
    work = Work(settings={"embedded": ["short", "untrained"]}, folder=tmp_path, runs=runs)
    found = embedded.pairs(work)
    assert list(found) == ["MAD, short captions", "MAD, untrained"]
    classes = embedded.classes(work, "untrained")
    assert classes["object"].text.n == 10
    assert {"object", "colour"} <= set(classes)
    settings, models = embedded.planned(find_shared("clip_coco500.npy"))
    assert not models
    real = embedded.pairs(Work(settings=settings, folder=tmp_path))
    assert [(name, pair.image.n) for name, pair in real.items()] == [("clip_coco500", 500)]
    assert settings["fingerprint"] == real["clip_coco500"].fingerprint
    mg.save(real["clip_coco500"].image, tmp_path / "one.safetensors")
    with pytest.raises(InputError, match="must hold two modalities"):
        embedded.planned(tmp_path / "one.safetensors")


def test_no_steps_keep_the_random_weights(tmp_path: Path) -> None:
    one = train(config(steps=0, watch={"measure": 0}), tmp_path / "0")
    two = train(config(steps=2, watch={"measure": 0}), tmp_path / "2")
    assert one.last["l2m"] == two.first["l2m"]


def test_the_page_has_curves_and_commands(tmp_path: Path) -> None:
    rows = {"a": {"n": traced(1.0, (0, 1), (2, 1))}, "b": {"n": Value(3.0)}}
    made = Table(name="t", source="s", vary="case", rows=rows, heads={"n": "N"}, settings={})
    card = Card(name="t", title="T", idea="I.", source="s")
    write_files(made, card, (), tmp_path, ("modalgap encode <x>", "modalgap study t -o t"))
    assert (tmp_path / "curves.csv").read_text() == "case,column,x,y\na,n,0.0,2.0\na,n,1.0,1.0\n"
    page = (tmp_path / "report.html").read_text()
    assert "modalgap encode &lt;x&gt;\nmodalgap study t -o t" in page
    assert "With the data of the paper" in page


def test_a_run_of_other_settings_is_refused_or_started_over(tmp_path: Path) -> None:
    imbalance(tmp_path, attributes=(1,), train=SMALL)
    other = SMALL | {"optimiser.lr": 0.1}
    with pytest.raises(InputError, match="other settings"):
        imbalance(tmp_path, attributes=(1,), train=other)
    found = imbalance(tmp_path, attributes=(1,), train=other, overwrite=True)
    assert found.settings["runs"]["k1_seed0"]["optimiser"]["lr"] == 0.1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attributes": (6,)}, "at most 5"),
        ({"attributes": (1, 1)}, "different numbers"),
        ({"attributes": ()}, "different numbers"),
        ({"attributes": "many"}, "attributes must be"),
        ({"seeds": 0}, "seeds must be"),
        ({"train": {"steps": "x"}}, "steps: must be"),
        ({"train": {"sped": 1}}, "unknown key"),
        ({"train": {"data.captions": "object_only"}}, "set by the study itself"),
        ({"train": {"data": {"captions": "object_only"}}}, "set by the study itself"),
        ({"train": {"seed": 3}}, "set by the study itself"),
        ({"train": 3}, "train must be"),
        ({"settings": ["steps=3"]}, "unknown option of imbalance 'settings'"),
        ({"jobs": -1}, "jobs must be"),
        ({"digits": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_studied(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        imbalance(tmp_path / "s", **options)


def test_a_row_that_lacks_a_number() -> None:
    table = Table(
        name="t", source="s", vary="v", heads={"a": "A", "b": "B"}, settings={},
        rows={"1": {"a": Value(1.0, (0.5, 1.5))}, "2": {"a": Value(2.0), "b": Value(3.0)}},
    )  # fmt: skip
    assert table.to_csv() == "v,a,a_low,a_high,b,b_low,b_high\n1,1.0,0.5,1.5,,,\n2,2.0,,,3.0,,\n"
    assert "| 1 | 1.000 [0.5000, 1.500] | – |" in table.to_markdown()


def test_from_the_shell(run: Run, tmp_path: Path) -> None:
    arguments = ["study", "imbalance", "-o", tmp_path / "s", "--jobs", "1"]
    arguments += ["--set", "attributes=1,4"]
    for each in ("steps=3", "batch=32", "data.limit=200", "watch.measure=0"):
        arguments += ["--set", f"train.{each}"]
    code, out, err = run(*arguments)
    assert code == 0, err
    assert "MOAD, images" in out
    assert "published results: " in out
    for name in ("study.json", "table.csv", "table.md", "imbalance.png", "imbalance.svg",
                 "report.html"):  # fmt: skip
        assert (tmp_path / "s" / name).is_file(), name
        assert str(tmp_path / "s" / name) in out
    page = (tmp_path / "s" / "report.html").read_text()
    assert "Object bias" in page
    assert page.count("<svg") == 3
    code, out, _ = run(*arguments, "--json")
    found = json.loads(out)
    assert list(found["rows"]) == ["1", "4"]
    assert found["settings"]["runs"]["k1_seed0"]["steps"] == 3
    code, _, err = run("study", "imbalance", "-o", tmp_path / "x", "--set", "attributes=1,9")
    assert code == 2
    assert "at most 5" in err
    code, _, err = run("study", "imbalance", "-o", tmp_path / "x", "--set", "steps=3")
    assert code == 2
    assert "unknown option of imbalance 'steps'" in err
