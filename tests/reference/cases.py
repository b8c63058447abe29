"""Data to measure: random and real, one caption an image, five, an uneven number, class prompts."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """Rows (n, d) and (m, d) as a user has them, and the matches."""

    image: NDArray[Any]
    text: NDArray[Any]
    text_to_image: NDArray[np.int64] | None = None
    labels: NDArray[np.int64] | None = None
    factors: dict[str, NDArray[Any]] = field(default_factory=dict)

    @cached_property
    def x(self) -> Floats:
        """(n, d) unit images."""
        return unit(self.image)

    @cached_property
    def y(self) -> Floats:
        """(m, d) unit texts."""
        return unit(self.text)

    @cached_property
    def matches(self) -> list[tuple[int, int]]:
        """(image, text) of every matched pair."""
        if self.labels is not None:
            return [(i, int(c)) for i, c in enumerate(self.labels)]
        if self.text_to_image is not None:
            return [(int(i), j) for j, i in enumerate(self.text_to_image)]
        return [(i, i) for i in range(len(self.image))]

    @property
    def first(self) -> list[tuple[int, int]]:
        """(image, its first text) of every image that has one."""
        found: dict[int, int] = {}
        for i, j in self.matches:
            found.setdefault(i, j)
        return sorted(found.items())


def unit(rows: NDArray[Any]) -> Floats:
    wide = rows.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def two_cones(
    n: int, d: int, seed: int = 0, m: int | None = None, of: Any = None, noise: float = 0.6
) -> tuple[Floats, Floats]:
    """Images about one centre; texts about another, each sharing content with its image."""
    random = np.random.default_rng(seed)
    content = random.normal(size=(n, d)) * np.geomspace(2, 0.3, d)
    of = np.arange(n) if of is None else of
    centres = random.normal(size=(2, d)) * 0.8
    image = centres[0] + content + noise * random.normal(size=(n, d))
    text = centres[1] + content[of] + noise * random.normal(size=(len(of) if m is None else m, d))
    return image * random.uniform(0.2, 5, (len(image), 1)), text


def random_case(name: str) -> Case:
    """A named case of random data."""
    random = np.random.default_rng(len(name))
    if name == "pairs":
        image, text = two_cones(120, 24)
        return Case(image, text, factors=crossed(120))
    if name == "long":  # several chunks of rows
        image, text = two_cones(4700, 8, seed=1)
        return Case(image, text)
    if name == "five captions":
        of = np.arange(60).repeat(5)
        image, text = two_cones(60, 24, seed=2, of=of)
        return Case(image, text, text_to_image=of)
    if name == "uneven captions":
        of = np.arange(70).repeat(random.integers(1, 8, 70))
        of = random.permutation(of)
        image, text = two_cones(70, 24, seed=3, of=of)
        return Case(image, text, text_to_image=of)
    if name == "class prompts":
        labels = random.integers(0, 12, 150)
        labels[:12] = random.permutation(12)
        prompts, _ = two_cones(12, 24, seed=4)
        image = prompts[labels] / 3 + random.normal(size=(150, 24)) + 0.3
        return Case(image, prompts, labels=labels)
    raise KeyError(name)


def real_case(name: str, coco: NDArray[np.float32]) -> Case:
    """A named case of real embeddings; only "coco pairs" keeps who truly matches whom."""
    if name == "coco pairs":
        return Case(coco[0], coco[1])
    if name == "coco captions":
        return Case(coco[0][:100], coco[1], text_to_image=np.arange(500) // 5)
    if name == "coco prompts":
        labels = np.random.default_rng(0).integers(0, 40, 500)
        return Case(coco[0], coco[1][:40], labels=labels)
    raise KeyError(name)


def crossed(n: int) -> dict[str, NDArray[Any]]:
    """Three factors of n rows, none a function of another."""
    i = np.arange(n)
    return {
        "object": i % 5,
        "colour": np.array(["red", "green", "blue"])[(i * 7 // 3) % 3],
        "size": (i // 2) % 2,
    }


RANDOM = ("pairs", "long", "five captions", "uneven captions", "class prompts")
REAL = ("coco pairs", "coco captions", "coco prompts")
