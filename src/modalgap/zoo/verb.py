"""The verb: run every cell that has no result, and collect the results of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modalgap import checks
from modalgap.arguments import checked
from modalgap.atomic import remove_abandoned, replacing
from modalgap.close import CLOSERS, Closer
from modalgap.encode import Options
from modalgap.encode.options import engine_options
from modalgap.errors import InputError, ModalgapError, OptionError, OutputError
from modalgap.evaluate.verb import chosen as tasks_of
from modalgap.measure.names import card_of
from modalgap.method import pick
from modalgap.progress import note
from modalgap.result import Value
from modalgap.work import Pool, executor, work_folder
from modalgap.zoo.cell import Models, Record, compute
from modalgap.zoo.cells import Cell, by_model, cells, check
from modalgap.zoo.facts import read_facts
from modalgap.zoo.features import EMBEDDINGS, discard
from modalgap.zoo.results import Zoo
from modalgap.zoo.settings import TASKS, Settings

CELLS = "cells"  # the folder of records
DIED = "its process ended"
LIKELY = {  # by how it ended
    "SIGKILL": ", possibly because memory ran out",
    "exit code 1": "; a script needs if __name__ == '__main__'",
}


@checked
def zoo(
    models: str | Sequence[str],
    data: str | Path | Sequence[str] | Sequence[Path],
    output: str | Path,
    *,
    split: str | None = None,
    root: str | Path | None = None,
    limit: int | None = None,
    template: str | None = None,
    **options: Any,
) -> Zoo:
    """Encode, measure and evaluate every model on every data set.

    Args:
        models: one or several models, LIBRARY:MODEL, as for ``encode``. A pattern, such as
            ``open_clip:ViT-B-*/*``, is every model of open_clip's registry that matches.
        data: one or several data sets or paths, as for ``encode``.
        output: the folder. It holds the features, one record per cell, and the results; see
            ``Zoo.write``. The same call resumes an interrupted run; cells that failed run again.
        split: split of the data sets; by default the one on which papers evaluate.
        root: folder of data sets.
        limit: number of items of a random sample of each data set.
        template: a sentence with ``{}`` for the class name, or "imagenet".
        **options: the options of ``run_cells``.

    Returns:
        The results. Cells that failed are in ``Zoo.failed`` with the reason.

    Raises:
        InputError: a data set does not exist.
        OptionError: an invalid option, or an unknown measure or task.
        OutputError: the folder or a record cannot be written.
    """
    found = cells(
        models,
        data,
        split=split,
        root=None if root is None else str(root),
        limit=limit,
        template=template,
    )
    return run_cells(found, output, **options)


@checked
def run_cells(
    found: Sequence[Cell],
    output: str | Path,
    *,
    measures: Sequence[str] | None = None,
    tasks: Sequence[str] = TASKS,
    closers: Sequence[str] = (),
    facts: str | Path | None = None,
    disk: float | None = None,
    device: str = "auto",
    precision: str = "fp32",
    batch_size: int | None = None,
    workers: int | None = None,
    seed: int = 0,
    isolated: bool = True,
    overwrite: bool = False,
) -> Zoo:
    """Run cells as ``zoo``: each with its own model, data and reading options.

    Args:
        found: the cells, for instance of ``read_cells``.
        output: as for ``zoo``.
        measures: names of measures; by default all that apply.
        tasks: names of tasks; those that do not apply to a data set are left out.
        closers: names of closers, such as "center". They are fitted on the embeddings of each cell;
            measures and tasks are repeated after each, and named ``center.rmg``.
        facts: a CSV file with facts of models, which replace those that are known; see
            ``Zoo.models``. Column ``model`` or ``model_fullname``.
        disk: gigabytes that the features may use. The oldest are removed; their results stay.
        device: as for ``encode``.
        precision: as for ``encode``.
        batch_size: as for ``encode``.
        workers: as for ``encode``.
        seed: seed of samples, intervals, and of models named ``random``.
        isolated: run each model in a process of its own, so that a crash costs its cell only. A
            script then needs ``if __name__ == "__main__"``. Not in a block ``on(...)`` of several
            workers.
        overwrite: remove the features and the results of these cells first.

    Raises:
        InputError: a data set does not exist, or two cells have the same name.
        OptionError: an invalid option, or an unknown measure or task.
        OutputError: the folder or a record cannot be written.
    """
    if not found:
        raise OptionError("cells must have at least 1 cell; got none")
    check(found)
    if disk is not None:
        checks.at_least("disk", disk, 0)
    checks.whole("seed", seed, 0)
    engine_options(
        Options(device=device, precision=precision, batch_size=batch_size, workers=workers)
    )
    names = None if measures is None else tuple(checks.several("measures", measures))
    for name in names or ():
        card_of(name)  # refuses unknown names
    settings = Settings(
        measures=names,
        tasks=tuple(task.name for task in tasks_of(list(tasks))) if tasks else (),
        closers=_closers(closers),
        seed=seed,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        disk=None if disk is None else disk * 1e9,
    )
    known = {} if facts is None else read_facts(facts)
    folder = Path(output)
    with _opened(folder):
        records = _records(found, folder, settings, isolated=isolated, overwrite=overwrite)
        result = _collected(records, known, settings)
        result.write(folder)
    return result


def _closers(names: Sequence[str]) -> tuple[str, ...]:
    """The names, checked.

    Raises:
        OptionError: an unknown closer, or one that needs the weights of a model.
    """
    for name in names:
        if pick(name, CLOSERS, Closer, "closers").card.needed("weights"):
            raise OptionError(f"closers must be fitted on embeddings; {name} needs weights")
    return tuple(names)


@contextmanager
def _opened(folder: Path) -> Iterator[None]:
    """Make the folder of a zoo, and keep other runs out."""
    _make(folder)
    with work_folder(folder, {"kind": "zoo"}, overwrite=False):
        for each in (folder, folder / EMBEDDINGS, folder / CELLS):
            _make(each)
            remove_abandoned(each)
        yield


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error


def _records(
    found: Sequence[Cell], folder: Path, settings: Settings, *, isolated: bool, overwrite: bool
) -> list[Record]:
    """The record of every cell, in order: read, or computed and written."""
    records: dict[Cell, Record] = {}
    for each in found:
        place = _place(each, folder, settings)
        if overwrite:  # removed first, so that a run without this option resumes
            place.unlink(missing_ok=True)
            discard(each, folder, settings)
        record = _finished(place)
        if record is not None:
            records[each] = record
    if records:
        note(f"{len(records)} of {len(found)} cells have results already")
    at = len(records)

    def keep(cell: Cell, record: Record) -> None:
        nonlocal at
        at += 1
        records[cell] = record
        with replacing(_place(cell, folder, settings), overwrite=True) as file:
            file.write(json.dumps(record, indent=1, allow_nan=False).encode())
        state = "ok" if record["state"] == "ok" else f"failed: {record['reason']}"
        note(f"cell {at} of {len(found)}: {cell.title}: {state}; {record['seconds']:.1f} s")
        for remark in record.get("notes", ()):
            note(f"{cell.title}: {remark}")

    for own in by_model([each for each in found if each not in records]).values():
        # a separate process would not use the current executor
        run = _isolated if isolated and executor().local else _here
        run(own, folder, settings, keep)
    return [records[each] for each in found]


Keep = Callable[[Cell, Record], None]


def _here(own: Sequence[Cell], folder: Path, settings: Settings, keep: Keep) -> None:
    """Run the cells of one model in this process."""
    models = Models()
    for cell in own:
        keep(cell, compute(cell, folder, settings, models))


def _isolated(own: Sequence[Cell], folder: Path, settings: Settings, keep: Keep) -> None:
    """Run the cells of one model in a new process; if it dies, the rest in another one."""
    left = list(own)
    while left:
        pool = Pool(1, _begin, (), DIED, fresh=True)
        try:
            with pool:
                while left:
                    record = pool.submit(compute, left[0], folder, settings).result()
                    keep(left.pop(0), record)
        except OutputError:
            raise
        except ModalgapError:
            cell = left.pop(0)
            failed = {"model": cell.model, "data": cell.label, "state": "failed", "values": {}}
            keep(cell, failed | {"reason": died(pool.ended), "seconds": 0.0})


def died(ended: str) -> str:
    """Why a cell failed whose process died; ``ended`` is that of the pool."""
    how = f" ({ended})" if ended else ""
    return f"{DIED}{how}{LIKELY.get(ended, '')}"


def _begin() -> None:
    """Start the process of a model; it has nothing to prepare."""


def _place(cell: Cell, folder: Path, settings: Settings) -> Path:
    return folder / CELLS / f"{cell.file(settings.of_results)}.json"


def _finished(path: Path) -> Record | None:
    """A record of success; None if there is none, or it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        ok = record["state"] == "ok" and isinstance(record["values"], dict)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return record if ok else None


def _collected(records: Sequence[Record], known: Any, settings: Settings) -> Zoo:
    values: dict[str, dict[str, dict[str, Value]]] = {}
    models: dict[str, dict[str, str | float]] = {}
    failed = []
    for record in records:
        model, data = record["model"], record["data"]
        models.setdefault(model, {}).update(record.get("facts", {}))
        models[model].update(known.get(model, {}))
        if record["state"] != "ok":
            failed.append((model, data, record["reason"]))
            continue
        values.setdefault(model, {})[data] = {
            name: Value(value, None if low is None else (low, high))
            for name, (value, low, high) in record["values"].items()
        }
    unknown = [name for name in known if name not in models]
    if known and len(unknown) == len(known):
        raise InputError("facts must name a model of the zoo; found none of them")
    return Zoo(values=values, models=models, failed=failed, settings=settings.plain)
