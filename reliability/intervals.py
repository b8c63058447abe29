"""Coverage of the 95 % intervals: how often they contain the mean of the same number elsewhere.

Samples of one population are drawn again and again. The truth of a number is its mean over all
samples: the number that a sample of this size gives on average.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import modalgap as mg
from reliability import child

LOW, HIGH = 0.93, 0.97
CLASSES, DIMENSIONS = 8, 16
Population = Callable[[np.random.Generator], mg.Pair]


def _drawn(rng: np.random.Generator, images: int, captions: int) -> mg.Pair:
    """Images with classes, and captions that share a part of their content, in two cones."""
    fixed = np.random.default_rng(0)
    centres = fixed.normal(size=(CLASSES, DIMENSIONS))
    gap = fixed.normal(size=(2, DIMENSIONS))
    kind = rng.integers(CLASSES, size=images)
    scales = np.geomspace(2.0, 0.3, DIMENSIONS)
    content = centres[kind] + rng.normal(size=(images, DIMENSIONS)) * scales
    of = np.arange(images).repeat(captions)
    image = content + 0.4 * rng.normal(size=content.shape) + 2 * gap[0]
    text = content[of] + 0.6 * rng.normal(size=(len(of), DIMENSIONS)) + 2 * gap[1]
    names = [f"class {each}" for each in kind]
    return mg.Pair(
        mg.Embeddings(image.astype(np.float32), "image", factors={"class": names}),
        mg.Embeddings(text.astype(np.float32), "text"),
        of,
    )


POPULATIONS: dict[str, Population] = {
    "200 pairs": lambda rng: _drawn(rng, 200, 1),
    "1,000 pairs": lambda rng: _drawn(rng, 1_000, 1),
    "150 images with 3 captions": lambda rng: _drawn(rng, 150, 3),
}


def numbers(pair: mg.Pair, seed: int) -> dict[str, tuple[float, float, float]]:
    """Every number that has an interval: value, low, high."""
    found = {}
    for result in (mg.measure(pair, seed=seed), mg.evaluate(pair, seed=seed)):
        for name, value in result.items():
            if value.interval is not None and not math.isnan(value.value):
                found[name] = (value.value, *value.interval)
    return found


def samples(population: Population, first: int, last: int, path: Path) -> None:
    """Write the numbers of samples ``first`` up to ``last``, one JSON line each."""
    with path.open("w") as file:
        for i in range(first, last):
            found = numbers(population(np.random.default_rng(i + 1)), i)
            file.write(json.dumps(found) + "\n")


def coverage(lines: list[dict[str, list[float]]]) -> dict[str, tuple[int, float]]:
    """Number to the samples that have it, and the share of them whose interval has the mean."""
    values: dict[str, list[list[float]]] = defaultdict(list)
    for line in lines:
        for name, found in line.items():
            values[name].append(found)
    result = {}
    for name, each in values.items():
        value, low, high = np.array(each).T
        truth = value.mean()
        result[name] = (len(each), float(np.mean((low <= truth) & (truth <= high))))
    return result


def main(repeats: int, processes: int, folder: Path) -> int:
    """Print the coverage of every interval in every population; 1 if one is outside the range."""
    outside = 0
    for name, population in POPULATIONS.items():
        began = time.monotonic()
        paths = [folder / f"{i}.jsonl" for i in range(processes)]
        edges = [repeats * i // processes for i in range(processes + 1)]
        child.run_all(
            [
                partial(samples, population, first, last, path)
                for first, last, path in zip(edges, edges[1:], paths, strict=False)
            ],
            folder / "messages",
        )
        lines = [json.loads(line) for path in paths for line in path.open()]
        print(f"{name}, {repeats:,} samples, {(time.monotonic() - began) / 60:.1f} min")
        for number, (count, share) in sorted(coverage(lines).items()):
            inside = LOW <= share <= HIGH
            outside += not inside
            print(
                f"  {number:<44}{share:7.1%}{count:8,}{'' if inside else '   outside'}", flush=True
            )
    print(f"{outside} outside {LOW:.0%} to {HIGH:.0%}")
    return int(outside > 0)
