"""Preflight: should I close the gap? A recommendation with numbers, before anything is changed.

For each task three safe candidates (center, project, standardize) are fitted on one half of the
images and evaluated on the other; then the halves are swapped, so that every image is evaluated
once by a map that has not seen it. For mixed search the same is tried with standardised scores
(zscore), and with lists of one form each that are merged by rank (rrf). A candidate is recommended
if the interval of its paired difference is above zero (widened for the number of candidates,
Bonferroni). Closing is advised against if the interval of center, the most common choice, is below
zero. The recommended candidate is then evaluated for each number by itself: a mean over several
indexes may rise although only some of them gain. Measures explain the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from modalgap import checks
from modalgap.advise.advice import Advice, Verdict
from modalgap.advise.comparison import label
from modalgap.advise.health import CHECKS, Thresholds, health, resolve
from modalgap.advise.trial import Candidate, Closed, halves
from modalgap.advise.tried import Tried, by_number, over_halves, own_share
from modalgap.embeddings import Pair, describe_input, joined
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import NotApplicable, OptionError
from modalgap.evaluate.base import Floats, percentiles
from modalgap.evaluate.registry import TASKS
from modalgap.evaluate.verb import check_options
from modalgap.measure import measure
from modalgap.modality import plural, spoken
from modalgap.progress import progress
from modalgap.result import Result, versions

JOBS: dict[str, tuple[str, tuple[str, ...]]] = {
    "retrieval": ("retrieval", ("{0}_to_{1}_r1", "{1}_to_{0}_r1")),
    "zeroshot": ("zero_shot", ("top1",)),
    "mixed": ("mixed", ("{1}_ndcg10", "{0}_ndcg10")),
    "quantised": (
        "robustness",
        (
            "int4_accuracy",
            "binary_accuracy",
            "sq4_uniform_accuracy",
            "pq4_accuracy",
            "rabitq_accuracy",
        ),
    ),
}
# shown by themselves, not in the mean: a gap hardly affects codes per column or of 8 bits
FURTHER = {"quantised": ("int8_accuracy", "sq8_accuracy", "sq4_accuracy", "ivf_pq4_accuracy")}
DESCRIPTIONS = {
    "retrieval": "exact search across modalities",
    "zeroshot": "zero-shot classification",
    "mixed": "one index of both modalities and fused documents",
    "quantised": "compressed indexes, fraction of correct answers",
}
# options that determine the numbers named above
FIXED = frozenset(("ks", "k", "ratios", "shares", "bins", "sigmas"))
CANDIDATES = ("center", "project", "standardize")
MEASURED = (
    "l2m", "matched_cosine", "leakage_{0}", "leakage_{1}", "class_bias_spread",
    "gap_concentration", "hubness_{0}", "hubness_{1}", "itr", "tir",
)  # fmt: skip


@takes_pair
def preflight(
    pair: Pair,
    /,
    only: str | Iterable[str] | None = None,
    *,
    seed: int = 0,
    thresholds: Thresholds | None = None,
    **options: Any,
) -> Advice:
    """Advise whether closing the gap helps, has no effect or hurts; which closer to use, and why.

    Args:
        pair: a sample of the embeddings in use, both modalities, matched; it is not changed. Two
            arrays are a pair: ``modalgap.preflight(x, y)``. Repeated items (same name, same
            vector) count as the same answer, as in ``evaluate``.
        only: "retrieval", "zeroshot", "mixed" or "quantised", or several; by default all that
            apply.
        seed: seed of the halves and of all random numbers.
        thresholds: of health checks, where they differ from the defaults: name to
            ``{"warn": number, "fail": number}``, None for never; see ``modalgap.advise.CHECKS``.
        **options: options of the tasks, such as ``retrieved="text"``.

    Raises:
        OptionError: an unknown task, option or check.
        NotApplicable: too few images, or a task in ``only`` does not apply.
    """
    checks.whole("seed", seed, 0)
    jobs, limits = _jobs(only), resolve(thresholds)
    check_options(options, [TASKS[JOBS[job][0]] for job in jobs], FIXED)
    found = joined(pair)
    folds = halves(found.pair, 0.5, seed)
    result = measure(pair)
    measured = _measured(pair, result)
    names = [side.modality for side in pair.sides]
    diagnosis = tuple(spoken(each, names) for each in _diagnosis(pair, measured, limits))
    verdicts: dict[str, Verdict] = {}
    skipped: dict[str, str] = {}
    with progress("trying", len(jobs)) as advance:
        for job in jobs:
            try:
                verdict = _verdict(job, folds, options, seed, measured)
                why = tuple(spoken(each, names) for each in verdict.why)
                verdicts[job] = replace(verdict, why=why)
            except NotApplicable as reason:
                if only is not None:
                    raise
                skipped[job] = str(reason).removeprefix(f"{JOBS[job][0]}: ")
            advance(1)
    if not verdicts:
        raise NotApplicable("; ".join(f"{name}: {why}" for name, why in skipped.items()))
    if found.note:
        diagnosis = (*diagnosis, f"{found.note[0].upper()}{found.note[1:]}.")
    about = describe_input(pair) | found.about()
    health_checks = health(pair, result, verdicts, limits)
    return Advice(verdicts, diagnosis, measured, skipped, about, versions(), health_checks)


def _jobs(only: str | Iterable[str] | None) -> list[str]:
    if only is None:
        return list(JOBS)
    asked = [only] if isinstance(only, str) else list(only)
    asked = ["zeroshot" if name == "zero_shot" else name for name in asked]
    if not asked:
        raise OptionError("only must name at least one task; got none")
    for name in asked:
        if name not in JOBS:
            raise OptionError.unknown("task", name, JOBS)
    return [name for name in JOBS if name in asked]


def _verdict(
    job: str,
    folds: tuple[Pair, Pair],
    options: Mapping[str, Any],
    seed: int,
    measured: Mapping[str, float],
) -> Verdict:
    name, forms = JOBS[job]
    task = TASKS[name]
    sides = (folds[0].image.modality, folds[0].text.modality)
    numbers = tuple(form.format(*sides) for form in forms)
    own = {key: value for key, value in options.items() if key in task.options} | {"seed": seed}
    if job == "quantised":
        own = {"sigmas": [0.02], "bins": [16]} | own
    if job == "mixed":
        own = {"ratios": [0.5]} | own
    retrieved = own.get("retrieved") or _retrieved(job, folds[0])
    candidates = {
        candidate: Candidate.parse(
            f"{candidate}:retrieved={retrieved}" if candidate == "project" else candidate
        )
        for candidate in ("none", *CANDIDATES)
    }
    tried: dict[str, Tried] = {}
    failed: dict[str, str] = {}
    for candidate, how in candidates.items():
        try:
            outcomes = [
                Closed.by(how, folds[1 - fold], folds[fold]).do(task, own).scores for fold in (0, 1)
            ]
            tried[candidate] = over_halves(outcomes, numbers, "", seed, FURTHER.get(job, ()))
        except NotApplicable as reason:
            if candidate == "none":
                raise
            failed[candidate] = str(reason)
            continue
        for end, name in _endings(job, candidate).items():
            with suppress(NotApplicable):
                tried[name] = over_halves(outcomes, numbers, end, seed)
    values = {name: each.value for name, each in tried.items()}
    draws = {name: each.draws for name, each in tried.items()}
    differences = {}
    level = 1 - 0.05 / max(1, len(tried) - 1)
    for candidate in sorted(values, key=_simplest_first):
        between = percentiles(draws[candidate] - draws["none"], level)
        if candidate != "none" and between is not None:
            differences[candidate] = (values[candidate] - values["none"], *between)
    if not set(differences) - {"rrf"}:  # lists merge by rank whatever the vectors
        raise NotApplicable(f"no closer could be evaluated ({'; '.join(failed.values())})")
    best = _best(differences, draws, level)
    return _answer(job, tried, differences, level, best, failed, measured, retrieved)


def _retrieved(job: str, pair: Pair) -> str:
    if job == "zeroshot" or pair.labels is not None:
        return pair.text.modality
    return pair.image.modality


def _endings(job: str, candidate: str) -> dict[str, str]:
    """Endings of the numbers of mixed search, and what the candidate is called with them."""
    if job != "mixed":
        return {}
    if candidate == "none":
        return {"_zscore": "zscore", "_rrf": "rrf"}
    return {"_zscore": f"{candidate} + zscore"}


def _simplest_first(candidate: str) -> int:
    """Standardised scores leave the vectors as they are; then one map; then both; then rrf."""
    order = ("none", "zscore", *CANDIDATES, *(f"{each} + zscore" for each in CANDIDATES), "rrf")
    return order.index(candidate)


def _best(
    differences: Mapping[str, tuple[float, float, float]],
    draws: Mapping[str, Floats],
    level: float,
) -> str:
    """The first, and so the simplest, candidate that helps and that no other surely beats."""
    better = [candidate for candidate, (_, low, _) in differences.items() if low > 0]
    for candidate in better:
        rivals = [
            percentiles(draws[other] - draws[candidate], level)
            for other in better
            if other != candidate
        ]
        if not any(between is not None and between[0] > 0 for between in rivals):
            return candidate
    return better[0] if better else ""


def _answer(
    job: str,
    tried: Mapping[str, Tried],
    differences: Mapping[str, tuple[float, float, float]],
    level: float,
    best: str,
    failed: Mapping[str, str],
    measured: Mapping[str, float],
    retrieved: str,
) -> Verdict:
    before, used = tried["none"].value, tried["none"].used
    worse = [candidate for candidate, (_, _, high) in differences.items() if high < 0]
    mean = "mean of " if len(used) > 1 else ""
    named = f"{mean}{', '.join(map(label, used))}"
    why = [
        f"On held-out rows, {DESCRIPTIONS[job]} ({named}): {before:.3f} without closing"
        f"{own_share(tried['none'])}; differences with {100 * level:.1f} % intervals:"
    ]
    for candidate, (apart, low, high) in differences.items():
        why.append(
            f"{candidate}: {tried[candidate].value:.3f}, a difference of {apart:+.3f}"
            f" [{low:+.3f}, {high:+.3f}]{own_share(tried[candidate])}."
        )
    why += [
        f"{candidate} could not be evaluated: {reason}." for candidate, reason in failed.items()
    ]
    numbers, said = by_number(tried, best) if best else ({}, [])
    if best:
        why += said
        why += _because(job, best, measured, retrieved)
        answer, closer = "close", best
    elif worse and "center" in worse:
        answer, closer = "do not", ""
        why.append(
            "Closing costs accuracy here: the mean of a modality holds content, or the centres"
            " were fitted on rows that differ from the evaluated ones."
        )
    else:
        answer, closer = "leave", ""
        why.append(
            "No candidate is significantly better on this sample"
            + (f"; {', '.join(worse)} is worse." if worse else "; closing would change little.")
        )
        if job == "retrieval":
            why.append(
                "Queries of one modality search the other: a gap that is the same for all items"
                " does not change the ranking."
            )
    return Verdict(
        job, answer, closer, before,
        {name: each.value for name, each in tried.items() if name != "none"},
        differences, tuple(why), numbers,
    )  # fmt: skip


def _because(job: str, best: str, measured: Mapping[str, float], retrieved: str) -> list[str]:
    found = []
    leak = measured.get(f"leakage_{retrieved}")
    if job == "quantised":
        found.append(
            "Few bits encode each number; the gap is the same in every row, so the bits that"
            " encode it carry no information. Without the gap they encode content."
        )
    if job == "mixed" and measured.get("itr") is not None:
        found.append(
            f"Without closing, the nearest item in the mixed pool is another image for"
            f" {1 - measured['itr']:.0%} of the images: their own modality ranks first whatever"
            " its content."
        )
    if job == "mixed":
        found.append(
            "The fraction of the query's own modality among the first ten should be near its"
            " fraction in the index, one third here: NDCG alone also rises if a method only prefers"
            " the other modality."
        )
    if "zscore" in best:
        found.append(
            "To deploy it: modalgap close fit zscore PAIR -o scales.json, search each form of"
            " document by itself, replace each score s by (s - mean) / sd of the query's modality"
            " and the form, and merge. Stored vectors stay as they are."
        )
    if best == "project" and leak is not None:
        found.append(f"Leakage is {leak:.2f}: the removed part carries little content.")
    return found


def _measured(pair: Pair, found: Result) -> dict[str, float]:
    names = [form.format(*(side.modality for side in pair.sides)) for form in MEASURED]
    return {name: found[name].value for name in names if name in found}


def _diagnosis(pair: Pair, measured: Mapping[str, float], limits: Thresholds) -> tuple[str, ...]:
    said = [f"The means of {pair.image.n:,} images and {pair.text.n:,} texts are"
            f" {measured.get('l2m', float('nan')):.3f} apart."]  # fmt: skip
    for side in (pair.image.modality, pair.text.modality):
        leak = measured.get(f"leakage_{side}")
        if leak is not None:
            said.append(
                f"{leak**2:.0%} of the squared gap is in the directions in which {plural(side)}"
                f" vary (leakage {leak:.2f}): a raw shift would"
                f" {'change the rankings of' if leak > 0.3 else 'hardly change the rankings of'}"
                f" {plural(side)}."
            )
    spread = measured.get("class_bias_spread")
    if spread is not None:
        said.append(
            f"A raw shift that closes the gap would change the scores of texts unequally, with a"
            f" standard deviation of {spread:.3f}."
        )
    hubs = [value for name, value in measured.items() if name.startswith("hubness_")]
    if hubs and CHECKS["hubness"].status(max(hubs), **limits["hubness"]) != "ok":
        said.append(f"There are hubs (skewness {max(hubs):.1f}): a few items are near many others.")
    elif hubs:
        said.append(f"There are no strong hubs (skewness {max(hubs):.1f}).")
    few = measured.get("gap_concentration")
    if few is not None:
        said.append(
            f"The ten columns with the largest differences hold {few:.0%} of the squared gap."
        )
    return tuple(said)
