"""Theorem 1 against a plain layer, the arc-cosine kernel, and the stated shares."""

from __future__ import annotations

import numpy as np
import pytest

from modalgap import errors
from modalgap.simulate import cosine_rise
from modalgap.trace import points


def test_a_plain_layer_gives_the_same_shares() -> None:
    """W and b drawn, and inputs of 5 dimensions with the wanted norms and cosine."""
    random, width, draws = np.random.default_rng(0), 12, 4000
    for r, bias in ((1.0, True), (2.0, True), (2.0, False)):
        cosine = 0.95 * 2 / (r + 1 / r)
        u = np.zeros(5)
        v = np.zeros(5)
        u[0], v[0], v[1] = r, cosine, (1 - cosine**2) ** 0.5
        risen = 0
        for _ in range(draws):
            weights = random.normal(0, width**-0.5, (width, 5))
            b = random.normal(0, width**-0.5, width) * bias
            h, g = np.maximum(weights @ u + b, 0), np.maximum(weights @ v + b, 0)
            lengths = np.linalg.norm(h) * np.linalg.norm(g)
            risen += lengths > 0 and h @ g / lengths > cosine
        table = cosine_rise([width], ratios=[r], bias=bias, draws=8000)
        ours = table.rows[f"d={width}, r={r:g}"]["share"].value
        assert ours == pytest.approx(risen / draws, abs=0.03)


def test_failures_shrink_with_the_width() -> None:
    table = cosine_rise([16, 64, 256], draws=400)
    for r in (1, 2, 4):
        shares = [table.rows[f"d={d}, r={r}"]["share"].value for d in (16, 64, 256)]
        assert shares == sorted(shares)
        assert shares[-1] > 0.96


def test_stated_shares_of_200_draws() -> None:
    """2.5 sd of 200 draws."""
    table = cosine_rise([64, 256], draws=1000)
    for (d, r), (stated, within) in {
        (64, 1): (0.995, 0.023), (64, 2): (0.92, 0.06), (64, 4): (0.945, 0.045),
        (256, 1): (1.00, 0.005), (256, 2): (0.99, 0.025), (256, 4): (0.99, 0.012),
    }.items():  # fmt: skip
        ours = table.rows[f"d={d}, r={r}"]["share"].value
        assert ours == pytest.approx(stated, abs=within), (d, r)


def test_limit_and_curve() -> None:
    """At the limit a wide layer neither raises nor lowers; equal norms rise up to 1."""
    table = cosine_rise([2048], ratios=[1, 2, 4], draws=50)
    for r in (2, 4):
        row = table.rows[f"d=2048, r={r}"]
        x, y = points(row["share"])
        limit = row["limit"].value
        assert all(share > 0.9 for at, share in zip(x, y, strict=True) if at < limit - 0.15)
        assert all(share < 0.1 for at, share in zip(x, y, strict=True) if at > limit + 0.15)
        assert row["threshold"].value == pytest.approx(2 * r / (r * r + 1))
    assert table.rows["d=2048, r=1"]["limit"].value == pytest.approx(1, abs=1e-3)
    assert cosine_rise([16], draws=50).rows == cosine_rise([16], draws=50).rows


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dims", [1]),
        ("dims", [16, 16]),
        ("dims", []),
        ("dims", [10**9]),
        ("ratios", [0.5]),
        ("ratios", []),
        ("norm", 0.0),
        ("draws", 0),
        ("seed", -1),
    ],
)
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        cosine_rise(**{name: value})  # type: ignore[arg-type]
