"""Three points: against plain loops, finite differences, and the limits far out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from modalgap import errors
from modalgap.simulate import three_points
from modalgap.simulate.three_points import DIRECTIONS


def loop_loss(distance: float, name: str, tau: float, side: float) -> float:
    """The loss by loops, with the texts at other coordinates: only distances matter."""
    half = math.sqrt(3) / 2
    corners = [(5.0, 7.0, 1.0), (5 - side / 2, 7 - side * half, 1.0),
               (5 + side / 2, 7 - side * half, 1.0)]  # fmt: skip
    at = [c + distance * u for c, u in zip(corners[0], DIRECTIONS[name], strict=True)]
    logits = [-sum((a - b) ** 2 for a, b in zip(at, text, strict=True)) / tau for text in corners]
    return max(logits) + math.log(sum(math.exp(x - max(logits)) for x in logits)) - logits[0]


@pytest.mark.parametrize("name", DIRECTIONS)
def test_against_loops(name: str) -> None:
    table = three_points(temperatures=(0.3, 2), farthest=3, points=4, side=1.5)
    for tau in (0.3, 2):
        row = table.rows[f"{name}, τ = {tau:g}"]
        want = [loop_loss(d, name, tau, 1.5) for d in (0, 1, 2, 3)]
        assert row["end"].details["x"] == [0, 1, 2, 3]
        assert row["end"].details["y"] == pytest.approx(want, abs=1e-12)
        assert row["start"].value == pytest.approx(want[0], abs=1e-12)
        assert row["closed"].value == pytest.approx(want[3], abs=1e-12)
        step = 1e-5
        slope = loop_loss(3 + step, name, tau, 1.5) - loop_loss(3 - step, name, tau, 1.5)
        assert row["slope"].value == pytest.approx(slope / (2 * step), abs=1e-8)


def test_limits_far_out() -> None:
    rows = three_points(temperatures=(0.5,), farthest=200).rows
    corner = math.exp(-1 / 0.5)
    limits = {"across": math.log(1 + 2 * corner), "away": 0, "beside": math.log(1 + corner)}
    for name, limit in limits.items():
        row = rows[f"{name}, τ = 0.5"]
        assert row["limit"].value == pytest.approx(limit, abs=1e-12)
        assert row["end"].value == pytest.approx(limit, abs=1e-9)
        assert row["closed_slope"].value == 0
        assert row["slope"].value == pytest.approx(0, abs=1e-7)  # squares of 200 are rounded
    grows = rows["toward, τ = 0.5"]
    assert "limit" not in grows
    assert grows["closed_slope"].value == pytest.approx(math.sqrt(3) / 0.5)
    assert grows["slope"].value == pytest.approx(math.sqrt(3) / 0.5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperatures": (0.0,)}, "temperatures must be"),
        ({"temperatures": ()}, "temperatures must have at least 1 value"),
        ({"temperatures": (1, 1)}, "different values"),
        ({"farthest": 0.0}, "farthest must be"),
        ({"side": -1.0}, "side must be"),
        ({"points": 1}, "points must be"),
        ({"points": 10**12}, "must fit in the available memory"),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.OptionError, match=said):
        three_points(**options)
