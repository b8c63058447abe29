"""One store and one data set: recall raw, closed and with standardised scores; size; time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

import modalgap as mg
from bench.stores.base import Found, Gallery, Open, Rows
from bench.stores.data import Data

K = 10
Lists = dict[int, Found]  # query to the rows that were found


@dataclass
class Line:
    """One line of the table: shares of queries, bytes, seconds.

    Attributes:
        images: raw, closed: the matching image is the first of the stored images.
        neighbours: raw, closed: how many of the ten exact neighbours among the images are found.
        mixed: raw, closed, standardised: the match is among the first ten of images and texts.
        size: bytes of the index of all rows.
        seconds: median of a query of all rows.
    """

    images: list[float]
    neighbours: list[float]
    mixed: list[float]
    size: int = 0
    seconds: float = 0.0


def lines(data: Data, open_: Open, indexes: tuple[str, ...]) -> dict[str, Line]:
    """Index to its line."""
    table = {index: Line([], [], []) for index in indexes}
    half = data.stored.image.n // 2
    texts_asked = [each for each in data.asked if each < half]  # the matching image is stored
    raw: dict[str, dict[str, Lists]] = {"image": {}, "text": {}}
    for method in ("none", "center"):
        map_ = mg.close.fit(data.fitted, method)
        sides = [map_(side.unit(), side.modality) for side in data.stored.sides]
        images, texts = sides[0][:half], sides[1][half:]
        queries = np.concatenate([sides[1][:half], sides[0][half:]])
        with opened(open_, images) as gallery:
            exact = nearest(images, queries[texts_asked])
            asked = data.asked if method == "none" else texts_asked
            for index, line in table.items():
                found, _ = searched(gallery, index, queries, asked)
                line.images.append(hits(found, texts_asked, 1))
                kept = [
                    np.isin(rows, found[query][0]).mean()
                    for query, rows in zip(texts_asked, exact, strict=True)
                ]
                line.neighbours.append(float(np.mean(kept)))
                raw["image"].setdefault(index, found)
        if method == "none":
            with opened(open_, texts) as gallery:
                for index in table:
                    found, _ = searched(gallery, index, queries, data.asked)
                    raw["text"][index] = {q: (ids + half, s) for q, (ids, s) in found.items()}
        with opened(open_, np.concatenate([images, texts])) as gallery:
            for index, line in table.items():
                found, seconds = searched(gallery, index, queries, data.asked)
                line.mixed.append(hits(found, data.asked))
                line.size, line.seconds = gallery.size(index), median(seconds)
    scaler = mg.close.ScoreScaler.fit(data.fitted)
    for index, line in table.items():
        merged = merge(scaler, {form: raw[form][index] for form in raw}, half)
        line.mixed.append(hits(merged, data.asked))
    return table


class opened:  # noqa: N801 - reads as a function
    """A gallery of these rows in a folder of its own, closed at the end."""

    def __init__(self, open_: Open, rows: Rows) -> None:
        self.folder = TemporaryDirectory()
        self.gallery = open_(rows, Path(self.folder.name))

    def __enter__(self) -> Gallery:
        return self.gallery

    def __exit__(self, *_: object) -> None:
        self.gallery.close()
        self.folder.cleanup()


def searched(
    gallery: Gallery, index: str, queries: Rows, asked: tuple[int, ...] | list[int]
) -> tuple[Lists, list[float]]:
    """The lists of these queries, one search each, and the seconds of each search."""
    gallery.search(index, queries[asked[0]], K)  # the first one may load the index
    found, seconds = {}, []
    for query in asked:
        start = time.perf_counter()
        found[query] = gallery.search(index, queries[query], K)
        seconds.append(time.perf_counter() - start)
    return found, seconds


def nearest(rows: Rows, queries: Rows) -> NDArray[np.int64]:
    """(q, K): the exact neighbours by cosine."""
    return np.argsort(-(queries @ rows.T), axis=1)[:, :K]


def hits(found: Lists, asked: tuple[int, ...] | list[int], k: int = K) -> float:
    """Share of queries whose match, the row of the same number, is among the first k."""
    return float(np.mean([query in found[query][0][:k] for query in asked]))


def merge(scaler: mg.close.ScoreScaler, lists: dict[str, Lists], half: int) -> Lists:
    """Standardise the scores of one list per form, and keep the ten best of both."""
    merged = {}
    for query in lists["image"]:
        role = "text" if query < half else "image"
        rows = np.concatenate([lists[form][query][0] for form in lists])
        scores = np.concatenate([scaler(lists[form][query][1], role, form) for form in lists])
        best = np.argsort(-scores, kind="stable")[:K]
        merged[query] = rows[best], scores[best]
    return merged


def markdown(name: str, tables: list[dict[str, Line]]) -> Iterator[str]:
    """The rows of a Markdown table: means over the divisions of the data."""
    for index in tables[0]:
        lines = [table[index] for table in tables]
        shares = np.mean([each.images + each.neighbours + each.mixed for each in lines], axis=0)
        cells = [f"{share:.3f}".removeprefix("0") for share in shares]
        cells.append(f"{np.mean([each.size for each in lines]) / 2**20:.3g}")
        cells.append(f"{1e3 * np.mean([each.seconds for each in lines]):.3g}")
        yield f"| {name} | {index} | {' | '.join(cells)} |"
