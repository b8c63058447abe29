"""Studies refuse folders, files and values that would give wrong numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import find_shared

import modalgap as mg
from modalgap.atomic import made_folder
from modalgap.errors import Diverged, FileError, InputError, OptionError, OutputError
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
        numbers = {"gap": gap, "accuracy": accuracy, "best_low": 0.0, "best_high": 0.0}
        return {name: Value(value) for name, value in numbers.items()}

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
        "| &lt;script> | 2 |",
    ]


def _saved(path: Path, array: np.ndarray) -> str:
    np.save(path, array)
    return str(path)


def _rows(n: int = 30, d: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, n, d)) + np.eye(2, d)[:, None]


@pytest.mark.parametrize(
    ("study", "array", "said"),
    [
        ("softmax_sums", _rows(d=1), "at least 2 pairs .* and 2 columns; has 30 and 1"),
        ("softmax_sums", np.ones((2, 2, 3)) * np.eye(2, 3)[:, None], ""),
        ("robustness_shift", _rows(d=2), "contain the whole gap"),
        ("loss_landscape", np.repeat(_rows()[:1], 2, axis=0), "no gap"),
        ("mixed_search", _rows(n=3), "needs 10 images"),
    ],
)
def test_the_file_is_named_and_no_folder_stays(
    study: str, array: np.ndarray, said: str, tmp_path: Path
) -> None:
    file = _saved(tmp_path / "bad.npy", array)
    if not said:  # no gradient: one number is left out
        table = mg.study(study, tmp_path / "out", pair=file, steps=10)
        assert set(table.rows["bad"]) >= {"sums", "gradient_along"}
        return
    with pytest.raises(mg.ModalgapError, match=said) as found:
        mg.study(study, tmp_path / "new" / "out", pair=file)
    assert file in str(found.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "bad.npy"]


def test_all_files_are_named_if_one_of_them_is_bad(tmp_path: Path) -> None:
    good = _saved(tmp_path / "good.npy", _rows())
    same = _saved(tmp_path / "same.npy", np.broadcast_to(np.eye(2, 8)[:, None], (2, 30, 8)))
    with pytest.raises(mg.ModalgapError, match="too similar") as found:
        mg.study.trained_and_untrained(tmp_path / "out", pair=good, untrained=same)
    assert str(found.value).startswith(f"{good}, {same}: rmg: ")


def test_a_folder_stays_if_it_was_there_or_has_files(tmp_path: Path) -> None:
    with pytest.raises(KeyError), made_folder(tmp_path):
        raise KeyError
    assert tmp_path.is_dir()
    with pytest.raises(IndexError), made_folder(tmp_path / "a" / "b"):
        _ = (tmp_path / "a" / "file").write_text("x"), [][0]
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["file"]
    with made_folder(tmp_path / "c"):
        pass
    assert (tmp_path / "c").is_dir()
    file = tmp_path / "a" / "file"
    with pytest.raises(OutputError, match="must be a folder; found a file"), made_folder(file):
        pass
    with pytest.raises(OutputError, match="cannot be made"), made_folder(file / "b"):
        pass


def test_one_value_is_a_list_of_one() -> None:
    from modalgap.study import STUDIES

    assert STUDIES["nine_points"].planned({"scales": 5}).settings["scales"] == [5.0]
    assert STUDIES["cosine_rise"].planned({"dims": 8}).settings["dims"] == [8]
    assert list(mg.simulate.sphere_pairs(scales=5).rows) == ["1/τ = 5"]
    listed = mg.simulate.cone_effect(n=8, dim=16, layers=1, architectures=["tanh"])
    assert mg.simulate.cone_effect(n=8, dim=16, layers=1, architectures="tanh") == listed


def test_one_file_is_a_list_of_one(tmp_path: Path) -> None:
    from modalgap.study import STUDIES

    file = Path(_saved(tmp_path / "a.npy", _rows()))
    for name, option in (("accuracy_and_gap", "pair"), ("trained_and_untrained", "more")):
        for value in (str(file), file, [str(file)], [file]):
            assert STUDIES[name].planned({option: value}).settings[option] == [str(file)]
    with pytest.raises(InputError, match="must hold class prompts"):
        STUDIES["zero_shot_shift"].planned({"classes": file})
    assert STUDIES["softmax_sums"].planned({"pair": file}).settings["pair"] == str(file)
    for wrong in ([""], np.array([1, 2])):
        with pytest.raises(
            OptionError, match=r"pair must be (the path of a file|a path or a list)"
        ):
            STUDIES["accuracy_and_gap"].planned({"pair": wrong})


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("demo", {"train": {"steps": -1}}, "^train: steps must be an integer"),
        ("temperature", {"start": {"steps": None}}, "^start: set either steps or epochs"),
        ("modalities", {"train": {"x": 1}}, "^train: unknown key"),
        ("entropy", {"train": {"": 1}}, "^train must have names"),
    ],
)
def test_training_settings_name_their_option(
    name: str, options: dict[str, object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=said):
        mg.study(name, tmp_path, **options)


@pytest.mark.parametrize("folder", ["none", "1e5", "a #b", "[x", "x: y", "null"])
def test_a_folder_of_digits_is_never_another_value(folder: str) -> None:
    from modalgap.study import STUDIES

    for name in ("amended_start", "temperature"):
        plan = STUDIES[name].planned({"digits": folder})
        for config in (*plan.models.values(), *(each.config for each in plan.tuned.values())):
            assert Path(config.data.digits) == Path(folder)


@pytest.mark.parametrize("name", ["weight_variance", "cone_effect"])
def test_narrow_networks_name_the_width(name: str) -> None:
    options = {} if name == "weight_variance" else {"architectures": "relu"}
    with pytest.raises(OptionError, match="dim must be an integer of at least 2"):
        mg.simulate(name, n=8, dim=1, **options)
    with pytest.raises(Diverged, match=r"^dim must be larger.*of 2 units an input has features"):
        mg.simulate(name, n=8, dim=2, layers=20, **options)
