"""Summary of a source: what was read and what was not, in one line and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modalgap.data.items import Items
from modalgap.data.source import Source
from modalgap.data.text import shown

NAMES = 3  # examples per reason
REASONS = 4


def summary(source: Source | Items) -> str:
    """One line: the layout of the source, the counts, and what was left out and why."""
    rule = f" ({source.rule})" if source.rule else ""
    parts = [f"{shown(source.name)}{rule}: read {_counts(source)}"]
    parts += source.notes
    parts += [*grouped("left out", source.missing), *grouped("not used", source.unused)]
    if isinstance(source, Source) and source.unused_columns:
        names = ", ".join(map(shown, source.unused_columns[:8]))
        more = len(source.unused_columns) - 8
        rest = f" and {more} more" if more > 0 else ""
        parts.append(f"further columns: {names}{rest} (keep them with --factors)")
    return "; ".join(parts)


def facts(source: Source | Items) -> dict[str, Any]:
    """The same facts as plain JSON types, complete."""
    result: dict[str, Any] = {"source": source.name, "rule": source.rule}
    if isinstance(source, Items):
        result["read"] = {side: len(media) for side, media in source.sides.items()}
        result |= {"items": len(source.items), "incomplete": source.incomplete}
    else:
        result["read"] = {
            f"{source.modality}s": 0 if source.media is None else len(source.media),
            f"{source.text_modality}s": len(source.texts or ()),
            "labels": 0 if source.labels is None else len(source.media or ()),
            "factors": [*source.factors, *source.text_factors],
        }
    result |= {
        "notes": list(source.notes),
        "left_out": [{"name": name, "reason": reason} for name, reason in source.missing],
        "not_used": [{"name": name, "reason": reason} for name, reason in source.unused],
    }
    if isinstance(source, Source):
        result["further_columns"] = list(source.unused_columns)
    return result


def _counts(source: Source | Items) -> str:
    if isinstance(source, Items):
        rows = ", ".join(f"{len(media):,} {side}" for side, media in source.sides.items())
        lacks = [f"{n:,} items lack {side}" for side, n in source.incomplete.items() if n]
        return "; ".join([f"{rows} rows of {len(source.items):,} items", *lacks])
    found = []
    if source.media is not None:
        found.append(_count(len(source.media), source.modality))
    if source.texts is not None:
        what = "class" if source.labels is not None else source.text_modality
        found.append(_count(len(source.texts), what))
    factors = [*source.factors, *source.text_factors]
    if factors:
        found.append(f"{'factor' if len(factors) == 1 else 'factors'} {', '.join(factors)}")
    return ", ".join(found)


def _count(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"


def grouped(verb: str, items: Sequence[tuple[str, str]]) -> list[str]:
    """Items by reason, most frequent first: count, reason, first three names."""
    reasons: dict[str, list[str]] = {}
    for name, reason in items:
        reasons.setdefault(reason, []).append(name)
    ordered = sorted(reasons.items(), key=lambda each: -len(each[1]))
    parts = []
    for reason, names in ordered[:REASONS]:
        first = ", ".join(map(shown, names[:NAMES]))
        more = ", ..." if len(names) > NAMES else ""
        parts.append(f"{verb} {len(names):,}: {shown(reason)} ({first}{more})")
    if len(ordered) > REASONS:
        rest = sum(len(names) for _, names in ordered[REASONS:])
        parts.append(f"{verb} {rest:,} more for {len(ordered) - REASONS} other reasons")
    return parts
