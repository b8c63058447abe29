"""Recall of a mixed gallery by the definition, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import modalgap as mg


def recall(pair: mg.Pair) -> dict[str, float]:
    """What the examples of stores compute, with exact search.

    Maps and scales are those of the even pairs. Of the odd pairs, the first, third … are stored as
    images, the others as texts; the query is the side that is not stored.
    """
    images, texts = (side.unit().numpy().astype(np.float64) for side in pair.sides)
    as_text = np.arange(len(images[1::2])) % 2 == 1
    means = [side[::2].mean(0) for side in (images, texts)]
    closed = [unit(side[1::2] - mean) for side, mean in zip((images, texts), means, strict=True)]
    raw = [images[1::2], texts[1::2]]
    shares = {"before": share(*arranged(raw, as_text)), "after": share(*arranged(closed, as_text))}

    # means and standard deviations of all scores of the even pairs
    fitted = {"image": images[::2], "text": texts[::2]}
    queries, stored = arranged(raw, as_text)
    scores = queries @ stored.T
    for role, rows in (("image", as_text), ("text", ~as_text)):
        for form, columns in (("image", ~as_text), ("text", as_text)):
            known = fitted[role] @ fitted[form].T
            block = scores[np.ix_(rows, columns)]
            scores[np.ix_(rows, columns)] = (block - known.mean()) / known.std()
    shares["standardised"] = hits(scores)
    return shares


ROWS = np.random.default_rng(0).standard_normal((300, 128)).astype(np.float32)
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)


def each_index_is_right(gallery: Any, indexes: tuple[str, ...]) -> None:
    """Exact neighbours and cosines of the first index, near ones of the others; a size each."""
    queries = ROWS[:20] + 0.1 * ROWS[20:40]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    for number, index in enumerate(indexes):
        kept, errors = [], []
        for query in queries:
            exact = ROWS @ query
            rows, cosines = gallery.search(index, query, 10)
            assert len(rows) == 10
            assert (np.diff(cosines) <= 1e-3).all()  # the best first, but for rounding
            kept.append(np.isin(np.argsort(-exact)[:10], rows).mean())
            errors.append(np.abs(cosines - exact[rows]).mean())
        assert np.mean(kept) >= (0.999 if number == 0 else 0.3), index
        assert np.mean(errors) < (1e-5 if number == 0 else 0.2), index
        assert gallery.size(index) > 0


def arranged(sides: list[NDArray[np.float64]], as_text: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Queries and stored rows."""
    images, texts = sides
    return [np.where(as_text[:, None], images, texts), np.where(as_text[:, None], texts, images)]


def share(queries: NDArray[np.float64], stored: NDArray[np.float64]) -> float:
    return hits(queries @ stored.T)


def hits(scores: NDArray[np.float64]) -> float:
    """Share of queries whose own column is among the ten highest of its row."""
    return float(np.mean((scores > np.diag(scores)[:, None]).sum(1) < 10))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
