"""Changes of the data that must not change a number, for every measure, task and closer.

The changes are a rotation of both modalities, another order of rows, a factor per row, float64
instead of float32, rows in shards, and each item twice, for pairs of random shapes. Numbers that
depend on ranks may change when a rounding error swaps two almost equal cosines. A difference is
therefore a fault only if it is more than three times those that noise of the size of a rounding
error causes.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import modalgap as mg
from modalgap.close import CLOSERS
from modalgap.evaluate import TASKS
from modalgap.measure import MEASURES
from modalgap.method import Method

Floats = NDArray[Any]
RELATIVE, ABSOLUTE, ROUNDING, DRAWS = 1e-4, 1e-5, 3e-7, 60
AFTER_CLOSING = ["l2m", "rmg", "matched_cosine", "cone"]


@dataclass(frozen=True)
class Data:
    """Rows of two modalities, before they become a ``Pair``."""

    image: Floats
    text: Floats
    of: NDArray[np.int64]  # image of each text
    kind: NDArray[np.int64]  # class of each image

    def pair(self) -> mg.Pair:
        """The pair."""
        names = [f"class {each}" for each in self.kind]
        image = mg.Embeddings(self.image, "image", factors={"class": names})
        return mg.Pair(image, mg.Embeddings(self.text, "text"), self.of)


def drawn(rng: np.random.Generator) -> Data:
    """Random pairs of a random shape, in two cones, with classes."""
    n, d = int(rng.integers(60, 200)), int(rng.integers(4, 28))
    counts = rng.choice([1, 1, 1, 2, 3], size=n) if rng.random() < 0.5 else np.ones(n, int)
    of, kind = np.arange(n).repeat(counts), rng.integers(int(rng.integers(2, 8)), size=n)
    content = rng.normal(size=(kind.max() + 1, d))[kind] + rng.normal(size=(n, d))
    gap = rng.normal(size=(2, d)) * rng.uniform(0, 2)
    image = content + rng.uniform(0.1, 1) * rng.normal(size=(n, d)) + gap[0]
    text = content[of] + rng.uniform(0.1, 1) * rng.normal(size=(len(of), d)) + gap[1]
    # values that float32 holds, so that a change of type changes nothing
    return Data(image.astype(np.float32), text.astype(np.float32), of, kind)


def rotated(data: Data, rng: np.random.Generator, __: Path) -> mg.Pair:
    """Both modalities by the same orthogonal matrix."""
    q, _ = np.linalg.qr(rng.normal(size=2 * (data.image.shape[1],)))
    both = (each.astype(np.float64) @ q for each in (data.image, data.text))
    image, text = both
    return replace(data, image=image, text=text).pair()


def reordered(data: Data, rng: np.random.Generator, _: Path) -> mg.Pair:
    """Images and texts in another order."""
    p, q = rng.permutation(len(data.image)), rng.permutation(len(data.text))
    place = np.argsort(p)
    return Data(data.image[p], data.text[q], place[data.of[q]], data.kind[p]).pair()


def scaled(data: Data, rng: np.random.Generator, _: Path) -> mg.Pair:
    """Each row by a positive factor of its own."""
    image, text = (
        each.astype(np.float64) * np.exp(rng.normal(size=(len(each), 1)) * 3)
        for each in (data.image, data.text)
    )
    return replace(data, image=image, text=text).pair()


def widened(data: Data, _: np.random.Generator, __: Path) -> mg.Pair:
    """float64 instead of float32."""
    image, text = data.image.astype(np.float64), data.text.astype(np.float64)
    return replace(data, image=image, text=text).pair()


def sharded(data: Data, rng: np.random.Generator, folder: Path) -> mg.Pair:
    """Rows in several files."""
    if not np.array_equal(data.of, np.arange(len(data.of))):  # shards of pairs are cut row by row
        return mg.load(mg.save(data.pair(), folder / "whole.safetensors"))
    # at least two rows in each
    cut = np.sort(rng.choice(np.arange(2, len(data.of) - 1, 2), 2, replace=False))
    for i, rows in enumerate(np.split(np.arange(len(data.of)), cut)):
        part = Data(data.image[rows], data.text[rows], np.arange(len(rows)), data.kind[rows])
        mg.save(part.pair(), folder / "shards" / f"{i}.safetensors")
    return mg.load(folder / "shards")


def duplicated(data: Data, _: np.random.Generator, __: Path) -> mg.Pair:
    """Each image and each text twice, with the names by which ``evaluate`` joins them."""
    image = mg.Embeddings(
        np.tile(data.image, (2, 1)),
        "image",
        names=[f"image {i}" for i in range(len(data.image))] * 2,
        factors={"class": [f"class {each}" for each in data.kind] * 2},
    )
    text = mg.Embeddings(
        np.tile(data.text, (2, 1)), "text", names=[f"text {i}" for i in range(len(data.text))] * 2
    )
    return mg.Pair(image, text, np.concatenate([data.of, data.of + len(data.image)]))


Change = Callable[[Data, np.random.Generator, Path], mg.Pair]
CHANGES: dict[str, Change] = {
    "rotated": rotated,
    "reordered": reordered,
    "scaled": scaled,
    "float64": widened,
    "shards": sharded,
    "duplicated": duplicated,
}
METHODS: dict[str, Method] = {**MEASURES, **TASKS, **CLOSERS}
ON_COORDINATES = ("drop_dims", "robustness", "standardize")  # they act on single dimensions


def numbers(pair: mg.Pair, closers: list[str], seed: int) -> dict[str, float]:
    """Every number of the pair, and the gap after some closers; NaN for what does not apply."""
    found: dict[str, float] = {}
    for result in (mg.measure(pair, seed=seed), mg.evaluate(pair, seed=seed)):
        found |= {name: value.value for name, value in result.items()}
    for closer in closers:
        try:
            closed = mg.close(pair, closer)
        except (mg.errors.NotApplicable, mg.errors.InputError):  # it needs what is not there
            continue
        for name, value in mg.measure(closed, only=AFTER_CLOSING).items():
            found[f"{closer}: {name}"] = value.value
    return found


def differing(found: Mapping[str, float], expected: Mapping[str, float]) -> dict[str, float]:
    """Numbers of both that are not nearly equal, each with the difference."""
    off = {}
    for name in found.keys() & expected.keys():
        a, b = found[name], expected[name]
        if math.isnan(a) != math.isnan(b):
            off[name] = math.inf
        elif abs(a - b) > ABSOLUTE + RELATIVE * abs(b):
            off[name] = abs(a - b)
    return off


def allowed(name: str, change: str) -> bool:
    """Whether a number depends on what was changed, by its definition."""
    parts = [max(filter(part.startswith, METHODS), key=len) for part in name.split(": ")]
    traits = {trait for part in parts for trait in METHODS[part].card.traits}
    if "random" in traits:
        return True
    if change == "rotated":
        return "coordinates" in traits or parts[0] in ON_COORDINATES
    if change == "duplicated":
        return "size" in traits
    # folds, samples and divisions of the gallery are drawn by position
    return change == "reordered" and ("order" in traits or "seed" in METHODS[parts[0]].options)


class Noise:
    """The largest differences that noise of the size of a rounding error causes, by number."""

    def __init__(
        self, data: Data, closers: list[str], seed: int, expected: Mapping[str, float]
    ) -> None:
        self.most: dict[str, float] = {}
        self._data, self._closers, self._seed, self._expected = data, closers, seed, expected
        self._draws = 0

    def explains(self, off: Mapping[str, float]) -> bool:
        """Whether noise causes differences of this size, in up to ``DRAWS`` draws of it."""
        while not (done := all(by <= 3 * self.most.get(name, 0.0) for name, by in off.items())):
            if self._draws == DRAWS:
                break
            rng = np.random.default_rng([self._seed, self._draws])
            self._draws += 1
            image, text = (
                each * (1 + ROUNDING * rng.normal(size=each.shape))
                for each in (self._data.image, self._data.text)
            )
            pair = replace(self._data, image=image, text=text).pair()
            found = numbers(pair, self._closers, self._seed)
            for name, by in differing(found, self._expected).items():
                self.most[name] = max(self.most.get(name, 0.0), by)
        return done


def main(cases: int, seed: int, folder: Path) -> int:
    """Compare random data before and after each change; return 1 if a number changes."""
    names, began, compared, wrong = sorted(CLOSERS), time.monotonic(), 0, Counter[str]()
    for case in range(cases):
        rng = np.random.default_rng([seed, case])
        data = drawn(rng)
        closers = [names[(3 * case + i) % len(names)] for i in range(3)]
        expected = numbers(data.pair(), closers, case)
        noise = Noise(data, closers, case, expected)
        for change, function in CHANGES.items():
            place = folder / change
            (place / "shards").mkdir(parents=True)
            found = numbers(function(data, rng, place), closers, case)
            shutil.rmtree(place)
            compared += len(found.keys() & expected.keys())
            off = {
                name: by
                for name, by in differing(found, expected).items()
                if not allowed(name, change)
            }
            if not noise.explains(off):
                for name, by in off.items():
                    if not noise.explains({name: by}):
                        wrong[f"{change}: {name}"] += 1
                        print(f"case {case}: {change}: {name} by {by:.3g}", flush=True)
            for name in found.keys() ^ expected.keys():
                if not allowed(name, change):
                    wrong[f"{change}: only one has {name}"] += 1
    minutes = (time.monotonic() - began) / 60
    print(f"{cases} random data sets, {compared:,} comparisons, {minutes:.1f} min; seed {seed}")
    for what, count in wrong.most_common():
        print(f"  {what}: {count} of {cases}")
    return int(bool(wrong))
