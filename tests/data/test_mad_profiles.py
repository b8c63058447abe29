"""Profiles of MAD's images: by loops, and what they depend on."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from modalgap.data.mad import VARIANTS, build, digits, profiles
from modalgap.errors import InputError


def test_by_loops() -> None:
    images = np.random.default_rng(0).integers(256, size=(3, 28, 28)).astype(np.uint8)
    expected = np.zeros((3, 2, 28))
    for n in range(3):
        for i in range(28):
            for j in range(28):
                expected[n, 0, i] += images[n, i, j] / 255 / 28
                expected[n, 1, j] += images[n, i, j] / 255 / 28
    found = profiles(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert profiles(np.full((1, 28, 28), 255, np.uint8)).max() == 1
    assert profiles(images[:0]).shape == (0, 2, 28)


def test_of_mad() -> None:
    mad = build(digits(limit=40), workers=1)
    digit = np.repeat(np.arange(len(mad)), len(VARIANTS))
    variant = np.tile(np.arange(len(VARIANTS)), len(mad))
    found = mad.profiles(digit, variant)
    assert found.shape == (40 * 24, 2, 28)
    np.testing.assert_array_equal(
        found, build(digits(limit=40), workers=1).profiles(digit, variant)
    )
    # both channels hold all the ink; nearly every image has a profile of its own
    np.testing.assert_allclose(found[:, 0].sum(1), found[:, 1].sum(1), rtol=1e-5)
    images = mad.images.reshape(-1, 28 * 28)
    distinct = len(np.unique(images, axis=0))
    assert len(np.unique(found.reshape(len(found), -1), axis=0)) >= 0.99 * distinct
    # thick digits have more ink
    thick, thin = (found[VARIANTS[variant, 0] == code].sum() for code in (1, 2))
    assert thick > 1.3 * thin


@pytest.mark.parametrize(
    "images", [np.zeros((2, 28, 28)), np.zeros((28, 28), np.uint8), np.zeros((2, 8, 8), np.uint8)]
)
def test_refused(images: np.ndarray) -> None:
    with pytest.raises(InputError, match="images: must be unsigned bytes"):
        profiles(images)
