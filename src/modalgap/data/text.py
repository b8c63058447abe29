"""Text of data: lines, blanks, and short forms for messages of one line."""

from __future__ import annotations

import re

LONGEST = 120
BLANKS = " \t\r\n"  # Python's own strip also removes separators that captions may hold
_LINE_END = re.compile("\r\n|\n|\r")  # str.splitlines also splits at U+2028, form feeds and others


def split_lines(text: str) -> list[str]:
    r"""The lines of ``text`` without their ends, which are ``\n``, ``\r\n`` and ``\r`` only."""
    result = _LINE_END.split(text)
    if not result[-1]:
        result.pop()
    return result


def full_lines(text: str) -> list[str]:
    """The lines that hold more than white space, without blanks at their ends."""
    return [line.strip(BLANKS) for line in split_lines(text) if line.strip()]


def shown(text: str, longest: int = LONGEST) -> str:
    """``text`` in one line of at most ``longest`` characters."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
