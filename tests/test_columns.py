"""Results as frames and as tables of other libraries, and as HTML."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import duckdb
import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modalgap as mg
from modalgap.measure import MEASURES
from modalgap.result import Result, Table, Value, versions

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8)) + 0.3
PAIR = mg.Pair(X, X + RNG.normal(size=(60, 8)))
EVIL = "<script>alert(1)</script>&\"'"


def test_a_result_has_one_row_per_number() -> None:
    result = mg.measure(PAIR)
    frame = result.to_frame()
    assert list(frame.columns) == ["name", "value", "low", "high", "better", "unit"]
    assert list(frame["name"]) == list(result)
    for row in frame.itertuples(index=False):
        value = result[row.name]
        assert row.value == value.value
        ends = value.interval or (np.nan, np.nan)
        np.testing.assert_array_equal([row.low, row.high], ends)
        measure = next(each for each in MEASURES.values() if row.name.startswith(each.name))
        assert row.better in ("lower", "higher", "neither")
        assert row.unit == ("°" if row.name == "principal_angles" else ""), measure
    assert frame["better"][frame["name"] == "rmg"].item() == "lower"
    assert frame["value"].dtype == frame["low"].dtype == frame["high"].dtype == np.float64
    retrieval = mg.evaluate(PAIR, "retrieval").to_frame().set_index("name")["better"]
    assert retrieval["retrieval.image_to_text_r1"] == "higher"
    assert retrieval["retrieval.image_to_text_median_rank"] == "lower"


def test_directions_are_those_of_the_cards() -> None:
    result = mg.measure(PAIR)
    for measure in MEASURES.values():
        for name in measure.names(("image", "text")):
            if name in result:
                assert result[name].params["better"] == measure.card.direction
                assert result[name].params.get("unit", "") == measure.card.unit


def test_each_library_reads_the_same() -> None:
    result = mg.measure(PAIR, ["rmg", "cone", "leakage"])
    frame = result.to_frame()
    rows = [tuple(None if v != v else v for v in row) for row in frame.itertuples(index=False)]
    table = pa.table(result)
    assert [tuple(each.values()) for each in table.to_pylist()] == rows
    assert polars.DataFrame(table).rows() == rows
    assert duckdb.sql("from result").fetchall() == rows
    pandas.testing.assert_frame_equal(pandas.DataFrame.from_arrow(result), frame)


def table(**more: Any) -> Table:
    rows = {
        "1": {"a": Value(1.0, (0.5, 1.5)), "b": Value(2.0)},
        EVIL: {"a": Value(-1e300)},
        "none": {},
    }
    given: dict[str, Any] = {"vary": "v", "heads": {"a": EVIL, "b": "B"}, **more}
    return Table(name="t", source="s", rows=rows, settings={}, **given)


def test_a_table_has_the_columns_of_its_csv() -> None:
    found = table()
    frame = found.to_frame()
    read = pandas.read_csv(io.StringIO(found.to_csv()), keep_default_na=False, na_values=[""])
    assert list(frame.columns) == list(read.columns) == list(pa.table(found).schema.names)
    for name in frame.columns[1:]:
        np.testing.assert_array_equal(frame[name].astype(float), read[name].astype(float))
    assert list(frame["v"]) == list(read["v"]) == ["1", EVIL, "none"]
    assert [tuple(each.values()) for each in pa.table(found).to_pylist()][2] == (
        "none",
        *6 * [None],
    )
    pandas.testing.assert_frame_equal(pandas.DataFrame.from_arrow(found), frame)
    empty = Table(name="t", source="", vary="v", rows={}, heads={"a": "A"}, settings={})
    assert empty.to_frame().shape == (0, 4)
    assert pa.table(empty).num_rows == 0
    assert empty.to_csv() == "v,a,a_low,a_high\n"


@given(st.lists(st.sampled_from(["a", "a_low", "a_", "a_low_", "v"]), unique=True, min_size=1))
def test_names_of_columns_differ(heads: list[str]) -> None:
    rows = {"1": {name: Value(float(i), (i - 1.0, i + 1.0)) for i, name in enumerate(heads)}}
    made = Table(
        name="t", source="", vary="v", rows=rows, heads=dict.fromkeys(heads, "x"), settings={}
    )
    read = polars.DataFrame(made)  # refuses two columns of one name
    assert read.width == 1 + 3 * len(heads)
    assert read.row(0) == ("1", *(x for i in range(len(heads)) for x in (i, i - 1.0, i + 1.0)))


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(mg.errors.InputError) as found:
        table().to_frame()
    assert str(found.value) == "to_frame needs pandas: pip install pandas"


def test_html() -> None:
    result = Result(
        {"a": Value(0.5, (0.25, 0.75), {"better": "lower", "unit": EVIL}), EVIL: Value(12.0)},
        {"b": EVIL, "c": EVIL, "d": "another reason"},
        {"dim": 2},
        versions(),
    )
    page = result._repr_html_()
    assert "<td>a</td>" in page
    assert "[0.2500, 0.7500]" in page
    assert "<td>lower</td>" in page
    assert page.count("<p>") == 2
    assert "b, c: " in page
    for text in (page, table(notes=[EVIL])._repr_html_()):
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        tags = set(re.findall(r"<(\w+)([^>]*)>", text))
        # no attributes: neither colours nor anything from data
        assert tags <= {(tag, "") for tag in ("table", "thead", "tbody", "tr", "th", "td", "p")}


def test_figures_show_themselves() -> None:
    from PIL import Image

    figures = mg.report.figures(PAIR, mg.measure(PAIR, ["l2m", "cone"]))
    for figure in figures.values():
        content, size = figure._repr_png_()  # type: ignore[attr-defined]
        image = Image.open(io.BytesIO(content)).convert("RGBA")
        assert image.size == (2 * size["width"], 2 * size["height"])
        assert image.getpixel((0, 0)) == (255, 255, 255, 255)  # not transparent: dark themes
