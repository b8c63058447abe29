"""All studies: one fails and the others run; verdicts, the page and the exit code say so."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Run
from PIL import Image

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.errors import InputError, MissingData, OptionError
from modalgap.panels import Curves, Part
from modalgap.result import Table, Value
from modalgap.study import STUDIES, Number, Order, Plan, Study, Work, run_all
from modalgap.study.every import outcomes

RUNS: list[str] = []


def _study(name: str, *, fails: Exception | None = None, extras: tuple[str, ...] = ()) -> Study:
    card = Card(name=name, title=f"The {name}", idea="Adds.", source="nowhere")

    @checked
    def plan(*, size: int = 2, pair: str = "") -> Plan:
        """Plan.

        Args:
            size: a size.
            pair: a file.
        """
        return Plan(settings={"size": size, "pair": pair})

    def run(work: Work) -> Table:
        RUNS.append(name)
        if fails is not None:
            raise fails
        rows = {str(x): {"y": Value(float(x * work.settings["size"]))} for x in range(3)}
        return Table(name=name, source="nowhere", vary="x", rows=rows, heads={"y": "y"},
                     settings=work.settings)  # fmt: skip

    return Study(
        card=card,
        plan=plan,
        run=run,
        parts=(Part(head="A curve", panels=(Curves(title="y", ys={"y": "y"}),)),),
        published=(
            Number(claim="y is 4", where="page 1", cell=("2", "y"), value=4.0, tolerance=0.1),
            Order(claim="y falls", where="page 2", larger=("0", "y"), smaller=("2", "y")),
            Number(
                claim="y is 2 x", where="algebra", against="closed form", cell=("1", "y"),
                value=2.0, tolerance=0.1,
            ),
        ),
        extras=extras,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    RUNS.clear()
    for name in list(STUDIES):
        monkeypatch.delitem(STUDIES, name)
    for each in (
        _study("bad", fails=InputError("the data is | missing")),
        _study("good"),
        _study("lacking", extras=("some", "no_such_module")),
    ):
        monkeypatch.setitem(STUDIES, each.name, each)
    return


def test_failures_are_recorded_and_the_others_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = run_all(tmp_path)
    assert list(tables) == ["good"]
    assert RUNS == ["bad", "good"]
    said = capsys.readouterr().err
    assert "study 1 of 3: bad failed: the data is | missing; 0 seconds" in said
    assert "study 2 of 3: good ok" in said
    found = json.loads((tmp_path / "verdicts.json").read_text())
    lacks = {"paper": _counts(0, 0, 2), "closed form": _counts(0, 0, 1)}
    assert {each["study"]: (each["status"], each["counts"]) for each in found["studies"]} == {
        "bad": ("failed", lacks),
        "good": ("ok", {"paper": _counts(1, 1, 0), "closed form": _counts(1, 0, 0)}),
        "lacking": ("failed", lacks),
    }
    assert found["counts"] == {"paper": _counts(1, 1, 4), "closed form": _counts(1, 0, 2)}
    assert "no_such_module" in found["studies"][2]["reason"]
    with (tmp_path / "verdicts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["study"], row["verdict"].split(":")[0]) for row in rows] == [
        *[("bad", "not computed")] * 3, ("good", "agrees"), ("good", "differs"),
        ("good", "agrees"), *[("lacking", "not computed")] * 3,
    ]  # fmt: skip
    assert [row["against"] for row in rows] == ["paper", "paper", "closed form"] * 3
    assert rows == found["verdicts"]
    lines = (tmp_path / "verdicts.md").read_text().splitlines()
    assert "- 6 published results: 1 agrees, 1 differs, 4 not computed" in lines
    assert "- 3 closed forms: 1 agrees, 0 differ, 2 not computed" in lines
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(rows)
    assert "the data is \\| missing" in table[2]


def _counts(agrees: int, differs: int, missing: int) -> dict[str, int]:
    return {"agrees": agrees, "differs": differs, "not computed": missing}


def test_the_page_links_every_study(tmp_path: Path) -> None:
    run_all(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert '<a href="good/report.html"><picture>' in page
    figures = [
        re.search(f'{start}="data:image/png;base64,([^"]*)"', page) for start in ("src", "srcset")
    ]
    light, dark = (Image.open(io.BytesIO(base64.b64decode(each[1]))) for each in figures if each)
    assert light.size == dark.size
    corners = [each.convert("L").getpixel((0, 0)) for each in (light, dark)]
    assert corners[0] > 250 > 50 > corners[1]
    assert (tmp_path / "good" / "report.html").is_file()
    assert "bad/report.html" not in page
    assert "the data is | missing" in page
    assert "6 published results: 1 agrees, 1 differs, 4 not computed." in page
    assert "3 closed forms: 1 agrees, 0 differ, 2 not computed." in page
    assert "good: page 2" in page, "a result that differs"
    assert "http" not in page.partition("<body")[2], "no address of another machine"


def test_finished_studies_are_reused_and_options_reach_those_that_have_them(
    tmp_path: Path,
) -> None:
    run_all(tmp_path, only=["good"])
    run_all(tmp_path, only=["good"])
    assert RUNS == ["good"]
    (outcome,) = outcomes(tmp_path, only=["good"], size=3)
    assert outcome.table is None
    assert "has a finished result with other settings (size: 2, now 3)" in outcome.reason
    table = run_all(tmp_path, only=["good"], size=3, overwrite=True)["good"]
    assert table.settings["size"] == 3
    assert RUNS == ["good", "good"]
    (outcome,) = outcomes(tmp_path, only="good", size=-1.5)  # type: ignore[arg-type]
    assert outcome.table is None
    assert "size" in outcome.reason


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="did you mean 'size'"):
        run_all(tmp_path, sizes=3)
    with pytest.raises(OptionError, match="pair: must not be given with embedded"):
        run_all(tmp_path, embedded=True, pair="x.npz")
    with pytest.raises(OptionError, match="did you mean 'good'"):
        run_all(tmp_path, only=["goods"])
    with pytest.raises(OptionError, match="only must name at least one study"):
        run_all(tmp_path, only=[])
    with pytest.raises(OptionError, match="jobs"):
        run_all(tmp_path, jobs=0)
    assert RUNS == []


def test_from_the_shell(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("study", "all", "-o", tmp_path / "out", "--set", "size=2", "--embedded")
    assert code == 1
    lines = [line.rstrip() for line in out.splitlines()]
    assert "bad failed: the data is | missing" in lines
    states = [line.split()[:2] for line in lines if line]
    assert [each for each in states if each[0] in ("bad", "good", "lacking")][:3] == [
        ["bad", "failed"], ["good", "ok"], ["lacking", "failed"],
    ]  # fmt: skip
    assert "6 published results: 1 agrees, 1 differs, 4 not computed" in lines
    assert "3 closed forms: 1 agrees, 0 differ, 2 not computed" in lines
    assert lines[-1] == str(tmp_path / "out" / "index.html")
    code, out, _ = run("study", "all", "-o", tmp_path / "out", "--only", "good", "--json")
    assert code == 0
    assert json.loads(out)["studies"][0]["status"] == "ok"
    assert run("study", "all", "-o", tmp_path / "out", "--set", "sizes=2")[0] == 2
    assert run("study", "all", "-o", tmp_path / "out", "--only", "goods")[0] == 2
    code, _, err = run("study", "all", "-o", tmp_path / "o", "--embedded", "--set", "pair=x.npz")
    assert code == 2
    assert "pair: must not be given with embedded" in err


def test_a_study_without_its_data_set_is_no_failure(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad", "lacking"):
        monkeypatch.delitem(STUDIES, name)
    away = _study("away", fails=MissingData("emoji: needs a file"))
    monkeypatch.setitem(STUDIES, "away", away)
    code, out, _ = run("study", "all", "-o", tmp_path / "out", "--embedded")
    assert code == 0
    assert "away needs data: emoji: needs a file" in out
    found = json.loads((tmp_path / "out" / "verdicts.json").read_text())
    assert [each["status"] for each in found["studies"]] == ["ok", "needs data"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Studies that need data" in page
    assert "Studies that failed" not in page


def test_a_file_takes_the_place_of_models_that_need_an_extra(tmp_path: Path) -> None:
    study = STUDIES["lacking"]
    with pytest.raises(InputError, match=r"needs the extra|pip install"):
        study(tmp_path / "a")
    assert "0" in study(tmp_path / "b", pair="x.npy").rows
