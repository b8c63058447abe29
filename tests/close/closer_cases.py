"""Pairs that the tests of the closers share."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy
from conftest import find_shared
from reference.cases import Case, Floats, random_case, real_case, unit
from sklearn.covariance import OAS, empirical_covariance, shrunk_covariance
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from modalgap.close import Transductive, close
from modalgap.embeddings import Pair

with warnings.catch_warnings():  # a doc string of POT's warns when it is first compiled
    warnings.simplefilter("ignore")
    import ot

Sides = tuple[Floats, Floats]
Options = dict[str, Any]


@functools.cache
def case_of(name: str) -> Case:
    if name.startswith("coco"):
        return real_case(name, np.load(find_shared("clip_coco500.npy")))
    if name == "few":  # fewer rows than columns
        case = random_case("pairs")
        return Case(case.image[:15], case.text[:15])
    if name == "sorted":  # several chunks of rows, and none like the whole
        case = random_case("long")
        return Case(case.image[case.x[:, 0].argsort()], case.text[case.y[:, 1].argsort()])
    if name == "positive":  # cosines above zero, as those of a trained model are
        image, text = np.random.default_rng(0).normal(size=(2, 40, 9))
        return Case(2 + image, 2 + text + image)
    if name == "positive captions":
        case = case_of("positive")
        of = np.arange(40) % 13
        return Case(case.image[:13], case.text, text_to_image=of)
    return random_case(name)


@functools.cache
def pair_of(name: str) -> Pair:
    case = case_of(name)
    return Pair(case.image, case.text, case.text_to_image, case.labels)


def closed(name: str, method: str, options: Options) -> Sides:
    """Closed rows of a case, in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Transductive)
        found = close(pair_of(name), method, **options)
    image, text = (side.rows.read(0, side.n).double().numpy() for side in found.sides)
    return image, text


def matched(case: Case) -> Sides:
    """Matched rows: each image with its first text."""
    i, j = np.transpose(case.first)
    return case.x[i], case.y[j]


def cosines(sides: Sides) -> Floats:
    """Between all rows of both sides: what is left when a basis is free to turn."""
    rows = np.concatenate(sides)
    return rows @ rows.T


def none(case: Case) -> Sides:
    return case.x, case.y


def center(case: Case) -> Sides:
    return unit(case.x - case.x.mean(0)), unit(case.y - case.y.mean(0))


def erase_gap(case: Case) -> Sides:
    """By an orthonormal basis of the directions orthogonal to the gap."""
    means = np.stack([case.x.mean(0), case.y.mean(0)])
    basis = scipy.linalg.null_space(means[:1] - means[1:])
    inside = basis @ basis.T
    return unit((case.x - means.mean(0)) @ inside), unit((case.y - means.mean(0)) @ inside)


def shift(case: Case, alpha: float = 1.0, side: str = "both", length: float | None = None) -> Sides:
    gap = case.x.mean(0) - case.y.mean(0)
    size = np.sqrt((gap**2).sum())
    way = gap / size * (alpha * size if length is None else length)
    if side == "both":
        return unit(case.x - way / 2), unit(case.y + way / 2)
    return (unit(case.x - way), case.y) if side == "image" else (case.x, unit(case.y + way))


def directions(rows: Floats, share: float) -> Floats:
    """(k, d): principal directions that hold a share of the variance, by scikit-learn."""
    found = PCA().fit(rows)
    k = int(np.searchsorted(found.explained_variance_ratio_.cumsum(), share - 1e-12)) + 1
    return found.components_[:k]


def project(
    case: Case, alpha: float = 1.0, retrieved: str = "image", explained_variance: float = 0.9
) -> Sides:
    gap = case.x.mean(0) - case.y.mean(0)
    V = directions(case.x if retrieved == "image" else case.y, explained_variance)
    rest = gap - V.T @ (V @ gap)
    if retrieved == "image":
        return unit(case.x - alpha * rest), case.y
    return case.x, unit(case.y + alpha * rest)


def standardize(case: Case, to: str | None = None) -> Sides:
    if to is None:
        x, y = (StandardScaler().fit_transform(rows) for rows in (case.x, case.y))
        return unit(x), unit(y)
    rows, goal = (case.y, case.x) if to == "image" else (case.x, case.y)
    moved = (rows - rows.mean(0)) / rows.std(0, ddof=1) * goal.std(0, ddof=1) + goal.mean(0)
    return (case.x, unit(moved)) if to == "image" else (unit(moved), case.y)


def realign(case: Case) -> Sides:
    x_mean, y_mean = case.x.mean(0), case.y.mean(0)
    scale = np.sqrt(np.trace(np.cov(case.x.T)) / np.trace(np.cov(case.y.T)))
    first = unit(x_mean + scale * (case.y - y_mean))
    return case.x, unit(first - first.mean(0) + x_mean)


def covariance(rows: Floats, shrinkage: float | None) -> Floats:
    """By scikit-learn, divided by n − 1."""
    n = len(rows)
    if shrinkage is None:
        return OAS().fit(rows).covariance_ * n / (n - 1)
    return shrunk_covariance(empirical_covariance(rows), shrinkage) * n / (n - 1)


def whiten(case: Case, shrinkage: float | None = None) -> Sides:
    found = []
    for rows in (case.x, case.y):
        root = scipy.linalg.sqrtm(np.linalg.inv(covariance(rows, shrinkage))).real
        found.append(unit((rows - rows.mean(0)) @ root.T))
    return found[0], found[1]


def drop_dims(case: Case, k: int = 2) -> Sides:
    gap = np.abs(case.x.mean(0) - case.y.mean(0))
    x, y = case.x.copy(), case.y.copy()
    for _ in range(k):
        worst = int(gap.argmax())
        x[:, worst] = y[:, worst] = gap[worst] = 0
    return unit(x), unit(y)


def pca_text(case: Case, k: int | None = None) -> Sides:
    _, _, Vt = np.linalg.svd(case.y, full_matrices=False)
    V = Vt[: k or case.y.shape[1] // 2].T
    return unit(case.x @ V), unit(case.y @ V)


def shared_subspace(case: Case, k: int | None = None, seed: int = 0) -> Sides:
    x, y = matched(case)
    cross = np.cov(x.T, y.T)[: x.shape[1], x.shape[1] :]
    values, vectors = scipy.linalg.eigh(cross + cross.T)
    wanted = k or min(192, x.shape[1] // 2)
    V = vectors[:, [i for i in np.argsort(-values) if values[i] > 1e-9][:wanted]]
    return unit((case.x - case.x.mean(0)) @ V), unit((case.y - case.y.mean(0)) @ V)


def procrustes(case: Case, seed: int = 0) -> Sides:
    x, y = matched(case)
    turn, _ = scipy.linalg.orthogonal_procrustes(y - y.mean(0), x - x.mean(0))
    return case.x, unit(x.mean(0) + (case.y - y.mean(0)) @ turn)


def ridge(case: Case, penalty: float = 1.0, seed: int = 0) -> Sides:
    x, y = matched(case)
    weight = penalty * ((y - y.mean(0)) ** 2).sum() / y.shape[1]
    return case.x, unit(Ridge(alpha=weight, solver="cholesky").fit(y, x).predict(case.y))


def canonical(
    case: Case, dims: int | None, shrinkage: float | None
) -> tuple[Floats, Floats, Floats]:
    """Correlations and weights (d, k), by the generalised eigenproblem of both sides at once."""
    x, y = matched(case)
    n, d = x.shape
    k = min(dims or d // 2, d, n - 1)
    cross = (x - x.mean(0)).T @ (y - y.mean(0)) / (n - 1)
    zero = np.zeros((d, d))
    A = np.block([[zero, cross], [cross.T, zero]])
    B = scipy.linalg.block_diag(covariance(x, shrinkage), covariance(y, shrinkage))
    values, vectors = scipy.linalg.eigh(A, B, subset_by_index=[2 * d - k, 2 * d - 1])
    values, vectors = values[::-1], vectors[:, ::-1] * np.sqrt(2)  # each side at variance one
    return values, vectors[:d], vectors[d:]


def cca(
    case: Case,
    dims: int | None = None,
    power: float = 1.0,
    shrinkage: float | None = None,
    seed: int = 0,
) -> Sides:
    x, y = matched(case)
    values, a, b = canonical(case, dims, shrinkage)
    weight = values**power
    return (
        unit((case.x - x.mean(0)) @ a * weight),
        unit((case.y - y.mean(0)) @ b * weight),
    )


def transport(case: Case, reg: float = 1.0, iterations: int = 10) -> Sides:
    """Barycentres of a plan.

    The plan of plain transport, with as many texts as images or a multiple, is an assignment. With
    the Laplacian term it is taken from the function behind POT's class, cost and marginals ours.
    """
    each, rest = divmod(len(case.y), len(case.x))
    assert rest == 0
    images = np.repeat(case.x, each, axis=0)
    cost = ((case.y[:, None] - images[None]) ** 2).sum(2)
    if reg == 0:
        rows, columns = scipy.optimize.linear_sum_assignment(cost)
        assert (rows == np.arange(len(case.y))).all()
        return case.x, images[columns]
    m = len(case.y)
    uniform = np.full(m, 1 / m)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the number of iterations
        plan = ot.da.emd_laplace(
            uniform, uniform, case.y, images, cost, eta=reg, alpha=1.0, numItermax=iterations
        )
    return case.x, unit(m * plan @ images)


def spectral(case: Case, k: int = 64) -> Sides:
    """Rows of the eigenvectors of L_rw v = λ v, that is (D − A) v = λ D v, by the dense solver."""
    n, m = len(case.x), len(case.y)
    W = case.x @ case.y.T
    A = np.block([[np.zeros((n, n)), W], [W.T, np.zeros((m, m))]])
    D = np.diag(A.sum(1))
    values, vectors = scipy.linalg.eigh(D - A, D)
    assert values[0] == pytest.approx(0, abs=1e-9)  # the constant one
    kept = 1 + np.flatnonzero(values[1 : k + 1] < 1 - 1e-9)  # those that the rank of W has
    rows = unit(vectors[:, kept])
    return rows[:n], rows[n:]


REFERENCES: dict[str, Callable[..., Sides]] = {
    "none": none,
    "center": center,
    "erase_gap": erase_gap,
    "project": project,
    "shift": shift,
    "standardize": standardize,
    "realign": realign,
    "whiten": whiten,
    "drop_dims": drop_dims,
    "pca_text": pca_text,
    "shared_subspace": shared_subspace,
    "procrustes": procrustes,
    "cca": cca,
    "ridge": ridge,
    "transport": transport,
    "spectral": spectral,
}
EVERY = ("pairs", "few", "uneven captions", "class prompts", "coco pairs")
FULL = ("pairs", "five captions", "uneven captions")  # more matches than columns
