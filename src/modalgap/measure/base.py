"""Measure, and the statistics that measures share.

A measure is a card and a function. It can be called with arrays. ``modalgap.measure`` passes one
``Evidence`` to many measures; it computes each expensive statistic once, when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Concatenate, Generic

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from modalgap.arguments import plain
from modalgap.card import Card
from modalgap.checks import at_least, needs, sample, whole
from modalgap.embeddings import (
    Embeddings,
    Modalities,
    Moments,
    Pair,
    PairMoments,
    moments,
    pair_moments,
)
from modalgap.embeddings.arrays import Rows, pair_of
from modalgap.embeddings.rows import CHUNK
from modalgap.errors import InputError, OptionError, quoted
from modalgap.measure.neighbours import best_across, nearest, within, within_and_above
from modalgap.method import Method, Options
from modalgap.result import Value

UNRESOLVED = 1e-5  # spread of unit rows below which float32 cosines are mostly rounding


class Side:
    """One modality and the statistics computed from it.

    Args:
        embeddings: n rows.
        scatter: collect second moments too.
        clusters: (n,) rows with the same value are not independent (the captions of one image);
            or a function that returns them, for measures that use them.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        scatter: bool,
        clusters: Tensor | Callable[[], Tensor] | None = None,
    ) -> None:
        self.embeddings = embeddings
        self._clusters = clusters
        self._within: dict[tuple[int, int, int], Tensor] = {}
        self.modality = embeddings.modality
        self.n, self.dim = embeddings.n, embeddings.dim
        self._scatter = scatter

    @cached_property
    def clusters(self) -> Tensor:
        """(n,) rows with the same value are not independent."""
        if self._clusters is None:
            return torch.arange(self.n)
        return self._clusters() if callable(self._clusters) else self._clusters

    @cached_property
    def moments(self) -> Moments:
        """Sums in groups, with the scatter matrix if one of the measures needs it."""
        return moments(self.embeddings, scatter=self._scatter)

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (d,), descending, and eigenvectors (d, d) in columns, of the covariance.

        Eigenvalues within the rounding error of float32 are set to zero: their square roots would
        add up in the Fréchet distance.
        """
        from modalgap.linalg import psd_eigh

        values, vectors = psd_eigh(torch.from_numpy(self.moments.covariance))
        values[values < 2 * torch.finfo(torch.float32).eps * values[0]] = 0
        return values, vectors

    def sample(self, max_rows: int, seed: int) -> Tensor:
        """Indices, ascending, of at most ``max_rows`` rows drawn without replacement."""
        return sample(self.n, max_rows, seed)

    def within(self, k: int, max_rows: int, seed: int) -> Tensor:
        """(rows, k) indices of the k nearest of at most ``max_rows`` rows drawn with ``seed``."""
        key = (k, max_rows, seed)
        if key not in self._within:
            self._within[key] = within(self._rows(max_rows, seed), k)
        return self._within[key]

    def nearest_cosine(self, k: int, max_rows: int, seed: int) -> Tensor:
        """(rows,) the cosine of each row with its nearest other row, from the same sweep."""
        rows, nearest = self._rows(max_rows, seed), self.within(k, max_rows, seed)[:, 0]
        spans = ((a, a + CHUNK) for a in range(0, len(rows), CHUNK))
        return torch.cat([(rows[a:b] * rows[nearest[a:b]]).sum(1) for a, b in spans])

    def above(self, best: Tensor, k: int, max_rows: int, seed: int) -> Tensor:
        """(rows,) the number of rows of this modality with a cosine above ``best`` (rows,).

        The same pass finds the neighbours, which ``within`` then reuses.
        """
        found, count = within_and_above(self._rows(max_rows, seed), k, best)
        self._within[k, max_rows, seed] = found
        return count

    def resolved(self) -> None:
        """Refuse rows that are too similar for the precision of float32."""
        count, total = self.moments.leave_one_group_out()
        spread = 1 - float((total[0] ** 2).sum()) / count[0] ** 2  # 1 − ‖mean‖²
        needs(
            spread > UNRESOLVED,
            f"the {self.modality} rows are too similar for float32 (1 − ‖mean‖² = {spread:.0e})",
        )

    def _rows(self, max_rows: int, seed: int) -> Tensor:
        return self.embeddings.take(self.sample(max_rows, seed))


class Evidence:
    """A pair and the statistics computed from it.

    Args:
        pair: the pair.
        scatter: collect second moments in the one pass over the data.
        sides: both sides, where other pairs share them.
    """

    def __init__(
        self, pair: Pair, *, scatter: bool, sides: tuple[Side, Side] | None = None
    ) -> None:
        self.pair = pair
        self._scatter = scatter
        if sides is None:
            sides = (
                Side(pair.image, scatter=scatter, clusters=lambda: _clusters(pair, 0)),
                Side(pair.text, scatter=scatter, clusters=lambda: _clusters(pair, 1)),
            )
        self.image, self.text = sides
        self._once: dict[str, Any] = {}
        self._mixed: dict[tuple[int, int, int], tuple[Tensor, Tensor]] = {}
        self._best: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    @property
    def sides(self) -> tuple[Side, Side]:
        """The first modality, then the second."""
        return (self.image, self.text)

    def side(self, modality: str) -> Side:
        """The side of this modality."""
        return next(side for side in self.sides if side.modality == modality)

    @cached_property
    def moments(self) -> PairMoments:
        """Sums of both sides and of their matches; both sides use these."""
        result = pair_moments(self.pair, scatter=self._scatter)
        self.image.moments, self.text.moments = result.image, result.text
        return result

    @property
    def gap(self) -> Tensor:
        """G = μ_image − μ_text, (d,) float64."""
        found = self.moments
        return torch.from_numpy(found.image.mean - found.text.mean)

    def resolved(self) -> None:
        """Refuse a modality whose rows are too similar for float32; see ``Side.resolved``."""
        _ = self.moments  # one pass over both sides rather than one each
        for side in self.sides:
            side.resolved()

    def once(self, key: str, work: Callable[[Evidence], Any]) -> Any:
        """The result of ``work(self)``, which is computed at the first call only."""
        if key not in self._once:
            self._once[key] = work(self)
        return self._once[key]

    def mixed(self, k: int, max_rows: int, seed: int) -> tuple[Tensor, Tensor]:
        """For each image and text: how many rows of its modality rank above the best of the other.

        Args:
            k: neighbours to find in the same pass, for measures that use ``Side.within``.
            max_rows: rows of each modality in the pool.
            seed: for the sample of rows.
        """
        key = (k, max_rows, seed)
        if key not in self._mixed:
            best_text, best_image = self.best(max_rows, seed)
            self._mixed[key] = (
                self.image.above(best_text, k, max_rows, seed),
                self.text.above(best_image, k, max_rows, seed),
            )
        return self._mixed[key]

    def best(self, max_rows: int, seed: int) -> tuple[Tensor, Tensor]:
        """The largest cosine of each image with a text, and of each text with an image.

        Args:
            max_rows: rows of each modality.
            seed: of their choice.
        """
        key = (max_rows, seed)
        if key not in self._best:
            images, texts = (
                side.embeddings.take(side.sample(max_rows, seed)) for side in self.sides
            )
            self._best[key] = best_across(images, texts)
        return self._best[key]

    @cached_property
    def predictions(self) -> Tensor:
        """(n,) nearest text of each image, for class prompts."""
        texts = self.pair.text.unit()
        found = [nearest(rows, texts) for _, rows in self.pair.image.chunks()]
        return torch.cat(found)

    def temperature(self, value: float | None) -> float:
        """The option if it is not None, else that of the model if the file has it, else 0.01."""
        if value is not None:
            at_least("temperature", value, 1e-4)
            return float(value)
        for side in self.pair.sides:
            try:
                scale = float(side.provenance.get("logit_scale", ""))
            except ValueError:
                continue
            if 0 < scale <= 1e4:
                return 1 / scale
        return 0.01


@dataclass(frozen=True)
class Seen:
    """A pair, and which of its modalities is measured."""

    evidence: Evidence
    side: Side


@dataclass(frozen=True, repr=False)
class Measure(Method, Generic[Options]):
    """A card, and the function that computes it. Call it with arrays, Embeddings or a Pair.

    Attributes:
        card: its description.
        compute: (Evidence, options) to Value; (Side, options) if the card's roles are
            ("modality",); (Seen, options) if they are ("modality", "other"); (Modalities, options)
            if it has the trait "together".
        modality: the one that a call measures, for a measure that is ``between``; see ``of``.
    """

    kind: ClassVar[str] = "measure"
    card: Card
    compute: Callable[Concatenate[Any, Options], Value]
    modality: str | None = None

    @property
    def per_modality(self) -> bool:
        """Whether it is a number of one modality; results add the modality as a suffix."""
        return "modality" in self.card.roles

    @property
    def between(self) -> bool:
        """Whether it is a number of one modality that needs the other modality too."""
        return "other" in self.card.roles

    @property
    def together(self) -> bool:
        """Whether it is a number of the items of two or more modalities together."""
        return "together" in self.card.traits

    @property
    def scatter(self) -> bool:
        """Whether it needs second moments."""
        return self.card.reads == "covariances"

    @property
    def body(self) -> Callable[..., Value]:
        """The function that computes it."""
        return self.compute

    def names(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The names under which its values appear."""
        if not self.per_modality:
            return (self.name,)
        return tuple(f"{self.name}_{modality}" for modality in modalities)

    def of(self, modality: str) -> Measure[Options]:
        """This measure, of one modality of a pair: ``leakage.of("text")(pair)``."""
        if not self.between:
            raise OptionError(f"{self.name}: has no choice of modality")
        return replace(self, modality=modality)

    def run(self, target: Evidence | Side | Seen | Modalities, options: Mapping[str, Any]) -> Value:
        """Compute the value with those of ``options`` that this measure has."""
        own = {**self.options, **{key: options[key] for key in options if key in self.options}}
        own = {key: plain(value) for key, value in own.items()}
        if "seed" in own:
            whole("seed", own["seed"], 0)
        compute: Callable[..., Value] = self.compute
        with np.errstate(divide="ignore", invalid="ignore"):  # Value refuses undefined numbers
            value = compute(target, **own)
        params = {**own, **value.params, "better": self.card.direction}
        if self.card.unit:
            params["unit"] = self.card.unit
        return Value(value.value, value.interval, params, value.details, self.card.source)

    def __call__(
        self,
        image: Rows | Pair | Modalities,
        text: Rows | None = None,
        text_to_image: ArrayLike | Tensor | None = None,
        labels: ArrayLike | Tensor | None = None,
        pairs: ArrayLike | Tensor | None = None,
        factors: Mapping[str, Any] | None = None,
        *args: Options.args,
        **options: Options.kwargs,
    ) -> Value:
        """Measure arrays.

        Args:
            image: (n, d) array, ``Embeddings``, or a whole ``Pair``; for a measure of one modality,
                the rows of that modality; for a measure of items, also ``Modalities``.
            text: (m, d) array or ``Embeddings``.
            text_to_image: (m,) image of each text.
            labels: (n,) text of each image.
            pairs: (k, 2) an image and a text that match.
            factors: name to (n,) values, one per row (measures of one modality).
            *args: not used; pass options by name.
            **options: options of the measure.

        Returns:
            The value; ``float(value)`` is the number.
        """
        if args:
            raise OptionError(f"options of {self.name} must be passed by name; got {quoted(args)}")
        self.check_options(options)
        if isinstance(image, Modalities) and self.together:
            return self.run(image, options)
        if self.per_modality and not self.between:
            if isinstance(image, Pair | Modalities) or _any_set(text, text_to_image, labels, pairs):
                raise InputError(f"{self.name} is a number of one modality; give it one array")
            if isinstance(image, Embeddings) and factors is not None:
                raise InputError("factors: Embeddings already hold factors; do not pass them")
            side = image if isinstance(image, Embeddings) else Embeddings(image, factors=factors)
            return self.run(Side(side, scatter=self.scatter), options)
        if factors is not None:
            raise InputError(f"{self.name} does not use factors")
        pair = pair_of(
            self.name, image, text, text_to_image=text_to_image, labels=labels, pairs=pairs
        )
        if self.together:
            return self.run(Modalities.of(pair), options)
        evidence = Evidence(pair, scatter=self.scatter)
        if not self.between:
            return self.run(evidence, options)
        known = [side.modality for side in pair.sides]
        if self.modality not in known:
            wanted = "a choice" if self.modality is None else quoted(self.modality)
            raise OptionError(
                f"{self.name}: is a number of one modality; this pair has {' and '.join(known)},"
                f" so take {self.name}.of({quoted(known[0])}) or"
                f" {self.name}.of({quoted(known[1])});"
                f" got {wanted}"
            )
        return self.run(Seen(evidence, evidence.side(str(self.modality))), options)


def _clusters(pair: Pair, side: int) -> Tensor:
    return torch.from_numpy(pair.clusters[side])


def _any_set(*values: Any) -> bool:
    return any(value is not None for value in values)
