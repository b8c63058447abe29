"""The demo at its full length: its story, what is there is not made again, the README's output."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
from commands import Run
from conftest import TRAINED, beside

import modalgap as mg
from modalgap.embeddings import Pair
from modalgap.result import Table

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def of(table: Table, name: str) -> list[float]:
    return [value.value for value in table.column(name)]


@pytest.mark.slow
def test_the_demo_tells_the_story(demo: Path) -> None:
    """Short captions, full captions, the gap of the first closed: on the embedded digits."""
    table = Table.from_dict(json.loads((demo / "study.json").read_text()))
    assert list(table.rows) == ["short captions", "full captions", "short, centred"]
    rmg = of(table, "rmg")
    assert rmg[0] > rmg[1] + 0.1, "what captions leave out opens the gap"
    for side in ("image", "text"):
        bias = of(table, f"moad_{side}")
        assert bias[0] > bias[1] + 0.25, "and sorts the space by object"
    gap = of(table, "l2m")
    assert gap[0] > gap[1] + 0.1
    assert gap[2] < gap[0] / 4
    right = of(table, "accuracy_object")
    assert right[0] > 0.8
    assert right[2] > right[0] - 0.03, "closing costs nothing"
    noisy = of(table, "noise_0.2")
    assert noisy[2] > noisy[0] + 0.02, "and buys robustness"
    for values in table.rows.values():
        for name in table.heads:
            low, high = values[name].interval or (0, 0)
            assert low <= values[name].value <= high
    pairs = {name: mg.load(demo / f"{name}.safetensors") for name in ("short", "full", "closed")}
    for name, row in zip(("short", "full", "closed"), table.rows.values(), strict=True):
        assert isinstance(pairs[name], Pair)
        assert mg.measure(pairs[name], "rmg")["rmg"].value == pytest.approx(row["rmg"].value)
    out = (demo / "stdout.txt").read_text()
    assert "RMG" in out
    assert str(demo / "report.html") in out
    assert {each["verdict"].partition(":")[0] for each in table.verdicts} == {"agrees"}
    for name in ("demo.png", "demo.svg", "sheet.png", "table.csv", "table.md"):
        assert (demo / name).is_file(), name


@pytest.mark.slow
def test_the_demo_is_not_made_again(demo: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (demo / "study.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["modalgap.study.training"], "train_all", None)
        code, out, err = run("demo", "-o", demo)
    assert code == 0, err
    assert "RMG" in out
    assert (demo / "study.json").read_bytes() == before
    code, _, err = run("demo", "-o", demo, "--set", "train.steps=9")
    assert code == 2
    assert "other settings (runs.short.steps: 450, now 9; runs.full.steps: 450, now 9)" in err


@pytest.mark.slow
def test_readme_code_is_the_quickstart_and_its_output_is_real(
    demo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(beside(demo, tmp_path))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8")
    assert f"```python\n{code}```" in readme
    shown = readme.split(f"```python\n{code}```")[1].split("```text\n")[1].split("```")[0]
    runpy.run_path(str(ROOT / "examples" / "quickstart.py"))
    real = capsys.readouterr().out
    assert NUMBER.sub("#", shown).split() == NUMBER.sub("#", real).split()
    # another machine's arithmetic, or another number of processors, trains a little differently
    ours, theirs = ([float(each) for each in NUMBER.findall(text)] for text in (shown, real))
    assert ours == pytest.approx(theirs, rel=0.25, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_examples_of_a_trained_model(
    name: str,
    demo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(beside(demo, tmp_path))
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"))
    assert not re.search(r"\bnan\b", capsys.readouterr().out)
