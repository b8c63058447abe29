"""Cells of a column of captions: one caption per cell, or a list of captions.

A list is a value of a list type, or text that is a JSON list, a Python list or tuple, or a NumPy
array as ``print`` shows it. Nothing is evaluated.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modalgap.data.columns import Captions
from modalgap.data.text import full_lines
from modalgap.errors import FileError

NO_CAPTION = "no caption"
RAW = ("raw", "caption", "text", "sentence")  # fields of a caption that is a mapping
_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_ITEM = re.compile(rf"{_STRING}|None|null|nan", re.DOTALL)
_BETWEEN = re.compile(r"\s*,\s*|\s+")


@dataclass(frozen=True)
class Cells:
    """The captions of each row.

    Attributes:
        texts: one list of captions per row.
        lost: row number and reason, for rows or items of their lists without a caption.
        several: whether cells were read as lists.
        note: message about a detected format; empty if none was detected.
    """

    texts: list[list[str]] = field(default_factory=list)
    lost: list[tuple[int, str]] = field(default_factory=list)
    several: bool = False
    note: str = ""


def read_cells(
    values: Sequence[Any], how: Captions | None, rows: Sequence[str] | None = None
) -> Cells:
    """The captions in the cells of one column.

    Args:
        values: strings, lists of strings, lists of mappings that hold a string, or nulls.
        how: "one" or "several", as the user specified; None detects it: lists if the type is a
            list type, or if every cell that is not empty is the text of a list.
        rows: names of the rows, for messages.

    Raises:
        FileError: only some cells hold the text of a list, and ``how`` is None.
    """
    lists: dict[int, list[Any]] = {}
    plain = None
    for number, value in enumerate(values):
        if how == "one" or not isinstance(value, str) or not value.strip():
            continue
        found = list_of(value)
        if found is not None:
            lists[number] = found
        elif plain is None:
            plain = number
    if lists and plain is not None and how is None:
        names = rows or [f"row {number}" for number in range(len(values))]
        raise FileError(
            f"--captions: must be one or several: {names[next(iter(lists))]} holds a list and"
            f" {names[plain]} does not"
        )
    texts: list[list[str]] = []
    lost: list[tuple[int, str]] = []
    typed = False
    for number, value in enumerate(values):
        each = lists.get(number, value)
        typed |= each is value and _is_list(each)
        items = list(each) if _is_list(each) else [each]
        if isinstance(each, str) and how == "several":
            items = list(full_lines(each)) or [each]
        kept = [_caption(item) for item in items]
        lost += [(number, why) for _, why in kept if why]
        if _is_list(each) and not items:
            lost.append((number, NO_CAPTION))
        found = [text for text, why in kept if not why]
        texts.append([" ".join(found)] if how == "one" and len(found) > 1 else found)
    note = "cells hold lists of captions (--captions one reads each as one text)" if lists else ""
    several = how == "several" or (how is None and (typed or bool(lists)))
    return Cells(texts, lost, several, note if how is None else "")


def list_of(text: str) -> list[Any] | None:
    """The strings of a list that is written as text, or None if the text is not a list."""
    text = text.strip()
    if text[:1] + text[-1:] not in ("[]", "()") or len(text) < 2:
        return None
    if text[0] == "[":
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return found if all(each is None or isinstance(each, str) for each in found) else None
    return _written(text[1:-1].strip())


def is_null(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, or text of white space."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _written(inside: str) -> list[Any] | None:
    """The items of a Python list (with commas) or of a NumPy array (without), not of a mixture.

    Python itself would join two strings that no comma separates.
    """
    items: list[Any] = []
    commas: set[bool] = set()
    at = 0
    while at < len(inside):
        item = _ITEM.match(inside, at)
        if item is None:
            return None
        items.append(_literal(item[0]))
        between = _BETWEEN.match(inside, item.end())
        if between is None:
            at = item.end()
            break
        at = between.end()
        if at < len(inside):
            commas.add("," in between[0])
    return items if at == len(inside) and len(commas) < 2 else None


def _literal(text: str) -> str | None:
    if text[0] not in "'\"":
        return None
    if "\\" not in text:
        return text[1:-1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unknown escapes
            return str(ast.literal_eval(text.replace("\r", "\\r").replace("\n", "\\n")))
    except (ValueError, SyntaxError):
        return text[1:-1]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def _caption(value: Any) -> tuple[str, str]:
    """A caption and "", or "" and the reason why there is none."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in RAW if key in value), None)
    if is_null(value):
        return "", NO_CAPTION
    return (value, "") if isinstance(value, str) else ("", "its caption is not a text")
