"""Training for studies: settings, and several models at the same time."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from modalgap.atomic import made_folder
from modalgap.checks import available_memory, value_of, whole
from modalgap.errors import ModalgapError, OptionError, quoted
from modalgap.progress import progress
from modalgap.study.plan import Plan
from modalgap.train import Config, Run, load_config, read_run, train
from modalgap.train.check_data import check_data
from modalgap.train.log import read_log
from modalgap.work import Pool, processors, turn

WAIT = 0.5  # seconds between updates of the progress bar
MEMORY = 2 * 2**30  # bytes of a process that trains a small model


def training_settings(
    settings: Mapping[str, Any] | None,
    own: Sequence[str],
    name: str = "train",
    *,
    base: str = "mad",
    digits: str | Path | None = None,
) -> list[str]:
    """The option ``train`` of a study as ``key=value`` for ``load_config``.

    Args:
        settings: key or "section.key" to value; sections may be mappings too.
        own: keys and sections that the study sets itself.
        name: the name of the option.
        base: the configuration that the settings change.
        digits: the option ``digits``, a folder; it stands first.

    Raises:
        OptionError: one of ``own`` is set, or an unknown key or an invalid value.
    """
    result = []
    for key, value in _flat(settings or {}):
        if not key:
            raise OptionError(f"{name} must have names of training settings as keys; got {key!r}")
        if key in own or key.partition(".")[0] in own:
            raise OptionError(f"{name}.{key}: is set by the study itself")
        try:
            text = value if isinstance(value, str) else json.dumps(value)
        except TypeError as error:
            raise OptionError(f"{name}.{key} must be a JSON type; got {quoted(value)}") from error
        result.append(f"{key}={text}")
    try:
        load_config(base, result)
    except ModalgapError as error:
        raise OptionError(f"{name}: {error}") from error
    if digits is None:
        return result
    # a folder with a name such as 1 or none is still a path
    folder = str(digits) if isinstance(value_of(str(digits)), str) else f"./{digits}"
    return [f"data.digits={json.dumps(folder, ensure_ascii=False)}", *result]


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping) and key != "losses":
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def train_planned(
    plan: Plan,
    own: Path,
    shared: str | Path | None,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
) -> dict[str, Run]:
    """Train the models of a plan, then those that start from them.

    Args:
        plan: the plan.
        own: the folder for the models of this study.
        shared: a folder of models that several studies share, used instead of ``own``; or None.
        jobs: number of processes; by default one per processor.
        overwrite: discard runs with other settings and start over; shared models are not discarded.

    Raises:
        ModalgapError: a run failed; the next call resumes the others.
    """
    if shared is None:
        return _train_planned(plan, own, jobs, shared=False, overwrite=overwrite)
    folder = Path(shared)
    with turn(folder):  # studies that run at the same time may train the same models
        return _train_planned(plan, folder, jobs, shared=True, overwrite=False)


def _train_planned(
    plan: Plan, folder: Path, jobs: int | None, *, shared: bool, overwrite: bool
) -> dict[str, Run]:
    if shared:
        runs = train_shared(plan.models, folder, jobs=jobs)
    else:
        runs = train_all(plan.models, folder, jobs=jobs, overwrite=overwrite)
    if not plan.tuned:
        return runs
    places, configs = {}, {}
    for name, each in plan.tuned.items():
        start = runs[each.start]
        model = replace(each.config.model, start=f"open_clip:{start.model.resolve()}")
        config = replace(each.config, model=model)
        # the path of a start does not tell how it was trained, so its settings are hashed too
        places[name] = _digest({"starts_from": start.config.plan(), **config.plan()})
        configs[places[name]] = config
    found = train_all(configs, folder, jobs=jobs)
    return runs | {name: found[place] for name, place in places.items()}


def train_all(
    configs: Mapping[str, Config],
    folder: Path,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
) -> dict[str, Run]:
    """Train several models, some at the same time.

    Args:
        configs: name to configuration; each model is trained in ``folder / name``. Finished models
            are read.
        folder: the folder; it is created.
        jobs: number of processes; by default one per processor.
        overwrite: discard runs with other settings and start over.

    Raises:
        ModalgapError: a run failed; the next call resumes the others.
    """
    if jobs is not None:
        whole("jobs", jobs, 1, 1024)
    for config in configs.values():
        check_data(config.data)
    cores = processors()
    jobs = min(jobs or _jobs(cores), len(configs))
    with made_folder(folder):
        if jobs == 1:
            return {
                name: train(config, folder / name, overwrite=overwrite)
                for name, config in configs.items()
            }
        return _at_once(configs, folder, jobs, max(1, cores // jobs), overwrite)


def _at_once(
    configs: Mapping[str, Config], folder: Path, jobs: int, threads: int, overwrite: bool
) -> dict[str, Run]:
    """Train models in several processes, each with a number of threads."""
    died = (
        "a training process died, possibly because memory ran out; --jobs 1 trains one model at"
        f" a time, instead of {jobs}"
    )
    first = 0 if overwrite else _completed(configs, folder)
    with Pool(jobs, _begin, (threads,), died, fresh=True) as pool:
        waiting = {
            name: pool.submit(_train, config.plain(), str(folder / name), overwrite)
            for name, config in configs.items()
        }
        _watch(waiting, configs, folder, first)
        for future in waiting.values():
            future.result()
    return {name: read_run(folder / name) for name in configs}


def _jobs(cores: int) -> int:
    """One small model per processor takes less time than several threads for each model."""
    memory = available_memory()
    return cores if memory is None else max(1, min(cores, memory // MEMORY))


def train_shared(
    configs: Mapping[str, Config], folder: Path, *, jobs: int | None = None
) -> dict[str, Run]:
    """Train models in a folder that several studies share; equal configurations are one model.

    Args:
        configs: name to configuration; the name of each subfolder is the hash of the settings.
        folder: the folder; it is created.
        jobs: number of processes; by default one per processor.

    Raises:
        ModalgapError: a run failed; the next call resumes the others.
    """
    places = {name: _digest(config.plan()) for name, config in configs.items()}
    runs = train_all({places[name]: config for name, config in configs.items()}, folder, jobs=jobs)
    return {name: runs[place] for name, place in places.items()}


def _digest(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - one bar is enough


def _train(config: dict[str, Any], folder: str, overwrite: bool) -> None:
    train(load_config(config), folder, overwrite=overwrite)


def _watch(
    waiting: Mapping[str, Future[None]], configs: Mapping[str, Config], folder: Path, first: int
) -> None:
    """Show progress over all steps, until the last run ends or one fails."""
    total = sum(config.steps or 0 for config in configs.values())
    with progress("training", max(total, 1), "step", first=first) as advance:
        seen = first
        while not all(future.done() for future in waiting.values()):
            time.sleep(WAIT)
            now = _completed(configs, folder)
            advance(now - seen)
            seen = now
            if any(f.done() and f.exception() is not None for f in waiting.values()):
                return


def _completed(names: Iterable[str], folder: Path) -> int:
    """The steps of all runs, by their logs."""
    return sum(max((line["step"] for line in read_log(folder / name)), default=0) for name in names)
