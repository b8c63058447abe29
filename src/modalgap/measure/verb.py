"""The verb: many measures of one pair, which share intermediate results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from modalgap.embeddings import Embeddings, Pair, describe_input
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.measure.base import Evidence, Measure, Seen, Side
from modalgap.measure.names import measure_of
from modalgap.measure.registry import MEASURES
from modalgap.method import pick
from modalgap.modality import spoken
from modalgap.result import Result, Value, versions

Only = str | Measure | Iterable[str | Measure] | None


@takes_pair
def measure(data: Pair | Embeddings, /, only: Only = None, **options: Any) -> Result:
    """Measure the modality gap of a pair, or the geometry of one modality.

    Args:
        data: a ``Pair`` from ``modalgap.load`` or of arrays, or one ``Embeddings``; or two arrays
            (n, d) and (m, d): ``modalgap.measure(x, y)``, with ``text_to_image`` or ``labels``
            if row i does not match row i.
        only: names of measures, "cone" or "cone_image", or measures of your own; by default all
            that apply.
        **options: options of measures (``temperature``, ``k``, ``seed``, ``max_rows`` …), passed to
            each measure that has them.

    Returns:
        A ``Result``. Measures that do not apply are in ``skipped`` with the reason; a measure
        in ``only`` that does not apply is an error.

    Raises:
        OptionError: an unknown measure or option.
        InputError: a row that is zero or not finite.
        NotApplicable: a measure in ``only`` lacks what it needs.
    """
    if not isinstance(data, Pair | Embeddings):
        raise InputError(
            f"data: must be a Pair or Embeddings, or two arrays; got {type(data).__name__}"
            " (modalgap.load reads files)"
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
        _ = evidence.moments  # the only pass over the data; it also checks every row
        sides = evidence.sides
    else:
        sides = (Side(data, scatter=scatter),)
        _ = sides[0].moments
    values: dict[str, Value] = {}
    skipped: dict[str, str] = {}
    for each, names in wanted:
        for name in names:
            side = next((s for s in sides if name == f"{each.name}_{s.modality}"), None)
            try:
                target: Evidence | Side | Seen | None = evidence
                if each.per_modality and side is not None:
                    target = side
                    if each.between:
                        target = None if evidence is None else Seen(evidence, side)
                if target is None:
                    raise NotApplicable("it compares two modalities; the data has one")
                values[name] = each.run(target, options)
            except NotApplicable as reason:
                if only is not None:
                    raise NotApplicable(f"{name}: {spoken(str(reason), modalities)}") from None
                skipped[name] = spoken(str(reason), modalities)
    return Result(values, skipped, describe_input(data), versions())


def _wanted(only: Only, modalities: tuple[str, ...]) -> list[tuple[Measure, tuple[str, ...]]]:
    """Measures and the names to report, in registry order, then the user's own measures."""
    if only is None:
        return [(each, each.names(modalities)) for each in MEASURES.values()]
    entries = [only] if isinstance(only, str | Measure) else list(only)
    if not entries:
        raise OptionError("only must name at least one measure; got none")
    found: dict[str, tuple[Measure, tuple[str, ...]]] = {}
    for each in entries:
        method = each if isinstance(each, Measure) else _named(each, modalities)
        names = method.names(modalities)
        chosen = names if isinstance(each, Measure) or each == method.name else (each,)
        if isinstance(each, Measure) and each.modality is not None:
            chosen = tuple(name for name in names if name == f"{each.name}_{each.modality}")
        before = found.get(method.name, (method, ()))
        if before[0].compute is not method.compute:
            raise OptionError(f"only: two measures have the name {quoted(method.name)}")
        found[method.name] = (method, tuple(n for n in names if n in {*before[1], *chosen}))
    order = {name: i for i, name in enumerate(MEASURES)}
    return sorted(found.values(), key=lambda entry: order.get(entry[0].name, len(order)))


def _named(name: object, modalities: tuple[str, ...]) -> Measure:
    """The measure of a name, which may end in a modality of the data."""
    method = measure_of(name) if isinstance(name, str) else None
    if method is not None and name in (method.name, *method.names(modalities)):
        return method
    known = {each for method in MEASURES.values() for each in method.names(modalities)}
    return pick(name, dict.fromkeys({*known, *MEASURES} - {name}), Measure, "only")  # type: ignore[arg-type]


def _check_options(options: dict[str, Any], wanted: list[Measure]) -> None:
    known = {name for each in wanted for name in each.options}
    for name in options:
        owners = [each.name for each in MEASURES.values() if name in each.options]
        if name not in known and owners:
            raise OptionError(
                f"option {quoted(name)} belongs to {', '.join(owners)};"
                " only must include one of them"
            )
        if name not in known:
            raise OptionError.unknown("option", name, known)
