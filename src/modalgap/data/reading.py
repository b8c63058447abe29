"""Reading of files that describe data: lists, tables, JSON, and errors as one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modalgap.data.columns import NONE
from modalgap.errors import FileError, ModalgapError


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever malformed files cause into one FileError that begins with ``what``.

    The formats are other people's: a missing key, a short row or a wrong type can surface as any
    exception, so everything is caught here, at the boundary, on purpose.
    """
    try:
        yield
    except ModalgapError as error:
        text = str(error)
        raise type(error)(text if text.startswith(what) else f"{what}: {text}") from error
    except MemoryError as error:
        raise FileError(f"{what}: must fit in memory; it does not") from error
    except FileNotFoundError as error:
        raise FileError(f"{what}: needs {error.filename}") from error
    except KeyError as error:
        raise FileError(f"{what}: must have the field {error}; it has not") from error
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{what}: is not what it should be ({said[:160]})") from error


def lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty, without their ends."""
    with reading(str(path)):
        text = path.read_text(encoding="utf-8-sig")
        return [line.strip() for line in text.splitlines() if line.strip()]


def load_json(path: Path) -> Any:
    """The value in a JSON file."""
    with reading(str(path)), path.open(encoding="utf-8-sig") as file:
        return json.load(file)


def json_lines(path: Path) -> list[Any]:
    """The values in a JSON-lines file."""
    with reading(str(path)):
        return [json.loads(line) for line in lines(path)]


def table(path: Path, separator: str | None = None) -> list[dict[str, str]]:
    """The rows of a CSV or TSV file by the names in its first row.

    Args:
        path: the file.
        separator: between cells; by default what its first row holds most of: tab or comma.

    Raises:
        FileError: no rows, a row that is longer or shorter than the first, or an open quote.
    """
    with reading(str(path)), path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        if separator is None:
            separator = "\t" if first.count("\t") >= max(first.count(","), 1) else ","
        reader = csv.DictReader(file, delimiter=separator, strict=True)
        head = [name.strip().lower() for name in reader.fieldnames or ()]
        twice = sorted({name for name in head if head.count(name) > 1})
        if twice:
            raise FileError(f"columns must have names of their own; {twice[0]!r} is there twice")
        rows = list(_rows(reader))
        for number, row in enumerate(rows, 2):
            if None in row or None in row.values():
                raise FileError(f"row {number} must have as many cells as the first row")
        if not rows:
            raise FileError("must have a row of names and rows of values; found none")
        return rows


def _rows(reader: csv.DictReader[str]) -> Iterator[dict[str, str]]:
    line = 0
    while True:
        try:
            line = reader.reader.line_num + 1
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileError(f"the row that begins in line {line}: {error}") from error


def column(names: Sequence[str], known: Sequence[str], asked: str | None, what: str) -> str | None:
    """The column asked for, or the first of ``known`` that is there; "none" asks for no column.

    Raises:
        FileError: the column asked for is not there.
    """
    if asked == NONE and NONE not in names:
        return None
    if asked is not None:
        if asked not in names:
            raise FileError(f"has no column {asked!r} for {what}; it has {', '.join(names)}")
        return asked
    by_name = {name.strip().lower(): name for name in reversed(names)}
    return next((by_name[name] for name in known if name in by_name), None)


def fitting(
    types: Mapping[str, str],
    fit: Sequence[str],
    known: Sequence[str],
    asked: str | None,
    what: str,
    certain: Sequence[str],
) -> str | None:
    """As ``column``, of columns with types.

    Args:
        types: every column and its type.
        fit: those whose type can be read.
        known: names to look for.
        asked: the name asked for.
        what: is looked for.
        certain: names that mean nothing else: such a column is refused rather than left out.

    Raises:
        FileError: the column is not there, or its type cannot be read.
    """
    odd = asked if asked in types and asked not in fit else None
    found = None if odd else column(fit, known, asked, what)
    if found is None and asked is None and odd is None:
        odd = column([name for name in types if name not in fit], certain, None, what)
    if odd is not None:
        raise FileError(f"column {odd!r} must hold {what}; it is {types[odd]}")
    return found
