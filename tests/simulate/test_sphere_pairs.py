"""Mismatched pairs on a sphere: against plain loops, stated minima, and the closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from modalgap import errors
from modalgap.simulate import sphere_pairs
from modalgap.simulate.circle import best_sharpness


def loop_loss(degrees: float, scale: float, owner: list[int]) -> float:
    """The loss by loops over points in space."""

    def point(longitude: float, latitude: float) -> tuple[float, float, float]:
        a, b = math.radians(longitude), math.radians(latitude)
        return math.cos(a) * math.cos(b), math.sin(a) * math.cos(b), math.sin(b)

    n = len(owner)
    images = [point(-20 + 20 * i, 0) for i in range(n)]
    texts = [point(-20 + 20 * i, degrees) for i in owner]
    dots = [[scale * sum(map(float.__mul__, a, b)) for b in texts] for a in images]
    total = 0.0
    for i in range(n):
        row = sum(math.exp(dots[i][j]) for j in range(n))
        column = sum(math.exp(dots[j][i]) for j in range(n))
        total -= math.log(math.exp(dots[i][i]) / row) + math.log(math.exp(dots[i][i]) / column)
    return total / (2 * n)


def test_against_loops() -> None:
    table = sphere_pairs(scales=(2, 40), step=45)
    for scale in (2, 40):
        row = table.rows[f"1/τ = {scale}"]
        for name, owner in (("swapped", [1, 0, 2, 3, 4, 5]), ("in_order", [0, 1, 2, 3, 4, 5])):
            found = row[f"lowest_{name}"].details
            assert {-90, -45, 0, 45, 90} <= set(found["x"])
            want = [loop_loss(angle, scale, owner) for angle in found["x"]]
            assert found["y"] == pytest.approx(want, abs=1e-12)
        assert row["loss_at_pole"].value == pytest.approx(math.log(6))


@pytest.mark.parametrize(
    ("scale", "loss", "angle"),
    [(1, 1.5477, 0), (5, 1.0952, 0), (35, 0.8095, 53), (50, 0.8095, 65), (100, 0.8096, 78)],
)
def test_stated_minima(scale: float, loss: float, angle: float) -> None:
    (row,) = sphere_pairs(scales=(scale,)).rows.values()
    assert row["lowest_swapped"].value == pytest.approx(loss, abs=1e-4)
    assert row["angle_swapped"].value == pytest.approx(angle, abs=0.5)
    assert row["closed_swapped"].value == pytest.approx(angle, abs=0.5)
    assert row["angle_in_order"].value == row["closed_in_order"].value == 0


def test_the_closed_form_is_the_minimum_with_a_coarse_grid() -> None:
    for pairs in (3, 9):
        (row,) = sphere_pairs(scales=(60,), pairs=pairs, step=30).rows.values()
        assert row["angle_swapped"].value == pytest.approx(row["closed_swapped"].value, abs=1e-4)
        assert row["closed_swapped"].value > 10


def test_the_best_sharpness_without_and_with_nothing_but_mistakes() -> None:
    longitude = torch.tensor([0.0, 0.5], dtype=torch.float64)
    assert best_sharpness(longitude, torch.tensor([0, 1])) == math.inf
    assert best_sharpness(longitude, torch.tensor([1, 0])) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scales": (0,)}, "scales must be a number of at least 0.001"),
        ({"scales": ()}, "scales must have at least 1 value"),
        ({"scales": (1, 1.0)}, "scales must be different values"),
        ({"scales": (math.nan,)}, "scales must be a finite number"),
        ({"pairs": 1}, "pairs must be"),
        ({"pairs": 30}, "at most 360 degrees; got 30 × 20 = 600"),
        ({"apart": 0}, "apart must be"),
        ({"step": 0}, "step must be"),
        ({"step": -1.0}, "step must be"),
        ({"pairs": 360_000, "apart": 0.001}, "must fit in the available memory"),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.OptionError, match=said):
        sphere_pairs(**options)
