"""Draw an SVG that may come from anyone: only what a plain drawing needs is passed on.

resvg-py, like every SVG library, can read files that a drawing names, and draws some drawings of a
few lines for minutes. So a drawing is parsed first, without a document type, and serialised again,
provided that all its elements and attributes are known, every reference stays inside it, and its
size is limited after every reference is followed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
    checked = drawing(icon, size)
    try:
        png = renderer().svg_to_bytes(
            svg_string=checked, width=size, height=size, skip_system_fonts=True
        )
    except ValueError as error:
        raise FileError(f"cannot be drawn ({' '.join(str(error).split())[:120]})") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of a library in Rust; it is no Exception
            raise
        raise FileError("cannot be drawn (resvg-py fails)") from error
    layer = Image.open(io.BytesIO(png)).convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return np.asarray(Image.alpha_composite(white, layer).convert("RGB"))


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
