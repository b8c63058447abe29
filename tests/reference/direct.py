"""Every measure, directly: definitions written out in float64, or an outside library.

``REFERENCES`` holds, for each name in results, a function of a ``Case``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import scipy
import torch
from scipy.spatial.distance import pdist
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors

from reference import distributions, galleries
from reference.cases import Case, Floats

with warnings.catch_warnings():  # a doc string of POT's warns when it is first compiled
    warnings.simplefilter("ignore")
    import ot

K = 10  # neighbours
BATCH = 50
TAU = 0.01


# means ---------------------------------------------------------------------------------------


def gap(case: Case) -> Floats:
    return case.x.mean(0) - case.y.mean(0)


def l2m(case: Case) -> float:
    return float(np.linalg.norm(gap(case)))


def matched(case: Case) -> tuple[Floats, Floats]:
    i, j = np.array(case.matches).T
    return case.x[i], case.y[j]


def l2i(case: Case) -> float:
    x, y = matched(case)
    return float(np.mean([np.linalg.norm(a - b) for a, b in zip(x, y, strict=True)]))


def matched_cosine(case: Case) -> float:
    x, y = matched(case)
    return float(np.mean([a @ b for a, b in zip(x, y, strict=True)]))


def gram_volume(case: Case) -> float:
    x, y = matched(case)
    return float(np.mean([np.sqrt(max(1 - (a @ b) ** 2, 0)) for a, b in zip(x, y, strict=True)]))


def pmrl(case: Case) -> float:
    x, y = matched(case)
    rows = zip(x, y, strict=True)
    return float(np.mean([np.linalg.svd(np.stack(two), compute_uv=False)[0] for two in rows]))


def alignment(case: Case) -> float:
    x, y = matched(case)
    return float(((x - y) ** 2).sum(1).mean())


def off_diagonal(matrix: Floats) -> Floats:
    return matrix[~np.eye(len(matrix), dtype=bool)]


def cone(rows: Floats) -> float:
    return float(off_diagonal(rows @ rows.T).mean())


def rmg(case: Case) -> float:
    def apart(u: Floats, v: Floats) -> Floats:
        return (1 - u @ v.T) / 2

    i, j = np.array(case.matches).T
    m = apart(case.x, case.y)[i, j].mean()
    a = off_diagonal(apart(case.x, case.x)).mean()
    b = off_diagonal(apart(case.y, case.y)).mean()
    return float(m / (m + (a + b) / 2))


def uniformity(rows: Floats) -> float:
    return float(np.log(np.exp(-2 * pdist(rows, "sqeuclidean")).mean()))


def gap_concentration(case: Case) -> float:
    squares = np.sort(gap(case) ** 2)[::-1]
    return float(squares[:10].sum() / squares.sum())


def moad(rows: Floats, factors: dict[str, Floats]) -> float:
    """Mean cosines over ordered pairs of different rows, of equal and of different value."""
    cosine, different = rows @ rows.T, ~np.eye(len(rows), dtype=bool)

    def contrast(values: Floats) -> float:
        same = values[:, None] == values[None, :]
        return float(cosine[same & different].mean() - cosine[~same].mean())

    attributes = [contrast(values) for name, values in factors.items() if name != "object"]
    return contrast(factors["object"]) - float(np.mean(attributes))


# second moments ------------------------------------------------------------------------------


def spread(rows: Floats) -> Floats:
    """A (r, d) with AᵀA the covariance."""
    return np.linalg.qr((rows - rows.mean(0)) / np.sqrt(len(rows) - 1), mode="r")


def distribution_gap(case: Case) -> float:
    """tr (Σ_xΣ_y)^½ is the nuclear norm of A_x A_yᵀ, whatever the ranks."""
    ax, ay = spread(case.x), spread(case.y)
    overlap = np.linalg.svd(ax @ ay.T, compute_uv=False).sum()
    return float((ax**2).sum() + (ay**2).sum() - 2 * overlap)


def frechet(case: Case) -> float:
    return l2m(case) ** 2 + distribution_gap(case)


def frechet_by_sqrtm(case: Case) -> float:
    """The formula as FID code has it; only where both covariances have full rank."""
    sx, sy = np.cov(case.x, rowvar=False), np.cov(case.y, rowvar=False)
    root = scipy.linalg.sqrtm(sx @ sy).real
    return float(gap(case) @ gap(case) + np.trace(sx + sy - 2 * root))


def frechet_by_pot(case: Case) -> float:
    """POT gives the distance, not its square; only where both covariances have full rank."""
    x, y = case.x, case.y
    distance = ot.gaussian.bures_wasserstein_distance(
        x.mean(0), y.mean(0), np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    )
    return float(distance) ** 2


def centroid_share(case: Case) -> float:
    return l2m(case) ** 2 / frechet(case)


def trace_ratio(case: Case) -> float:
    return float(case.x.var(0, ddof=1).sum() / case.y.var(0, ddof=1).sum())


def principal(rows: Floats) -> tuple[Floats, Floats]:
    """Variances (r,) descending and directions (r, d)."""
    _, s, vt = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    return s**2, vt


def effective_rank(rows: Floats) -> float:
    variances, _ = principal(rows)
    return float(np.exp(scipy.stats.entropy(variances)))


def principal_angles(case: Case) -> float:
    (dx, vx), (dy, vy) = principal(case.x), principal(case.y)
    k = min(10, *(int((each > 1e-12 * each[0]).sum()) for each in (dx, dy)))
    cosines = np.linalg.svd(vx[:k] @ vy[:k].T, compute_uv=False)
    return float(np.rad2deg(np.arccos(cosines.clip(-1, 1))).mean())


def leakage(case: Case, rows: Floats) -> float:
    variances, directions = principal(rows)
    share = variances.cumsum() / variances.sum()
    k = next(i + 1 for i, held in enumerate(share) if held >= 0.9)
    inside = directions[:k].T @ (directions[:k] @ gap(case))
    return float(np.linalg.norm(inside) / np.linalg.norm(gap(case)))


def class_bias_spread(case: Case) -> float:
    return float(np.std(case.y @ gap(case)))


# neighbours ----------------------------------------------------------------------------------


def tau_b_distance(a: Floats, b: Floats) -> float:
    """(1 − τ_b)/2 by looking at every pair of places."""
    agree = tied_a = tied_b = pairs = 0
    for i in range(len(a)):
        for j in range(i):
            p, q = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
            agree += p * q
            tied_a += p == 0
            tied_b += q == 0
            pairs += 1
    return float((1 - agree / np.sqrt((pairs - tied_a) * (pairs - tied_b))) / 2)


def kendall_tau(case: Case, most: int = 40) -> float:
    """Pair by pair up to ``most`` items; for more the same count as one matrix, without ties."""
    if case.labels is not None:
        found = np.unique(case.labels)
        x = np.stack([case.x[case.labels == c].mean(0) for c in found])
        x, y = x / np.linalg.norm(x, axis=1, keepdims=True), case.y[found]
    else:
        i, j = np.array(case.first).T
        x, y = case.x[i], case.y[j]
    inside_x, inside_y = x @ x.T, y @ y.T
    distances = []
    for c in range(len(x)):
        others = np.arange(len(x)) != c
        a, b = inside_x[c, others], inside_y[c, others]
        distances.append(tau_b_distance(a, b) if len(x) <= most else discordant(a, b))
    return float(np.mean(distances))


def discordant(a: Floats, b: Floats) -> float:
    """Share of discordant pairs; the same as ``tau_b_distance`` where nothing is tied."""
    signs = np.sign(a[:, None] - a) * np.sign(b[:, None] - b)
    return float((signs < 0).sum() / (len(a) * (len(a) - 1)))


def neighbours(rows: Floats) -> Floats:
    """(n, K), from a full sort."""
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -2)
    return np.argsort(-cosine, axis=1)[:, :K]


def nas(case: Case) -> float:
    i, j = np.array(case.first).T
    near = zip(neighbours(case.x[i]), neighbours(case.y[j]), strict=True)
    return float(np.mean([len(set(a) & set(b)) / K for a, b in near]))


def hubness(rows: Floats) -> float:
    index = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(rows)
    near = index.kneighbors(return_distance=False)  # of the rows themselves, each left out
    return float(scipy.stats.skew(np.bincount(near.ravel(), minlength=len(rows))))


def mixing(own: Floats, other: Floats) -> tuple[float, float]:
    """Share of queries whose nearest is of the other modality, and mean rank of its best."""
    pool = np.concatenate([own, other])
    first, ranks = [], []
    for q in range(len(own)):
        order = np.argsort(-(pool @ own[q]), kind="stable")
        order = order[order != q]
        places = np.nonzero(order >= len(own))[0]
        first.append(places[0] == 0)
        ranks.append(places[0] + 1)
    return float(np.mean(first)), float(np.mean(ranks))


# loss and logits -----------------------------------------------------------------------------


def logit_entropy(queries: Floats, others: Floats) -> float:
    shares = scipy.special.softmax(queries @ others.T / TAU, axis=1)
    return float(scipy.stats.entropy(shares, axis=1).mean())


def cross_entropy(x: Floats, y: Floats, tau: float, batch: int = BATCH) -> float:
    losses = []
    batch = min(batch, len(x))
    for a in range(0, len(x) // batch * batch, batch):
        logits = torch.from_numpy(x[a : a + batch] @ y[a : a + batch].T / tau)
        target = torch.arange(batch)
        rows = torch.nn.functional.cross_entropy(logits, target)
        columns = torch.nn.functional.cross_entropy(logits.T, target)
        losses.append(float(rows + columns) / 2)
    return float(np.mean(losses))


def first_pairs(case: Case) -> tuple[Floats, Floats]:
    i, j = np.array(case.first).T
    return case.x[i], case.y[j]


def infonce(case: Case) -> float:
    return cross_entropy(*first_pairs(case), TAU)


def landscape(case: Case, taus: list[float]) -> tuple[list[float], list[list[float]]]:
    """Distances, and losses at each of ``taus``: rows moved, made unit again, and measured anew."""
    x, y = first_pairs(case)
    used = len(x) // min(BATCH, len(x)) * min(BATCH, len(x))
    x, y = x[:used], y[:used]
    g = x.mean(0) - y.mean(0)
    g /= np.linalg.norm(g)
    distances, losses = [], []
    for shift in np.arange(-5, 5.01, 0.25):
        moved_x, moved_y = x - shift / 2 * g, y + shift / 2 * g
        moved_x /= np.linalg.norm(moved_x, axis=1, keepdims=True)
        moved_y /= np.linalg.norm(moved_y, axis=1, keepdims=True)
        distances.append(float(np.linalg.norm(moved_x.mean(0) - moved_y.mean(0))))
        losses.append([cross_entropy(moved_x, moved_y, tau) for tau in taus])
    return distances, [list(column) for column in zip(*losses, strict=True)]


def loss_landscape(case: Case) -> float:
    distances, (losses,) = landscape(case, [TAU])
    return distances[int(np.argmin(losses))]


# classifiers ---------------------------------------------------------------------------------


def separability(case: Case) -> float:
    """Five-fold accuracy of scikit-learn on equal numbers, images with their captions if paired."""
    number = min(len(case.image), len(case.text), 1000)
    rows = np.concatenate([case.x[:number], case.y[:number]]) * np.sqrt(case.x.shape[1])
    kind = np.repeat([0, 1], number)
    model = LogisticRegression(max_iter=10_000, tol=1e-8)  # at the default, a row can differ
    if case.text_to_image is None and case.labels is None:
        groups = np.tile(np.arange(number), 2)
        return float(cross_val_score(model, rows, kind, groups=groups, cv=GroupKFold(5)).mean())
    return float(cross_val_score(model, rows, kind, cv=StratifiedKFold(5)).mean())


def predicted_counts(case: Case) -> Floats:
    return np.bincount((case.x @ case.y.T).argmax(1), minlength=len(case.y)).astype(float)


def gini(counts: Floats) -> float:
    """Half the relative mean absolute difference."""
    differences = [abs(a - b) for a in counts for b in counts]
    return float(np.mean(differences) / (2 * np.mean(counts)))


def prediction_entropy(case: Case) -> float:
    return float(scipy.stats.entropy(predicted_counts(case)) / np.log(len(case.y)))


REFERENCES: dict[str, Callable[[Case], float]] = {
    "l2m": l2m,
    "l2i": l2i,
    "rmg": rmg,
    "matched_cosine": matched_cosine,
    "gram_volume": gram_volume,
    "pmrl": pmrl,
    "cone_image": lambda case: cone(case.x),
    "cone_text": lambda case: cone(case.y),
    "alignment": alignment,
    "uniformity_image": lambda case: uniformity(case.x),
    "uniformity_text": lambda case: uniformity(case.y),
    "per_dimension_gap": lambda case: float(np.abs(gap(case)).max()),
    "gap_concentration": gap_concentration,
    "frechet": frechet,
    "distribution_gap": distribution_gap,
    "centroid_share": centroid_share,
    "trace_ratio": trace_ratio,
    "separability": separability,
    "effective_rank_image": lambda case: effective_rank(case.x),
    "effective_rank_text": lambda case: effective_rank(case.y),
    "principal_angles": principal_angles,
    "leakage_image": lambda case: leakage(case, case.x),
    "leakage_text": lambda case: leakage(case, case.y),
    "class_bias_spread": class_bias_spread,
    "kendall_tau": kendall_tau,
    "itr": lambda case: mixing(case.x, case.y)[0],
    "tir": lambda case: mixing(case.y, case.x)[0],
    "tmr": lambda case: mixing(case.x, case.y)[1],
    "imr": lambda case: mixing(case.y, case.x)[1],
    "nas": nas,
    "hubness_image": lambda case: hubness(case.x),
    "hubness_text": lambda case: hubness(case.y),
    "logit_entropy_image": lambda case: logit_entropy(case.x, case.y),
    "logit_entropy_text": lambda case: logit_entropy(case.y, case.x),
    "prediction_gini": lambda case: gini(predicted_counts(case)),
    "prediction_entropy": prediction_entropy,
    "moad_image": lambda case: moad(case.x, case.factors),
    "moad_text": lambda case: moad(case.y, case.factors),
    "infonce": infonce,
    "loss_landscape": loss_landscape,
    **distributions.REFERENCES,
    **galleries.REFERENCES,
}
