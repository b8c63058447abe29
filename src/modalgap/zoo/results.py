"""Zoo: the results of many models on many data sets, and their files.

``results.parquet`` has one row per model, data set and number: model, data, number, value, low,
high. ``models.parquet`` has one row per model with its facts. ``failed.csv`` lists the cells that
failed, with the reason.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq

from modalgap.arguments import checked
from modalgap.atomic import replacing
from modalgap.embeddings.formats.parquet_footer import opened
from modalgap.embeddings.formats.parquet_sizes import read_columns
from modalgap.errors import FileError, OptionError, quoted
from modalgap.files import parsing, regular_file
from modalgap.result import Answer, Table, Value, reading
from modalgap.text import csv_cell
from modalgap.zoo.csv_file import read_csv

RESULTS, MODELS, FAILED = "results.parquet", "models.parquet", "failed.csv"
SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("data", pa.string()),
        ("number", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)
HEADS = {
    "rmg": "RMG",
    "l2m": "distance of means",
    "matched_cosine": "cosine of a match",
    "retrieval.image_to_text_r1": "R@1, image to text",
    "retrieval.text_to_image_r1": "R@1, text to image",
    "zero_shot.top1": "top-1",
}  # of the numbers that ``table`` shows by default


@checked
@dataclass(frozen=True, kw_only=True)
class Zoo(Answer):
    """The results of many models on many data sets.

    Attributes:
        values: model to data to number to its value.
        models: model to its facts, such as ``width``, ``parameters``, ``training_data``.
        failed: (model, data, reason) of each cell that failed.
        settings: the options of the run.
    """

    schema: ClassVar[str] = "zoo/1"
    values: Mapping[str, Mapping[str, Mapping[str, Value]]]
    models: Mapping[str, Mapping[str, str | float]]
    failed: Sequence[tuple[str, str, str]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> list[str]:
        """The names of all data sets."""
        return list(dict.fromkeys(name for sets in self.values.values() for name in sets))

    def column(self, data: str, number: str) -> dict[str, Value]:
        """One number on one data set: model to value, of the models that have it.

        Raises:
            OptionError: an unknown data set, or a number that no model has on it.
        """
        if data not in self.data:
            raise OptionError.unknown("data set of the zoo", data, self.data)
        own = {model: sets[data] for model, sets in self.values.items() if data in sets}
        found = {model: values[number] for model, values in own.items() if number in values}
        if not found:
            known = {name for values in own.values() for name in values}
            raise OptionError.unknown(f"number of {data}", number, known)
        return found

    def having(self, data: str, *numbers: str) -> dict[str, Mapping[str, Value]]:
        """The models that have all these numbers on one data set: model to its numbers there."""
        return {
            model: sets[data]
            for model, sets in self.values.items()
            if set(numbers) <= sets.get(data, {}).keys()
        }

    def table(self, *numbers: str) -> Table:
        """One row per model and data set.

        Args:
            *numbers: the columns; by default the main ones that occur.

        Raises:
            OptionError: a number that no cell has.
        """
        rows = {
            f"{model} | {data}": values
            for model, sets in self.values.items()
            for data, values in sets.items()
        }
        known = {name for values in rows.values() for name in values}
        for name in numbers:
            if name not in known:
                raise OptionError.unknown("number of the zoo", name, known)
        heads = {name: HEADS.get(name, name) for name in (numbers or HEADS) if name in known}
        failed = [f"failed: {model} | {data}: {reason}" for model, data, reason in self.failed]
        return Table(
            name="zoo",
            source="",
            vary="model | data",
            rows=rows,
            heads=heads,
            settings=self.settings,
            notes=failed,
        )

    def write(self, folder: str | Path) -> None:
        """Write ``results.parquet``, ``models.parquet`` and, if a cell failed, ``failed.csv``.

        Raises:
            OutputError: a file cannot be written.
        """
        folder = Path(folder)
        rows = [
            (model, data, number, value.value, *(value.interval or (None, None)))
            for model, sets in self.values.items()
            for data, values in sets.items()
            for number, value in values.items()
        ]
        columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
        arrays = [pa.array(col, kind) for col, kind in zip(columns, SCHEMA.types, strict=True)]
        _write(folder / RESULTS, pa.Table.from_arrays(arrays, schema=SCHEMA))
        names = dict.fromkeys(name for facts in self.models.values() for name in facts)
        about: dict[str, Any] = {"model": pa.array(self.models, pa.string())}
        for name in names:
            own = [facts.get(name) for facts in self.models.values()]
            text = any(isinstance(value, str) for value in own)
            about[name] = pa.array(
                [None if value is None else str(value) if text else value for value in own],
                pa.string() if text else pa.float64(),
            )
        _write(folder / MODELS, pa.table(about))
        if not self.failed:
            (folder / FAILED).unlink(missing_ok=True)
            return
        text_io = io.StringIO()
        lines = csv.writer(text_io, lineterminator="\n")
        lines.writerow(("model", "data", "reason"))
        lines.writerows([csv_cell(each) for each in line] for line in self.failed)
        with replacing(folder / FAILED, overwrite=True) as file:
            file.write(text_io.getvalue().encode())

    @classmethod
    def read(cls, folder: str | Path) -> Zoo:
        """Read the files that ``write`` wrote.

        Raises:
            FileError: a file is missing or is not of a zoo.
        """
        folder = Path(folder)
        values, models = _values(folder / RESULTS), _facts(folder / MODELS)
        if lost := [name for name in values if name not in models]:
            raise FileError(
                f"{folder / MODELS}: must name every model of {RESULTS}; lacks {quoted(lost[0])}"
            )
        failed: list[tuple[str, str, str]] = []
        if (folder / FAILED).is_file():
            lines = read_csv(folder / FAILED)[1]
            with reading(str(folder / FAILED)):
                failed = [(line["model"], line["data"], line["reason"]) for line in lines]
        return cls(values=values, models=models, failed=failed)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "values": {
                model: {
                    data: {name: value.to_dict() for name, value in values.items()}
                    for data, values in sets.items()
                }
                for model, sets in self.values.items()
            },
            "models": {name: dict(facts) for name, facts in self.models.items()},
            "failed": [list(each) for each in self.failed],
            "settings": dict(self.settings),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The zoo that ``to_dict`` wrote.

        Raises:
            FileError: it is not such a dictionary.
        """
        with reading("Zoo"):
            return cls(
                values={
                    model: {
                        data: {name: Value.from_dict(value) for name, value in values.items()}
                        for data, values in sets.items()
                    }
                    for model, sets in found["values"].items()
                },
                models={name: dict(facts) for name, facts in found["models"].items()},
                failed=[(str(a), str(b), str(c)) for a, b, c in found["failed"]],
                settings=dict(found["settings"]),
            )


def _write(path: Path, table: pa.Table) -> None:
    with replacing(path, overwrite=True) as file:
        pq.write_table(table, file)


def _values(path: Path) -> dict[str, dict[str, dict[str, Value]]]:
    found: dict[str, dict[str, dict[str, Value]]] = {}
    for row in _read(path, SCHEMA.names):
        *names, value, low, high = (row[name] for name in SCHEMA.names)
        interval = () if low is None and high is None else (low, high)
        numbers = all(isinstance(each, float) and isfinite(each) for each in (value, *interval))
        if not numbers or not all(isinstance(each, str) for each in names):
            raise FileError(
                f"{path}: a row must have 3 names and finite numbers; got {quoted(row)}"
            )
        model, data, number = names
        own = found.setdefault(model, {}).setdefault(data, {})
        if number in own:
            raise FileError(f"{path}: rows must differ; {quoted(names)} is there twice")
        own[number] = Value(value, interval or None)
    return found


def _facts(path: Path) -> dict[str, dict[str, str | float]]:
    found: dict[str, dict[str, str | float]] = {}
    for row in _read(path, ["model"]):
        name = row.pop("model")
        if not isinstance(name, str) or name in found:
            raise FileError(f"{path}: must name every model once; got {quoted(name)}")
        found[name] = {key: value for key, value in row.items() if value is not None}
        for key, value in found[name].items():
            if not isinstance(value, str | float):
                raise FileError(f"{path}: {key} must be a text or a float; got {quoted(value)}")
    return found


def _read(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    regular_file(path)
    with parsing(path, "parquet"), opened(path) as file:
        names = file.schema_arrow.names
        missing = [name for name in columns if name not in names]
        if missing:
            raise OptionError(f"{path}: must have a column {quoted(missing[0])}")
        rows: list[dict[str, Any]] = read_columns(path, file, names).to_pylist()
        return rows
