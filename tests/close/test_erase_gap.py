"""Erased gap: one map for both modalities, against LEACE, and in FAISS without a modality."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from close.cases import arrays, pair
from numpy.typing import NDArray
from reference.cases import Floats, unit
from sklearn.covariance import OAS
from sklearn.linear_model import LogisticRegression

from modalgap import errors
from modalgap.close import AffineMap, faiss_views, fit


def moved(map_: AffineMap, rows: Floats) -> Floats:
    """Rows after the affine part, before normalisation."""
    (step,) = map_.roles["image"]
    assert step.matrix is not None
    return rows @ step.matrix.T + step.offset


def leace(x: Floats, y: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """LEACE (arXiv 2306.03819, theorem 4.2): I − W⁺P W, P on the column space of W Σ_rz.

    Rows about the middle of the means; z is 1 for x and 0 for y, as many rows of each.
    """
    middle = (x.mean(0) + y.mean(0)) / 2
    values, vectors = np.linalg.eigh(covariance)
    W = vectors / np.sqrt(values) @ vectors.T
    q = W @ (x.mean(0) - y.mean(0))  # proportional to W Σ_rz
    P = np.outer(q, q) / (q @ q)
    eraser = np.eye(len(q)) - np.linalg.inv(W) @ P @ W
    return (x - middle) @ eraser.T, (y - middle) @ eraser.T


def symmetric() -> tuple[Floats, Floats]:
    """Unit rows whose gap is an eigenvector of their covariance: each has its mirror image."""
    image, text = (unit(rows) for rows in arrays())
    sides = []
    for rows, sign in ((image, 1.0), (text, -1.0)):
        along = sign * np.abs(rows[:, :1])
        rows = np.concatenate([along, rows[:, 1:]], 1)
        sides.append(np.concatenate([rows, rows * np.where(np.arange(12) == 0, 1, -1)]))
    return sides[0], sides[1]


def test_it_is_leace_where_the_gap_is_an_eigenvector_of_the_covariance() -> None:
    x, y = symmetric()
    map_ = fit({"image": x, "text": y}, "erase_gap")
    expected = leace(x, y, np.cov(np.concatenate([x, y]).T))
    for found, rows in zip(expected, (x, y), strict=True):
        np.testing.assert_allclose(moved(map_, rows), found, atol=1e-6)
        np.testing.assert_allclose(map_.image(rows), unit(found), atol=1e-5)


def test_like_leace_no_linear_classifier_finds_the_modality() -> None:
    x, y = (unit(rows) for rows in arrays())
    map_ = fit({"image": x, "text": y}, "erase_gap")
    kind = np.repeat([0, 1], len(x))
    for found in (leace(x, y, np.cov(np.concatenate([x, y]).T)), (moved(map_, x), moved(map_, y))):
        rows = np.concatenate(found)
        np.testing.assert_allclose(rows[kind == 0].mean(0), rows[kind == 1].mean(0), atol=1e-7)
        fitted = LogisticRegression(C=1e6, tol=1e-10, max_iter=10_000).fit(rows, kind)
        assert np.abs(fitted.coef_).max() < 1e-4  # the constant is the best classifier
    before = LogisticRegression(C=1e6, max_iter=10_000).fit(np.concatenate([x, y]), kind)
    assert before.score(np.concatenate([x, y]), kind) > 0.9  # else the test could not fail


def test_both_roles_have_the_same_map() -> None:
    map_ = fit(pair(), "erase_gap")
    rows = np.concatenate(arrays())
    np.testing.assert_array_equal(map_.image(rows), map_.text(rows))
    assert not map_.invertible


def test_there_must_be_a_gap() -> None:
    x, _ = arrays()
    with pytest.raises(errors.NotApplicable, match=r"^erase_gap: there is no gap: the means"):
        fit({"image": x, "text": x}, "erase_gap")


def test_one_view_of_faiss_serves_rows_of_unknown_modality() -> None:
    x, y = (rows.astype(np.float32) for rows in arrays())
    order = np.random.default_rng(0).permutation(2 * len(x))
    rows = np.concatenate([x, y])[order]
    map_ = fit(pair(), "erase_gap")
    closed = np.concatenate([map_.image(x), map_.text(y)])[order]
    plain = faiss.IndexFlatIP(rows.shape[1])
    plain.add(closed)
    view = faiss_views(map_, faiss.IndexFlatIP(rows.shape[1]))["image"]
    view.add(rows)
    (scores, found), (expected, where) = view.search(rows, 5), plain.search(closed, 5)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert (found == where).mean() > 0.99


def recall(x: Floats, y: Floats) -> list[float]:
    scores, right = x @ y.T, np.arange(len(x))
    return [float((scores.argmax(axis) == right).mean()) for axis in (1, 0)]


def test_search_on_coco(coco: NDArray[np.float32]) -> None:
    """The stated values are .621/.584 (center .621/.579): mean of ten splits into halves."""
    means: dict[str, list[list[float]]] = {"center": [], "erase_gap": [], "leace": []}
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(500)
        (x, y), (u, v) = coco[:, order[:250]], coco[:, order[250:]]
        for name in ("center", "erase_gap"):
            map_ = fit({"image": x, "text": y}, name)
            means[name].append(recall(map_.image(u), map_.text(v)))
        x, y, u, v = (unit(rows) for rows in (x, y, u, v))
        both = np.concatenate([x, y])
        gap, middle = x.mean(0) - y.mean(0), both.mean(0)
        oblique = np.linalg.solve(OAS().fit(both).covariance_, gap)  # LEACE of shrunk Σ
        u, v = (
            unit(rows - middle - np.outer((rows - middle) @ oblique, gap) / (gap @ oblique))
            for rows in (u, v)
        )
        means["leace"].append(recall(u, v))
    found = {name: np.mean(values, 0) for name, values in means.items()}
    np.testing.assert_allclose(found["erase_gap"], [0.621, 0.584], atol=0.016)  # other splits
    np.testing.assert_allclose(found["center"], [0.621, 0.579], atol=0.016)
    np.testing.assert_allclose(found["erase_gap"] - found["center"], [0, 0.005], atol=0.004)
    np.testing.assert_allclose(found["leace"], found["erase_gap"], atol=0.005)
