"""A figure as SVG inside a page: coloured by the page's CSS variables, with ids of its own."""

from __future__ import annotations

import io
import re
import warnings
from xml.etree import ElementTree

from matplotlib.figure import Figure

from modalgap.report.palette import style, to_variables

NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline(figure: Figure, name: str, label: str) -> str:
    """The ``<svg>`` element of a figure drawn in stand-in colours.

    Args:
        figure: drawn with ``STAND_IN``.
        name: prefix of every id, so that two figures in one page never share one.
        label: what a screen reader says.
    """
    root = ElementTree.fromstring(to_svg(figure, name))  # noqa: S314 - our own drawing
    used = _references(root)
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or _bare(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = _bare(element.tag)
        attributes = {_bare(key): value for key, value in element.attrib.items()}
        if attributes.get("id") in used:
            attributes["id"] = f"{name}-{attributes['id']}"
        else:
            attributes.pop("id", None)
        if "href" in attributes:
            attributes["href"] = f"#{name}-{attributes['href'][1:]}"
        for key, value in attributes.items():
            if "url(#" in value:
                attributes[key] = _REFERENCE.sub(rf"url(#{name}-\1)", value)
        if element.tag == "text" and "style" in attributes:
            attributes["style"] = _page_font(attributes["style"])
        element.attrib.clear()
        element.attrib.update(attributes)
        _share_style(element)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return to_variables(ElementTree.tostring(root, encoding="unicode"))


def to_svg(figure: Figure, salt: str) -> str:
    """The figure as a whole SVG document, the same for the same figure."""
    buffer = io.StringIO()
    with style(salt), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    return buffer.getvalue()


def _references(root: ElementTree.Element) -> set[str]:
    found = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if _bare(key) == "href":
                found.add(value[1:])
            found |= set(_REFERENCE.findall(value))
    return found


def _share_style(element: ElementTree.Element) -> None:
    """Points of one cloud carry one style: say it once, on their group."""
    points = [child for child in element if _bare(child.tag) == "use"]
    styles = {child.get("style") for child in points}
    if len(points) > 1 and len(points) == len(element) and len(styles) == 1:
        (shared,) = styles
        if shared is not None:
            element.set("style", shared)
            for child in points:
                child.attrib.pop("style")


def _page_font(css: str) -> str:
    """Size and weight as drawn; the family is the page's."""
    css = re.sub(r"font: (?:(\w+) )?([\d.]+px) [^;]+", _long, css)  # matplotlib before 3.10
    return re.sub(r"font-family: [^;]+;? ?", "", css)


def _long(found: re.Match[str]) -> str:
    weight = f"font-weight: {found[1]}; " if found[1] else ""
    return f"{weight}font-size: {found[2]}"


def _bare(name: str) -> str:
    return name.rpartition("}")[2]
