"""Drawings of emoji: their pixels, and what is refused because it could read files or take long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modalgap import errors
from modalgap.data.emoji import _draw, svg
from modalgap.data.emoji.packages import Icon

pytest.importorskip("resvg_py")


def icon(body: str, **more: Any) -> Icon:
    plain: dict[str, Any] = {"style": "noto", "name": "x", "codes": "", "category": ""}
    return Icon(**{**plain, "body": body, "box": (0, 0, 8, 8), **more})


HALF = '<path fill="#f00" d="M0 0H4V8H0z"/>'
RED, WHITE = [255, 0, 0], [255, 255, 255]


def test_drawn_on_white_in_its_view() -> None:
    seen = svg.pixels(icon(HALF), 16)
    assert seen.shape == (16, 16, 3)
    assert seen.dtype == np.uint8
    assert (seen[:, :8] == RED).all()
    assert (seen[:, 8:] == WHITE).all()
    flipped = svg.pixels(icon(HALF, turned=(True, False, 0)), 16)
    assert (flipped == seen[:, ::-1]).all()
    assert (svg.pixels(icon(HALF, turned=(False, False, 1)), 16)[:8] == RED).all()
    low = HALF.replace("V8", "V4")
    wide = svg.pixels(icon(low, box=(0, 0, 8, 4)), 16)  # centred, not stretched
    assert (wide[:4] == WHITE).all()
    assert (wide[4:12, :8] == RED).all()
    moved = svg.pixels(icon(HALF, box=(4, 0, 8, 8)), 16)
    assert (moved == WHITE).all()
    tall = svg.pixels(icon(low, box=(0, 0, 8, 4), turned=(False, False, 1)), 16)
    assert (tall[:, :4] == WHITE).all()
    assert (tall[:8, 4:12] == RED).all()


def nested(levels: int, width: int) -> str:
    below = "".join(
        f'<g id="a{i}">' + f'<use href="#a{i - 1}"/>' * width + "</g>" for i in range(1, levels)
    )
    return f'<defs><g id="a0"/>{below}</defs><use href="#a{levels - 1}"/>'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<image href="/etc/passwd"/>', "the element 'image'"),
        ('<image href="data:image/png;base64,AA"/>', "the element 'image'"),
        ('<use href="/tmp/other.svg#a"/>', "must not refer to files; refers to '/tmp/other.svg"),
        ('<use xlink:href="other.svg#a"/>', "must not refer to files"),
        ('<path fill="url(http://example.org/a#b)"/>', "must not refer to files"),
        ("<path fill=\"URL( 'a.svg#b' )\"/>", "must not refer to files"),
        ('<path fill="url(#a) url(\'b"/>', "must not refer to files"),
        ('<path fill="url(' + " " * 500_000 + '"/>', "must not refer to files"),  # in linear time
        ('<path fill="' + "url(" * 200_000 + '"/>', "must not refer to files"),
        ('<path style="fill: url(a.svg#b)"/>', "it has 'style'"),
        ("<style>@import url(a.css);</style>", "the element 'style'"),
        ("<script/>", "the element 'script'"),
        ("<text>a</text>", "the element 'text'"),
        ('<foreignObject xmlns="http://www.w3.org/1999/xhtml"/>', "the element 'foreignObject'"),
        ('<path onload="a()"/>', "it has 'onload'"),
        ("<filter><feTurbulence numOctaves='100000'/></filter>", "the element 'feTurbulence'"),
        ("<filter><feImage href='a.png'/></filter>", "the element 'feImage'"),
        (
            "<filter><feGaussianBlur stdDeviation='1e9'/></filter>",
            "must be at most 100",
        ),
        ('<path d="M0 0H4V1e38"/>', "d: its numbers must be at most 100000"),
        ('<path d="M0 0H4V' + "9" * 400 + '"/>', "d: its numbers must be at most 100000"),
        ('<g transform="scale(9e4)"><g transform="scale(9e4)"/></g>', "transforms must enlarge"),
        ("<pattern/>", "the element 'pattern'"),
        ("</svg><svg>", "must be SVG"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]><g/>', "must be SVG"),
        ("&a;", "must be SVG"),
        ("<g>\0</g>", "must be SVG"),
        ("<g>\ud800</g>", "must be SVG"),
        ("<g", "must be SVG"),
        ("<g>" * 100_000 + "</g>" * 100_000, "must have at most 5,000 elements"),
        ("<g>" * 900 + "</g>" * 900, "nested at most 32 deep"),
        ("<g/>" * 6_000, "must have at most 5,000 elements"),
        ("<g/>" * 300_000, "must have at most 1,048,576 characters"),
        ('<g id="a"><use href="#a"/></g>', "must not refer to itself"),
        ('<clipPath id="a" clip-path="url(#b)"/><clipPath id="b" clip-path="url(#a)"/>', "itself"),
        (nested(6, 10), "must draw at most 5,000 elements"),
        (nested(12, 2), "must draw at most 5,000 elements"),
        (nested(30, 1), "nested at most 32 deep"),
    ],
)
def test_drawings_that_are_refused(body: str, reason: str) -> None:
    with pytest.raises(errors.FileError, match=reason) as caught:
        svg.pixels(icon(body), 16)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_limits_leave_room() -> None:
    """Ids that look like numbers or references, and colours of digits only."""
    names = '<linearGradient id="c99999999"/><clipPath id="Url"><path d="M0 0H4V8H0z"/></clipPath>'
    path = '<path fill="#999999" stroke="url( #c99999999 )" clip-path="url(#Url)" d="M0 0H4V8H0z"/>'
    seen = svg.pixels(icon(nested(4, 10) + names + path), 16)
    assert seen[8, 2].tolist() == [0x99] * 3


def test_the_process_that_draws_has_limits(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # a copy, which allows less time
    source = Path(_draw.__file__).read_text("utf-8")
    (tmp_path / "draw.py").write_text(re.sub("SECONDS = .*", "SECONDS = 0.1", source))
    monkeypatch.setattr(_draw, "__file__", str(tmp_path / "draw.py"))
    monkeypatch.setattr(svg, "_drawers", {})
    dashes = (
        '<circle r="99999" stroke="red" stroke-width="99999" stroke-linecap="round"'
        ' stroke-dasharray="1"/>'
    )
    panic = (
        '<g transform="scale(1e5)"><g transform="scale(99)"><path d="M0 0L36 36" stroke="red"'
        ' stroke-width="1e5" stroke-linecap="round" stroke-linejoin="round"/></g></g>'
    )
    for body, reason in (
        (dashes, "cannot be drawn (it needs too much memory or time)"),
        (panic, "cannot be drawn (resvg-py fails)"),
    ):
        with pytest.raises(errors.FileError) as caught:
            svg.pixels(icon(body), 16)
        assert str(caught.value) == reason
        assert (svg.pixels(icon(HALF), 16)[:, :8] == RED).all()  # the next is drawn
    assert capfd.readouterr() == ("", "")
    svg._drawer().close()
