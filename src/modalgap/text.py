"""Text from data in other formats: HTML, a cell of a Markdown table, or of a CSV file."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# control characters, which HTML forbids, and those that reorder the text beside them
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MARKDOWN = re.compile(r"[\\|]|(?<=\])\(")  # a "(" after "]" makes a link or an image


def readable(text: str) -> str:
    """``text`` with a sign in place of each character that HTML forbids or that reorders others."""
    return _UNSEEN.sub("\ufffd", text)


def markdown_cell(text: str) -> str:
    """``text`` as a cell of a Markdown table: one line, without links, table or HTML syntax."""
    line = _MARKDOWN.sub(r"\\\g<0>", " ".join(readable(text).split()))
    return line.replace("&", "&amp;").replace("<", "&lt;")


def csv_cell(text: str) -> str:
    """``text`` as a cell of a CSV file that spreadsheets do not take for a formula."""
    text = text.replace("\r", " ")  # which the csv module of Python 3.11 does not quote
    formula = text.startswith(("=", "+", "-", "@", "\t")) and not _NUMBER.fullmatch(text)
    return f"'{text}" if formula else text
