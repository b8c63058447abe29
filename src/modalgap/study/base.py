"""What studies share: tables that are kept, and models that are trained beside one another."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch

from modalgap.atomic import replacing
from modalgap.checks import whole
from modalgap.errors import FileError, NotApplicable, OptionError, OutputError
from modalgap.progress import progress
from modalgap.result import Table
from modalgap.train import Config, Run, read_run, train
from modalgap.train.log import read_log
from modalgap.work import Pool, processors

FILE = "study.json"
LOOK = 0.5  # seconds between looks at how far the models are


def check_settings(settings: Sequence[str], own: Sequence[str]) -> None:
    """Refuse settings that the study itself varies or decides.

    Raises:
        OptionError: one of ``own`` is set.
    """
    for each in settings:
        key = str(each).partition("=")[0].strip()
        if key in own or key.partition(".")[0] in own:
            raise OptionError(f"--set {key}: is what the study itself decides")


def keep(table: Table, folder: Path) -> Path:
    """Write ``study.json``."""
    with replacing(folder / FILE, overwrite=True) as file:
        file.write(table.to_json().encode())
    return folder / FILE


def kept(folder: Path, settings: Mapping[str, Any]) -> Table | None:
    """The study that lies there, if it is of these settings.

    Raises:
        FileError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        study = Table.from_dict(found)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        NotApplicable,
    ) as error:
        raise FileError(f"{path}: is damaged; remove it to compute the study again") from error
    return study if study.settings == json.loads(json.dumps(settings)) else None


def train_all(
    configs: Mapping[str, Config],
    folder: Path,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
) -> dict[str, Run]:
    """Train several models, as many at once as there are processors for.

    Args:
        configs: name to configuration; runs go to ``folder / name``. Finished ones are read.
        folder: is made.
        jobs: processes; by default one for each two processors.
        overwrite: discard runs made with other settings and start over.

    Raises:
        ModalgapError: a run could not be finished; the others are kept, and go on next time.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    if jobs is not None:
        whole("jobs", jobs, 1, 1024)
    cores = processors()
    jobs = min(jobs or max(1, cores // 2), len(configs))
    if jobs == 1:
        return {
            name: train(config, folder / name, overwrite=overwrite)
            for name, config in configs.items()
        }
    died = (
        "a training process died, perhaps for want of memory; with --jobs 1 there is one at a"
        f" time, instead of {jobs}"
    )
    threads = max(1, cores // jobs)
    with Pool(jobs, _begin, (threads,), died, fresh=True) as pool:
        waiting = {
            name: pool.submit(_train, config.plain(), str(folder / name), overwrite)
            for name, config in configs.items()
        }
        _watch(waiting, configs, folder)
        for future in waiting.values():
            future.result()
    return {name: read_run(folder / name) for name in configs}


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - one bar is enough


def _train(config: dict[str, Any], folder: str, overwrite: bool) -> None:
    from modalgap.train import load_config

    train(load_config(config), folder, overwrite=overwrite)


def _watch(
    waiting: Mapping[str, Future[None]], configs: Mapping[str, Config], folder: Path
) -> None:
    """A bar over all steps, until the last run ends or one fails."""
    total = sum(config.steps or 0 for config in configs.values())
    with progress("training", max(total, 1), "step") as advance:
        seen = 0
        while not all(future.done() for future in waiting.values()):
            time.sleep(LOOK)
            now = sum(_steps(folder / name) for name in configs)
            advance(now - seen)
            seen = now
            if any(f.done() and f.exception() is not None for f in waiting.values()):
                return


def _steps(folder: Path) -> int:
    return max((line["step"] for line in read_log(folder)), default=0)
