"""Text from data in other formats: a cell of a Markdown table, or of a CSV file."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def markdown_cell(text: str) -> str:
    """``text`` as a cell of a Markdown table: one line, without table or HTML syntax."""
    line = " ".join(text.split())
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|")):
        line = line.replace(sign, entity)
    return line


def csv_cell(text: str) -> str:
    """``text`` as a cell of a CSV file that spreadsheets do not take for a formula."""
    text = text.replace("\r", " ")  # which the csv module of Python 3.11 does not quote
    formula = text.startswith(("=", "+", "-", "@", "\t")) and not _NUMBER.fullmatch(text)
    return f"'{text}" if formula else text
