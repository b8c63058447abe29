"""Text from data in other formats: a cell of a Markdown table."""

from __future__ import annotations


def markdown_cell(text: str) -> str:
    """``text`` as a cell of a Markdown table: one line, without table or HTML syntax."""
    line = " ".join(text.split())
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|")):
        line = line.replace(sign, entity)
    return line
