"""The study temperature_law: the fit recovers known exponents; what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modalgap import errors
from modalgap.study import temperature_law
from modalgap.study.chowers2026.temperature_law import fitted


@pytest.mark.parametrize("p", [0.5, 2.0])
def test_the_fit_recovers_a_power_of_the_logarithm(p: float) -> None:
    times = np.geomspace(0.1, 1e8, 200)
    found = fitted(times.tolist(), (3 / np.log(times + 2) ** p).tolist())
    assert found["exponent"].value == pytest.approx(p, abs=0.01)
    assert found["fit"].value == pytest.approx(1, abs=1e-4)
    assert found["fit"].value > found["power_fit"].value


def test_the_fit_recovers_a_power() -> None:
    times = np.geomspace(0.1, 1e4, 200)
    found = fitted(times.tolist(), (times**-0.25).tolist())
    assert found["power"].value == pytest.approx(0.25)
    assert found["power_fit"].value == pytest.approx(1)


def test_no_fit_of_few_points_or_of_a_closed_gap() -> None:
    assert fitted([0.0, 1.0, 100.0], [1.0, 0.9, 0.5]) == {}
    assert fitted(np.geomspace(1, 1e6, 50).tolist(), [1e-9] * 50) == {}


def test_a_small_run(tmp_path: Path) -> None:
    table = temperature_law(tmp_path, n=12, dim=4, steps=250)
    rows = table.rows
    assert rows["flow, learnable τ"]["gap"].value > rows["flow, frozen τ"]["gap"].value
    assert rows["flow, frozen τ"]["temperature"].value == pytest.approx(0.07)
    assert rows["Adam, learnable τ"]["temperature"].value < 0.07
    assert rows["Adam, learnable τ"]["time"].value == 250


@pytest.mark.parametrize(
    ("name", "value"), [("n", 1), ("dim", 2), ("steps", 0), ("temperature", 0.0), ("until", 0.1)]
)
def test_refusals(name: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match=name):
        temperature_law(tmp_path, **{name: value})
