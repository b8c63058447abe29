"""More than two modalities: each measure of one modality once, all others for every two.

Names of numbers: ``cone_image`` of one modality; ``rmg.image.text`` of two, in the order of the
modalities; ``leakage_image.audio`` of one modality that needs another; ``gram_volume`` of the items
of all modalities, beside ``gram_volume.image.text``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

import torch

from modalgap.embeddings import Modalities, all_moments, describe_input
from modalgap.errors import NotApplicable, OptionError, quoted
from modalgap.measure.base import Evidence, Measure, Seen, Side
from modalgap.measure.registry import MEASURES
from modalgap.method import pick
from modalgap.modality import spoken
from modalgap.result import Result, Value, versions

Named = dict[str, tuple[str, ...]]  # the name of a number to the modalities that it is of


def names_of(method: Measure, modalities: Sequence[str]) -> Named:
    """The names of the numbers of a measure, and the modalities of each.

    Args:
        method: the measure.
        modalities: three or more, in order.
    """
    name = method.name
    if method.between:
        return {f"{name}_{a}.{b}": (a, b) for a, b in permutations(modalities, 2)}
    if method.per_modality:
        return {f"{name}_{a}": (a,) for a in modalities}
    pairs: Named = {f"{name}.{a}.{b}": (a, b) for a, b in combinations(modalities, 2)}
    return {name: tuple(modalities), **pairs} if method.together else pairs


def wanted(
    only: Iterable[str | Measure] | None, modalities: Sequence[str]
) -> list[tuple[Measure, Named]]:
    """Measures and the numbers to report, in registry order; measures of the user's own after.

    Args:
        only: measures, names of measures, or names of numbers; None for all.
        modalities: three or more, in order.

    Raises:
        OptionError: an unknown name, or two measures of one name.
    """
    if only is None:
        return [(each, names_of(each, modalities)) for each in MEASURES.values()]
    found: dict[str, tuple[Measure, Named]] = {}
    for each in only:
        method = each if isinstance(each, Measure) else _measure(each, modalities)
        names = names_of(method, modalities)
        if isinstance(each, str) and each != method.name:
            names = {name: of for name, of in names.items() if _is(name, each)}
        elif isinstance(each, Measure) and each.modality is not None:
            names = {name: of for name, of in names.items() if of[0] == each.modality}
        before = found.get(method.name, (method, {}))
        if before[0].compute is not method.compute:
            raise OptionError(f"only: two measures have the name {quoted(method.name)}")
        both = {**before[1], **names}
        every = names_of(method, modalities)
        found[method.name] = (method, {name: of for name, of in every.items() if name in both})
    order = {name: i for i, name in enumerate(MEASURES)}
    return sorted(found.values(), key=lambda entry: order.get(entry[0].name, len(order)))


def measure_all(
    data: Modalities,
    chosen: Sequence[tuple[Measure, Named]],
    options: Mapping[str, Any],
    *,
    strict: bool,
) -> Result:
    """Measure three or more modalities. The moments of each are worked out once.

    Args:
        data: the modalities.
        chosen: measures and the numbers to report; see ``wanted``.
        options: of the measures.
        strict: whether a measure without any number is an error.

    Raises:
        NotApplicable: ``strict``, and a measure lacks what it needs for every pair or modality.
    """
    evidence = _Evidence(data, scatter=any(method.scatter for method, _ in chosen))
    values: dict[str, Value] = {}
    skipped: dict[str, str] = {}
    for method, names in chosen:
        for name, of in names.items():
            try:
                values[name] = method.run(evidence.target(method, of), options)
            except NotApplicable as reason:
                skipped[name] = spoken(str(reason), of)
        if strict and names and all(name in skipped for name in names):
            first = next(iter(names))
            raise NotApplicable(f"{first}: {skipped[first]}")
    return Result(values, skipped, describe_input(data), versions())


class _Evidence:
    """The statistics of every modality and of every two, each worked out once."""

    def __init__(self, data: Modalities, *, scatter: bool) -> None:
        self.data, self.scatter = data, scatter
        self.moments = all_moments(data, scatter=scatter)  # checks every row on its way
        self.sides: dict[str, Side] = {}
        for name, side in data.items():
            made = Side(side, scatter=scatter, clusters=torch.from_numpy(data.clusters[name]))
            made.moments = self.moments.sides[name]
            self.sides[name] = made
        self.pairs: dict[tuple[str, str], Evidence] = {}

    def target(self, method: Measure, of: tuple[str, ...]) -> Evidence | Side | Seen | Modalities:
        """What a measure is computed from.

        Raises:
            NotApplicable: two modalities with fewer than two common items.
        """
        if method.together and len(of) > 2:
            return self.data
        if len(of) == 1:
            return self.sides[of[0]]
        if method.together:
            return Modalities.of(self.data.pair(*of))
        found = self._of_two(*of)
        return Seen(found, self.sides[of[0]]) if method.between else found

    def _of_two(self, a: str, b: str) -> Evidence:
        two = (a, b) if (a, b) in self.data.matched else (b, a)
        if two not in self.pairs:
            pair = self.data.pair(*two)
            sides = (self.sides[two[0]], self.sides[two[1]])
            made = Evidence(pair, scatter=self.scatter, sides=sides)
            made.moments = self.moments.of(*two)
            self.pairs[two] = made
        return self.pairs[two]


def _is(name: str, asked: str) -> bool:
    """Whether a number is asked for: by its name, or by that of its measure and modality."""
    return name == asked or name.startswith(f"{asked}.")


def _measure(name: object, modalities: Sequence[str]) -> Measure:
    """The measure of the name of a measure or of a number."""
    if isinstance(name, str) and name in MEASURES:
        return MEASURES[name]
    known: dict[str, Measure] = {}
    for method in MEASURES.values():
        for full in names_of(method, modalities):
            if isinstance(name, str) and _is(full, name):
                return method
            known[full] = method
    return pick(name, {**known, **MEASURES}, Measure, "only")
