"""The verb: many tasks on one pair."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from modalgap import checks
from modalgap.embeddings import Pair, describe_input
from modalgap.errors import InputError, NotApplicable, OptionError
from modalgap.evaluate.base import Outcome, Task
from modalgap.evaluate.registry import TASKS
from modalgap.result import Result, Value, versions


def evaluate(
    pair: Pair, tasks: str | Iterable[str] | None = None, *, seed: int = 0, **options: Any
) -> Result:
    """Evaluate embeddings at the tasks that they are used for.

    Args:
        pair: what ``modalgap.load`` gave, or one made from arrays; closed or not.
        tasks: names of tasks; by default all that apply.
        seed: of everything random, bootstrap included.
        **options: options of tasks (``retrieved``, ``ks``, ``sigmas`` …), given to each that has
            them.

    Returns:
        A ``Result`` of values named ``task.number``, with 95 % bootstrap intervals over images.
        Tasks that do not apply are in ``skipped``; one asked for by name is an error.

    Raises:
        OptionError: an unknown task or option.
        NotApplicable: a task asked for lacks what it needs.
    """
    if not isinstance(pair, Pair):
        raise InputError(f"pair: must be a Pair; got {type(pair).__name__}")
    checks.whole("seed", seed, 0)
    wanted = chosen(tasks)
    check_options(options, wanted)
    values: dict[str, Value] = {}
    skipped: dict[str, str] = {}
    for task in wanted:
        own = {name: value for name, value in options.items() if name in task.options}
        try:
            found = outcome(task, pair, {**own, "seed": seed})
        except NotApplicable as reason:
            if tasks is not None:
                raise
            skipped[task.name] = str(reason).removeprefix(f"{task.name}: ")
            continue
        values |= as_values(task, found, {**task.options, **own}, seed)
    return Result(values, skipped, describe_input(pair), versions())


def check_options(
    options: Mapping[str, Any], wanted: Iterable[Task], fixed: frozenset[str] = frozenset()
) -> None:
    """Refuse options that no task asked for has, naming the tasks that have them.

    Args:
        options: as given.
        wanted: the tasks asked for.
        fixed: options that may not be chosen here.
    """
    known = {name for task in wanted for name in task.options} - fixed - {"seed"}
    for name in options:
        owners = [task.name for task in TASKS.values() if name in task.options]
        if name not in known and owners and name not in fixed:
            raise OptionError(
                f"option {name!r} is one of {', '.join(owners)}; none of these was asked for"
            )
        if name not in known:
            raise OptionError.unknown("option", name, known)


def outcome(task: Task, pair: Pair, options: Mapping[str, Any]) -> Outcome:
    """Do one task; its reasons carry its name."""
    if not isinstance(pair, Pair):
        raise InputError(f"pair: must be a Pair; got {type(pair).__name__}")
    for name in options:
        if name not in task.options and name != "seed":
            raise OptionError.unknown(f"option of {task.name}", name, task.options)
    own = {name: value for name, value in options.items() if name in task.options}
    try:
        return task.run(pair, **own)
    except NotApplicable as reason:
        raise NotApplicable(f"{task.name}: {reason}") from None


def as_values(
    task: Task, found: Outcome, options: Mapping[str, Any], seed: int
) -> dict[str, Value]:
    """Values with intervals, named ``task.number``; the details go with the first."""
    plain = {name: _plain(value) for name, value in options.items() if name != "other_text"}
    plain["seed"] = seed
    values = {}
    details = dict(found.details)
    for name, scores in found.scores.items():
        values[f"{task.name}.{name}"] = Value(
            scores.value, scores.interval(seed), {**plain, "better": scores.better}, details
        )
        details = {}
    return values


def _plain(value: Any) -> Any:
    """What JSON can hold of an option."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return [_plain(each) for each in value]
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite and isinstance(value, str | int | float | None) else repr(value)


def chosen(tasks: str | Iterable[str] | None) -> list[Task]:
    """The tasks of these names, in the order of the registry."""
    if tasks is None:
        return list(TASKS.values())
    if not isinstance(tasks, Iterable):
        raise OptionError(f"tasks must be names of tasks; got {tasks!r}")
    asked = [tasks] if isinstance(tasks, str) else list(tasks)
    asked = ["zero_shot" if name == "zeroshot" else name for name in asked]
    if not asked:
        raise OptionError("tasks must name at least one task; got none")
    if not all(isinstance(name, str) for name in asked):
        raise OptionError(f"tasks must be names of tasks; got {tasks!r}")
    for name in sorted(set(asked) - set(TASKS)):
        raise OptionError.unknown("task", name, TASKS)
    return [task for name, task in TASKS.items() if name in asked]
