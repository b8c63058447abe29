"""The cells of a zoo: which models are evaluated on which data sets."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from modalgap import checks
from modalgap.arguments import checked
from modalgap.data.find import check_exists, named
from modalgap.encode.registry import expand_model
from modalgap.errors import FileError, InputError, OptionError, quoted
from modalgap.zoo.csv_file import read_csv

NEEDED = ("model", "data")


@checked
@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model on one data set.

    Attributes:
        model: LIBRARY:MODEL, as for ``encode``.
        data: a path of any kind, or the name of a data set, as for ``encode``.
        name: the name of the data in tables; by default that of the data set or of the file, with
            the split.
        split: as for ``modalgap.data.read``.
        root: as for ``modalgap.data.read``.
        limit: number of items of a random sample; all by default.
        template: a sentence with ``{}`` for the class name, or "imagenet".
        label_column: as for ``modalgap.data.read``.
    """

    model: str
    data: str
    name: str = ""
    split: str | None = None
    root: str | None = None
    limit: int | None = None
    template: str | None = None
    label_column: str | None = None

    @property
    def label(self) -> str:
        """The name of the data in tables."""
        if self.name:
            return self.name
        short = self.data if named(self.data) else Path(self.data).name or self.data
        return f"{short} {self.split}" if self.split else short

    @property
    def title(self) -> str:
        """For messages: the model and the data."""
        return f"{self.model} on {self.label}"

    def reading(self, seed: int) -> dict[str, Any]:
        """The options for ``modalgap.data.read`` that are set; ``seed`` is that of a sample."""
        names = ("split", "root", "limit", "label_column")
        options = {name: getattr(self, name) for name in names}
        found = {name: value for name, value in options.items() if value is not None}
        return found | ({"seed": seed} if self.limit is not None else {})

    def file(self, settings: Mapping[str, Any]) -> str:
        """A file name that differs for other cells and other settings."""
        everything = {each.name: getattr(self, each.name) for each in fields(self)} | dict(settings)
        text = json.dumps(everything, sort_keys=True, default=str)
        return f"{_safe(self.model)}--{_safe(self.label)}--{_digest(text)}"


def cells(
    models: str | Sequence[str], data: str | Path | Sequence[str | Path], **options: Any
) -> list[Cell]:
    """Every model on every data set, model by model.

    Args:
        models: one or several models; ``open_clip:ViT-B-*/laion*`` is every model of open_clip's
            registry that matches.
        data: one or several data sets.
        **options: ``split``, ``root``, ``limit`` and ``template``, for all cells.

    Raises:
        OptionError: no model or no data set.
    """
    chosen = [name for each in _several("models", models) for name in expand_model(str(each))]
    sets = [str(each) for each in _several("data", data)]
    return [
        Cell(model=model, data=each, **options) for model in dict.fromkeys(chosen) for each in sets
    ]


def _several(name: str, given: Any) -> list[Any]:
    found = [given] if isinstance(given, str | Path) else list(given)
    if not found:
        raise OptionError(f"{name} must have at least 1 value; got none")
    return list(dict.fromkeys(found))


@checked
def read_cells(path: str | Path) -> list[Cell]:
    """Read a table of cells: a CSV file with the attributes of ``Cell`` as columns.

    The columns ``model`` and ``data`` are required; an empty cell means the default. A model may be
    a pattern, as for ``cells``.

    Raises:
        FileError: the file cannot be read, or a column is missing or unknown.
    """
    columns, lines = read_csv(path)
    known = [each.name for each in fields(Cell)]
    for column in columns:
        if column not in known:
            raise FileError(f"{path}: columns must be of {', '.join(known)}; got {quoted(column)}")
    for column in NEEDED:
        if column not in columns:
            raise FileError(f"{path}: must have a column {column}; found {', '.join(columns)}")
    found = []
    for number, line in enumerate(lines, 2):
        values: dict[str, Any] = {name: value for name, value in line.items() if value}
        for column in NEEDED:
            if column not in values:
                raise FileError(f"{path}: line {number} must have a {column}; it is empty")
        if "limit" in values:
            try:
                values["limit"] = int(values["limit"])
            except ValueError:
                raise FileError(
                    f"{path}: line {number}: limit must be an integer; got"
                    f" {quoted(values['limit'])}"
                ) from None
        models = expand_model(values.pop("model"))
        found += [Cell(model=model, **values) for model in models]
    if not found:
        raise FileError(f"{path}: must have at least one cell; found none")
    return found


def check(found: Sequence[Cell]) -> None:
    """Check the cells before any work: names differ, models have a form, data exists.

    Raises:
        InputError: two cells have the same name, or data does not exist.
        OptionError: a model without a library.
    """
    repeated = [each for each, n in Counter((c.model, c.label) for c in found).items() if n > 1]
    if repeated:
        model, label = repeated[0]
        raise InputError(
            f"data: the data sets of one model must have different names; {model} has"
            f" {quoted(label)} twice: set the column name in a file for --cells"
        )
    for each in found:
        if ":" not in each.model:
            raise OptionError(f"models must be LIBRARY:MODEL; got {quoted(each.model)}")
        if each.limit is not None:
            checks.whole("limit", each.limit, 2)
    for data, split, root in dict.fromkeys((c.data, c.split, c.root) for c in found):
        check_exists(data, split, root)


def by_model(found: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells of each model."""
    result: dict[str, list[Cell]] = {}
    for each in found:
        result.setdefault(each.model, []).append(each)
    return result


def _safe(text: str) -> str:
    """A part of a file name: letters and digits of the text, at most 60."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
    return kept.strip("-.")[-60:].strip("-.") or "unnamed"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
