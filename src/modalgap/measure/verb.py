"""The verb: many measures of one pair, sharing what they can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from modalgap.embeddings import Embeddings, Pair, describe_input
from modalgap.errors import InputError, NotApplicable, OptionError
from modalgap.measure.base import Evidence, Measure, Side
from modalgap.measure.registry import MEASURES
from modalgap.result import Result, Value, versions


def measure(
    data: Pair | Embeddings, only: str | Iterable[str] | None = None, **options: Any
) -> Result:
    """Measure the modality gap of a pair, or what can be said of one modality alone.

    Args:
        data: what ``modalgap.load`` gave, or one made from arrays.
        only: names of measures, "cone" or "cone_image"; by default all that apply.
        **options: options of measures (``temperature``, ``k``, ``seed``, ``cap`` …), given to each
        that has them.

    Returns: A ``Result``. Measures that do not apply are in ``skipped`` with the reason; a measure
        asked for by name that does not apply is an error.

    Raises:
        OptionError: an unknown measure or option.
        InputError: a row that is zero or not finite.
        NotApplicable: a measure in ``only`` lacks what it needs.
    """
    if not isinstance(data, Pair | Embeddings):
        raise InputError(
            f"data must be a Pair or Embeddings; got {type(data).__name__}"
            " (modalgap.load reads files, modalgap.Pair takes arrays)"
        )
    modalities = (
        tuple(side.modality for side in data.sides) if isinstance(data, Pair) else (data.modality,)
    )
    wanted = _wanted(only, modalities)
    _check_options(options, [measure for measure, _ in wanted])
    scatter = any(measure.scatter for measure, _ in wanted)
    evidence: Evidence | None = None
    sides: Sequence[Side]
    if isinstance(data, Pair):
        evidence = Evidence(data, scatter=scatter)
        _ = evidence.moments  # the one pass: checks every row on its way
        sides = evidence.sides
    else:
        sides = (Side(data, scatter=scatter),)
        _ = sides[0].moments
    values: dict[str, Value] = {}
    skipped: dict[str, str] = {}
    for each, names in wanted:
        for name in names:
            target: Evidence | Side | None = evidence
            if each.per_modality:
                target = next(side for side in sides if name == f"{each.name}_{side.modality}")
            try:
                if target is None:
                    raise NotApplicable("it compares two modalities; there is one")
                values[name] = each.run(target, options)
            except NotApplicable as reason:
                if only is not None:
                    raise NotApplicable(f"{name}: {reason}") from None
                skipped[name] = str(reason)
    return Result(values, skipped, describe_input(data), versions())


def _wanted(
    only: str | Iterable[str] | None, modalities: tuple[str, ...]
) -> list[tuple[Measure, tuple[str, ...]]]:
    """Measures and the names to report, in registry order."""
    if only is None:
        return [(each, each.names(modalities)) for each in MEASURES.values()]
    if not isinstance(only, Iterable):
        raise OptionError(f"only must be names of measures; got {only!r}")
    asked = {only} if isinstance(only, str) else set(only)
    if not asked:
        raise OptionError("only must name at least one measure; got none")
    found, known = [], set(MEASURES)
    for each in MEASURES.values():
        names = each.names(modalities)
        known |= set(names)
        chosen = names if each.name in asked else tuple(name for name in names if name in asked)
        if chosen:
            found.append((each, chosen))
    for name in sorted(asked - known):
        raise OptionError.unknown("measure", str(name), known)
    return found


def _check_options(options: dict[str, Any], wanted: list[Measure]) -> None:
    known = {name for each in wanted for name in each.options}
    for name in options:
        owners = [each.name for each in MEASURES.values() if name in each.options]
        if name not in known and owners:
            raise OptionError(
                f"option {name!r} is one of {', '.join(owners)}; none of these was asked for"
            )
        if name not in known:
            raise OptionError.unknown("option", name, known)
