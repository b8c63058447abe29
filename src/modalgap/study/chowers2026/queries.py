"""Query images and their nearest stored text by Euclidean distance, with and without noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from modalgap import checks
from modalgap.embeddings import Pair
from modalgap.evaluate.base import Scores
from modalgap.evaluate.perturb import REPEATS, Answers, exact

QUERIES = 2000  # largest number of query images


def nearest(queries: Tensor, stored: Tensor) -> Answers:
    """The stored row (m, d) at the smallest Euclidean distance of each query (n, d)."""
    # ‖q − s‖² = ‖q‖² − 2 (q·s − ‖s‖²/2): the largest inner product with one more column
    ones = torch.ones(len(queries), 1)
    halves = -(stored**2).sum(1, keepdim=True) / 2
    return exact(torch.cat([queries, ones], 1), torch.cat([stored, halves], 1))


class Queries:
    """Query images, the stored texts, and which texts are correct."""

    def __init__(self, pair: Pair, seed: int) -> None:
        images, texts = pair.matches
        known = torch.unique(images)
        chosen = known[checks.sample(len(known), QUERIES, seed)]
        self.images, self.stored = pair.image.take(chosen), pair.text.unit()
        self.who = chosen.tolist()
        self.matches = set(zip(images.tolist(), texts.tolist(), strict=True))
        self.clusters = pair.clusters[0][chosen.numpy()]

    def noise(self, seed: int) -> list[Tensor]:
        """Draws of standard noise for the stored texts, the same for every shift."""
        random = torch.Generator().manual_seed(seed)
        return [torch.randn(self.stored.shape, generator=random) for _ in range(REPEATS)]

    def right(self, answers: list[Answers]) -> Scores:
        """Share of correct answers."""
        hits = [
            [(image, text) in self.matches for image, text in zip(self.who, each, strict=True)]
            for each in (answer.tolist() for answer in answers)
        ]
        return Scores(np.mean(np.array(hits, dtype=np.float64), axis=0), self.clusters)

    def same(self, base: Answers, answers: list[Answers]) -> Scores:
        """Share of answers that are equal to those of ``base``."""
        stays = np.stack([each == base for each in answers])
        return Scores(stays.mean(0, dtype=np.float64), self.clusters)
