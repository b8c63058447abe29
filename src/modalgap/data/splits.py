"""Splits: rows of a table and folders with the name of a split; mixed only if the user says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modalgap.data.cells import is_null
from modalgap.errors import OptionError, quoted

SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
ALSO = ("restval", "trainval", "minival", "all")  # in columns
SPLIT_COLUMN = "split"
ALL = "all"


def has_column(table: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a table has a column of splits."""
    return any(each.lower() == SPLIT_COLUMN for each in table)


def rows_of_split(
    table: Mapping[str, Sequence[Any]], split: str | None, name: str
) -> tuple[list[int] | None, str]:
    """Select the rows of one split, of several joined with "+", or of all.

    Args:
        table: name to one value per row.
        split: the split to read; None if the user did not select one.
        name: name of the table, for messages.

    Returns:
        The rows, None for all of them; and a note on the selection.

    Raises:
        OptionError: the table has several splits and none is selected, or not the selected one.
    """
    column = next((each for each in table if each.lower() == SPLIT_COLUMN), None)
    if column is None:
        if split is not None:
            raise OptionError(f"--split: {name} has none; got {quoted(split)}")
        return None, ""
    values = ["" if is_null(value) else str(value).strip() for value in table[column]]
    there = list(dict.fromkeys(value for value in values if value))
    named = bool(there) and all(each.lower() in (*SPLITS, *ALSO) for each in there)
    if split is None and (len(there) < 2 or not named):
        return None, f"all rows belong to split {there[0]!r}" if named else ""
    wanted = _wanted(split, there, name)
    rows = [row for row, value in enumerate(values) if value in wanted]
    return rows, f"split {split}: {len(rows):,} of {len(values):,} rows"


@dataclass(frozen=True)
class Chosen:
    """The files of a folder that belong to the selected split.

    Attributes:
        outside: names of the files in folders of other splits.
        base: the folder of the split, with a slash at its end; "" if there are several.
        note: message about the selection; "" if no folders are splits.
        places: the folders of all splits, with slashes at their ends.
    """

    outside: set[str] = field(default_factory=set)
    base: str = ""
    note: str = ""
    places: tuple[str, ...] = ()

    def stray(self, media: Sequence[str]) -> set[str]:
        """The images and sounds outside the folders of splits, if there are such folders."""
        if not self.places:
            return set()
        return {name for name in media if not name.startswith(self.places)}


def choose(names: Sequence[str], media: Sequence[str], split: str | None, folder: str) -> Chosen:
    """Select the files of one split, of several joined with "+", or of all.

    Folders are splits if at least two in one folder have names of splits and hold media, such as
    ``x/train`` and ``x/val``; one such folder is a split if there are no other files.

    Args:
        names: names of files, relative to ``folder``.
        media: those that are images or sounds.
        split: the split to read; None if the user did not select one.
        folder: name of the folder, for messages.

    Raises:
        OptionError: there are several splits and none is selected, or not the selected one.
    """
    found: dict[str, list[str]] = {}
    for name in media:
        parts = name.split("/")[:-1]
        for depth, part in enumerate(parts):
            if part.lower() in SPLITS:
                inside = found.setdefault("/".join([*parts[:depth], ""]), [])
                if part not in inside:
                    inside.append(part)
    places = {place: inside for place, inside in found.items() if len(inside) > 1}
    there = list(dict.fromkeys(each for inside in places.values() for each in inside))
    if not there:
        only = found.get("", [""])[0]
        alone = bool(only) and all(name.startswith(f"{only}/") for name in media)
        if not alone:
            return Chosen()
        if split is not None:
            _wanted(split, [only], folder)
        return Chosen(base=f"{only}/", note=f"split {only} is the only one")
    wanted = _wanted(split, there, folder, next(iter(places)))
    others = tuple(
        f"{place}{each}/"
        for place, inside in places.items()
        for each in inside
        if each not in wanted
    )
    outside = {name for name in names if others and name.startswith(others)}
    base = f"{next(iter(places))}{wanted[0]}/" if len(places) == len(wanted) == 1 else ""
    rest = ", ".join(each for each in there if each not in wanted)
    note = f"split {split}; others: {rest}" if rest else f"splits {split} together"
    kept = tuple(f"{place}{each}/" for place, inside in places.items() for each in inside)
    return Chosen(outside, base, note, kept)


def _wanted(split: str | None, there: Sequence[str], name: str, place: str = "") -> list[str]:
    """The splits that the user selected.

    Raises:
        OptionError: none is selected, or one does not exist.
    """
    if split is None:
        where = f" in {place}" if place else ""
        raise OptionError(
            f"--split: {name} holds {', '.join(there)}{where}; select one, or"
            f" {'+'.join(there[:2])}, or {ALL}"
        )
    if split in there:
        return [split]
    if split == ALL:
        return list(there)
    wanted = [each.strip() for each in re.split("[+,]", split)]
    for each in wanted:
        if each not in there:
            raise OptionError.unknown(f"split of {name}", each[:100], there)
    return wanted
