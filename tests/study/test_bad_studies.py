"""Studies refuse folders, files and values that would give wrong numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import find_shared

import modalgap as mg
from modalgap.errors import FileError, InputError, OptionError, OutputError
from modalgap.result import Table, Value
from modalgap.study.chowers2026.accuracy_and_gap import compared
from modalgap.study.liang2022.fairness_shift import _row_name


def test_the_folder_of_another_study_is_refused(tmp_path: Path) -> None:
    mg.study.sphere_pairs(tmp_path, scales=(1, 5))
    with pytest.raises(OutputError, match="result of the study 'sphere_pairs'"):
        mg.study.nine_points(tmp_path, scales=(1, 5))
    table = Table.from_json((tmp_path / "study.json").read_text())
    assert table.name == "sphere_pairs"


def test_a_damaged_curve_is_noticed(tmp_path: Path) -> None:
    mg.study.nine_points(tmp_path, scales=(1,))
    found = json.loads((tmp_path / "study.json").read_text())
    found["rows"]["1/τ = 1"]["lowest_swapped"]["details"] = {"x": [1, 2], "y": [1]}
    (tmp_path / "study.json").write_text(json.dumps(found))
    with pytest.raises(FileError, match="is damaged"):
        mg.study.nine_points(tmp_path, scales=(1,))


def test_ties_say_nothing_about_gap_and_accuracy() -> None:
    def row(gap: float, accuracy: float) -> dict[str, Value]:
        return {"gap": Value(gap), "accuracy": Value(accuracy), "best_alpha": Value(0.0)}

    rows = {"a": row(0.9, 0.8), "b": row(0.7, 0.8), "c": row(0.5, 0.6), "d": row(0.9, 0.7)}
    same = dict.fromkeys("abcd", "one")
    assert "against" not in compared({"a": rows["a"], "b": rows["b"]}, same)
    assert compared({"a": rows["a"], "c": rows["c"]}, same)["against"].value == 1
    assert compared({"b": rows["b"], "d": rows["d"]}, same)["against"].value == 0
    both = compared(rows, same)["against"]
    assert both == compared(dict(reversed(rows.items())), same)["against"]


@pytest.mark.parametrize(
    ("study", "name"),
    [("accuracy_and_gap", "all tasks"), ("softmax_sums", "simulated"), ("first_page", "simulated")],
)
def test_a_file_cannot_take_the_name_of_a_row(study: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.npy"
    np.save(file, np.load(find_shared("clip_coco500.npy"))[:, :60])
    with pytest.raises(InputError, match="must not have the name of another row"):
        mg.study(study, tmp_path / "out", pair=str(file))


def test_groups_cannot_take_the_name_of_a_row() -> None:
    assert _row_name("harmful") == "all"
    assert _row_name("harmful_all") == "group all"
    assert _row_name("harmful_accuracy") == "group accuracy"
    assert _row_name("harmful_distance of means") == "group distance of means"
    assert _row_name("harmful_blue") == "blue"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("first_page", {"gaps": ()}, "gaps must have at least 1 value"),
        ("robustness_shift", {"variances": ()}, "variances must have at least 1 value"),
        ("three_points", {"temperatures": ()}, "temperatures must have at least 1 value"),
        ("accuracy_and_gap", {"pair": []}, "pair"),
    ],
)
def test_empty_lists(name: str, options: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=said):
        mg.study(name, tmp_path, **options)


def test_equal_rows_have_no_first_page(tmp_path: Path) -> None:
    file = tmp_path / "same.npy"
    np.save(file, np.broadcast_to(np.eye(2, 16)[:, None], (2, 60, 16)))
    with pytest.raises(InputError, match="must vary"):
        mg.study.first_page(tmp_path / "out", pair=str(file), n=60, splits=1, gaps=(0.5,))


def test_simulations_refuse_what_gives_rounding() -> None:
    for alpha in (1e7, -1e200, 2**64):
        with pytest.raises(OptionError, match="alpha must be"):
            mg.simulate.orthogonal_shift(alpha=alpha)
    with pytest.raises(OptionError, match="gaps must be different"):
        mg.simulate.flip_robustness(gaps=(0, -0.0))
    with pytest.raises(OptionError, match=r"n, dim: must fit in the available memory"):
        mg.simulate.free_points(n=10**9)


def test_markdown_tables_stay_tables() -> None:
    rows = {"a|b\nc": {"x": Value(1.0)}, "<script>": {"x": Value(2.0)}}
    table = Table(name="t", source="s", vary="row", rows=rows, heads={"x": "|x|"}, settings={})
    lines = table.to_markdown().splitlines()
    assert lines == [
        r"| row | \|x\| |",
        "|---|---|",
        r"| a\|b c | 1.000 |",
        "| &lt;script> | 2.000 |",
    ]
