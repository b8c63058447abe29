"""Coverage of the 95 % intervals: how often they contain the mean of a number over all samples.

Many samples of one population are drawn. The reference for a number is its mean over all samples:
the number that a sample of this size gives on average.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import modalgap as mg
from modalgap.evaluate import TASKS
from modalgap.measure import MEASURES
from modalgap.method import Method
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


def _classes(rng: np.random.Generator) -> mg.Pair:
    """Images, and one prompt per class; the prompts are the same in all samples."""
    fixed = np.random.default_rng(0)
    centres = fixed.normal(size=(CLASSES, DIMENSIONS))
    image, text = 2 * fixed.normal(size=(2, DIMENSIONS))
    prompts = centres + 0.5 * fixed.normal(size=centres.shape) + text
    kind = rng.integers(CLASSES, size=400)
    rows = centres[kind] + 1.5 * rng.normal(size=(400, DIMENSIONS)) + image
    race = [f"group {each}" for each in rng.integers(2, size=400)]
    return mg.Pair(
        mg.Embeddings(rows.astype(np.float32), "image", factors={"race": race}),
        mg.Embeddings(prompts.astype(np.float32), "text"),
        labels=kind,
    )


POPULATIONS: dict[str, Population] = {
    "200 pairs": lambda rng: _drawn(rng, 200, 1),
    "150 images with 3 captions": lambda rng: _drawn(rng, 150, 3),
    "400 images of 8 classes": _classes,
    "1,000 pairs": lambda rng: _drawn(rng, 1_000, 1),
}
Verb = Callable[..., mg.Result]
VERBS: dict[Verb, dict[str, Method]] = {mg.measure: {**MEASURES}, mg.evaluate: {**TASKS}}
MEASURES_ONLY = ("1,000 pairs",)  # tasks take seconds per sample
OPTIONS = {"harmful": [0, 1]}  # of fairness


def with_intervals(pair: mg.Pair, verbs: Iterable[Verb]) -> dict[Verb, list[str]]:
    """The measures and tasks that give an interval for a pair."""
    found: dict[Verb, list[str]] = {verb: [] for verb in verbs}
    for verb in found:
        for name, method in VERBS[verb].items():
            options = {key: OPTIONS[key] for key in method.options if key in OPTIONS}
            with contextlib.suppress(mg.errors.NotApplicable):
                result = verb(pair, only=[name], **options)
                if any(value.interval is not None for _, value in result.items()):
                    found[verb].append(name)
    return found


def numbers(
    pair: mg.Pair, methods: dict[Verb, list[str]], seed: int
) -> dict[str, tuple[float, float, float]]:
    """Every number that has an interval: value, low, high."""
    found = {}
    for verb, names in methods.items():
        options = OPTIONS if "fairness" in names else {}
        for name, value in verb(pair, only=names, seed=seed, **options).items():
            if value.interval is not None and not math.isnan(value.value):
                found[name] = (value.value, *value.interval)
    return found


def samples(name: str, first: int, last: int, path: Path) -> None:
    """Write the numbers of samples ``first`` up to ``last``, one JSON line each."""
    population = POPULATIONS[name]
    verbs = [mg.measure] if name in MEASURES_ONLY else VERBS
    methods = with_intervals(population(np.random.default_rng(0)), verbs)
    with path.open("w") as file:
        for i in range(first, last):
            found = numbers(population(np.random.default_rng(i + 1)), methods, i)
            file.write(json.dumps(found) + "\n")


@dataclass(frozen=True)
class Covered:
    """How the intervals of one number behave.

    Attributes:
        samples: how many have the number.
        share: of them whose interval contains the mean of the number.
        width: mean width of the intervals over that of ±1.96 standard deviations of the number;
            NaN if the number is the same in all samples.
    """

    samples: int
    share: float
    width: float

    def verdict(self, name: str) -> str:
        """Return "inside", or how the coverage of this number is not as it should be."""
        if math.isnan(self.width):
            return "constant"
        if LOW <= self.share <= HIGH:
            return "inside"
        if self.share > HIGH:
            return "wide"
        return "narrow, as it says" if limited(name) else "narrow"


def limited(name: str) -> bool:
    """Whether the interval of a number is documented as valid only for a fixed part of the sample.

    This part is the gallery or pool of a measure (its card), or what a task searches or fits.
    """
    task = name.partition(".")[0]
    measure = max((each for each in MEASURES if name.startswith(each)), key=len, default="")
    return task in TASKS or (measure != "" and ", for th" in MEASURES[measure].card.interval)


def coverage(lines: list[dict[str, list[float]]]) -> dict[str, Covered]:
    """The coverage and width of the intervals of each number."""
    values: dict[str, list[list[float]]] = defaultdict(list)
    for line in lines:
        for name, found in line.items():
            values[name].append(found)
    result = {}
    for name, each in values.items():
        value, low, high = np.array(each).T
        truth, spread = value.mean(), 2 * 1.96 * value.std()
        share = float(np.mean((low <= truth) & (truth <= high)))
        width = float((high - low).mean() / spread) if np.ptp(value) > 1e-12 else math.nan
        result[name] = Covered(len(each), share, width)
    return result


def main(repeats: int, processes: int, folder: Path) -> int:
    """Print the coverage of every interval; return 1 if one is too narrow without notice."""
    verdicts: Counter[str] = Counter()
    for name in POPULATIONS:
        began = time.monotonic()
        paths = [folder / f"{i}.jsonl" for i in range(processes)]
        edges = [repeats * i // processes for i in range(processes + 1)]
        child.run_all(
            [
                partial(samples, name, first, last, path)
                for first, last, path in zip(edges, edges[1:], paths, strict=False)
            ],
            folder / "messages",
        )
        lines = [json.loads(line) for path in paths for line in path.open()]
        print(f"{name}, {repeats:,} samples, {(time.monotonic() - began) / 60:.1f} min")
        for number, found in sorted(coverage(lines).items()):
            verdict = found.verdict(number)
            verdicts[verdict] += 1
            print(f"  {number:<44}{found.share:7.1%}  width {found.width:5.2f}"
                  f"{found.samples:8,}  {verdict}", flush=True)  # fmt: skip
    print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()))
    return int(verdicts["narrow"] > 0)
