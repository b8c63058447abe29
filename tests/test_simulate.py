"""Free points: the loss keeps a gap that temperature decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import modalgap as mg
from modalgap import errors
from modalgap.simulate import free_points

SMALL = {"n": 100, "dim": 16, "batch": 100}


def test_points_start_in_two_cones() -> None:
    start = free_points(400, 64, steps=0)
    result = mg.measure(start, only=["cone", "l2m", "separability"])
    assert result["cone_image"].value == pytest.approx(0.5, abs=0.05)
    assert result["cone_text"].value == pytest.approx(0.5, abs=0.05)
    assert result["l2m"].value > 0.5
    assert result["separability"].value == 1


def test_the_loss_falls_and_a_low_temperature_keeps_the_gap() -> None:
    start = mg.measure(free_points(**SMALL, steps=0), only=["l2m", "infonce"])
    cold = mg.measure(free_points(**SMALL), only=["l2m", "infonce"])
    warm = mg.measure(free_points(**SMALL, temperature=0.2), only=["l2m", "infonce"])
    assert cold["infonce"].value < start["infonce"].value / 100
    assert cold["l2m"].value > 0.5 * start["l2m"].value
    assert warm["l2m"].value < 0.25 * start["l2m"].value


def test_its_loss_is_info_nce() -> None:
    pair = free_points(**SMALL, steps=3)
    x, y = pair.image.unit(), pair.text.unit()
    logits, own = x @ y.T / 0.01, torch.arange(100)
    loss = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    assert pair.image.provenance["loss"].endswith(f"{float(loss):.3f} at the end")


def test_same_seed_same_points() -> None:
    one, two, other = (free_points(**SMALL, steps=5, seed=seed) for seed in (3, 3, 4))
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != other.fingerprint
    assert np.isfinite(one.image.unit().numpy()).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 1),
        ("dim", 1),
        ("steps", -1),
        ("temperature", 0.0),
        ("batch", 1),
        ("seed", 2**64),
        ("seed", 1.5),
        ("temperature", "x"),
    ],
)
def test_options_out_of_range(name: str, value: float) -> None:
    with pytest.raises(errors.OptionError, match=name):
        free_points(**{name: value})  # type: ignore[arg-type]
