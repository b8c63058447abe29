"""Every closer against an independent implementation, and the guarantee that ``project`` rests on.

The references take unit rows in float64 and follow the equations of SCIENCE.md, section 3, by
scikit-learn, scipy, POT or plain numpy; none of them calls modalgap.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy
from conftest import find_shared
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.cases import Case, Floats, random_case, real_case, unit
from sklearn.covariance import OAS, empirical_covariance, shrunk_covariance
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import modalgap as mg
from modalgap import errors
from modalgap.close import CLOSERS, AffineMap, Step, Transductive, close, fit
from modalgap.embeddings import Embeddings, Pair

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


# references ----------------------------------------------------------------------------------


def none(case: Case) -> Sides:
    return case.x, case.y


def center(case: Case) -> Sides:
    return unit(case.x - case.x.mean(0)), unit(case.y - case.y.mean(0))


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
    "project": project,
    "shift": shift,
    "standardize": standardize,
    "realign": realign,
    "whiten": whiten,
    "drop_dims": drop_dims,
    "pca_text": pca_text,
    "procrustes": procrustes,
    "cca": cca,
    "ridge": ridge,
    "transport": transport,
    "spectral": spectral,
}
ELSEWHERE = {"isoclip": "takes weights", "noise": "is random"}
FREE_BASIS = {name for name, closer in CLOSERS.items() if "free sign" in closer.card.traits}

EVERY = ("pairs", "few", "uneven captions", "class prompts", "coco pairs")
FULL = ("pairs", "five captions", "uneven captions")  # more matches than columns
COMPARED: list[tuple[str, Options, tuple[str, ...]]] = [
    ("none", {}, EVERY),
    ("center", {}, (*EVERY, "sorted")),
    ("shift", {}, EVERY),
    ("shift", {"side": "image", "alpha": 0.3}, EVERY),
    ("shift", {"side": "text", "alpha": -1.5}, EVERY),
    ("shift", {"length": 0.8}, EVERY),
    ("shift", {"side": "text", "length": -0.4, "alpha": 9.0}, EVERY),
    ("project", {}, EVERY),
    ("project", {"retrieved": "text", "alpha": 0.7}, EVERY),
    ("project", {"retrieved": "text", "explained_variance": 0.3, "alpha": 2}, EVERY),
    ("project", {"explained_variance": 1.0}, ("few", "coco pairs")),
    ("standardize", {}, (*EVERY, "sorted")),
    ("standardize", {"to": "image"}, EVERY),
    ("standardize", {"to": "text"}, EVERY),
    ("realign", {}, (*EVERY, "sorted")),
    ("whiten", {}, (*EVERY, "sorted")),
    ("whiten", {"shrinkage": 0.25}, EVERY),
    ("whiten", {"shrinkage": 0}, ("pairs", "uneven captions")),
    ("whiten", {"shrinkage": 1}, ("pairs", "few")),
    ("drop_dims", {}, EVERY),
    ("drop_dims", {"k": 9}, EVERY),
    ("pca_text", {"k": 5}, EVERY),
    ("pca_text", {}, ("pairs", "uneven captions", "coco pairs")),
    ("pca_text", {"k": 24}, ("pairs", "uneven captions")),
    ("procrustes", {}, FULL),
    ("ridge", {}, (*EVERY, "five captions", "sorted")),
    ("ridge", {"penalty": 0.01}, (*FULL, "class prompts")),
    ("cca", {}, FULL),
    ("cca", {"dims": 4, "power": 0.5, "shrinkage": 0.1}, FULL),
    ("cca", {"dims": 24, "power": 0, "shrinkage": 0}, ("pairs",)),
    ("transport", {"reg": 0}, ("positive", "few")),
    ("transport", {}, ("few",)),
    ("transport", {"reg": 5.0, "iterations": 3}, ("positive",)),
    ("spectral", {"k": 3}, ("positive", "positive captions")),
    ("spectral", {}, ("positive", "positive captions")),
]


def test_every_closer_has_a_reference() -> None:
    assert set(REFERENCES) | set(ELSEWHERE) == set(CLOSERS)
    assert {method for method, _, _ in COMPARED} == set(REFERENCES)
    for method, reference in REFERENCES.items():  # and every option of it is compared
        given = {name for each, options, _ in COMPARED if each == method for name in options}
        assert given | {"seed"} >= set(CLOSERS[method].options), reference


@pytest.mark.parametrize(
    ("method", "options", "name"),
    [
        (method, options, name)
        for method, options, names in COMPARED
        for name in dict.fromkeys(names)
    ],
    ids=str,
)
def test_against_direct_evaluation(method: str, options: Options, name: str) -> None:
    found, expected = closed(name, method, options), REFERENCES[method](case_of(name), **options)
    if method in FREE_BASIS:
        np.testing.assert_allclose(cosines(found), cosines(expected), atol=1e-5)
        return
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_isoclip() -> None:
    random = np.random.default_rng(0)
    on_image, on_text = random.normal(size=(16, 20)), random.normal(size=(16, 13))
    map_ = fit({"image": on_image, "text": on_text}, "isoclip", top=3, bottom=2)
    U, _, Vt = np.linalg.svd(on_image.T @ on_text, full_matrices=False)
    assert map_.facts == {"rank": 13, "kept": 8}
    for role, weights, kept in (("image", on_image, U[:, 3:11]), ("text", on_text, Vt[3:11].T)):
        z = random.normal(size=(30, weights.shape[1]))  # before projection, as the paper has it
        expected = unit(z @ kept @ kept.T @ weights.T)
        np.testing.assert_allclose(map_(z @ weights.T, role), expected, atol=1e-5)
    whole = fit({"image": on_image, "text": on_text}, "isoclip", top=0, bottom=0)
    z = random.normal(size=(30, 13))
    np.testing.assert_allclose(whole.text(z @ on_text.T), unit(z @ on_text.T), atol=1e-5)


# facts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("retrieved", ["image", "text"])
@pytest.mark.parametrize("name", EVERY)
def test_project_reports_what_it_cost(name: str, retrieved: str) -> None:
    case = case_of(name)
    stored, asking = (case.x, case.y) if retrieved == "image" else (case.y, case.x)
    V, gap = directions(stored, 0.9), case.x.mean(0) - case.y.mean(0)
    facts = fit(pair_of(name), "project", retrieved=retrieved).facts
    leakage = np.linalg.norm(V @ gap) / np.linalg.norm(gap)
    assert facts["leakage"] == pytest.approx(leakage, rel=1e-5)
    measured = mg.measure(pair_of(name), only=f"leakage_{retrieved}")[f"leakage_{retrieved}"]
    assert facts["leakage"] == pytest.approx(measured.value, rel=1e-5)
    assert facts["directions"] == len(V)
    assert facts["chance_leakage"] == pytest.approx(np.sqrt(len(V) / stored.shape[1]))
    assert facts["l2m"] == pytest.approx(np.linalg.norm(gap), rel=1e-6)
    image, text = project(case, retrieved=retrieved)
    moved = image if retrieved == "image" else text
    k = min(10, len(stored))
    before, after = (np.argsort(-asking @ rows.T, axis=1)[:, :k] for rows in (stored, moved))
    assert facts["rankings_compared"] == len(asking)
    assert facts["top_1_changed"] == pytest.approx((before[:, 0] != after[:, 0]).mean())
    assert facts[f"top_{k}_changed"] == pytest.approx((before != after).any(1).mean())


def test_shrinkage_is_that_of_scikit_learn() -> None:
    for name in EVERY:
        case, found = case_of(name), fit(pair_of(name), "whiten").facts["shrinkage"]
        for role, rows in (("image", case.x), ("text", case.y)):
            assert found[role] == pytest.approx(OAS().fit(rows).shrinkage_, rel=1e-5)


def test_canonical_correlations() -> None:
    for name in FULL:
        expected, _, _ = canonical(case_of(name), 10, 0.0)
        facts = fit(pair_of(name), "cca", dims=10, shrinkage=0).facts
        np.testing.assert_allclose(facts["correlations"], expected, atol=1e-5)


def test_first_canonical_correlation_by_scikit_learn() -> None:
    x, y = case_of("long").x, case_of("long").y
    u, v = CCA(n_components=1, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = np.corrcoef(u[:, 0], v[:, 0])[0, 1]
    facts = fit(pair_of("long"), "cca", shrinkage=0).facts
    assert facts["correlations"][0] == pytest.approx(expected, abs=1e-5)
    closed_x, closed_y = closed("long", "cca", {"shrinkage": 0, "dims": 1})
    assert (np.abs(closed_x) == 1).all()
    assert (np.abs(closed_y) == 1).all()


def test_facts_of_the_others() -> None:
    case, pair = case_of("uneven captions"), pair_of("uneven captions")
    gap = case.x.mean(0) - case.y.mean(0)
    size = float(np.linalg.norm(gap))
    lengths = fit(pair, "center").facts["length_of_mean"]
    assert lengths["image"] == pytest.approx(np.linalg.norm(case.x.mean(0)), rel=1e-6)
    found = fit(pair, "shift", alpha=0.5).facts
    assert found["l2m"] == pytest.approx(size, rel=1e-6)
    assert found["moved"]["image"].startswith(f"{-size / 4:+.4f} ")
    assert found["moved"]["text"].startswith(f"{size / 4:+.4f} ")
    dropped = fit(pair, "drop_dims", k=3).facts
    assert dropped["columns"] == list(np.argsort(-np.abs(gap))[:3])
    share = (gap[dropped["columns"]] ** 2).sum() / (gap**2).sum()
    assert dropped["share_of_squared_gap"] == pytest.approx(share, rel=1e-6)
    scale = np.sqrt(np.trace(np.cov(case.x.T)) / np.trace(np.cov(case.y.T)))
    assert fit(pair, "realign").facts["scale"] == pytest.approx(scale, rel=1e-5)
    assert fit(pair, "ridge").facts["pairs"] == len(case.first)
    assert fit(pair, "procrustes").facts == {"pairs": len(case.first), "rank": 24}
    assert fit(pair_of("class prompts"), "pca_text").facts == {
        "directions": 12,
        "rank_of_texts": 12,
    }


# noise and transport -------------------------------------------------------------------------


@functools.cache
def many() -> Pair:
    image, text = np.random.default_rng(1).normal(size=(2, 2000, 64)) + 0.3
    return Pair(image, text)


def noisy(**options: Any) -> Sides:
    with pytest.warns(Transductive):
        found = close(many(), "noise", **options)
    image, text = (side.unit().double().numpy() for side in found.sides)
    return image, text


def test_mean_and_variance_of_the_noise() -> None:
    # noise across a row is seen before the row is normalised: divided by the part along it
    sigma, d = 1e-2, 64
    y = many().text.unit().double().numpy()
    _, text = noisy(variance=sigma**2)
    along = (text * y).sum(1, keepdims=True)
    across = text / along - y
    assert across.mean() == pytest.approx(0, abs=4 * sigma / np.sqrt(across.size))
    assert (across**2).sum() / (len(y) * (d - 1)) == pytest.approx(sigma**2, rel=0.02)
    spread = across.std(0)
    assert spread.min() > 0.9 * sigma
    assert spread.max() < 1.1 * sigma
    assert np.abs(np.corrcoef(across.T) - np.eye(d)).max() < 0.12


def test_default_noise_is_that_of_capdec() -> None:
    y = many().text.unit().double().numpy()
    _, text = noisy()
    drawn = np.random.default_rng(99).normal(scale=np.sqrt(0.016), size=y.shape)
    expected = (unit(y + drawn) * y).sum(1)
    found = (text * y).sum(1)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.01)
    assert found.std() == pytest.approx(expected.std(), rel=0.1)


def test_seed_and_side_of_noise() -> None:
    x, y = (side.unit().double().numpy() for side in many().sides)
    image, text = noisy()
    np.testing.assert_allclose(image, x, atol=1e-6)
    np.testing.assert_array_equal(noisy(seed=0)[1], text)
    assert np.abs(noisy(seed=1)[1] - text).max() > 0.1
    image, text = noisy(side="image")
    np.testing.assert_allclose(text, y, atol=1e-6)
    assert np.abs(image - x).max() > 0.1
    image, text = noisy(side="both", variance=1e-4)
    correlation = np.corrcoef((image - x).ravel(), (text - y).ravel())[0, 1]
    assert abs(correlation) < 0.02  # a draw of its own for each side
    np.testing.assert_allclose(noisy(variance=0)[1], y, atol=1e-6)


def test_transport_with_more_texts_than_images() -> None:
    case = case_of("positive")
    several = Pair(case.image[:12], case.text[:36], np.arange(36) % 12)
    with pytest.warns(Transductive):
        found = close(several, "transport", reg=0)
    _, expected = transport(Case(case.image[:12], case.text[:36]), reg=0)
    np.testing.assert_allclose(found.text.unit(), expected, atol=1e-5)


def test_transport_with_a_plan_that_splits() -> None:
    case = case_of("positive")
    x, y = case.x[:10], case.y[:7]
    with pytest.warns(Transductive):
        found = close(Pair(x, y, np.arange(7)), "transport", reg=0)
    cost = ((y[:, None] - x[None]) ** 2).sum(2)
    plan = ot.emd(np.full(7, 1 / 7), np.full(10, 1 / 10), cost)
    np.testing.assert_allclose(found.text.unit(), unit(plan @ x), atol=1e-5)


def test_the_laplacian_term_tells() -> None:
    # else its comparison could not fail
    plain, found = (closed("positive", "transport", {"reg": reg})[1] for reg in (0, 5.0))
    assert np.abs(found - plain).max() > 1e-3


def test_transport_is_refused_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Pair(np.ones((5001, 2)), np.ones((3, 2)), np.zeros(3, int))
    with (
        pytest.raises(errors.NotApplicable, match=r"transport: .* at most 5000 rows .* 5001 and 3"),
        pytest.warns(Transductive),
    ):
        close(wide, "transport")
    monkeypatch.setitem(sys.modules, "ot", None)
    with (
        pytest.raises(errors.NotApplicable, match=r"needs ot: pip install 'modalgap\[transport\]'"),
        pytest.warns(Transductive),
    ):
        close(pair_of("positive"), "transport")


def test_spectral_by_the_solver_that_needs_no_symmetry() -> None:
    case = case_of("positive captions")
    W = case.x @ case.y.T
    n, m = W.shape
    A = np.block([[np.zeros((n, n)), W], [W.T, np.zeros((m, m))]])
    values, vectors = np.linalg.eig(A / A.sum(1, keepdims=True))  # D⁻¹A = I − L_rw
    assert np.abs(values.imag).max() < 1e-9
    kept = vectors[:, np.argsort(-values.real)[1:5]].real
    rows = unit(kept / np.sqrt((A.sum(1)[:, None] * kept**2).sum(0)))  # of length one under D
    found = closed("positive captions", "spectral", {"k": 4})
    np.testing.assert_allclose(cosines(found), rows @ rows.T, atol=1e-5)


# the guarantee (SCIENCE.md, section 3) -------------------------------------------------------

COMPARE: dict[str, Callable[[Floats, Floats], Floats]] = {
    "distance": lambda queries, items: -np.linalg.norm(queries[:, None] - items[None], axis=2),
    "inner product": lambda queries, items: queries @ items.T,
    "cosine": lambda queries, items: queries @ unit(items).T,
}


def rankings_kept(queries: Floats, before: Floats, after: Floats, how: str, near: float) -> bool:
    """Whether items stand in the order that they had, but for ties within ``near``."""
    compare = COMPARE[how]
    order = np.argsort(-compare(queries, before), axis=1)
    scores = np.take_along_axis(compare(queries, after), order, axis=1)
    return bool((np.diff(scores, axis=1) <= near).all())


Setting = tuple[Floats, Floats, float]


@st.composite
def settings_of_search(draw: st.DrawFn, spare: int = 0) -> Setting:
    """Unit queries (q, d), unit items (n, d) in two cones, n ≤ d − spare, and α."""
    d = draw(st.integers(3, 24))
    n = draw(st.integers(2, max(2, d - spare)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    centres = random.normal(size=(2, d)) * draw(st.floats(0.1, 3))
    queries = unit(centres[0] + random.normal(size=(12, d)))
    items = unit(centres[1] + random.normal(size=(n, d)))
    alpha = draw(st.floats(-3, 3).filter(lambda a: abs(a) > 1e-3))
    return queries, items, alpha


@given(settings_of_search(), st.integers(0, 2**32))
def test_a_shift_off_the_affine_span_changes_no_ranking(found: Setting, seed: int) -> None:
    queries, items, alpha = found
    apart = items[1:] - items[0]  # spans the directions of the affine hull
    v = np.random.default_rng(seed).normal(size=items.shape[1])
    for _ in range(2):  # once more against rounding
        v = v - np.linalg.pinv(apart) @ (apart @ v)
    v = v / np.linalg.norm(v)
    moved = items + alpha * v
    np.testing.assert_allclose(np.ptp(np.linalg.norm(moved, axis=1)), 0, atol=1e-9)
    assume(np.linalg.norm(moved, axis=1).min() > 1e-3)
    for how in COMPARE:
        assert rankings_kept(queries, items, moved, how, 1e-9), how
    # and by a map: float32 rows that are made unit rows
    map_ = AffineMap(dims={"text": len(v)}, roles={"text": (Step(offset=alpha * v),)}, method="v")
    for how in COMPARE:
        near = 1e-5 / np.linalg.norm(moved, axis=1).min()
        assert rankings_kept(queries, items, map_.text(items).astype(float), how, near), how


@given(settings_of_search(spare=1), st.sampled_from(["image", "text"]))
def test_project_with_all_of_the_content_changes_no_ranking(found: Setting, role: str) -> None:
    queries, items, alpha = found
    asking = "image" if role == "text" else "text"
    data = {asking: queries, role: items}
    map_ = fit(data, "project", retrieved=role, explained_variance=1.0, alpha=alpha)
    (step,) = map_.roles[role]
    assert step.offset is not None
    assert map_.roles[asking] == ()
    moved = items + step.offset
    shortest = np.linalg.norm(moved, axis=1).min()
    assume(shortest > 1e-3)
    for how in COMPARE:
        assert rankings_kept(queries, items, moved, how, 1e-5), how
        kept = rankings_kept(queries, items, map_(items, role).astype(float), how, 1e-5 / shortest)
        assert kept, how
    k = min(10, len(items))
    assert map_.facts["top_1_changed"] == map_.facts[f"top_{k}_changed"] == 0


@pytest.mark.parametrize("how", COMPARE)
def test_raw_shift_does_change_rankings(how: str) -> None:
    # else the tests above could not fail
    random = np.random.default_rng(0)
    queries = unit(random.normal(size=(40, 24)) + 1)
    items = unit(random.normal(size=(20, 24)) - 0.5)
    data = {"image": queries, "text": items}
    shifted = fit(data, "shift", side="text")
    (step,) = shifted.roles["text"]
    moved = items + step.offset
    # one vector added to all texts adds one number to all inner products of an image
    assert rankings_kept(queries, items, moved, how, 1e-9) == (how == "inner product")
    closed_items = shifted.text(items).astype(float)
    assert not rankings_kept(queries, items, closed_items, how, 1e-3)
    projected = fit(data, "project", retrieved="text", explained_variance=1.0)
    assert rankings_kept(queries, items, projected.text(items).astype(float), how, 1e-5)


def test_as_many_items_as_dimensions_leave_nothing_to_project() -> None:
    random = np.random.default_rng(0)
    data = {"image": random.normal(size=(30, 12)) + 1, "text": random.normal(size=(30, 12))}
    with pytest.raises(errors.NotApplicable, match=r"project: the 12 directions .* smaller expl"):
        fit(data, "project", explained_variance=1.0)
    truncated = fit(data, "project", explained_variance=0.6)
    assert 0 < truncated.facts["leakage"] < 1


# real embeddings -----------------------------------------------------------------------------


def hits(pair: Pair) -> int:
    """Texts retrieved by images: how many come first at their own image."""
    scores = pair.image.unit().double() @ pair.text.unit().double().T
    return int((scores.argmax(1).numpy() == np.arange(pair.image.n)).sum())


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [("none", {}, 0.552), ("center", {}, 0.542), ("shift", {}, 0.358)],
    ids=str,
)
def test_recall_on_coco(
    coco: NDArray[np.float32], method: str, options: Options, expected: float
) -> None:
    assert hits(close(Pair(coco[0], coco[1]), method, **options)) == round(500 * expected)


def l2m(pair: Pair) -> float:
    return mg.measure(pair, only="l2m")["l2m"].value


@pytest.mark.parametrize("method", ["center", "shift", "project", "drop_dims", "realign"])
def test_the_gap_of_coco_before_and_after(coco: NDArray[np.float32], method: str) -> None:
    pair = Pair(coco[0], coco[1])
    assert l2m(pair) == pytest.approx(0.8514, abs=5e-5)
    image, text = REFERENCES[method](case_of("coco pairs"))
    expected = np.linalg.norm(image.mean(0) - text.mean(0))
    assert l2m(close(pair, method)) == pytest.approx(expected, abs=1e-5)
    assert expected < {"center": 0.03, "shift": 0.01, "realign": 0.01}.get(method, 0.7)


def test_the_columns_that_hold_the_gap_of_coco(coco: NDArray[np.float32]) -> None:
    map_ = fit(Pair(coco[0], coco[1]), "drop_dims")
    assert map_.facts["columns"] == [442, 362]
    assert (map_.image(coco[0])[:, [442, 362]] == 0).all()


# words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CLOSERS)
def test_cards_and_doc_strings(method: str) -> None:
    closer = CLOSERS[method]
    card = closer.card
    assert closer.name == card.name == method
    for text in (card.title, card.idea, card.equation, card.source, card.use_when, card.fails_when):
        assert text.strip() == text != ""
    assert set(card.needs) <= {"pairs", "weights"}
    assert set(card.roles) <= {"image", "text", "retrieved"}
    assert closer.transductive == (closer.fit is None) == (closer.transform is not None)
    assert card.title in closer.__doc__
    for name in closer.options:
        assert f"``{name}``" in closer.__doc__


def test_unknown_names_come_with_a_hint() -> None:
    pair = pair_of("pairs")
    for verb in (fit, close):
        with pytest.raises(errors.OptionError, match="unknown closer 'centre'; did you mean 'cent"):
            verb(pair, "centre")
        with pytest.raises(errors.OptionError, match="unknown closer 'xyz'; known: cca, center"):
            verb(pair, "xyz")
        with pytest.raises(errors.OptionError, match="of shift 'alhpa'; did you mean 'alpha'"):
            verb(pair, "shift", alhpa=1)
        with pytest.raises(errors.OptionError, match="option of center 'k'; known: none"):
            verb(pair, "center", k=1)
        for wrong in (None, 3, ["center"]):
            with pytest.raises(errors.OptionError, match="method must be a string or a Closer"):
                verb(pair, wrong)


def test_what_is_no_pair_is_not_closed() -> None:
    with pytest.raises(errors.InputError, match="pair must be a Pair; got Embeddings"):
        close(Embeddings(np.eye(3)), "center")  # type: ignore[arg-type]
    for wrong in (None, 3, np.eye(3), [np.eye(3), np.eye(3)]):
        with pytest.raises(errors.InputError, match="data must be a Pair"):
            fit(wrong, "center")


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 12))
def test_centred_means_are_zero_before_the_last_step(seed: int, n: int, d: int) -> None:
    random = np.random.default_rng(seed)
    pair = Pair(random.normal(size=(n, d)), random.normal(size=(n, d)) + 1)
    map_ = fit(pair, "center")
    for side in pair.sides:
        (step,) = map_.roles[side.modality]
        mean = side.unit().double().numpy().mean(0)
        np.testing.assert_allclose(mean + step.offset, 0, atol=1e-7)
