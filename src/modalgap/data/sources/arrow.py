"""Read a table of typed columns as a source: select images, captions, labels and factors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.data.cells import Cells
from modalgap.data.classes import PLAIN
from modalgap.data.columns import NONE, Columns
from modalgap.data.factors import factors_of
from modalgap.data.labels import Labels, numbers, plain, read_labels, words
from modalgap.data.media import Chosen, Kind, Media
from modalgap.data.objects import read_captions
from modalgap.data.reading import column, fitting
from modalgap.data.source import Source
from modalgap.data.sources import names as known
from modalgap.data.sources.typed import (
    Typed,
    class_names,
    holds_bytes,
    holds_captions,
    holds_factor,
    holds_labels,
    holds_string,
)
from modalgap.data.text import shown
from modalgap.errors import FileError, OptionError

_PLAIN = (str, int, float, type(None))
STATUSES = frozenset(["success", "failed_to_download", "failed_to_resize"])


@dataclass
class _Choice:
    """The columns to read."""

    image: str | None = None
    texts: list[str] = field(default_factory=list)
    label: str | None = None
    notes: list[str] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def used(self) -> list[str | None]:
        return [self.image, self.label, *self.texts]


def read_typed(table: Typed, columns: Columns, what: str) -> Source:
    """Read the rows of a table of typed columns.

    Args:
        table: the table.
        columns: the columns to read.
        what: the kind of table, for the rule.

    Raises:
        FileError: neither a column of images nor one of captions, a column of a type that cannot
            be read, or labels without a class.
        OptionError: options that exclude each other.
    """
    if not len(table):
        raise FileError("must have at least one row; found none")
    choice = _choose(table, columns)
    if choice.image is None and not choice.texts:
        names = shown(", ".join(table.types), 300) or "none"
        raise FileError(f"must have a column of image bytes or captions; found {names}")
    rows = _Rows(table, choice)
    rows.drop_failed()
    if choice.image is not None:
        table.check(choice.image, holds_bytes, "the bytes of images")
        for row in table.nulls(choice.image):
            rows.drop(int(row), "no image: the cell is null")
    labels = rows.labels() if choice.label is not None else None
    cells = rows.captions(columns) if choice.texts else None
    return rows.source(labels, cells, columns, what)


class _Rows:
    """The selected rows, and the reasons for the others."""

    def __init__(self, table: Typed, choice: _Choice) -> None:
        self.table, self.choice = table, choice
        self.kept = np.ones(len(table), bool)
        self.missing: list[tuple[str, str]] = []
        named = _names(table)
        self.names = [f"{named[i]} (row {i})" if named else f"row {i}" for i in range(len(table))]

    def drop(self, row: int, reason: str) -> None:
        if self.kept[row]:
            self.kept[row] = False
            self.missing.append((self.names[row], reason))

    def drop_failed(self) -> None:
        """Remove the rows that img2dataset could not download."""
        types = self.table.types
        if "status" not in types or not holds_string(types["status"]):
            return
        found = self.table.values("status")
        if not set(found) <= {*STATUSES, None} or not set(found) & STATUSES:
            return
        errors: Sequence[Any] = [None] * len(found)
        if "error_message" in types and holds_factor(types["error_message"]):
            errors = self.table.values("error_message")
        for row, (status, error) in enumerate(zip(found, errors, strict=True)):
            if status != "success":
                self.drop(row, failure(status, error))

    def labels(self) -> Labels | None:
        """The labels of the rows; rows without a label are removed, unless no row has one."""
        name = self.choice.label or ""
        self.table.check(name, holds_labels, "labels")
        classes = class_names(self.table.features.get(name))
        values = self.table.values(name)
        if classes is None and numbers(values):  # the user selected this column
            self.choice.notes.append(f"column {name!r}: the classes are named by their numbers")
            values = [None if value is None else str(value) for value in plain(values)]
        rows = np.flatnonzero(self.kept)
        result = read_labels(
            [values[i] for i in rows],
            None if classes is None else words(classes),
            f"column {name!r}",
        )
        if not len(result.kept):
            why = f"column {name!r}: no row has a label"
            self.choice.notes.append(f"{why}; images are read without classes")
            self.choice.label = None
            return None
        for position, reason in result.missing:
            self.drop(int(rows[position]), reason)
        self.choice.notes += result.notes
        return result

    def captions(self, columns: Columns) -> Cells | None:
        """The captions of the selected rows, or None if there are none."""
        rows = np.flatnonzero(self.kept)
        texts: list[list[str]] = [[] for _ in rows]
        lost: list[tuple[int, str]] = []
        for name in self.choice.texts:
            self.table.check(name, holds_captions, "captions")
            values = self.table.values(name)
            what = f"column {name!r}"
            found = read_captions(
                [values[i] for i in rows],
                columns.captions,
                what,
                [self.names[i] for i in rows],
            )
            lost += found.lost
            for cell, more in zip(texts, found.texts, strict=True):
                cell += more
            self.choice.notes += [f"{what}: {found.note}"] if found.note else []
            if found.several and columns.captions is None and not found.note:
                self.choice.notes.append(f"{what} holds lists of captions")
        self.missing += [(f"{self.names[rows[i]]}, caption", reason) for i, reason in lost]
        if self.choice.image is not None and not any(texts):
            self.choice.notes.append("no row has a caption; images are read without captions")
            self.choice.texts = []
            return None
        return Cells(texts)

    def source(
        self, labels: Labels | None, cells: Cells | None, columns: Columns, what: str
    ) -> Source:
        table, choice = self.table, self.choice
        rows = np.flatnonzero(self.kept)
        factors, further = factors_of(_Lazy(table, rows), columns, choice.used)
        made = Source(
            name=table.name,
            texts=["-"],
            rule=_rule(choice, what),
            files=tuple(table.files),
            missing=tuple(self.missing),
            notes=tuple(choice.notes),
            unused=tuple(choice.unused),
            unused_columns=further,
        )
        if choice.image is None:
            cell_texts = cells.texts if cells is not None else []
            owner = [i for i, each in enumerate(cell_texts) for _ in each]
            each_text = {key: [value[i] for i in owner] for key, value in factors.items()}
            flat = [text for each in cell_texts for text in each]
            return replace(made, texts=flat, text_factors=each_text)
        kind = kind_of(choice.image, table.features)
        media: Media = table.cells(choice.image, self.names, kind)
        if len(rows) < len(table):
            media = Chosen(media, rows)
        made = replace(made, media=media, texts=None, factors=factors, modality=kind)
        if labels is not None:
            return replace(made, texts=labels.classes, labels=labels.labels, templates=PLAIN)
        if cells is None:
            return made
        return replace(
            made,
            texts=[text for each in cells.texts for text in each],
            text_to_image=np.repeat(np.arange(len(rows)), [len(each) for each in cells.texts]),
        )


class _Lazy(Mapping[str, Sequence[Any]]):
    """The columns that can be factors; a column is read on first access."""

    def __init__(self, table: Typed, rows: NDArray[np.int64]) -> None:
        self.table, self.rows = table, rows
        self.names = [name for name, kind in table.types.items() if holds_factor(kind)]

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.names:
            raise KeyError(name)
        self.table.check(name, holds_factor, "strings or numbers")
        values = self.table.values(name)
        classes = class_names(self.table.features.get(name))
        found = [values[i] for i in self.rows]
        if classes is not None:
            return [_class(value, classes) for value in found]
        return [value if isinstance(value, _PLAIN) else str(value) for value in found]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _rule(choice: _Choice, what: str) -> str:
    """The layout of the table, in a few words."""
    read = [*choice.texts[:1], *([choice.label] if choice.label is not None else [])]
    captions = " and ".join(repr(shown(name, 40)) for name in read)
    if len(choice.texts) > 1:
        captions += f" to {shown(choice.texts[-1], 40)!r}"
    if choice.image is None:
        return f"{what}, column {captions}"
    image = f"{what}, column {shown(choice.image, 40)!r}"
    return f"{image} with {captions}" if captions else image


def failure(status: object, error: object) -> str:
    """The reason why img2dataset has no image of a row."""
    summary = str(status) if status else "no status"
    return f"{summary}: {shown(str(error))}" if error else summary


def kind_of(name: str, features: Mapping[str, Mapping[str, Any]]) -> Kind:
    """The kind of items in a column of bytes."""
    typed = features.get(name, {}).get("_type")
    if typed is not None:
        return "audio" if typed == "Audio" else "image"
    return "audio" if name.strip().lower() in known.SOUNDS else "image"


def _class(value: Any, classes: Sequence[str]) -> str | None:
    number = isinstance(value, int) and 0 <= value < len(classes)
    return classes[value] if number else None


def _choose(table: Typed, columns: Columns) -> _Choice:
    """Select the columns by the options, the types and the known names."""
    types = {name: str(kind) for name, kind in table.types.items()}
    result = _Choice()
    holders = [name for name, kind in table.types.items() if holds_bytes(kind)]
    candidates = [name for name, kind in table.types.items() if holds_captions(kind)]
    images = columns.image
    result.image = fitting(
        types, holders, known.IMAGES, images, "the bytes of images", known.SURE_IMAGES
    )
    if result.image is None and images is None:
        result.image = next(iter(holders), None)
    several = known.numbered_images(holders)
    if images is None and result.image in several:
        listed = ", ".join(map(repr, several))
        raise OptionError(
            f"--image-column: must name one of {listed}, with --text-column its captions"
        )
    label = _label(table, columns)
    if columns.label not in (None, NONE) and columns.text not in (None, NONE):
        raise OptionError(
            "--label-column and --text-column: cannot be used together; use --factors"
        )
    if columns.label is None or columns.label == NONE:
        sure = known.SURE_CAPTIONS
        text = fitting(types, candidates, known.CAPTIONS, columns.text, "captions", sure)
        result.texts = [text] if text is not None else []
        if text is None and columns.text is None:
            result.texts = known.numbered_captions(candidates)
    if label is not None and not result.texts:
        result.label = label if result.image is not None else None
    elif label is not None and result.image is not None:
        shown_label = shown(label, 60)
        result.notes.append(
            f"column {shown_label!r} holds classes too; captions are read (--label-column"
            f" {shown_label} reads the classes, --factors {shown_label} keeps them too)"
        )
    result.unused += [
        (
            f"column {shown(name, 60)}",
            "another column of bytes"
            if name in holders
            else f"a column of an unsupported type: {shown(types[name], 60)}",
        )
        for name, kind in table.types.items()
        if name not in result.used and not holds_factor(kind)
    ]
    addresses = column(list(types), known.ADDRESSES, None, "addresses")
    if result.image is None and images is None and addresses is not None:
        result.notes.append(f"column {addresses!r} holds URLs of images, which are not downloaded")
    return result


def _label(table: Typed, columns: Columns) -> str | None:
    """The column of classes: the selected one, a ClassLabel, or a column with a known name."""
    fit = [name for name, kind in table.types.items() if holds_labels(kind)]
    types = {name: str(kind) for name, kind in table.types.items()}
    if columns.label is not None:
        return fitting(types, fit, (), columns.label, "labels", ())
    typed = [name for name in fit if class_names(table.features.get(name)) is not None]
    named = [name for name in fit if holds_string(table.types[name])]
    first = column(typed, known.LABELS, None, "labels") or next(iter(typed), None)
    return first or column(named, known.LABELS, None, "labels")


def _names(table: Typed) -> list[str]:
    plain = [name for name, kind in table.types.items() if holds_string(kind)]
    key = column(plain, known.KEYS, None, "keys")
    return ["" if value is None else str(value) for value in table.values(key)] if key else []
