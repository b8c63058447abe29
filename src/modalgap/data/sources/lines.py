"""Read a text file: one text per line, a table with a header, or lines of name and caption."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from modalgap.data.columns import Columns
from modalgap.data.reading import read_text
from modalgap.data.source import Source
from modalgap.data.sources.names import CAPTIONS
from modalgap.data.sources.table import PATHS, place_of, read_table, source_of
from modalgap.data.tables import Table, header_of
from modalgap.data.text import full_lines, split_lines

FILE, TEXT = "file", "caption"
_TOKEN = re.compile(r"(\S.*\.\w{3,4})#[0-9]+\t(.*)")


def read_text_file(path: Path, root: Path | None, columns: Columns, split: str | None) -> Source:
    """Read texts, one per line, or images with captions if the file names the images.

    It names them if its first line has a column of paths and one of captions, or if all lines have
    the form ``NAME.jpg#0<tab>CAPTION``, as in Flickr8k and Flickr30k.

    Raises:
        OptionError: an option for tables, but the file is not a table.
    """
    text = read_text(path)
    head = {name.lower() for name in header_of(text)}
    if columns.separator is not None or (head & {*PATHS} and head & {*CAPTIONS}):
        return read_table(path, root, columns, split)
    found = full_lines(text)
    tokens = [_TOKEN.fullmatch(line) for line in found]
    if found and all(tokens):
        columns.refuse(str(path), "factors", "captions")
        rows = {
            FILE: [each[1] for each in tokens if each],
            TEXT: [each[2] for each in tokens if each],
        }
        table = Table(rows, [f"line {i}" for i in range(1, len(found) + 1)])
        columns = replace(columns, image=FILE, text=TEXT)
        return source_of(str(path), table, columns, split, place_of(path, root))
    columns.refuse(str(path))
    empty = len(split_lines(text)) - len(found)
    notes = (f"{empty:,} empty lines",) if empty else ()
    return Source(name=str(path), texts=found, rule="one text per line", notes=notes)
