"""CSV files with a head, as users write them for a zoo."""

from __future__ import annotations

import csv
from pathlib import Path

from modalgap.errors import FileError

Lines = list[dict[str, str]]


def read_csv(path: str | Path) -> tuple[list[str], Lines]:
    """The columns of a file, and its lines by column; an empty cell is "".

    Raises:
        FileError: the file cannot be read, or a line has more cells than the first one.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError, ValueError) as error:
        raise FileError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from None
    lines = csv.DictReader(text.splitlines(), restval="")
    columns = list(lines.fieldnames or ())
    found: Lines = []
    for number, line in enumerate(lines, 2):
        if None in line:
            raise FileError(f"{path}: line {number} has more cells than the first line")
        found.append(line)
    return columns, found
