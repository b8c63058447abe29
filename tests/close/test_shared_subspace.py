"""Shared subspace: what it costs, and where it has no directions."""

from __future__ import annotations

import numpy as np
import pytest
from close.cases import arrays
from numpy.typing import NDArray

from modalgap import errors
from modalgap.close import fit
from modalgap.embeddings import Pair


def test_its_cost_on_coco(coco: NDArray[np.float32]) -> None:
    """The stated values are .53/.51 with k = 192: mean of ten splits into halves."""
    found = []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(500)
        map_ = fit(Pair(*coco[:, order[:250]]), "shared_subspace", k=192)
        assert map_.facts["directions"] == map_.width("image") == 192
        scores = map_.image(coco[0][order[250:]]) @ map_.text(coco[1][order[250:]]).T
        found.append([(scores.argmax(axis) == np.arange(250)).mean() for axis in (1, 0)])
    np.testing.assert_allclose(np.mean(found, 0), [0.53, 0.51], atol=0.02)  # other splits


def test_directions_are_limited() -> None:
    image, text = arrays()
    assert fit(Pair(image, text), "shared_subspace").facts["directions"] == 6  # of 12 columns
    few = fit(Pair(image[:5], text[:5]), "shared_subspace", k=100)
    assert few.facts["directions"] == few.width("text") <= 8
    assert few.facts["held_covariance"] == pytest.approx(1)


def test_rows_that_do_not_vary_together() -> None:
    image, text = arrays()
    same = np.ones_like(text)
    for data, words in (
        (Pair(image, same), "shared_subspace: matched rows do not vary together"),
        (Pair(image[:2], text[:2]), "shared_subspace: it needs at least 3 matched pairs"),
    ):
        with pytest.raises(errors.NotApplicable, match=words):
            fit(data, "shared_subspace")
