"""Task: an evaluation that returns scores which can be resampled.

For each number a task returns one value per unit (a query, an image). Intervals and paired
differences are then computed in the same manner for all tasks: by the bootstrap over independent
units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist
from typing import Any, ClassVar, Concatenate, Generic

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from modalgap.arguments import checked, plain
from modalgap.card import Card
from modalgap.embeddings import Embeddings, Modalities, Pair, joined
from modalgap.embeddings.arrays import Rows, pair_of
from modalgap.embeddings.pick import pick as rows_at
from modalgap.errors import NotApplicable, OptionError, quoted
from modalgap.method import Method, Options
from modalgap.modality import spoken
from modalgap.result import Value

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Statistic = Callable[[NDArray[Any], Floats], float]
Interval = tuple[float, float] | None
DRAWS = 1000
LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class OfSums:
    """A statistic that is a function of weighted sums over units.

    Its resamples need only the sums within clusters, not the units.

    Attributes:
        terms: function of values (q, …) that returns what is summed (q, k).
        number: function of sums (…, k) that returns the number (…).
        biased: whether resampling raises the number, as it does for a sum of absolute values. The
            resamples are then shifted so that their mean is the number, and cut at 0.
    """

    terms: Callable[[NDArray[Any]], Floats]
    number: Callable[[Floats], Floats]
    biased: bool = False

    def __call__(self, values: NDArray[Any], weights: Floats) -> float:
        """The number of values (q, …) with weights (q,)."""
        return float(self.number(weights @ self.terms(values)))

    def within(self, values: NDArray[Any], codes: Ints, n: int) -> Floats:
        """Sums (n, k) of the units of each of n clusters."""
        return np.stack([np.bincount(codes, each, n) for each in self.terms(values).T], 1)


def ratio(sums: Floats) -> Floats:
    """The first of two sums over the second; NaN if the second is 0."""
    above, below = sums[..., 0], sums[..., 1]
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


mean = OfSums(lambda values: np.stack([values, np.ones(len(values))], 1), ratio)


def median(values: NDArray[Any], weights: Floats) -> float:
    """Weighted median: the smallest value at which the cumulative weight reaches one half."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


@checked
@dataclass(frozen=True, eq=False)
class Scores:
    """One number of a task, with the values per unit behind it.

    Attributes:
        values: (q, …) one entry per unit; between 0 and 1 if the number is their mean.
        clusters: (q,) cluster of each unit; units of one cluster are resampled together, such as
            the captions of one image. None if the number cannot be resampled.
        statistic: function of values and weights (q,) that returns the number.
        better: "higher", "lower" or "neither".
    """

    values: NDArray[Any]
    clusters: Ints | None
    statistic: Statistic = mean
    better: str = "higher"

    @property
    def value(self) -> float:
        """The number."""
        return self.statistic(self.values, np.ones(len(self.values)))

    def draws(self, seed: int, draws: int = DRAWS) -> Floats | None:
        """The number on bootstrap resamples of the clusters; None for fewer than five clusters.

        Scores with the same clusters and seed use the same resamples, so that their draws can be
        subtracted.
        """
        if self.clusters is None:
            return None
        _, codes = np.unique(self.clusters, return_inverse=True)
        n = int(codes.max()) + 1
        if n < 5:
            return None
        blocks = resamples(n, seed, draws)
        statistic = self.statistic
        if not isinstance(statistic, OfSums):
            found = [statistic(self.values, each[codes]) for times in blocks for each in times]
            return np.array(found)
        sums = statistic.within(self.values, codes, n)
        result: Floats = np.concatenate([statistic.number(times @ sums) for times in blocks])
        if statistic.biased:
            result = np.maximum(result - result.mean() + self.value, 0)
        return result

    def interval(self, seed: int) -> Interval:
        """The 95 % interval."""
        return self.interval_of(self.draws(seed))

    def interval_of(self, draws: Floats | None) -> Interval:
        """The 95 % percentile interval of draws of this number.

        Resamples of a mean do not vary if every unit has 0, or every unit 1. The interval is then
        Wilson's, with the clusters as independent units.
        """
        found, value = percentiles(draws), self.value
        if self.clusters is None or self.statistic is not mean:
            return found
        if found != (value, value) or value not in (0.0, 1.0):
            return found
        reach = Z**2 / (len(np.unique(self.clusters)) + Z**2)
        return (0.0, reach) if value == 0 else (1 - reach, 1.0)

    def number(self, seed: int) -> Value:
        """The number with its 95 % interval."""
        return Value(self.value, self.interval(seed))

    def gain(self, other: Scores, seed: int) -> Value:
        """This number minus the other on the same units, with the 95 % interval."""
        return Value(*self.minus(other, seed))

    def minus(self, other: Scores, seed: int, level: float = LEVEL) -> tuple[float, Interval]:
        """This number minus the other on the same units, and the interval of the difference."""
        ours, theirs = self.draws(seed), other.draws(seed)
        between = None
        if ours is not None and theirs is not None:
            between = percentiles(ours - theirs, level)
        return self.value - other.value, between


def resamples(n: int, seed: int, draws: int) -> Iterator[Floats]:
    """Yield blocks (b, n) of how often each draw contains each of n clusters."""
    if n * draws <= 2**23:
        yield _resamples(n, seed, draws)
        return
    random = np.random.default_rng(seed)
    step = max(1, 2**21 // n)
    for a in range(0, draws, step):
        yield _counted(random, n, min(step, draws - a))


@lru_cache(maxsize=4)
def _resamples(n: int, seed: int, draws: int) -> Floats:
    return _counted(np.random.default_rng(seed), n, draws)


def _counted(random: np.random.Generator, n: int, draws: int) -> Floats:
    drawn = random.integers(0, n, (draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=n * draws).reshape(draws, n).astype(np.float64)


def percentiles(draws: Floats | None, level: float = LEVEL) -> Interval:
    """The central interval that contains the fraction ``level`` of the draws."""
    if draws is None or not np.isfinite(draws).all():
        return None
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@checked
@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a task.

    Attributes:
        scores: name to ``Scores``.
        details: further facts, plain JSON types.
    """

    scores: Mapping[str, Scores]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Task(Method, Generic[Options]):
    """An evaluation task.

    Attributes:
        card: its description.
        run: (Pair, options) to ``Outcome``; (Pair or Modalities, options) for the trait
            "together".
    """

    kind: ClassVar[str] = "task"
    card: Card
    run: Callable[Concatenate[Any, Options], Outcome]

    @property
    def together(self) -> bool:
        """Whether it takes two or more modalities together."""
        return "together" in self.card.traits

    @property
    def body(self) -> Callable[..., Outcome]:
        """The function that runs the task."""
        return self.run

    def main(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """Names of the main numbers of the task for these two modalities."""
        return tuple(form.format(*modalities) for form in self.card.main)

    def outcome(self, pair: Pair | Modalities, options: Mapping[str, Any]) -> Outcome:
        """Run the task on data without repeated items; errors start with the name of the task.

        Options of other tasks are ignored.
        """
        self.check_options(options, "seed")
        own = {name: plain(value) for name, value in options.items() if name in self.options}
        run: Callable[..., Outcome] = self.run
        try:
            return run(pair, **own)
        except NotApplicable as reason:
            text = spoken(str(reason), [side.modality for side in pair.sides])
            raise NotApplicable(f"{self.name}: {text}") from None

    def __call__(
        self,
        data: Pair | Rows | Modalities,
        text: Rows | None = None,
        text_to_image: ArrayLike | Tensor | None = None,
        labels: ArrayLike | Tensor | None = None,
        pairs: ArrayLike | Tensor | None = None,
        *args: Options.args,
        **options: Options.kwargs,
    ) -> Outcome:
        """Run the task.

        Repeated items count as the same answer, as in ``evaluate``.

        Args:
            data: a ``Pair``, or rows (n, d) of the first modality; or ``Modalities``, for a task of
                all modalities together.
            text: rows (m, d) of the second modality.
            text_to_image: (m,) the image of each text.
            labels: (n,) the text of each image.
            pairs: (k, 2) an image and a text that match.
            *args: not used; pass options by name.
            **options: options of the task.

        Raises:
            OptionError: an unknown option, or a value that is not allowed.
            NotApplicable: the pair lacks what the task needs.
        """
        if args:
            raise OptionError(f"options of {self.name} must be passed by name; got {quoted(args)}")
        if isinstance(data, Modalities) and self.together:
            return self.outcome(data, options)
        pair = pair_of(
            self.name, data, text, text_to_image=text_to_image, labels=labels, pairs=pairs
        )
        distinct, own, repeats = without_repeats(pair, options)
        found = self.outcome(distinct, own)
        return Outcome(found.scores, {**found.details, **repeats})


def without_repeats(
    pair: Pair, options: Mapping[str, Any]
) -> tuple[Pair, dict[str, Any], dict[str, Any]]:
    """The pair without repeated items, options that fit it, and facts for the result."""
    found = joined(pair)
    options = dict(options)
    rows = found.rows.get(pair.text.modality)
    if rows is not None and options.get("other_text") is not None:
        other = options["other_text"]
        other = other if isinstance(other, Embeddings) else Embeddings(other, pair.text.modality)
        if other.n == pair.text.n:  # otherwise the task refuses it
            options["other_text"] = rows_at(other, rows)
    return found.pair, options, found.about()
