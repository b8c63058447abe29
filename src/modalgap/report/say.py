"""How names and numbers are said, in the summary, the table and the pictures."""

from __future__ import annotations

NARROW = "\u202f"  # a space that does not break a line


def number(value: float) -> str:
    """Two significant digits, more for whole numbers, with a true minus."""
    if value == 0:
        text = "0"
    elif abs(value) < 1e-3:
        text = f"{value:.1e}"
    elif abs(value) >= 100:
        text = f"{value:,.0f}"
    elif abs(value) >= 10:
        text = f"{value:.0f}"
    else:
        text = f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share in percent; never 0 % or 100 % for what is not quite."""
    if 0 < share < 0.001:
        return f"under 0.1{NARROW}%"
    if 0.999 < share < 1:
        return f"over 99.9{NARROW}%"
    text = f"{100 * share:.1f}" if share < 0.0995 or share > 0.9905 else f"{100 * share:.0f}"
    return f"{text.removesuffix('.0')}{NARROW}%"
