"""A dashed curve with the name of another one has its colour, and no label of its own."""

from __future__ import annotations

from modalgap.panels import Curves
from modalgap.report.draw.panels import Source, drawing
from modalgap.result import Table
from modalgap.trace import traced


def _lines(*rows: str) -> dict[str, tuple[str, bool, bool]]:
    table = Table(
        name="t",
        source="",
        vary="row",
        rows={row: {"y": traced(1.0, [0, 1], [0, 1])} for row in rows},
        heads={"y": "y"},
        settings={},
    )
    panel = Curves(title="t", trace="y", dashed=", closed form")
    found = drawing(panel, Source(table), "t")
    assert found is not None
    lines = found.draw.keywords["lines"]  # type: ignore[attr-defined]
    return {line.label: (line.colour, line.dashed, line.named) for line in lines}


def test_twins_share_a_colour() -> None:
    found = _lines("a", "a, closed form", "b", "b, closed form", "c")
    assert found["a, closed form"] == (found["a"][0], True, False)
    assert found["b, closed form"] == (found["b"][0], True, False)
    assert found["a"][1:] == found["c"][1:] == (False, True)
    assert len({found[name][0] for name in "abc"}) == 3


def test_a_dashed_line_without_a_twin_keeps_its_label() -> None:
    found = _lines("a", "b, closed form")
    assert found["b, closed form"][1:] == (True, True)
    assert found["a"][0] != found["b, closed form"][0]
