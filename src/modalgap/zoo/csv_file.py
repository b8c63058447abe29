"""CSV files with a head, as users write them for a zoo."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from modalgap.data.media import read_file
from modalgap.errors import FileError, quoted

Lines = list[dict[str, str]]


def read_csv(path: str | Path) -> tuple[list[str], Lines]:
    """The columns of a file, and its lines by column; an empty cell is "".

    Raises:
        FileError: the file cannot be read, two columns have the same name, or a line has more cells
            than the first one.
    """
    found: Lines = []
    try:
        text = read_file(Path(path)).decode("utf-8-sig")
        lines = csv.DictReader(io.StringIO(text, newline=""), restval="")
        columns = list(lines.fieldnames or ())
        for line in lines:
            if None in line:
                raise FileError(f"line {lines.line_num} has more cells than the first line")
            found.append(line)
    except (FileError, UnicodeError, csv.Error) as error:
        raise FileError(f"{path}: cannot be read ({error})") from None
    for column, times in Counter(columns).items():
        if times > 1:
            raise FileError(
                f"{path}: names of columns must differ; {quoted(column)} is there twice"
            )
    return columns, found
