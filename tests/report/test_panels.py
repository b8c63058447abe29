"""Panels of a table: what each kind draws; published results and their verdicts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

import modalgap as mg
from modalgap.errors import FileError
from modalgap.panels import Bars, Clouds, Curves, Histogram, Image, Panel, Part, Reference, Scatter
from modalgap.panels import files as files_of
from modalgap.report.draw.panels import Source, drawing
from modalgap.report.palette import LIGHT
from modalgap.report.tables import table_figure, table_page
from modalgap.result import Table, Value
from modalgap.study.published import Number, Order, Published, Trend
from modalgap.trace import traced

STEPS = (0, 1, 10, 100, 1000)


def values(**numbers: float) -> dict[str, Value]:
    return {name: Value(x, (x - 0.1, x + 0.1)) for name, x in numbers.items()}


def table(**rows: dict[str, Value]) -> Table:
    heads = {name: name.upper() for row in rows.values() for name in row}
    return Table(name="t", source="s", vary="row", rows=rows, heads=heads, settings={})


NUMBERED = table(**{str(step): values(a=step / 100, b_text=1 - step / 1e4) for step in STEPS})
GROUPED = table(
    **{f"d={d}, x={x}": values(d=d, x=x, y=d * x) for d in (64, 256) for x in (0.5, 1.0, 2.0)}
)


def axes(panel: Panel, of: Table, folder: Path | None = None) -> Axes:
    found = drawing(panel, Source(of, folder), "p")
    assert found is not None
    (only,) = found.figure().axes
    return only


def xs(line: Line2D) -> list[float]:
    return np.asarray(line.get_xdata(), float).tolist()  # type: ignore[no-any-return]


def ys(line: Line2D) -> list[float]:
    return np.asarray(line.get_ydata(), float).tolist()  # type: ignore[no-any-return]


def lines(found: Axes, style: str = "-") -> list[list[list[float]]]:
    """The points of each line of at least two points with this style."""
    return [
        [xs(line), ys(line)]
        for line in found.lines
        if line.get_linestyle() == style and line.get_marker() != "None"
    ]


def texts(found: Axes) -> list[str]:
    return [text.get_text() for text in found.texts]


def test_curves_are_the_columns_of_the_table() -> None:
    found = axes(Curves(title="c", ys={"a": "A", "b_text": "B"}, xlabel="step", log="x"), NUMBERED)
    assert lines(found) == [
        [list(STEPS), [step / 100 for step in STEPS]],
        [list(STEPS), [1 - step / 1e4 for step in STEPS]],
    ]
    assert found.get_xscale() == "symlog"
    assert texts(found) == ["A", "B"]
    colours = [line.get_color() for line in found.lines if line.get_marker() != "None"]
    assert colours == [LIGHT.ink, LIGHT.text]  # a column of texts has the colour of texts
    bars = [line for line in found.lines if line.get_marker() == "None"]
    assert len(bars) == 10
    assert ys(bars[0]) == pytest.approx([-0.1, 0.1])


def test_curves_of_groups_rows_and_levels() -> None:
    grouped = axes(Curves(title="c", ys={"y": "d ="}, x="x", group="d"), GROUPED)
    assert [line[1] for line in lines(grouped)] == [[32, 64, 128], [128, 256, 512]]
    assert texts(grouped) == ["d = 64", "d = 256"]
    across = axes(Curves(title="c", across={"x": 0.0, "y": 1.0}), GROUPED)
    assert len(lines(across)) == 6
    assert lines(across)[0] == [[0, 1], [0.5, 32]]
    rows = dict(NUMBERED.rows) | {"native": values(a=0.5)}
    level = axes(Curves(title="c", ys={"a": "A"}, level="native"), table(**rows))
    assert len(lines(level)[0][0]) == len(STEPS)
    dotted = [line for line in level.lines if line.get_linestyle() == ":"]
    assert [ys(line)[0] for line in dotted] == [0.5]
    named = axes(Curves(title="c", ys={"a": "A"}), table(one=values(a=1.0), two=values(a=2.0)))
    assert [label.get_text() for label in named.get_xticklabels()] == ["one", "two"]


def test_reference_lines_limits_and_scales() -> None:
    panel = Curves(
        title="c", ys={"a": "A"}, log="y", limits=(1e-3, 100),
        references=(Reference(at=2, label="two"), Reference(at=10, axis="x", label="ten")),
    )  # fmt: skip
    found = axes(panel, NUMBERED)
    assert found.get_yscale() == "log"
    assert found.get_ylim() == (1e-3, 100)
    assert {"two", "ten"} <= set(texts(found))
    dashed = [line for line in found.lines if line.get_linestyle() == "--"]
    assert [ys(line) for line in dashed[:1]] == [[2, 2]]


def test_a_reference_line_at_the_value_of_a_column() -> None:
    marks = [Reference(at=name, axis="x", label=name) for name in ("x", "other")]
    panel = Curves(title="c", ys={"y": "Y"}, x="x", match="d=256", references=marks)
    found = axes(panel, GROUPED)
    dashed = [line for line in found.lines if line.get_linestyle() == "--"]
    assert [xs(line) for line in dashed] == [[0.5, 0.5]]  # of the first row; none has "other"
    assert texts(found) == ["x"]


def test_a_reference_line_of_equal_coordinates() -> None:
    panel = Scatter(title="s", x="x", y="y", references=(Reference(at=0, axis="xy", label="same"),))
    found = axes(panel, GROUPED)
    line = next(line for line in found.lines if line.get_linestyle() == "--")
    assert (line.get_slope(), line.get_xy1()) == (1, (0, 0))
    assert "same" in texts(found)


def test_bars_have_the_values_of_their_rows() -> None:
    rows = {"k1 images": values(a=1, b=-2), "k1 texts": values(a=3), "none": {}}
    found = axes(Bars(title="b", ys={"a": "A", "b": "B"}, match="images"), table(**rows))
    assert [bar.get_width() for bar in found.patches] == [1, -2]
    assert [label.get_text() for label in found.get_yticklabels()] == ["k1"]  # without the match
    whole = axes(Bars(title="b", ys={"a": "A"}), table(**rows))
    assert [bar.get_width() for bar in whole.patches] == [1, 3]


def test_scatter_has_a_point_per_row() -> None:
    found = axes(Scatter(title="s", x="x", y="y", group="d", named=True), GROUPED)
    points = [line for line in found.lines if line.get_linestyle() == "None"]
    assert [ys(each) for each in points] == [
        [32, 64, 128],
        [128, 256, 512],
    ]
    assert "d=64, x=0.5" in texts(found)
    assert (found.get_xlabel(), found.get_title(loc="left")) == ("X", "Y")


CURVES = Table(
    name="t", source="s", vary="row", heads={"low": "lowest"}, settings={},
    rows={
        "fast": {"low": traced(1.0, (0, 1, 2), (3, 2, 1))},
        "slow, closed form": {"low": traced(2.0, (0, 4), (5, 2))},
        "other": {"low": Value(7.0)},
    },
)  # fmt: skip


def test_a_traced_number_is_a_line_or_a_cloud() -> None:
    found = axes(Curves(title="c", trace="low", dashed="closed form"), CURVES)
    assert lines(found) == [[[0, 1, 2], [3, 2, 1]]]
    assert [[xs(line), ys(line)] for line in found.lines if line.get_linestyle() == "--"] == [
        [[0, 4], [5, 2]]
    ]
    assert texts(found) == ["slow, closed form", "fast"]
    found = axes(Scatter(title="s", trace="low", match="fast"), CURVES)
    assert [[xs(line), ys(line)] for line in found.lines] == [[[0, 1, 2], [3, 2, 1]]]
    assert drawing(Scatter(title="s", trace="low", match="other"), Source(CURVES), "p") is None
    with pytest.raises(mg.errors.InputError, match="same length; got 2 and 1"):
        traced(1.0, (1, 2), (3,))


def test_a_figure_of_many_panels_has_rows() -> None:
    panels = [Curves(title=f"c{i}", ys={"a": "A"}) for i in range(4)]
    figure = table_figure(NUMBERED, [Part(head="h", panels=panels)])
    assert figure is not None
    places = [tuple(ax.get_window_extent().p0.round(2)) for ax in figure.axes]
    assert len({x for x, _ in places}) == 2
    assert len({y for _, y in places}) == 2
    width, height = figure.get_size_inches()
    assert height > 0.8 * width


def test_histograms_have_the_counts_of_their_rows() -> None:
    details = {"edges": [0.0, 0.5, 1.0], "counts": [1, 4]}
    of = table(one={"c": Value(0.7, details=details)}, two={"c": Value(0.2)})
    found = axes(Histogram(title="h", column="c"), of)
    assert len(found.collections) == 1  # row two has no histogram
    heights = ys(found.lines[0])
    assert max(heights) == pytest.approx(4 * heights[1])
    assert xs(found.lines[1])[0] == 0.7
    assert "mean 0.70" in texts(found)


def test_clouds_are_rows_along_the_gap(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pair = mg.Pair(random.normal(size=(40, 6)) + 2, random.normal(size=(40, 6)) - 2)
    mg.save(pair, tmp_path / "a.safetensors")
    found = axes(Clouds(title="c", file="a.safetensors", limits=(2, 3)), NUMBERED, tmp_path)
    assert found.get_xlim() == (-2, 2)
    x, y = (xs(line) for line in found.lines if line.get_linestyle() == "None")
    gap = mg.measure.l2m(pair).value
    assert float(np.mean(y) - np.mean(x)) == pytest.approx(gap, rel=1e-4)
    pca = axes(Clouds(title="c", file="a.safetensors", components=True), NUMBERED, tmp_path)
    x, y = (xs(line) for line in pca.lines if line.get_linestyle() == "None")
    both = np.concatenate([side.unit().numpy() for side in pair.sides])
    first = np.linalg.svd(both - both.mean(0), full_matrices=False)[2][0]
    assert np.abs(x) == pytest.approx(np.abs((both - both.mean(0))[:40] @ first), abs=1e-5)
    with pytest.raises(FileError, match=r"b\.safetensors"):
        axes(Clouds(title="c", file="b.safetensors"), NUMBERED, tmp_path)


def test_a_page_and_a_figure_of_every_panel(tmp_path: Path) -> None:
    from PIL import Image as Pixels

    Pixels.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    parts = (
        Part(head="One", words=("some text", lambda of: f"{len(of.rows)} rows"), panels=(
            Curves(title="first", ys={"a": "A"}), Curves(title="missing", ys={"zz": "Z"}),
            Curves(title="page only", ys={"a": "A"}, in_figure=False),
            Image(title="", file="red.png", alt="a red square"),
        )),
    )  # fmt: skip
    assert files_of(parts) == ["red.png"]
    made = table_page(NUMBERED, parts, tmp_path / "p.html", title="T", folder=tmp_path)
    page = made.read_text("utf-8")
    assert page.count("<svg") == 2  # a panel without its columns is left out
    assert 'alt="a red square" src="data:image/png;base64,' in page
    assert "5 rows" in page
    assert "missing" not in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    figure = table_figure(NUMBERED, parts, tmp_path)
    assert figure is not None
    assert len(figure.axes) == 1
    assert table_figure(NUMBERED, ()) is None


RMG = table(**{str(k): values(rmg=x) for k, x in enumerate((0.5, 0.4, 0.45, 0.1))})
WHERE: dict[str, Any] = {"claim": "c", "where": "paper, table 1"}
OTHER = "not computed: not with these data or options"


@pytest.mark.parametrize(
    ("published", "ours", "verdict"),
    [
        (Number(**WHERE, cell=("0", "rmg"), value=0.45, tolerance=0.05), "0.500", "agrees"),
        (
            Number(**WHERE, cell=("0", "rmg"), value=0.4, tolerance=0.05),
            "0.500",
            "differs: by 0.100, tolerance 0.05",
        ),
        (Number(**WHERE, cell=("9", "rmg"), value=0.4, tolerance=1), "–", OTHER),
        (
            Order(**WHERE, larger=("0", "rmg"), smaller=("3", "rmg")),
            "0.500 against 0.100",
            "agrees",
        ),
        (Order(**WHERE, larger=("0", "rmg"), smaller=0.2), "0.500 against 0.200", "agrees"),
        (
            Order(**WHERE, larger=("1", "rmg"), smaller=("0", "rmg")),
            "0.400 against 0.500",
            "differs: the difference is -0.100",
        ),
        (
            Order(**WHERE, larger=("0", "rmg"), smaller=("1", "rmg"), margin=0.2),
            "0.500 against 0.400",
            "differs: the difference is +0.100",
        ),
        (Order(**WHERE, larger=("0", "x"), smaller=0.0), "–", OTHER),
        (
            Order(**WHERE, larger=("0", "x"), smaller=0.0, needs="photographs"),
            "–",
            "not computed: needs photographs",
        ),
        (
            Number(**WHERE, cell=("0", "rmg"), value=("1", "rmg"), tolerance=0.2),
            "0.500",
            "agrees",
        ),
        (
            Number(**WHERE, cell=("0", "rmg"), value=0.4, tolerance=0.0005, why="fewer rows"),
            "0.5000",
            "differs: by 0.1000, tolerance 0.0005; fewer rows",
        ),
        (
            Trend(**WHERE, column="rmg", direction="falls", rows=("0", "1", "3", "7")),
            "0.500 → 0.400 → 0.100",
            "agrees",
        ),
        (
            Trend(**WHERE, column="rmg", direction="falls", rows=("0", "1", "2")),
            "0.500 → 0.400 → 0.450",
            "differs: 0.400 to 0.450 at 2",
        ),
        (
            Trend(**WHERE, column="rmg", direction="rises", rows=("1", "2")),
            "0.400 → 0.450",
            "agrees",
        ),
        (Trend(**WHERE, column="rmg", direction="rises", rows=("1",)), "0.400", OTHER),
    ],
)  # fmt: skip
def test_verdicts(published: Published, ours: str, verdict: str) -> None:
    found = published.verdict(RMG)
    assert (found["ours"], found["verdict"]) == (ours, verdict)
    assert (found["claim"], found["where"]) == ("c", "paper, table 1")
    assert found["published"]
