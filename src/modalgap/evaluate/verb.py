"""The verb ``evaluate``: several tasks on one pair."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from modalgap import checks
from modalgap.embeddings import Pair, describe_input
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import NotApplicable, OptionError, quoted
from modalgap.evaluate.base import Outcome, Task, without_repeats
from modalgap.evaluate.registry import TASKS
from modalgap.method import pick
from modalgap.result import Result, Value, versions

Only = str | Task | Iterable[str | Task] | None


@takes_pair
def evaluate(pair: Pair, /, only: Only = None, *, seed: int = 0, **options: Any) -> Result:
    """Evaluate embeddings on downstream tasks.

    Args:
        pair: a ``Pair``, closed or not; or two arrays: ``modalgap.evaluate(x, y)``, with
            ``text_to_image`` or ``labels`` if row i does not match row i.
        only: names of tasks, or your own ``Task`` objects; by default all that apply.
        seed: for all random numbers, including the bootstrap.
        **options: options of tasks (``retrieved``, ``ks``, ``sigmas`` …); each task gets the
            options that it has.

    Repeated items (same name, same vector) count as the same answer, as after ``join_repeats``;
    ``result.pair["repeats"]`` contains their number.

    Returns:
        A ``Result`` of values named ``task.number``, with 95 % bootstrap intervals over images.
        Tasks that do not apply are in ``skipped``; if ``only`` names such a task, it is an error.

    Raises:
        OptionError: an unknown task or option.
        NotApplicable: the pair lacks what a task in ``only`` needs.
    """
    checks.whole("seed", seed, 0)
    wanted = chosen(only)
    check_options(options, wanted)
    values: dict[str, Value] = {}
    skipped: dict[str, str] = {}
    distinct, options, repeats = without_repeats(pair, options)
    for task in wanted:
        own = {name: value for name, value in options.items() if name in task.options}
        try:
            found = task.outcome(distinct, {**own, "seed": seed})
        except NotApplicable as reason:
            if only is not None:
                raise
            skipped[task.name] = str(reason).removeprefix(f"{task.name}: ")
            continue
        values |= as_values(task, found, {**task.options, **own}, seed)
    return Result(values, skipped, describe_input(pair) | repeats, versions())


def check_options(
    options: Mapping[str, Any], wanted: Iterable[Task], fixed: frozenset[str] = frozenset()
) -> None:
    """Refuse options that none of the chosen tasks has; the error names the tasks that have them.

    Args:
        options: the options to check.
        wanted: the chosen tasks.
        fixed: options that must not be set here.
    """
    known = {name for task in wanted for name in task.options} - fixed - {"seed"}
    for name in options:
        owners = [task.name for task in TASKS.values() if name in task.options]
        if name not in known and owners and name not in fixed:
            raise OptionError(
                f"option {quoted(name)} belongs to {', '.join(owners)}; no such task was chosen"
            )
        if name not in known:
            raise OptionError.unknown("option", name, known)


def as_values(
    task: Task, found: Outcome, options: Mapping[str, Any], seed: int
) -> dict[str, Value]:
    """Values with intervals, named ``task.number``; the first value gets the details."""
    params = {name: _plain(value) for name, value in options.items() if name != "other_text"}
    params["seed"] = seed
    values = {}
    details = dict(found.details)
    for name, scores in found.scores.items():
        values[f"{task.name}.{name}"] = Value(
            scores.value,
            scores.interval(seed),
            {**params, "better": scores.better},
            details,
            task.card.source,
        )
        details = {}
    return values


def _plain(value: Any) -> Any:
    """An option as a plain JSON type, or its repr."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return [_plain(each) for each in value]
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite and isinstance(value, str | int | float | None) else repr(value)


def chosen(only: Only) -> list[Task]:
    """The tasks with these names in the order of the registry, then the user's own tasks."""
    if only is None:
        return list(TASKS.values())
    names = [only] if isinstance(only, str | Task) else list(only)
    if not names:
        raise OptionError("only must name at least one task; got none")
    found: dict[str, Task] = {}
    for each in names:
        task = pick("zero_shot" if each == "zeroshot" else each, TASKS, Task, "only")
        if found.setdefault(task.name, task) is not task:
            raise OptionError(f"only: two tasks have the name {quoted(task.name)}")
    order = {name: i for i, name in enumerate(TASKS)}
    return sorted(found.values(), key=lambda task: order.get(task.name, len(order)))
