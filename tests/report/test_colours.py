"""Colours and labels of panels: order for numbers, differences for categories, grey print."""

from __future__ import annotations

from itertools import pairwise

import pytest

from modalgap.panels import Curves, Reference
from modalgap.report.draw.base import apart
from modalgap.report.draw.colours import colours, short
from modalgap.report.draw.panels import Source, drawing
from modalgap.report.palette import DARK, LIGHT, Palette, ramp_names
from modalgap.result import Table
from modalgap.trace import traced


def lightness(colour: str) -> float:
    """Of a grey print, from 0 (black) to 1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [((each + 0.055) / 1.055) ** 2.4 if each > 0.04 else each / 12.92 for each in parts]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_ramp_is_ordered_in_grey(theme: Palette) -> None:
    steps = [lightness(each) for each in theme.ramp]
    strong_is_dark = lightness(theme.paper) > 0.5
    assert steps == sorted(steps, reverse=not strong_is_dark)
    assert min(abs(a - b) for a, b in pairwise(steps)) > 0.003
    assert min(abs(each - lightness(theme.paper)) for each in steps) > 0.15


def test_numbers_of_one_quantity_have_the_ramp() -> None:
    assert colours(["1/τ = 5", "1/τ = 100", "1/τ = 1"]) == [
        ramp_names(3)[1], ramp_names(3)[0], ramp_names(3)[2],
    ]  # fmt: skip
    assert colours(["10", "2", "1e3"]) == [ramp_names(3)[at] for at in (1, 2, 0)]
    mixed = colours(["no noise", "σ² = 0.005", "σ² = 0.022", "σ² = 0.04"])
    assert mixed[1:] == ramp_names(3)[::-1]
    assert "ramp" not in mixed[0]


def test_categories_have_colours_that_differ() -> None:
    for labels in (
        ["seed 0", "seed 1", "seed 2"],  # numbers without an order
        ["d = 1", "r = 2", "k = 3"],  # of different quantities
        ["short", "full", "untrained"],
    ):
        assert len(set(colours(labels))) == 3
        assert colours(labels) == colours(["a", "b", "c"])
    assert colours(["", "", ""], ["a_image", "b", "c_text"])[::2] == ["image", "text"]


@pytest.mark.parametrize(
    ("row", "match", "label"),
    [
        ("digits, σ² = 1", "digits,", "σ² = 1"),
        ("colours, full", ", full", "colours"),
        ("image trained", "image", "trained"),
        ("clip_coco text", "text", "clip_coco"),
        ("image_model text", "image", "image_model text"),  # a part of a word
        ("k1 images, OTI", "images", "k1 images, OTI"),
        ("fast", "fast", "fast"),
        ("fast", "", "fast"),
    ],
)
def test_a_label_omits_what_the_rows_of_a_panel_share(row: str, match: str, label: str) -> None:
    assert short([row], match) == {row: label}


def test_labels_omit_the_parts_that_all_names_share() -> None:
    assert list(short(["f, 1/τ = 1", "f, 1/τ = 10"], "").values()) == ["1/τ = 1", "1/τ = 10"]
    assert list(short(["f: a, b", "f: a, c"], "").values()) == ["b", "c"]
    assert list(short(["relu", "relu, closed form"], "").values()) == ["relu", "relu, closed form"]
    assert list(short(["σ² = 0.1", "σ² = 0.2"], "").values()) == ["σ² = 0.1", "σ² = 0.2"]


def test_labels_stay_within_their_limits() -> None:
    assert apart([0.0, 0.0, 0.0], 0.1, 0.02, 1.0) == pytest.approx([0.22, 0.12, 0.02])
    assert apart([1.0, 1.0], 0.1, 0.02, 1.0) == pytest.approx([1.0, 0.9])
    assert apart([0.5, 0.5], 0.1) == pytest.approx([0.55, 0.45])


def test_the_label_of_a_horizontal_line_is_among_those_of_the_curves() -> None:
    rows = {f"1/τ = {at}": {"y": traced(1.0, [0, 1], [0, at])} for at in (1, 2, 3)}
    of = Table(name="t", source="", vary="row", rows=rows, heads={"y": "y"}, settings={})
    panel = Curves(title="t", trace="y", references=(Reference(at=2.0, label="chance"),))
    found = drawing(panel, Source(of), "t")
    assert found is not None
    (axes,) = found.figure().axes
    heights = {text.get_text(): text.xy for text in axes.texts}
    assert heights["chance"][0] == 1  # the right edge of the axes
    places = sorted(height for _, height in heights.values())
    assert min(b - a for a, b in pairwise(places)) > 0.06
