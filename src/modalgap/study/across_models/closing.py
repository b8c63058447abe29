"""Accuracy and robustness of one model on one class set, with the open and the closed gap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.close import AffineMap, fit
from modalgap.embeddings import Pair
from modalgap.encode import Encoder
from modalgap.result import Value
from modalgap.study.chowers2026.quantised_and_rephrased import PAPER as BINS
from modalgap.study.chowers2026.quantised_and_rephrased import REPHRASED, counted, reworded
from modalgap.study.chowers2026.robustness_shift import CLEAN, VARIANCES, shifted
from modalgap.study.liang2022.best_shift import row_of
from modalgap.study.liang2022.fairness_shift import (
    ACCURACY,
    EVERY,
    harm_at,
    harmful_of,
    head_of,
)

HARM, FAR, WIDER = 0.0, -1.0, -0.2  # δ of table 2 of Liang et al. 2022
KIND, GROUP = "kind", "race"  # factors of FairFace and its prompts
STAYS = 0.001  # a smaller loss of accuracy is none
ABOVE = ("paper_gain", "gain", "best_shift")  # numbers that are compared with 0
Row = dict[str, Value]


def heads() -> dict[str, str]:
    """The columns."""
    noise = {
        f"rob_{variance:g}{end}": f"Rob, σ² = {variance:g}, {words}"
        for variance in VARIANCES
        for end, words in (("_open", "open"), ("", "closed"), ("_beyond", "α = 2"))
    }
    pairs = [(f"bins_{count}", f"Rob, {count} bins") for count in BINS]
    pairs += [(f"{kind}_rob", f"Rob, other {kind}") for kind in REPHRASED]
    pairs += [(f"{kind}_drop", f"loss of top-1, other {kind}") for kind in REPHRASED]
    return {
        "gap": "distance of means",
        "score": "top-1",
        "best": "top-1, best of 40 shifts",
        "best_shift": "best shift",
        "best_gap": "distance of means at the best shift",
        "paper_gain": "gain of the best shift",
        "gain": "gain on the other half",
        "accuracy_open": "top-1 by distance, open",
        "accuracy": "top-1 by distance, closed",
        **noise,
        **{
            f"{name}{end}": f"{title}, {words}"
            for name, title in pairs
            for end, words in (("_open", "open"), ("", "closed"))
        },
        "leakage": "leakage",
        "harm": "harmful predictions",
        "harm_wider": f"harmful predictions, δ = {WIDER:g}",
        "harm_accuracy": "top-1 with harmful prompts",
        "harm_accuracy_far": f"top-1 with harmful prompts, δ = {FAR:g}",
    }


def numbers(pair: Pair, clusters: NDArray[np.int64], settings: Mapping[str, Any]) -> Row:
    """The numbers that every class set has."""
    shift = row_of(pair, clusters, pair, False, settings["seed"])
    row = {name: shift[name] for name in ("gap", "score", "best", "best_shift", "best_gap", "gain")}
    row["best"] = Value(row["best"].value)
    row["paper_gain"] = Value(row["best"].value - row["score"].value)
    noisy = shifted(pair, {"alphas": [0.0, 1.0, 2.0], "variances": VARIANCES, **settings})
    row |= {name: noisy[CLEAN][name] for name in ("accuracy_open", "accuracy", "leakage")}
    for variance in VARIANCES:
        found = noisy[f"σ² = {variance:g}"]
        row |= {f"rob_{variance:g}{end}": found[f"rob{end}"] for end in ("_open", "", "_beyond")}
    for end, map_ in (("_open", None), ("", _project(pair, settings))):
        rounded = counted(pair, {}, map_, BINS)
        row |= {f"bins_{count}{end}": rounded[f"bins_{count}_rob"] for count in BINS}
    return {name: Value(value.value, value.interval) for name, value in row.items()}


def _project(pair: Pair, settings: Mapping[str, Any]) -> AffineMap:
    return fit(pair, "project", retrieved=pair.text.modality, alpha=1.0,
               explained_variance=settings["explained_variance"])  # fmt: skip


def rewording(digits: Pair, encoder: Encoder, settings: Mapping[str, Any]) -> Row:
    """Rewordings of the prompts, with the open and the closed gap."""
    pair, others = reworded(digits, encoder)
    row: Row = {}
    for end, map_ in (("_open", None), ("", _project(pair, settings))):
        found = counted(pair, others, map_, BINS[:1])
        for kind in REPHRASED:
            row |= {f"{kind}_{name}{end}": found[f"{kind}_{name}"] for name in ("rob", "drop")}
    return row


def harm(pair: Pair, group: str, seed: int) -> Row:
    """Harmful predictions and accuracy at three shifts of the images."""
    harmful = harmful_of(pair, KIND, "the class set")
    at = {delta: harm_at(pair, pair, delta, harmful, group, seed) for delta in (HARM, WIDER, FAR)}
    return {
        "harm": at[HARM][EVERY][head_of(HARM)],
        "harm_wider": at[WIDER][EVERY][head_of(WIDER)],
        "harm_accuracy": at[HARM][ACCURACY][head_of(HARM)],
        "harm_accuracy_far": at[FAR][ACCURACY][head_of(FAR)],
    }


def better(rows: list[Row]) -> Row:
    """The share of models in which each number is better, see the notes of the table."""
    lower = {f"{kind}_drop" for kind in REPHRASED}
    ways: dict[str, tuple[str, Callable[[float, float], bool]]] = {
        "accuracy": ("accuracy_open", lambda now, before: now >= before - STAYS),
        "harm_accuracy_far": ("harm_accuracy", lambda now, before: now >= before - STAYS),
        "harm_wider": ("harm", lambda now, before: now < before),
        "best_gap": ("gap", lambda now, before: now > before),
    }
    for name in heads():
        if f"{name}_open" in heads() and name not in ways:
            less = name in lower
            ways[name] = (
                f"{name}_open",
                (lambda now, before: now < before) if less else (lambda now, before: now > before),
            )
        if name.endswith("_beyond"):
            ways[name] = (name.removesuffix("_beyond"), lambda now, before: now < before)
    found = {
        name: [is_better(row[name].value, row[before].value) for row in rows if name in row]
        for name, (before, is_better) in ways.items()
    }
    found |= {name: [row[name].value > 0 for row in rows] for name in ABOVE}
    return {name: Value(float(np.mean(each))) for name, each in found.items() if each}
