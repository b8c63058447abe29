"""Captions in objects: structs of a table, and cells with the text of a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modalgap.data.cells import Cells, read_cells
from modalgap.data.columns import Captions
from modalgap.data.text import shown
from modalgap.errors import FileError

INNER = (
    "raw", "caption", "captions", "sentence", "sentences", "sentences_raw", "text", "texts",
    "value", "en",
)  # fmt: skip
LONGEST = 2**20  # maximum characters of a cell to parse
_OPENING = frozenset(["", "[", "(", "{", " ", "\t", "\n", "\r", "\x0b", "\x0c", "\xa0", "\u3000"])


def inner_key(names: Sequence[Any]) -> Any:
    """The first of the names that is a known key of captions, or None."""
    by_name = {str(name).lower(): name for name in reversed(names)}
    return next((by_name[name] for name in INNER if name in by_name), None)


def read_captions(
    values: Sequence[Any], how: Captions | None, what: str, rows: Sequence[str]
) -> Cells:
    """Read the captions in cells: text, lists, objects, and the text of lists and objects.

    Args:
        values: one per cell.
        how: "one" or "several", as the user specified; None detects it.
        what: name of the cells, for messages.
        rows: names of the rows, for messages.

    Raises:
        FileError: only some cells hold the text of a list or of an object, or an object has no
            known key.
    """
    if how != "several" and all(map(_plain, values)):
        return Cells([[value] for value in values])
    opened, note = _unnest(values, how, what)
    found = read_cells(opened, how, rows)
    return replace(found, note="; ".join(each for each in (note, found.note) if each))


def _plain(value: Any) -> bool:
    """Whether a cell is a caption, independent of other cells."""
    return type(value) is str and value[:1] not in _OPENING


def _unnest(values: Sequence[Any], how: Captions | None, what: str) -> tuple[list[Any], str]:
    """Replace objects in cells by their captions.

    Args:
        values: one per cell.
        how: "one" does not parse the text of an object.
        what: name of the cells, for messages.

    Returns:
        The cells, and a note if the text of objects was parsed.

    Raises:
        FileError: an object has no known key, or only some cells hold the text of an object.
    """
    found = [_inside(value, what) if isinstance(value, Mapping) else value for value in values]
    full = [i for i, value in enumerate(found) if isinstance(value, str) and value.strip()]
    if how == "one" or not any(found[i].lstrip()[0] == "{" for i in full):
        return found, ""
    parsed = {i: value for i in full if (value := _parsed(found[i])) is not None}
    if not parsed:
        return found, ""
    if len(parsed) < len(full):
        other = next(i for i in full if i not in parsed)
        raise FileError(
            f"--captions: must be one or several: {what}, row {next(iter(parsed))} holds an object"
            f" and row {other} does not"
        )
    for i, value in parsed.items():
        found[i] = _inside(value, what)
    return found, "cells hold objects with captions (--captions one reads each as one text)"


def _parsed(text: str) -> Mapping[str, Any] | None:
    text = text.strip()
    if text[0] != "{" or len(text) > LONGEST:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _inside(value: Mapping[str, Any], what: str) -> Any:
    key = inner_key(list(value))
    if key is None:
        keys = shown(", ".join(map(str, value))) or "none"
        raise FileError(f"{what}: objects must have a known key of captions; found {keys}")
    inside = value[key]
    return [inside] if isinstance(inside, Mapping) else inside
