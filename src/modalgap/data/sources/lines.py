"""A text file: one text per line, or a table with a row of names."""

from __future__ import annotations

from pathlib import Path

from modalgap.data.columns import Columns
from modalgap.data.reading import read_text
from modalgap.data.source import Source
from modalgap.data.sources.names import CAPTIONS
from modalgap.data.sources.table import PATHS, read_table
from modalgap.data.tables import header_of
from modalgap.data.text import full_lines, split_lines


def read_text_file(path: Path, root: Path | None, columns: Columns, split: str | None) -> Source:
    """Texts, one per line; or a table, if the first line names a column of paths and of captions.

    Raises:
        OptionError: an option for tables, of a file that is none.
    """
    text = read_text(path)
    head = {name.lower() for name in header_of(text)}
    if columns.separator is not None or (head & {*PATHS} and head & {*CAPTIONS}):
        return read_table(path, root, columns, split)
    columns.refuse(str(path))
    found = full_lines(text)
    empty = len(split_lines(text)) - len(found)
    notes = (f"{empty:,} empty lines",) if empty else ()
    return Source(name=str(path), texts=found, rule="one text per line", notes=notes)
