"""Read the pictures of emoji packages: Iconify's JSON, one package per style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalgap.data.emoji.names import words_of
from modalgap.data.media import read_file
from modalgap.data.reading import load_json, reading
from modalgap.errors import FileError, InputError, OptionError, quoted

USUAL = ("noto", "twemoji", "openmoji", "fluent-emoji-flat")
STYLES = (
    *USUAL,
    "noto-v1",
    "fluent-emoji",
    "fluent-emoji-high-contrast",
    "fxemoji",
    "emojione",
    "emojione-v1",
    "emojione-monotone",
)
PLACES = ("node_modules/@iconify-json", "@iconify-json", ".")
SIDE = 16  # Iconify's default width and height of an icon
TURNS = ("hFlip", "vFlip", "rotate")
DEEPEST = 8  # aliases of aliases


@dataclass(frozen=True, kw_only=True)
class Icon:
    """One picture as its package describes it.

    Attributes:
        style: the package without its scope.
        name: its name in the package.
        codes: its code points in hexadecimal, joined by "-"; empty if unknown.
        category: of the package; empty if unknown.
        body: the inside of an SVG element.
        box: left, top, width and height of the view.
        turned: horizontal flip, vertical flip, and quarter turns to the right.
    """

    style: str
    name: str
    codes: str
    category: str
    body: str
    box: tuple[float, float, float, float]
    turned: tuple[bool, bool, int] = (False, False, 0)


@dataclass(frozen=True, kw_only=True)
class Package:
    """The pictures of one style.

    Attributes:
        style: its name, for instance "noto".
        title, author, licence, home: as the package states them; "not stated" otherwise.
        version: of the package.
        icons: its pictures, sorted by name.
        hidden: number of pictures that the package hides, because newer ones replace them.
    """

    style: str
    title: str
    author: str
    licence: str
    home: str
    version: str
    icons: tuple[Icon, ...]
    hidden: int


def npm(styles: Sequence[str] = USUAL) -> str:
    """The command that fetches the packages of styles."""
    return "npm install " + " ".join(f"@iconify-json/{style}" for style in styles)


def packages(folder: Path, styles: Sequence[str] | None = None) -> tuple[Package, ...]:
    """Read the packages under a folder.

    Args:
        folder: the folder in which ``npm install`` ran, its ``node_modules``, or a folder with one
            folder per style.
        styles: the styles to read; by default every one of ``STYLES`` that is there.

    Raises:
        OptionError: an unknown style, or one twice.
        InputError: a style that is selected, or every style, is missing; the message has the
            command that installs it.
        FileError: a package is damaged.
    """
    for style in styles or ():
        if style not in STYLES:
            raise OptionError.unknown("style", str(style), STYLES)
    if styles is not None and (not styles or len(set(styles)) < len(styles)):
        raise OptionError(f"styles: must be distinct, at least one; got {quoted(list(styles))}")
    if not folder.is_dir():
        raise FileError(f"{folder}: must be a folder of emoji packages; make one with: {npm()}")
    there = {style: place for style in STYLES if (place := _place(folder, style)) is not None}
    lost = [style for style in styles or () if style not in there]
    if lost or not there:
        wanted = lost or USUAL
        raise InputError(f"{folder}: has no package of {', '.join(wanted)}: {npm(wanted)}")
    return tuple(_package(there[style], style) for style in styles or there)


def _place(folder: Path, style: str) -> Path | None:
    candidates = (folder / place / style for place in PLACES)
    return next((each for each in candidates if (each / "icons.json").is_file()), None)


def _package(folder: Path, style: str) -> Package:
    path = folder / "icons.json"
    codes, category = _codes(folder / "chars.json"), _categories(folder / "metadata.json")
    with reading(str(path)):
        found = _json(path)
        icons, aliases = (_mapping(found.get(key, {}), key) for key in ("icons", "aliases"))
        size = {key: found[key] for key in ("left", "top", "width", "height") if key in found}
        whole = {name: _resolved(name, icons, aliases, 0) for name in (*icons, *aliases)}
        # an alias is another name of a picture, unless it turns it
        kept = sorted(
            name
            for name, each in whole.items()
            if not each.get("hidden") and (name in icons or any(key in each for key in TURNS))
        )
        if not kept:
            raise FileError("must hold at least one icon; found none")
        if odd := [name for name in kept if not name.strip() or not name.isprintable()]:
            raise FileError(f"names of icons must be printable; got {odd[0]!a}"[:120])
        pictures = tuple(
            Icon(
                style=style,
                name=name,
                codes=codes.get(name, ""),
                category=category.get(name, ""),
                body=str(whole[name]["body"]),
                box=_box({**size, **whole[name]}, name),
                turned=_turned(whole[name], name),
            )
            for name in kept
        )
    info = _optional(folder / "info.json")
    author, licence = (value if isinstance(value := info.get(key), dict) else {}
                       for key in ("author", "license"))  # fmt: skip
    return Package(
        style=style,
        title=_stated(info.get("name")),
        author=_stated(author.get("name")),
        licence=_stated(licence.get("spdx")),
        home=_stated(author.get("url")),
        version=_stated(_optional(folder / "package.json").get("version")),
        icons=pictures,
        hidden=sum(bool(whole[name].get("hidden")) for name in icons),
    )


def _resolved(
    name: str, icons: Mapping[str, Any], aliases: Mapping[str, Any], depth: int
) -> dict[str, Any]:
    """The settings of an icon or an alias, with those of its parents."""
    if name in icons:
        own = _mapping(icons[name], f"icon {quoted(name)}")
        if not isinstance(own.get("body"), str):
            raise FileError(f"icon {quoted(name)}: its body must be a string")
        return dict(own)
    own = _mapping(aliases.get(name), f"alias {quoted(name)}")
    if depth == DEEPEST or not isinstance(own.get("parent"), str):
        raise FileError(f"alias {quoted(name)}: must have a parent that is an icon")
    above = _resolved(own["parent"], icons, aliases, depth + 1)
    made = {**above, **{key: value for key, value in own.items() if key not in TURNS}}
    for key in ("hFlip", "vFlip"):
        if key in own:
            made[key] = bool(above.get(key)) ^ bool(own[key])
    if "rotate" in own:
        made["rotate"] = int(above.get("rotate", 0)) + int(own["rotate"])
    return made


def _box(icon: Mapping[str, Any], name: str) -> tuple[float, float, float, float]:
    left, top = (_number(icon.get(key, 0), name, key) for key in ("left", "top"))
    width, height = (_number(icon.get(key, SIDE), name, key) for key in ("width", "height"))
    if not (1e-3 <= width <= 1e5 and 1e-3 <= height <= 1e5) or max(abs(left), abs(top)) > 1e5:
        raise FileError(f"icon {quoted(name)}: has a view of {width:g} x {height:g}")
    return left, top, width, height


def _turned(icon: Mapping[str, Any], name: str) -> tuple[bool, bool, int]:
    turns = int(_number(icon.get("rotate", 0), name, "rotate")) % 4
    return bool(icon.get("hFlip")), bool(icon.get("vFlip")), turns


def _number(value: object, name: str, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FileError(f"icon {quoted(name)}: {key} must be a number; got {quoted(value)}")
    return float(value)


def _codes(path: Path) -> dict[str, str]:
    """Name to code points, without the variation selector and leading zeros.

    If several code points have the same picture, the one that Unicode assigns is used.
    """
    found: dict[str, list[str]] = {}
    with reading(str(path)):
        for text, name in _optional(path).items():
            points = [f"{int(each, 16):x}" for each in text.split("-")]
            found.setdefault(str(name), []).append("-".join(p for p in points if p != "fe0f"))
    return {
        name: min(each, key=lambda codes: (is_private(codes), len(codes), codes))
        for name, each in found.items()
    }


def is_private(codes: str) -> bool:
    """Whether code points are in an area that Unicode leaves to each font."""
    return any(0xE000 <= int(p, 16) <= 0xF8FF or int(p, 16) >= 0xF0000 for p in codes.split("-"))


def _categories(path: Path) -> dict[str, str]:
    """Name to category."""
    with reading(str(path)):
        listed = _mapping(_optional(path).get("categories", {}), "categories")
        return {
            str(name): words_of(category) for category, names in listed.items() for name in names
        }


def _optional(path: Path) -> Mapping[str, Any]:
    """The mapping in a JSON file; empty if there is no such file."""
    if not path.is_file():
        return {}
    with reading(str(path)):
        return _json(path)


def _json(path: Path) -> Mapping[str, Any]:
    read_file(path) if not path.is_file() else None  # raises for a pipe or a device
    return _mapping(load_json(path), "the file")


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FileError(f"{what} must be a mapping; found {type(value).__name__}")
    return value


def _stated(value: object) -> str:
    fits = isinstance(value, str) and value.strip() and value.isprintable()
    return str(value) if fits else "not stated"
