"""Small look-alikes of emoji packages: the layout of Iconify's JSON packages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FACE = '<circle cx="{0}" cy="{0}" r="{0}" fill="{1}"/>'
CODES = {
    "grinning-face": "1f600",
    "red-heart": "2764-fe0f",
    "keycap-1": "0031-20e3",
    "firefighter": "1f9d1-200d-1f692",
    "woman-firefighter": "1f469-200d-1f692",
    "woman-firefighter-medium-dark-skin-tone": "1f469-1f3fe-200d-1f692",
    "man-firefighter-dark-skin-tone": "1f468-1f3ff-200d-1f692",
    "man-red-hair": "1f468-200d-1f9b0",
    "left-arrow": "2b05",
    "flag-cote-divoire": "1f1e8-1f1ee",
}
STYLES: Mapping[str, tuple[int, str, tuple[str, ...]]] = {  # side, colour, missing
    "noto": (128, "#ff0000", ("flag-cote-divoire",)),
    "twemoji": (36, "#00ff00", ()),
    "fluent-emoji-flat": (32, "#0000ff", ("keycap-1",)),
}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def package(folder: Path, style: str, **more: Any) -> Path:
    """Write the package of a style; ``more`` are further icons, by name, "-" written as "_"."""
    side, colour, missing = STYLES[style]
    names = {name: codes for name, codes in CODES.items() if name not in missing}
    icons: dict[str, Any] = {name: {"body": FACE.format(side / 2, colour)} for name in names}
    icons["left-arrow"] = {"body": f'<path fill="{colour}" d="M0 0H{side / 2}V{side}H0z"/>'}
    icons["old-face"] = {"body": FACE.format(side / 2, "black"), "hidden": True}
    icons |= {name.replace("_", "-"): each for name, each in more.items()}
    aliases = {
        "grin": {"parent": "grinning-face"},
        "right-arrow": {"parent": "left-arrow", "hFlip": True},
    }
    place = folder / "node_modules" / "@iconify-json" / style
    content = {"prefix": style, "icons": icons, "aliases": aliases, "width": side, "height": side}
    write(place / "icons.json", content)
    # the turned alias has code points in one style, and is found by its name in the others
    chars = {codes: name for name, codes in names.items()}
    write(place / "chars.json", chars | ({"27a1-fe0f": "right-arrow"} if style == "noto" else {}))
    categories = {"Smileys & Emotion": ["grinning-face"], "People & Body": ["firefighter"]}
    write(place / "metadata.json", {"categories": categories})
    author = {"name": f"The {style} | team", "url": "https://example.org"}
    write(place / "info.json", {"name": style, "author": author, "license": {"spdx": "MIT"}})
    write(place / "package.json", {"version": "1.0.0"})
    return place


def packages(folder: Path, *styles: str, more: int = 0) -> Path:
    """Write the packages of some styles, by default of all of ``STYLES``; ``more`` things."""
    for style in styles or STYLES:
        further = {f"thing_{i}": {"body": f'<rect width="{i % 9 + 3}" height="{i + 3}"/>'}
                   for i in range(more)}  # fmt: skip
        package(folder, style, **further)
    return folder


JOBS = ("1f33e", "1f373", "1f393", "1f3a8", "1f3eb", "1f3ed", "1f4bb", "1f527", "1f52c", "1f680")
PEOPLE = ("1f9d1", "1f468", "1f469")  # person, man, woman
TONES = {"": "#ffcc22", "-1f3fb": "#ffddbb", "-1f3fc": "#ddbb99", "-1f3fd": "#bb8866",
         "-1f3fe": "#886644", "-1f3ff": "#553322"}  # fmt: skip


def people(folder: Path) -> Path:
    """Packages of 180 people: ten professions, three genders, six tones, in three styles."""
    for style, (side, colour, _) in STYLES.items():
        place = package(folder, style)
        icons = json.loads((place / "icons.json").read_text())
        chars = json.loads((place / "chars.json").read_text())
        for i, job in enumerate(JOBS):
            for j, person in enumerate(PEOPLE):
                for k, (tone, skin) in enumerate(TONES.items()):
                    name = f"someone-{i}-{j}-{k}"
                    at = [side * (n + 1) / 16 for n in (i, 2 + 4 * j)]
                    body = FACE.format(side / 2, skin)
                    body += f'<rect x="{at[0]}" y="{at[1]}" width="{side / 4}" height="{side / 4}"'
                    icons["icons"][name] = {"body": f'{body} fill="{colour}"/>'}
                    chars[f"{person}{tone}-200d-{job}"] = name
        write(place / "icons.json", icons)
        write(place / "chars.json", chars)
    return folder
