"""Read files that describe data: text, JSON, columns; turn errors into one line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modalgap.data.columns import NONE
from modalgap.data.text import full_lines, split_lines
from modalgap.errors import FileError, ModalgapError, quoted


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn any error of malformed files into one FileError that begins with ``what``.

    Malformed files of other programs can raise any exception, for instance for a missing key, a
    short row or a wrong type, so this block catches all of them.
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
        raise FileError(f"{what}: must have the field {error}; it does not") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{what}: is malformed ({reason[:160]})") from error


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or UTF-16 with a byte order mark; line ends are unchanged.

    Raises:
        FileError: another encoding, or a NUL; the message names the line.
    """
    with reading(str(path)):
        return decode(path.read_bytes())


def decode(found: bytes) -> str:
    """Decode bytes as ``read_text``."""
    wide = found.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = found.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = found[: error.start].count(b"\n") + 1
        raise FileError(
            f"line {line} must be UTF-8 text; byte {error.start} is not (convert the file, for"
            " instance with iconv -f WINDOWS-1252 -t UTF-8)"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise FileError(f"line {line} must be text; it holds a NUL")
    return text


def lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty, without line ends."""
    return full_lines(read_text(path))


def load_json(path: Path) -> Any:
    """The value in a JSON file."""
    with reading(str(path)):
        return json.loads(read_text(path))


def json_lines(path: Path) -> list[Any]:
    """The values in a JSON-lines file."""
    with reading(str(path)):
        return [value for _, value in numbered_json(path)]


def numbered_json(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield line number and value of a JSON-lines file; skip empty lines.

    Raises:
        FileError: a line is not JSON.
    """
    for number, line in enumerate(split_lines(read_text(path)), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise FileError(f"{path}: line {number} must be JSON ({reason[:100]})") from error


def column(names: Sequence[str], known: Sequence[str], wanted: str | None, what: str) -> str | None:
    """The selected column, or the first of ``known`` that exists; "none" selects no column.

    Raises:
        FileError: the selected column does not exist.
    """
    if wanted == NONE and NONE not in names:
        return None
    if wanted is not None:
        if wanted not in names:
            raise FileError(f"has no column {quoted(wanted)} for {what}; it has {', '.join(names)}")
        return wanted
    by_name = {name.strip().lower(): name for name in reversed(names)}
    return next((by_name[name] for name in known if name in by_name), None)


def fitting(
    types: Mapping[str, str],
    fit: Sequence[str],
    known: Sequence[str],
    wanted: str | None,
    what: str,
    certain: Sequence[str],
) -> str | None:
    """Select a column as ``column``, by name and type.

    Args:
        types: every column and its type.
        fit: the columns with a readable type.
        known: names to search.
        wanted: the name that the user selected.
        what: content of the column, for messages.
        certain: unambiguous names: such a column with a wrong type is an error.

    Raises:
        FileError: the column does not exist, or its type cannot be read.
    """
    odd = wanted if wanted in types and wanted not in fit else None
    result = None if odd else column(fit, known, wanted, what)
    if result is None and wanted is None and odd is None:
        odd = column([name for name in types if name not in fit], certain, None, what)
    if odd is not None:
        raise FileError(f"column {quoted(odd)} must hold {what}; it is {types[odd]}")
    return result
