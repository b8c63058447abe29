"""Kendall's τ of models against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, permutation_test

from modalgap.study.correlation import tau


@pytest.mark.parametrize("ties", [False, True])
def test_tau(ties: bool) -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=12)
    y = x + random.normal(size=12)
    if ties:
        x, y = np.round(x), np.round(y)
    found = tau(x, y)
    assert found.value == pytest.approx(kendalltau(x, y).statistic, abs=1e-12)
    by_scipy = permutation_test(
        (x,), lambda each: kendalltau(each, y).statistic, permutation_type="pairings",
        n_resamples=3000, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert found.details["p"] == pytest.approx(by_scipy.pvalue, abs=0.02)
    assert found.interval is not None
    assert found.interval[0] <= found.value <= found.interval[1]


def test_extremes() -> None:
    n = 8
    assert tau(range(n), range(n)).value == 1
    assert tau(range(n), range(n)).details["p"] < 0.001
    assert tau(range(n), [-i for i in range(n)]).value == -1
    constant = tau(range(n), [1] * n)
    assert constant.value == 0
    assert constant.details["p"] == 1
