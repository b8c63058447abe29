"""Text from data, short and printable, for messages of one line."""

from __future__ import annotations

LONGEST = 120


def shown(text: str, longest: int = LONGEST) -> str:
    """``text`` in one line of at most ``longest`` characters."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
