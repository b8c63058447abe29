"""Draw an SVG that may come from anyone: only what a plain drawing needs is passed on.

resvg-py, like every SVG library, can read files that a drawing names, and draws some drawings of a
few lines for minutes. So a drawing is parsed first, without a document type, and serialised again,
provided that all its elements and attributes are known, every reference stays inside it, and its
size is limited after every reference is followed. A child process with limits (``_draw``) draws it.
"""

from __future__ import annotations

import atexit
import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modalgap.data.emoji import _draw
from modalgap.data.emoji.packages import Icon
from modalgap.errors import FileError, quoted
from modalgap.extras import import_extra

LONGEST = 2**20  # characters; the longest picture of the usual styles has 172,613
MOST = 5_000  # elements after references are followed; at most 520 in the usual styles
DEEPEST = 32  # at most 7 in the usual styles
LARGEST, FARTHEST = 1e5, 1e7  # numbers in an attribute, and products of them in transforms
LIMITS = {"stdDeviation": 100.0, "gradientTransform": 1e7}
WITHOUT_NUMBERS = frozenset(["id", "class", "in", "in2", "result"])
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_ELEMENTS = """
    svg g path circle ellipse rect line polygon polyline use defs symbol clipPath mask title desc
    linearGradient radialGradient stop
    filter feBlend feColorMatrix feFlood feGaussianBlur feOffset feMerge feMergeNode feComposite
"""
_ATTRIBUTES = """
    id class d points x y x1 x2 y1 y2 cx cy r rx ry fx fy fr dx dy width height viewBox transform
    preserveAspectRatio href offset opacity color fill fill-opacity fill-rule stroke
    stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit
    stroke-opacity stroke-width stop-color stop-opacity flood-color flood-opacity clip-path
    clip-rule mask mask-type paint-order gradientTransform gradientUnits spreadMethod
    clipPathUnits maskUnits maskContentUnits display visibility overflow filter filterUnits
    primitiveUnits color-interpolation-filters in in2 result mode type values stdDeviation
    operator k1 k2 k3 k4
"""
ELEMENTS, ATTRIBUTES = frozenset(_ELEMENTS.split()), frozenset(_ATTRIBUTES.split())
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_CALL = re.compile(r"url\s*\(", re.IGNORECASE)
_NAME = re.compile(r"#[\w.:-]+")
_URL = re.compile(r"url\(([^()]*)\)", re.IGNORECASE)  # one choice per character: no backtracking

for _prefix, _space in (("", SVG), ("xlink", XLINK)):
    ElementTree.register_namespace(_prefix, _space)


def renderer() -> ModuleType:
    """Import resvg-py.

    Raises:
        InputError: it is not installed.
    """
    found: ModuleType = import_extra("resvg_py", "emoji", "emoji")
    return found


def pixels(icon: Icon, size: int) -> NDArray[np.uint8]:
    """(size, size, 3) RGB pixels of a picture on white, centred.

    Args:
        icon: the picture.
        size: pixels per side.

    Raises:
        FileError: it is not a plain drawing.
    """
    drawn, data = _drawer().draw(drawing(icon, size), size)
    if not drawn:
        raise FileError(f"cannot be drawn ({data.decode()})")
    layer = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return np.asarray(Image.alpha_composite(white, layer).convert("RGB"))


class _Drawer:
    """A child process that draws, until this process ends; a new one starts if it has ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def draw(self, svg: str, size: int) -> tuple[bool, bytes]:
        """Whether it was drawn, and its PNG or the reason."""
        if self._child is None:
            command = [sys.executable, "-P", str(Path(_draw.__file__))]
            self._child = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # panics of the library
            )
        try:
            return _exchange(self._child, svg.encode(), size)
        except BaseException as error:  # the answer may be incomplete, also after Ctrl-C
            self.close()
            if isinstance(error, EOFError | BrokenPipeError):
                return False, b"it needs too much memory or time"
            raise

    def close(self) -> None:
        """End the child process."""
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()
            with suppress(OSError):  # what was not sent
                child.communicate()


def _exchange(child: subprocess.Popen[bytes], svg: bytes, size: int) -> tuple[bool, bytes]:
    """Send a drawing and read the answer.

    Raises:
        EOFError: the child process has ended.
    """
    assert child.stdin is not None  # noqa: S101 - both are pipes
    assert child.stdout is not None  # noqa: S101
    child.stdin.write(_draw.REQUEST.pack(size, len(svg)) + svg)
    child.stdin.flush()
    head = child.stdout.read(_draw.ANSWER.size)
    if len(head) < _draw.ANSWER.size:
        raise EOFError
    drawn, length = _draw.ANSWER.unpack(head)
    data = child.stdout.read(length)
    if len(data) < length:
        raise EOFError
    return drawn, data


_drawers: dict[int, _Drawer] = {}  # by process: one that was forked must have its own


def _drawer() -> _Drawer:
    if os.getpid() not in _drawers:
        _drawers[os.getpid()] = _Drawer()
    return _drawers[os.getpid()]


def drawing(icon: Icon, size: int) -> str:
    """The checked SVG of a picture, for a square of ``size`` pixels.

    Raises:
        FileError: it is not a plain drawing.
    """
    if len(icon.body) > LONGEST:
        raise FileError(f"must have at most {LONGEST:,} characters; has {len(icon.body):,}")
    try:
        # inside an element no document type is allowed, and thus no entity
        root = ElementTree.fromstring(  # noqa: S314
            f'<svg xmlns="{SVG}" xmlns:xlink="{XLINK}">{_turned(icon)}</svg>'
        )
    except (ElementTree.ParseError, UnicodeError, ValueError) as error:
        raise FileError(f"must be SVG ({' '.join(str(error).split())[:120]})") from error
    _check(root)
    left, top, width, height = icon.box
    if icon.turned[2] % 2:
        left, top = left + (width - height) / 2, top + (height - width) / 2
        width, height = height, width
    root.set("viewBox", f"{left:g} {top:g} {width:g} {height:g}")
    root.set("width", str(size))
    root.set("height", str(size))
    return ElementTree.tostring(root, encoding="unicode")


def _turned(icon: Icon) -> str:
    """The body, flipped and rotated around the middle of its view."""
    across, down, turns = icon.turned
    if not (across or down or turns):
        return icon.body
    left, top, width, height = icon.box
    x, y = left + width / 2, top + height / 2
    steps = f"rotate({90 * turns}) scale({-1 if across else 1} {-1 if down else 1})"
    return f'<g transform="translate({x:g} {y:g}) {steps} translate({-x:g} {-y:g})">{icon.body}</g>'


def _check(root: ElementTree.Element) -> None:
    """Check the elements, the attributes and the references of a drawing.

    Raises:
        FileError: one is not allowed.
    """
    named: dict[str, ElementTree.Element] = {}
    for number, element in enumerate(root.iter()):
        if number == MOST:
            raise FileError(f"must have at most {MOST:,} elements")
        space, _, tag = str(element.tag).rpartition("}")
        if space != f"{{{SVG}" or tag not in ELEMENTS:
            raise FileError(f"must be a plain drawing; it has the element {quoted(tag)[:40]}")
        for key, value in element.attrib.items():
            name = key.removeprefix(f"{{{XLINK}}}")
            if name not in ATTRIBUTES:
                raise FileError(f"must be a plain drawing; it has {quoted(name)[:40]}")
            for target in _references(name, value):
                if not target.startswith("#"):
                    raise FileError(f"must not refer to files; refers to {quoted(target)[:60]}")
            limit = LIMITS.get(name, LARGEST)
            if name not in WITHOUT_NUMBERS and _largest(value) > limit:
                raise FileError(f"{name}: its numbers must be at most {limit:g}")
        if label := element.get("id"):
            named.setdefault(label, element)
    _extent(root, named, {}, 0)


def _references(name: str, value: str) -> list[str]:
    found = [match[1].strip().strip("'\"").strip() for match in _URL.finditer(value)]
    if len(_CALL.findall(value)) > len(found):
        found = [value]  # in a form that is not understood
    return [value.strip()] if name == "href" else found


def _largest(value: str) -> float:
    """The largest magnitude of the numbers in an attribute, apart from colours and names."""
    return max((float(each) for each in _NUMBER.findall(_NAME.sub("", value))), default=0.0)


@dataclass(frozen=True)
class _Extent:
    """What an element draws, with all that it refers to.

    Attributes:
        count: number of elements; 0 while they are counted.
        depth: levels of nesting.
        stretch: limit of the factor by which transforms enlarge it.
    """

    count: int = 0
    depth: int = 0
    stretch: float = 1.0


def _extent(
    element: ElementTree.Element,
    named: Mapping[str, ElementTree.Element],
    known: dict[ElementTree.Element, _Extent],
    depth: int,
) -> _Extent:
    """The extent of an element.

    Raises:
        FileError: it is too large, or refers to itself.
    """
    if element in known:
        if not known[element].count:
            raise FileError("must not refer to itself")
        return known[element]
    if depth > DEEPEST:
        raise FileError(f"must be nested at most {DEEPEST} deep")
    known[element] = _Extent()
    below = list(element)
    for key, value in element.attrib.items():
        targets = _references(key.removeprefix(f"{{{XLINK}}}"), value)
        below += [named[each[1:]] for each in targets if each[1:] in named]
    inside = [_extent(each, named, known, depth + 1) for each in below]
    own = max(1.0, _largest(element.get("transform", "")))
    found = _Extent(
        count=1 + sum(each.count for each in inside),
        depth=1 + max((each.depth for each in inside), default=0),
        stretch=own * max((each.stretch for each in inside), default=1.0),
    )
    if found.count > MOST:
        raise FileError(f"must draw at most {MOST:,} elements, with those that it refers to")
    if found.depth > DEEPEST:
        raise FileError(f"must be nested at most {DEEPEST} deep")
    if found.stretch > FARTHEST:
        raise FileError(f"transforms must enlarge it at most {FARTHEST:g} times")
    known[element] = found
    return found
