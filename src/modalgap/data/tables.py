"""Tables in files: CSV and similar, JSON lines, JSON records and Parquet, as columns by name."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modalgap.data.reading import load_json, numbered_json, read_text, reading
from modalgap.data.text import split_lines
from modalgap.errors import FileError, OptionError, quoted

SEPARATORS = {",": "comma", "\t": "tab", "|": "bar", ";": "semicolon"}
UNQUOTED = ("\t", "|")  # files with these separators often hold quotes as plain text
JSON_LINES = (".jsonl", ".ndjson")
ENDINGS = (".csv", ".tsv", *JSON_LINES)
_EXCEL = re.compile("sep=(.)(?:\r\n|\n|\r)")  # Excel reads this line before the first row
CELLS = 2**22  # of a table of records; a larger one must hold a value in one of SPARSE cells
SPARSE = 100
FEW = 100  # one row in this many may have a wrong number of cells; it is left out


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes:
        columns: maps a name to one value per row.
        rows: names of the rows, for messages.
        notes: messages about detected formats.
        missing: rows that were left out, with the reason.
    """

    columns: dict[str, list[Any]]
    rows: list[str]
    notes: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def chosen(self, index: Sequence[int]) -> Table:
        """The rows at ``index``."""
        return replace(
            self,
            columns={name: [values[i] for i in index] for name, values in self.columns.items()},
            rows=[self.rows[i] for i in index],
        )


def read_table_file(path: Path, separator: str | None = None) -> Table:
    """Read the table in a file, by the extension of the file.

    Args:
        path: .csv, .tsv or .txt (text with a row of names), .jsonl, .ndjson, .json or .parquet.
        separator: the separator of cells in a text file; by default detected.

    Raises:
        FileError: another kind of file, no rows, or rows that differ from the first.
    """
    ending = path.suffix.lower()
    with reading(str(path)):
        if ending in JSON_LINES:
            return records(((f"line {i}", value) for i, value in numbered_json(path)))
        if ending == ".json":
            found = listed_records(load_json(path))
            if found is None:
                raise FileError("must hold a list of records; it does not")
            return records((f"record {i}", value) for i, value in enumerate(found, 1))
        if ending == ".parquet":
            from modalgap.embeddings.formats.parquet_footer import opened
            from modalgap.embeddings.formats.parquet_sizes import read_columns

            with opened(path) as file:
                whole = read_columns(path, file, file.schema_arrow.names)
            columns = {name: whole.column(name).to_pylist() for name in whole.column_names}
            return Table(columns, [f"row {i}" for i in range(whole.num_rows)])
        return _separated(read_text(path), separator, tab_first=ending == ".tsv")


def table(path: Path, separator: str | None = None) -> list[dict[str, str]]:
    """The rows of a CSV or TSV file, by the names in its first row in lower case.

    Raises:
        FileError: as ``read_table_file``, or any row that differs from the first.
    """
    found = read_table_file(path, separator)
    for row, reason in found.missing:
        raise FileError(f"{path}: {row} {reason}")
    names = [name.lower() for name in found.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*found.columns.values(), strict=True)]


def records(rows: Iterable[tuple[str, Any]]) -> Table:
    """Build a table from mappings; a missing field of a row is None.

    Raises:
        FileError: there are no rows, one is not a mapping, or almost all fields are missing.
    """
    columns: dict[str, list[Any]] = {}
    names: list[str] = []
    held = 0
    for name, row in rows:
        if not isinstance(row, Mapping):
            raise FileError(f"{name} must be an object with fields; it is {type(row).__name__}")
        for key, value in row.items():
            columns.setdefault(str(key), [None] * len(names)).append(value)
        names.append(name)
        held += len(row)
        if len(columns) * len(names) > max(CELLS, SPARSE * held):
            raise FileError(
                f"records must have common fields; {len(names):,} records have"
                f" {len(columns):,} different fields"
            )
        for values in columns.values():
            if len(values) < len(names):
                values.append(None)
    if not names:
        raise FileError("must hold records; found none")
    return Table(columns, names)


def listed_records(value: Any) -> list[Any] | None:
    """The records in a JSON value: a list of objects, or an object of names and captions.

    An object may also hold such a list as its only list of objects.
    """
    if isinstance(value, list):
        return value if value and all(isinstance(each, dict) for each in value) else None
    if not isinstance(value, dict) or not value:
        return None
    if all(_is_caption(each) for each in value.values()):
        return [{"file_name": name, "captions": texts} for name, texts in value.items()]
    lists = [
        each
        for each in value.values()
        if isinstance(each, list) and each and all(isinstance(row, dict) for row in each)
    ]
    return lists[0] if len(lists) == 1 else None


def header_of(text: str) -> list[str]:
    """The names in the first row of a text, by its most frequent separator."""
    first = next(iter(split_lines(text[:10_000])), "")
    best = max(SEPARATORS, key=first.count)
    return [name.strip().strip('"') for name in first.split(best)]


def _is_caption(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, str) for each in value)
    return isinstance(value, str)


def checked_separator(separator: str) -> str:
    """A separator as one character; it may also be given by name.

    Raises:
        OptionError: it is neither a character nor a known name.
    """
    names = {name: each for each, name in SEPARATORS.items()} | {"\\t": "\t"}
    result = names.get(separator, separator)
    if len(result) != 1 or result in "\"'\r\n\0" or result.isalnum():
        known = ", ".join(SEPARATORS.values())
        raise OptionError(
            f"--separator: must be one character, or {known}; got {quoted(separator)}"
        )
    return result


@dataclass(frozen=True)
class _Parsed:
    head: list[str]
    rows: list[tuple[int, list[str]]]
    separator: str
    quoted: bool

    @property
    def ragged(self) -> list[tuple[int, list[str]]]:
        return [(number, row) for number, row in self.rows if len(row) != len(self.head)]


def _separated(text: str, separator: str | None, *, tab_first: bool) -> Table:
    """The table in a text, with the separator for which most rows match the first row."""
    chosen = None if separator is None else checked_separator(separator)
    if excel := _EXCEL.match(text):
        chosen = chosen or excel[1]
        text = text[excel.end() :]
    best: _Parsed | None = None
    refusal: FileError | None = None
    for each in [chosen] if chosen else _candidates(text, tab_first):
        for in_quotes in (True, False) if each in UNQUOTED and '"' in text else (True,):
            try:
                found = _parse(text, each, in_quotes)
            except FileError as error:
                refusal = refusal or error
                continue
            bad = len(found.ragged)
            # a quoted cell whose lines are complete rows is not a cell
            swallowed = (
                best is not None and best.separator == each and len(best.rows) < len(found.rows)
            )
            if best is None or bad < len(best.ragged) or (swallowed and not bad):
                best = found
        if best is not None and not best.ragged:
            break
    if best is None:
        raise refusal or FileError("must have a row of names and rows of values; found none")
    return _table(best, explicit=chosen is not None)


def _table(found: _Parsed, *, explicit: bool) -> Table:
    head = _names(found.head)
    bad = found.ragged
    if len(bad) > len(found.rows) // FEW:
        number, row = bad[0]
        raise FileError(
            f"row {number} must have as many cells as the first row, {len(head)} between"
            f" {SEPARATORS.get(found.separator, found.separator)}s; it has {len(row)} (put cells"
            " that hold the separator in quotes, or use --separator)"
        )
    rows = [(number, row) for number, row in found.rows if len(row) == len(head)]
    if not rows:
        raise FileError("must have a row of names and rows of values; found none")
    notes = []
    if found.separator not in ",\t" and not explicit:
        notes.append(f"cells are separated by {SEPARATORS[found.separator]}s")
    if not found.quoted and any('"' in cell for _, row in rows for cell in row):
        notes.append("quotes are read as text")
    return Table(
        {name: [row[i] for _, row in rows] for i, name in enumerate(head)},
        [f"row {number}" for number, _ in rows],
        tuple(notes),
        tuple((f"row {number}", f"has {len(row)} cells, not {len(head)}") for number, row in bad),
    )


def _names(head: list[str]) -> list[str]:
    names = [name or f"column {i}" for i, name in enumerate(head, 1)]
    small = [name.lower() for name in names]
    twice = next((name for name, count in Counter(small).items() if count > 1), None)
    if twice is not None:
        raise FileError(f"columns must have distinct names; {quoted(twice)} occurs twice")
    return names


def _candidates(text: str, tab_first: bool) -> list[str]:
    """Separators in the first row, most frequent first; a comma if it has none."""
    first = next(iter(split_lines(text[:100_000])), "")
    held = [each for each in SEPARATORS if each in first]
    held.sort(key=lambda each: (tab_first and each == "\t", first.count(each)), reverse=True)
    return held or [","]


def _parse(text: str, separator: str, quoted: bool) -> _Parsed:
    """Every row that is not blank, and its number.

    Raises:
        FileError: a quote is not closed, or there are no rows.
    """
    options: dict[str, Any] = {"strict": True} if quoted else {"quoting": csv.QUOTE_NONE}
    spaced = separator in "|;"  # often written with a space behind
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=spaced, **options
    )
    rows = [(number, row) for number, row in enumerate(_rows(reader), 1) if row]
    if not rows:
        raise FileError("must have a row of names and rows of values; found none")
    return _Parsed([name.strip() for name in rows[0][1]], rows[1:], separator, quoted)


def _rows(reader: Any) -> Iterator[list[str]]:
    line = 0
    while True:
        try:
            line = reader.line_num + 1
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileError(f"the row that begins in line {line}: {error}") from error
