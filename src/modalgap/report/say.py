"""How the summary, the table and the figures write names and numbers."""

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


def percent(fraction: float) -> str:
    """A fraction in percent; 0 % and 100 % only if they are exact."""
    if 0 < fraction < 0.001:
        return f"under 0.1{NARROW}%"
    if 0.999 < fraction < 1:
        return f"over 99.9{NARROW}%"
    precise = fraction < 0.0995 or fraction > 0.9905
    text = f"{100 * fraction:.1f}" if precise else f"{100 * fraction:.0f}"
    return f"{text.removesuffix('.0')}{NARROW}%"
