"""The README of a data set of emoji: authors and licences, as the licences ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modalgap.data.emoji.packages import Package

SPLITS = {
    "train": "images to train on",
    "test": "things that are not in train, in its styles",
    "style": "things of train, in a style that is not in train",
    "test_style": "things that are not in train, in that style",
}


def card(
    packages: Sequence[Package], counts: Mapping[str, int], settings: Mapping[str, Any]
) -> str:
    """The text of the README.

    Args:
        packages: the packages that were read.
        counts: number of images of each split.
        settings: of the data set.
    """
    size = settings["size"]
    lines = [
        "# Emoji",
        "",
        f"Images of emoji, drawn at {size} x {size} pixels on white by `modalgap data emoji`.",
        "Each style has the licence of its authors; keep this table when you pass the images on.",
        "",
        "| style | authors | licence | origin | package |",
        "|---|---|---|---|---|",
        *(
            f"| {_cell(each.title)} | {_cell(each.author)} | {_cell(each.licence)} |"
            f" {_cell(each.home)} | @iconify-json/{each.style} {_cell(each.version)} |"
            for each in packages
        ),
        "",
        "| split | images | content |",
        "|---|---|---|",
        *(f"| {name} | {counts[name]} | {text} |" for name, text in SPLITS.items() if counts[name]),
        "",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain.replace("|", "\\|").replace("<", "&lt;")
