"""The simulation flip_robustness: against drawn vectors, the closed form, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modalgap import errors
from modalgap.simulate import flip_robustness
from modalgap.trace import points


def test_against_drawn_vectors() -> None:
    """Whole vectors in loops, instead of the three numbers that decide."""
    random = np.random.default_rng(0)
    draws, dim, sigma, gap = 20_000, 6, 0.3, 0.7
    first, second, image = np.zeros((3, dim))
    first[0], second[0], image[0], image[1] = 0.25, -0.25, 0.2, gap
    one = first + sigma * random.standard_normal((draws, dim))
    two = second + sigma * random.standard_normal((draws, dim))
    flips = np.mean(((image - one) ** 2).sum(1) > ((image - two) ** 2).sum(1))
    products = np.mean(one @ image < two @ image)
    table = flip_robustness(dim, gaps=[gap], variances=[sigma**2], draws=draws)
    (row,) = table.rows.values()
    assert row["distance"].value == pytest.approx(flips, abs=0.015)
    assert row["product"].value == pytest.approx(products, abs=0.015)


def test_the_closed_forms() -> None:
    table = flip_robustness(512, gaps=[0.0, 1.0], variances=[0.01], draws=1)
    row = table.rows["σ² = 0.01"]
    _, normal = points(row["distance_form"])
    _, exact = points(row["product_form"])
    for gap, one, two in zip((0.0, 1.0), normal, exact, strict=True):
        near, far = gap**2 + 0.05**2, gap**2 + 0.45**2
        spread = math.sqrt(0.04 * (near + far) + 0.0004 * 512)
        assert one == pytest.approx(0.5 * math.erfc((far - near) / spread / 2**0.5))
        z = 0.1 / (0.1 * math.hypot(0.2, gap) * 2**0.5)
        assert two == pytest.approx(0.5 * math.erfc(z / 2**0.5), abs=1e-6)


def test_counts_agree_with_the_forms_and_rise_with_the_gap() -> None:
    for row in flip_robustness().rows.values():
        assert row["largest_difference"].value < 1.5 * row["half_width"].value
        for name in ("distance", "product"):
            _, flips = points(row[name])
            assert flips == sorted(flips)
            assert flips[-1] > flips[0] + 0.03


def test_one_image_between_both_texts() -> None:
    (row,) = flip_robustness(gaps=[0.5], variances=[0.01], nearer=0.0).rows.values()
    assert row["distance"].value == pytest.approx(0.5, abs=0.01)
    assert row["product_form"].value == pytest.approx(0.5)
    assert row["distance"].interval is not None


def test_same_seed_same_counts() -> None:
    one, two = (flip_robustness(draws=100, seed=3).to_dict() for _ in range(2))
    assert one == two
    assert one["rows"] != flip_robustness(draws=100, seed=4).to_dict()["rows"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dim", 1), ("gaps", [-1.0]), ("gaps", []), ("gaps", [1.0, 1.0]), ("variances", [0.0]),
        ("separation", 0.0), ("nearer", -1.0), ("draws", 0), ("seed", -1), ("draws", 10**12),
    ],
)  # fmt: skip
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        flip_robustness(**{name: value})  # type: ignore[arg-type]
