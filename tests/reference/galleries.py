"""Measures of neighbours in galleries, directly: full sorts and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import NearestNeighbors

from reference.cases import Case, Floats

K = 10


def knn_mixing(case: Case, k: int = 20) -> float:
    pool = np.concatenate([case.x, case.y])
    kind = np.repeat([0, 1], [len(case.x), len(case.y)])
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(pool)
    near = index.kneighbors(return_distance=False)  # of the pool itself, each left out
    return float((kind[near] != kind[:, None]).mean())


def antihub_fraction(rows: Floats) -> float:
    index = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(rows)
    near = index.kneighbors(return_distance=False)
    return 1 - len(np.unique(near)) / len(rows)


def best_of_others(rows: Floats) -> Floats:
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -2)
    return cosine.max(1)


def near_duplicate_fraction(rows: Floats) -> float:
    return float((best_of_others(rows) >= 0.98).mean())


def out_of_corpus_fraction(queries: Floats, gallery: Floats) -> float:
    """By distances, as search tools have it: beyond 99 % of the gallery."""
    distances = 1 - best_of_others(gallery)
    distances = distances[distances > 1e-4] if (distances > 1e-4).any() else distances
    limit = np.quantile(distances, 0.99)
    return float((1 - (queries @ gallery.T).max(1) > limit).mean())


REFERENCES: dict[str, Callable[[Case], float]] = {
    "knn_mixing": knn_mixing,
    "antihub_fraction_image": lambda case: antihub_fraction(case.x),
    "antihub_fraction_text": lambda case: antihub_fraction(case.y),
    "near_duplicate_fraction_image": lambda case: near_duplicate_fraction(case.x),
    "near_duplicate_fraction_text": lambda case: near_duplicate_fraction(case.y),
    "out_of_corpus_fraction_image": lambda case: out_of_corpus_fraction(case.x, case.y),
    "out_of_corpus_fraction_text": lambda case: out_of_corpus_fraction(case.y, case.x),
}
