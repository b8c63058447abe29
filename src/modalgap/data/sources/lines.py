"""A text file: one text a line."""

from __future__ import annotations

from pathlib import Path

from modalgap.data.reading import lines
from modalgap.data.source import Source


def read_lines(path: Path) -> Source:
    """Texts alone; empty lines are left out."""
    return Source(name=str(path), texts=lines(path))
