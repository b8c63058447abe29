"""The table of all measures, grouped by question, with their meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modalgap.card import Card
from modalgap.measure.names import GROUPS, modalities, of_modalities, titled
from modalgap.measure.registry import MEASURES
from modalgap.modality import span
from modalgap.report.say import NARROW
from modalgap.result import Result, Value
from modalgap.tabular import by_reason

OTHERS = "Others"
FRACTIONS = ("separability", "gap_concentration", "centroid_share")  # in percent on their tiles
TILES = ("l2m", "rmg", "matched_cosine", "separability", "gap_concentration", "centroid_share")
SINGLE = ("cone", "uniformity", "effective_rank", "hubness")  # tiles of one modality


@dataclass(frozen=True)
class Row:
    """One measure for the page.

    Attributes:
        name: name in JSON and on the command line.
        title: title on the page, with the modality if the measure has one.
        value, interval: as text; the interval is "" if there is none.
        at: position of the value in its range, 0 to 1; None if the range is open.
        range: the range as text; "" if it is open.
        card: description of the measure.
        params: options with which it was computed, as text.
        tile: the value and its interval, shorter.
    """

    name: str
    title: str
    value: str
    interval: str
    at: float | None
    range: str
    card: Card
    params: str
    tile: tuple[str, str]


def groups(result: Result) -> list[tuple[str, list[Row]]]:
    """Rows by question, empty groups left out."""
    found: dict[str, list[Row]] = {group: [] for group in (*GROUPS, OTHERS)}
    for row in rows(result):
        found[row.card.group if row.card.group in GROUPS else OTHERS].append(row)
    return [(group, members) for group, members in found.items() if members]


def tiles(result: Result) -> list[Row]:
    """The key numbers at the top of the page."""
    wanted = TILES if len(modalities(result)) > 1 else SINGLE
    by_card = {row.card.name: row for row in rows(result)}
    return [by_card[name] for name in wanted if name in by_card]


def rows(result: Result) -> list[Row]:
    """Every measure in the result, in the order of the registry."""
    found = []
    for measure in MEASURES.values():
        for name in measure.names(modalities(result)):
            if name in result:
                card = of_modalities(measure.card, modalities(result))
                title = titled(name, modalities(result))
                found.append(_row(name, title, result[name], card))
    return found


def skipped(result: Result) -> list[tuple[str, str]]:
    """Measures that do not apply, grouped by the reason."""
    return [(", ".join(names), reason) for reason, names in by_reason(result.skipped).items()]


def provenance(pair: Mapping[str, Any], versions: Mapping[str, str]) -> list[tuple[str, str]]:
    """Facts about the input and the versions: label and text."""
    found = [("Fingerprint", str(pair.get("fingerprint"))), ("Dimensions", f"{pair.get('dim')}")]
    if pair.get("matched_by"):
        found.append(("Matched by", str(pair["matched_by"]).replace("_", " ")))
    for name, unit in pair.get("were_unit", {}).items():
        low, high = pair["norms"][name]
        norms = span(f"{low:.4g}", f"{high:.4g}")
        kept = "unit length" if unit else f"normalised; norms were {norms}"
        found.append((f"Rows, {name}", f"{pair.get(f'n_{name}'):,} ({kept})"))
    for name, told in pair.get("provenance", {}).items():
        found += [(f"{key}, {name}", str(value)) for key, value in told.items()]
    found.append(("Versions", ", ".join(f"{name} {number}" for name, number in versions.items())))
    return found


def as_json(result: Result) -> str:
    """The result as JSON with one measure per line, which is easy to read and to copy."""
    whole = result.to_dict()
    lines = [f' "schema": {_json(result.schema)}']
    for key, part in whole.items():
        inside = ",\n".join(f"  {_json(name)}: {_json(value)}" for name, value in part.items())
        lines.append(f" {_json(key)}: {{\n{inside}\n }}" if part else f" {_json(key)}: {{}}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _row(name: str, title: str, value: Value, card: Card) -> Row:
    low, high = card.low, card.high
    at, span = None, ""
    if low is not None and high is not None:
        at = min(1.0, max(0.0, (value.value - low) / (high - low)))
        span = f"{_text(low)} … {_text(high)}{card.unit}"
    shown = {key: given for key, given in value.params.items() if key not in ("better", "unit")}
    params = ", ".join(f"{key} {_param(given)}" for key, given in sorted(shown.items()))
    return Row(
        name,
        title,
        _text(value.value, decimals(value.value)) + card.unit,
        _interval(value, decimals(value.value)),
        at,
        span,
        card,
        params,
        _tile(name, value, card),
    )


def _tile(name: str, value: Value, card: Card) -> tuple[str, str]:
    """Two decimals less than in the table; fractions in percent."""
    if name in FRACTIONS:
        found = Value(100 * value.value, value.interval and _times(100, value.interval))
        inside = _interval(found, 1)
        return f"{_text(found.value, 0)}{NARROW}%", inside and f"{inside}{NARROW}%"
    places = max(0, decimals(value.value) - 2)
    return _text(value.value, places) + card.unit, _interval(value, places + 1)


def _times(factor: float, interval: tuple[float, float]) -> tuple[float, float]:
    return (factor * interval[0], factor * interval[1])


def decimals(value: float) -> int:
    """Decimals that give four significant digits, and four for what is smaller than 0.1."""
    return int(np.clip(3 - np.floor(np.log10(max(abs(value), 0.1))), 0, 4))


def _interval(value: Value, places: int) -> str:
    if value.interval is None:
        return ""
    return " … ".join(_text(end, places) for end in value.interval)


def _text(value: float, places: int | None = None) -> str:
    """With this number of decimals and a minus sign; values that round to 0 keep two digits."""
    if places is None:
        text = f"{value:g}"
    elif value != 0 and abs(value) < 0.5 * 10**-places:
        text = f"{value:.2g}"
    else:
        text = f"{value:,.{places}f}"
    return text.replace("-", "−")


def _param(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if type(value) is int else str(value)
