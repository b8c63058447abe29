"""Colours, once: the page's style sheet, its pictures and the exported figures all take them here.

Image is blue and text is orange (Okabe and Ito's pair, told apart by every kind of colour vision);
everything else is told by lightness, by markers and by labels. The ramp is for ordered numbers: its
lightness is monotone, so its order is visible in grey print too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

STEPS = 8  # colours of the ramp


@dataclass(frozen=True)
class Palette:
    """One theme; the field names are the CSS variables."""

    paper: str
    panel: str
    ink: str
    muted: str
    grid: str
    image: str
    text: str
    matched: str
    unmatched: str
    ramp0: str
    ramp1: str
    ramp2: str
    ramp3: str
    ramp4: str
    ramp5: str
    ramp6: str
    ramp7: str

    @property
    def ramp(self) -> tuple[str, ...]:
        """From strong to faint."""
        return tuple(getattr(self, f"ramp{step}") for step in range(STEPS))

    def modality(self, which: int) -> str:
        """The colour of the first, the second, … modality; seven differ."""
        colours = (self.image, self.text, self.matched, self.ramp1, self.unmatched, self.ink)
        return (*colours, self.ramp5)[which % 7]

    def css(self) -> dict[str, str]:
        """CSS variable to colour."""
        return asdict(self)


def ramp_names(count: int) -> list[str]:
    """Fields of ``Palette`` for ``count`` ordered values, from strong to faint."""
    return [f"ramp{round(at * (STEPS - 1) / max(1, count - 1))}" for at in range(count)]


def _between(first: str, middle: str, last: str) -> dict[str, str]:
    """The ramp from ``first`` over ``middle`` to ``last``."""
    ends = [[int(each[at : at + 2], 16) for at in (1, 3, 5)] for each in (first, middle, last)]
    found = {}
    for step in range(STEPS):
        half, share = divmod(2 * step / (STEPS - 1), 1)
        low, high = ends[int(half)], ends[min(2, int(half) + 1)]
        mixed = [round(a + (b - a) * share) for a, b in zip(low, high, strict=True)]
        found[f"ramp{step}"] = "#{:02x}{:02x}{:02x}".format(*mixed)
    return found


LIGHT = Palette(
    paper="#ffffff",
    panel="#f5f6f8",
    ink="#1b1f27",
    muted="#59616e",
    grid="#d9dde3",
    image="#0b64ad",
    text="#b44f00",
    matched="#067a5b",
    unmatched="#6b7380",
    **_between("#350c5e", "#8f1f8f", "#cc5a98"),
)
DARK = Palette(
    paper="#12151b",
    panel="#1a1f27",
    ink="#e9ecf1",
    muted="#a0a9b6",
    grid="#333a45",
    image="#62b0f2",
    text="#f49a4b",
    matched="#4cc9a0",
    unmatched="#929baa",
    **_between("#ffd9f2", "#e86ad0", "#9a62c2"),
)
# Colours that nothing else uses: drawn once, they become CSS variables in the page.
STAND_IN = Palette(
    **{each.name: f"#{at:02x}f00f" for at, each in enumerate(fields(Palette), start=1)}
)


def to_variables(text: str) -> str:
    """``text`` with every stand-in colour as ``var(--name)``."""
    for name, colour in STAND_IN.css().items():
        text = text.replace(colour, f"var(--{name})")
    return text


@contextmanager
def style(salt: str = "") -> Iterator[None]:
    """Draw and save in our style, whatever the user's own matplotlib settings; restored after.

    Args:
        salt: for the ids in an SVG, which then depend on nothing else.
    """
    import matplotlib

    ours: Any = {
        "font.size": 9.0,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.unicode_minus": True,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": salt or "modalgap",
        "text.parse_math": False,  # a modality may be called "$x"
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(ours)
        yield
