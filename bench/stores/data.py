"""Pairs to store: 500 of COCO, or made-up ones with the same gap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import modalgap as mg
from bench.stores.base import Rows
from modalgap.embeddings import pick_images

DIM = 256


@dataclass(frozen=True)
class Data:
    """Pairs to fit on, and pairs that are stored, each in one modality.

    Attributes:
        name: heading of the table.
        fitted: the sample that maps and scales are fitted on.
        stored: other pairs. The first half is stored as images, the second half as texts; the
            queries are the sides that are not stored.
        asked: numbers of the pairs that are queries.
    """

    name: str
    fitted: mg.Pair
    stored: mg.Pair
    asked: tuple[int, ...]


def coco(path: Path) -> list[Data]:
    """CLIP ViT-B/16 features of 500 COCO pairs: in four divisions, each text is a query once."""
    images, texts = np.load(path)
    pair = mg.Pair(images, texts)
    n = pair.image.n
    divisions = []
    for start in (1, 0):
        fitted = pick_images(pair, np.arange(1 - start, n, 2))
        halves = [np.arange(start, n, 4), np.arange(start + 2, n, 4)]
        for order in (halves, halves[::-1]):
            stored = pick_images(pair, np.concatenate(order))
            name = f"{n} pairs of COCO, {stored.image.n} stored at a time"
            divisions.append(Data(name, fitted, stored, tuple(range(stored.image.n))))
    return divisions


def made(rows: int, queries: int, seed: int = 0) -> list[Data]:
    """``rows`` rows of made-up vectors, as many images as texts, and as many queries of each."""
    random = np.random.default_rng(seed)
    # As in CLIP: each mean has one large coordinate of its own, and shares the rest. Along them,
    # rows vary little, except along their own coordinate.
    axes = np.eye(3, DIM, dtype=np.float32)
    axes[2, 2:] = rotation(random)[0, 2:]
    axes[2] /= np.linalg.norm(axes[2])
    means = [0.6 * axes[side] + 0.41 * axes[2] for side in (0, 1)]
    along = [np.array(each, np.float32)[:, None] * axes for each in ((8, 1, 1), (1, 10, 1))]
    parts = [spectrum(total) * rotation(random).T for total in (0.15, 0.32, 0.32)]
    shared, *own = (part - axes.T @ (axes @ part) for part in parts)

    def draw(n: int) -> mg.Pair:
        content = noise(random, n) @ shared.T
        sides = [
            means[side]
            + content
            + noise(random, n) @ own[side].T
            + noise(random, n)[:, :3] @ along[side] / 100
            for side in (0, 1)
        ]
        return mg.Pair(*(unit(side) for side in sides))

    half = rows // 2
    asked = [*range(min(queries, half)), *range(half, half + min(queries, half))]
    return [Data(f"{2 * half:,} made-up rows", draw(2_000), draw(2 * half), tuple(asked))]


def rotation(random: np.random.Generator) -> Rows:
    """(d, d): rows are orthonormal directions."""
    found, _ = np.linalg.qr(random.standard_normal((DIM, DIM)))
    return np.asarray(found, np.float32)


def spectrum(total: float) -> Rows:
    """(d,): standard deviations of directions, whose variances fall as 1/(k + 1)."""
    variances = 1 / np.arange(2, DIM + 2)
    return np.asarray(np.sqrt(total * variances / variances.sum()), np.float32)


def noise(random: np.random.Generator, n: int) -> Rows:
    return random.standard_normal((n, DIM), np.float32)


def unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
