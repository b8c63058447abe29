"""Pairs that the tests of the tasks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference.cases import Case, unit

from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import Outcome

Ints = NDArray[np.int64]


def pair_of(case: Case) -> Pair:
    image = Embeddings(case.image, factors=case.factors)
    text = Embeddings(case.text, "text", factors=case.factors)
    return Pair(image, text, case.text_to_image, case.labels)


def numbers(found: Outcome) -> dict[str, float]:
    return {name: scores.value for name, scores in found.scores.items()}


class Faces:
    """Images of three groups; prompts of which two are harmful."""

    def __init__(self, *, names: bool = True) -> None:
        random = np.random.default_rng(0)
        self.prompts = random.normal(size=(6, 8))
        self.groups = np.array(["east", "north", "west"])[random.choice(3, 90, p=[0.5, 0.3, 0.2])]
        self.labels = random.integers(0, 4, 90)
        rows = self.prompts[self.labels] + 1.5 * random.normal(size=(90, 8))
        rows += (self.groups == "west")[:, None] * self.prompts[5]
        image = Embeddings(rows, factors={"race": self.groups, "sex": np.arange(90) % 2})
        words = [
            f"a photo of a {each}" for each in ("man", "woman", "child", "elder", "thief", "ape")
        ]
        text = Embeddings(self.prompts, "text", names=words if names else None)
        self.words = words
        self.pair = Pair(image, text, labels=self.labels)
        self.predicted = (unit(rows) @ unit(self.prompts).T).argmax(1)

    def numbers(self, groups: NDArray[Any], bad: Sequence[int]) -> dict[str, float]:
        hit = np.isin(self.predicted, bad)
        rates = {f"harmful_{name}": hit[groups == name].mean() for name in np.unique(groups)}
        return rates | {
            "largest_difference": max(rates.values()) - min(rates.values()),
            "harmful": hit.mean(),
            "accuracy": (self.predicted == self.labels).mean(),
        }
