"""Nine points on a sphere: against plain loops and the closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from modalgap import errors
from modalgap.simulate import nine_points

AZIMUTHS = [*(k * math.pi / 4 for k in range(8)), 1.53 * math.pi]


def loop_loss(z: float, scale: float, owner: list[int]) -> float:
    """The loss by loops over points in space."""
    flat = math.sqrt(max(0.0, 1 - z * z))
    images = [np.array([flat * math.cos(a), flat * math.sin(a), z]) for a in AZIMUTHS]
    texts = [np.array([flat * math.cos(a), flat * math.sin(a), -z]) for a in AZIMUTHS]
    total = 0.0
    for i in range(9):
        row = np.array([scale * images[i] @ texts[j] for j in range(9)])
        column = np.array([scale * images[j] @ texts[owner[i]] for j in range(9)])
        for logits, at in ((row, owner[i]), (column, i)):
            total += logits.max() + math.log(np.exp(logits - logits.max()).sum()) - logits[at]
    return total / 18


def test_against_loops() -> None:
    table = nine_points(scales=(3, 200), heights=6)
    for scale in (3, 200):
        row = table.rows[f"1/τ = {scale}"]
        for name, owner in (
            ("swapped", [0, 1, 2, 8, 4, 5, 6, 7, 3]),
            ("in_order", list(range(9))),
        ):
            found = row[f"lowest_{name}"].details
            assert set(np.linspace(-1, 1, 6).round(12)) <= set(np.round(found["x"], 12))
            want = [loop_loss(z, scale, owner) for z in found["x"]]
            assert found["y"] == pytest.approx(want, abs=1e-12)
            assert row[f"lowest_{name}"].value == min(found["y"])


@pytest.mark.parametrize("swap", [(3, 8), (6, 8), (0, 1)])
def test_the_closed_form_is_the_minimum_of_a_fine_grid(swap: tuple[int, int]) -> None:
    table = nine_points(scales=(20, 60), swap=swap, heights=4001)
    for row in table.rows.values():
        assert row["height_swapped"].value == pytest.approx(row["closed_swapped"].value, abs=1e-6)
        assert row["height_in_order"].value == pytest.approx(0, abs=1e-12)
    assert table.rows["1/τ = 60"]["closed_swapped"].value > 0.5


@pytest.mark.parametrize("scale", [5, 100, 1000, 100_000])
def test_the_minimum_is_that_of_an_independent_search(scale: float) -> None:
    """With few heights too: the grid misses the minimum at a low temperature, the search does not.

    The reference searches over log(1 - z²), in which the minimum is as wide at each temperature.
    """
    owner = [0, 1, 2, 8, 4, 5, 6, 7, 3]

    def loss(log_flat: float) -> float:
        return loop_loss(math.sqrt(1 - math.exp(log_flat)), scale, owner)

    want = minimize_scalar(loss, bounds=(-math.log(scale) - 3, 0), method="bounded",
                           options={"xatol": 1e-7})  # fmt: skip
    for heights in (2, 101):
        (row,) = nine_points(scales=(scale,), heights=heights).rows.values()
        assert row["lowest_swapped"].value == pytest.approx(want.fun, abs=1e-9)
        flat = 1 - row["height_swapped"].value ** 2
        assert flat == pytest.approx(math.exp(want.x), rel=1e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"swap": (3, 3)}, "two different points"),
        ({"swap": (3,)}, "two different points"),
        ({"swap": (3, 9)}, "swap must be an integer of at least 0 and at most 8"),
        ({"swap": (3.5, 1)}, "swap must be"),
        ({"heights": 1}, "heights must be"),
        ({"heights": 10**10}, "must fit in the available memory"),
        ({"scales": (-1,)}, "scales must be"),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.OptionError, match=said):
        nine_points(**options)
