"""The study of three modalities: its numbers are those of the verbs, its findings hold.

The small version runs in CI; ``MODALGAP_FULL=1`` trains at full length, five minutes.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patience import FULL, in_full

import modalgap as mg
from modalgap.embeddings import Modalities
from modalgap.errors import InputError
from modalgap.result import Table
from modalgap.study import modalities

SMALL = {} if FULL else {"steps": 3, "batch": 32, "data.limit": 200, "watch": {"measure": 0}}
NAMES = ("image", "text", "profile")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study."""
    folder = tmp_path_factory.mktemp("study") / "modalities"
    modalities(folder, jobs=1, train=SMALL)
    return folder


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    """Its table, read again."""
    return modalities(folder, train=SMALL)


def held_out(folder: Path, loss: str) -> Modalities:
    found = mg.load(folder / "runs" / f"{loss}_seed0" / "held_out.safetensors")
    assert isinstance(found, Modalities)
    return found


@pytest.mark.slow
def test_numbers_are_those_of_the_verbs(folder: Path, table: Table) -> None:
    assert len(table.rows) == 21
    for head, loss in (("InfoNCE", "infonce"), ("GRAM", "gram")):
        data = held_out(folder, loss)
        assert data.complete > 20
        for a, b in combinations(NAMES, 2):
            row = table.rows[f"{head}: {a}, {b}"]
            pair = data.pair(a, b)
            for name in ("rmg", "l2m", "matched_cosine", "gram_volume", "pmrl"):
                assert row[name].value == pytest.approx(mg.measure(pair, name)[name].value)
            cosine = pair.image.unit() @ pair.text.unit().T
            first = (cosine.argmax(1).numpy() == np.arange(len(cosine))).mean()
            volume = (cosine.abs().argmax(1).numpy() == np.arange(len(cosine))).mean()
            assert row["r1_volume"].value == pytest.approx(volume, abs=0.01)
            assert row["r1"].value == pytest.approx(first, abs=0.01)  # near ties
        for a in NAMES:
            row = table.rows[f"{head}: {a} queries"]
            assert sum(row[f"to_{b}"].value for b in NAMES) == pytest.approx(1)


@pytest.mark.slow
def test_captions_among_items_by_loops(folder: Path, table: Table) -> None:
    data = held_out(folder, "gram")
    x, y, z = (data[name].unit().double().numpy() for name in NAMES)
    right = {"r1_volume": 0, "r1_cosines": 0}
    for i in range(len(x)):
        scores: dict[str, list[float]] = {name: [] for name in right}
        for j in range(len(x)):
            rows = np.stack([y[i], x[j], z[j]])
            scores["r1_volume"].append(-float(np.linalg.det(rows @ rows.T)))
            scores["r1_cosines"].append(float(y[i] @ (x[j] + z[j])))
        for name, each in scores.items():
            right[name] += int(np.argmax(each) == i)
    for name, count in right.items():
        assert table.rows["GRAM: all three"][name].value == pytest.approx(count / len(x), abs=0.02)


@pytest.mark.slow
def test_files(folder: Path, table: Table) -> None:
    for name in ("study.json", "table.csv", "table.md", "modalities.png", "modalities.svg"):
        assert (folder / name).is_file(), name
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "Who answers whom" in page
    assert {each["verdict"].partition(":")[0] for each in table.verdicts} <= {"agrees", "differs"}


@pytest.mark.slow
@in_full
def test_findings(table: Table) -> None:
    """What docs/modalities.md says of the full run."""
    pairwise, gram, both = (
        table.rows[f"{head}: all three"] for head in ("InfoNCE", "GRAM", "both")
    )
    assert gram["r1_volume"].value > pairwise["r1_volume"].value + 0.1
    assert pairwise["r1"].value > 0.5 > gram["r1"].value + 0.2, "GRAM alone does not align pairs"
    assert both["r1"].value > 0.5
    assert table.rows["GRAM: text, profile"]["matched_cosine"].value < 0
    for name in NAMES:
        assert table.rows[f"GRAM: {name} queries"][f"to_{name}"].value > 0.9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seeds": 0}, "seeds must be"),
        ({"train": {"losses": {"infonce": 1}}}, "set by the study itself"),
        ({"train": {"data.profiles": False}}, "set by the study itself"),
        ({"digits": "nowhere"}, "nowhere"),
    ],
)
def test_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        modalities(tmp_path / "s", **options)
