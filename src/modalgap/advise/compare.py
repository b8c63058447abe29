"""Compare: fit closers on one part of a pair, and evaluate them by tasks on the other part.

Every number has a paired difference to no closing, with a bootstrap interval over images.
Transductive closers have seen the evaluated rows, and are marked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from modalgap import checks
from modalgap.advise.comparison import BASE, Comparison, Entry
from modalgap.advise.trial import Candidate, Closed, halves
from modalgap.advise.trial_scores import TrialScores
from modalgap.close.base import Closer
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS
from modalgap.close.scores.base import CorrectionRule
from modalgap.embeddings import Pair, describe_input, joined
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import NotApplicable, OptionError, quoted
from modalgap.evaluate.base import Task, percentiles
from modalgap.evaluate.registry import TASKS
from modalgap.evaluate.verb import check_options, chosen
from modalgap.measure import measure
from modalgap.method import Method
from modalgap.modality import several
from modalgap.progress import progress
from modalgap.result import Value, versions
from modalgap.work import remove, work_folder

ALPHAS = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
GAP = ("l2m", "rmg", "matched_cosine")
TASKS_BY_DEFAULT = (
    "retrieval", "zero_shot", "within", "mixed", "robustness", "clustering", "calibration",
)  # fmt: skip


Only = str | Method | Iterable[str | Method] | None
CHANGED = {"pair": "the embeddings have changed", "versions": "modalgap or a library has changed"}


@takes_pair
def compare(
    pair: Pair,
    /,
    only: Only = None,
    *,
    fit_fraction: float = 0.5,
    seed: int = 0,
    work: str | Path | None = None,
    overwrite: bool = False,
    keep: bool = False,
    **options: Any,
) -> Comparison:
    """Compare closers by the tasks that embeddings are used for.

    Args:
        pair: both modalities, not closed yet; or two arrays: ``modalgap.compare(x, y)``. Repeated
            items (same name, same vector) count as the same answer, as in ``evaluate``.
        only: names of closers and corrections, with options as in "shift:alpha=0.5", and names of
            tasks; or your own methods of these kinds. If a kind is not named, all methods of it
            that apply are used: ``only=["center", "project"]`` compares these two by every task,
            and ``only=["retrieval"]`` every closer by retrieval. "none" is always included.
        fit_fraction: fraction of the images to fit on; the others are used to evaluate.
        seed: seed of the split and of all random numbers.
        work: a folder that stores finished trials until the end, so that the same call resumes an
            interrupted comparison.
        overwrite: discard unfinished work of other settings in that folder.
        keep: do not remove that folder; the caller removes it after writing the result.
        **options: options of tasks, passed to each task that has them.

    Returns:
        The comparison: ``print(it)``, ``it.to_json()``, ``it["center"].values``.

    Raises:
        OptionError: an unknown closer, task or option.
        NotApplicable: too few images, or no task applies.
    """
    checks.whole("seed", seed, 0)
    number = isinstance(fit_fraction, int | float) and not isinstance(fit_fraction, bool)
    if not number or not 0 < fit_fraction < 1:
        raise OptionError(
            f"fit_fraction must be a number between 0 and 1; got {quoted(fit_fraction)}"
        )
    closers, tasks = _split(only)
    candidates = _candidates(closers, pair)
    wanted = chosen(tasks or TASKS_BY_DEFAULT)
    check_options(options, wanted)
    found = joined(pair)
    fitted, judged = halves(found.pair, fit_fraction, seed)
    with ExitStack() as stack:
        kept = None
        if work is not None:
            plan = _plan(pair, wanted, fit_fraction, seed, options)
            kept = stack.enter_context(
                work_folder(Path(work), plan, overwrite=overwrite, changed=CHANGED)
            )
        trials = _Trials(fitted, judged, wanted, {**options, "seed": seed}, kept)
        with progress("comparing", len(candidates) + len(trials.curved), unit="method") as advance:
            done = {}
            for candidate in candidates:
                done[candidate.name] = trials.run(candidate)
                advance(1)
            curves = {}
            for method, candidates_of in trials.curved.items():
                curves[method] = [trials.point(candidate) for candidate in candidates_of]
                advance(1)
    base = done[BASE]
    names = [side.modality for side in pair.sides]
    if not base.numbers:
        reasons = "; ".join(f"{name}: {why}" for name, why in base.skipped.items())
        raise NotApplicable(f"no task applies ({reasons})")
    entries = {
        each.name: each
        for candidate, found in zip(candidates, done.values(), strict=True)
        if not found.failed
        for each in _entries(candidate, found, base)
    }
    result = Comparison(
        entries=entries,
        columns=_columns(wanted, base, names),
        failed={name: found.failed for name, found in done.items() if found.failed},
        curves={name: points for name, points in curves.items() if points},
        split={
            "seed": seed,
            "fit_fraction": fit_fraction,
            "modalities": names,
            f"fitted_{several(names[0])}": fitted.image.n,
            f"judged_{several(names[0])}": judged.image.n,
            f"judged_{several(names[1])}": judged.text.n,
        },
        pair=describe_input(pair) | found.about(),
        versions=versions(),
    )
    if work is not None and not keep:
        remove(Path(work))
    return result


class _Trials:
    """All candidates on one split."""

    def __init__(
        self,
        fitted: Pair,
        judged: Pair,
        tasks: list[Task],
        options: Mapping[str, Any],
        kept: Path | None,
    ) -> None:
        self.fitted, self.judged, self.tasks, self.kept = fitted, judged, tasks, kept
        self.options = options
        self.curve_task = next(
            (task for task in tasks if task.name in ("retrieval", "zero_shot")), None
        )
        retrieved = options.get("retrieved")
        by = [f"retrieved={retrieved}"] if retrieved else []
        self.curved: dict[str, list[Candidate]] = {
            method: [
                Candidate.parse(
                    ":".join([method, f"alpha={alpha:g}", *(by if method == "project" else [])])
                )
                for alpha in ALPHAS
            ]
            for method in (("shift", "project") if self.curve_task is not None else ())
        }

    def run(self, candidate: Candidate) -> TrialScores:
        """The scores of one candidate by every task; read from an earlier run if it has them."""
        name = xxhash.xxh3_64_hexdigest(f"{candidate.name} {_identity(candidate.method)}".encode())
        path = None if self.kept is None else self.kept / f"{name}.safetensors"
        if path is not None and path.exists():
            return TrialScores.read(path)
        found = self._run(candidate)
        if path is not None:
            found.write(path)
        return found

    def _run(self, candidate: Candidate) -> TrialScores:
        found = TrialScores()
        try:
            closed = Closed.by(candidate, self.fitted, self.judged)
        except NotApplicable as reason:
            found.failed = str(reason)
            return found
        found.facts = dict(closed.facts)
        if not candidate.corrects:
            found.gap = _gap(closed.judged)
        for task in self.tasks:
            try:
                scores = closed.do(task, self.options).scores
            except NotApplicable as reason:
                found.skipped[task.name] = str(reason).removeprefix(f"{task.name}: ")
                continue
            for name, each in scores.items():
                key = f"{task.name}.{name}"
                draws = each.draws(self.options["seed"])
                found.numbers[key] = (each.value, draws)
                found.intervals[key] = each.interval_of(draws)
                found.better[key] = each.better
        return found

    def point(self, candidate: Candidate) -> dict[str, Any]:
        """One fraction of closing: the remaining gap and the main numbers."""
        task = self.curve_task
        assert task is not None  # noqa: S101 - a curve needs a task
        try:
            closed = Closed.by(candidate, self.fitted, self.judged)
            scores = closed.do(task, self.options).scores
        except NotApplicable as reason:
            return {"alpha": candidate.options["alpha"], "failed": str(reason)}
        main = task.main([side.modality for side in closed.judged.sides])
        names = [name for name in main if name in scores] or list(scores)[:1]
        return {
            "alpha": candidate.options["alpha"],
            "l2m": _gap(closed.judged).get("l2m"),
            **{name: scores[name].value for name in names},
        }


def _gap(pair: Pair) -> dict[str, float]:
    """The gap that is left, as far as it can be measured."""
    try:
        return {name: value.value for name, value in measure(pair, only=GAP).items()}
    except NotApplicable:
        found = {}
        for name in GAP:
            with suppress(NotApplicable):
                found[name] = measure(pair, only=name)[name].value
        return found


def _entries(candidate: Candidate, found: TrialScores, base: TrialScores) -> Iterator[Entry]:
    """The entry of a candidate, and of mixed search by standardised scores or merged lists."""
    yield _entry(candidate.name, candidate, found, base)
    if candidate.name == BASE:
        merged = found.ending("mixed.", "_rrf")
        if merged.numbers:
            yield _entry("rrf", candidate, merged, base)
    elif not candidate.corrects:
        standardised = found.ending("mixed.", "_zscore")
        if standardised.numbers:
            yield _entry(f"{candidate.name} + zscore", candidate, standardised, base)


def _entry(name: str, candidate: Candidate, found: TrialScores, base: TrialScores) -> Entry:
    values, differences = {}, {}
    for key, (value, draws) in found.numbers.items():
        values[key] = Value(value, found.intervals[key])
        if key in base.numbers and found is not base:
            before, theirs = base.numbers[key]
            apart = None if draws is None or theirs is None else percentiles(draws - theirs)
            differences[key] = Value(value - before, apart)
    return Entry(
        name=name,
        transductive=candidate.transductive,
        gap=found.gap,
        values=values,
        differences=differences,
        better=found.better,
        skipped=found.skipped,
        facts=found.facts,
    )


def _columns(tasks: list[Task], base: TrialScores, names: list[str]) -> tuple[str, ...]:
    """The columns of a leaderboard: the main numbers of each task, or its first one."""
    found: list[str] = []
    for task in tasks:
        own = [name for name in base.numbers if name.startswith(f"{task.name}.")]
        main = [f"{task.name}.{name}" for name in task.main(names)]
        found += [name for name in main if name in own] or own[:1]
    return tuple(found)


def _split(only: Only) -> tuple[list[str | Candidate], list[str | Task]]:
    """The named closers and the named tasks; names of the two kinds do not overlap."""
    if only is None:
        return [], []
    closers: list[str | Candidate] = []
    tasks: list[str | Task] = []
    asked = [only] if isinstance(only, str | Method) else list(only)
    if not asked:
        raise OptionError("only must name at least one closer or task; got none")
    for each in asked:
        if isinstance(each, Task) or (isinstance(each, str) and each in (*TASKS, "zeroshot")):
            tasks.append(each)
        elif isinstance(each, Closer | CorrectionRule):
            closers.append(Candidate.by(each))
        elif isinstance(each, str) and each.partition(":")[0] in {*CLOSERS, *CORRECTIONS}:
            closers.append(each)
        elif isinstance(each, str):
            known = [*CLOSERS, *CORRECTIONS, *TASKS]
            raise OptionError.unknown("closer, correction or task", each, known)
        else:
            raise OptionError(
                f"only must be names of closers, corrections and tasks; got {quoted(each)}"
            )
    return closers, tasks


def _candidates(closers: list[str | Candidate], pair: Pair) -> list[Candidate]:
    """The candidates, "none" first; all that apply if none is named."""
    named = list(closers)
    if not named:
        names = [name for name, closer in CLOSERS.items() if not closer.card.needed("weights")]
        names.insert(names.index("project") + 1, f"project:retrieved={pair.text.modality}")
        named = [*names, *(CORRECTIONS if pair.labels is None else ())]
    found = [
        each if isinstance(each, Candidate) else Candidate.parse(each) for each in (BASE, *named)
    ]
    candidates = {candidate.name: candidate for candidate in found}
    for candidate in candidates.values():
        if candidate.method.name == "isoclip":
            raise OptionError("only: isoclip needs weights, not rows; fit it with close.fit")
    return list(candidates.values())


def _plan(
    pair: Pair, tasks: list[Task], fit_fraction: float, seed: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    """All settings that change the numbers."""
    return {
        "kind": "compare",
        "pair": pair.fingerprint,
        "tasks": [_identity(task) for task in tasks],
        "fit_fraction": fit_fraction,
        "seed": seed,
        "options": {name: _plain(value) for name, value in sorted(options.items())},
        "versions": versions(),
    }


def _identity(method: Method) -> str:
    """The name of a method; for a user's own method, with the file and line of its definition."""
    known: Mapping[str, Method] = {**TASKS, **CLOSERS, **CORRECTIONS}
    if known.get(method.name) is method:
        return method.name
    code = getattr(method.body, "__code__", None)
    where = "" if code is None else f"{code.co_filename}:{code.co_firstlineno}:{code.co_code.hex()}"
    return f"{method.name} {xxhash.xxh3_64_hexdigest(where.encode())}"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return xxhash.xxh3_64_hexdigest(repr(value).encode())
    return value
