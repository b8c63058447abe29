"""One cell: encode the data, measure and evaluate it, in a record of plain JSON types.

It runs in the process of its model, which loads the model once. Every error is part of the record,
so that a broken model or data set does not end the run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from modalgap.close import close
from modalgap.data import Source, read
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.store import load_any
from modalgap.encode import Encoder, Options, load_model
from modalgap.encode import run as encode
from modalgap.errors import ModalgapError, NotApplicable, OutputError, shortened
from modalgap.evaluate import evaluate
from modalgap.measure import measure
from modalgap.result import Result, versions
from modalgap.work import path_of
from modalgap.zoo.cells import Cell
from modalgap.zoo.facts import facts_of

Record = dict[str, Any]
TASKS = ("retrieval", "zero_shot")
EMBEDDINGS = "embeddings"  # the folder of features
FLOAT = 4  # bytes of a number in fp32
TWICE = 2  # rows are in the parts and in the final file for a moment


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of all cells.

    Attributes:
        measures: names of measures; None for all that apply.
        tasks: names of tasks; those that do not apply are left out.
        closers: names of closers; measures and tasks are repeated after each.
        seed: seed of samples, intervals, and of models named ``random``.
        device, precision, batch_size, workers: as for ``encode``.
        disk: bytes that embeddings may use; None for no limit.
    """

    measures: tuple[str, ...] | None = None
    tasks: tuple[str, ...] = TASKS
    closers: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"
    precision: str = "fp32"
    batch_size: int | None = None
    workers: int | None = None
    disk: float | None = None

    @property
    def plain(self) -> dict[str, Any]:
        """All settings as plain JSON types."""
        lists = {"measures": self.measures and list(self.measures), "tasks": list(self.tasks)}
        return asdict(self) | lists | {"closers": list(self.closers)}

    @property
    def of_features(self) -> dict[str, Any]:
        """The settings that the features depend on."""
        return {name: self.plain[name] for name in ("seed", "device", "precision", "batch_size")}

    @property
    def of_results(self) -> dict[str, Any]:
        """The settings that the results depend on."""
        return self.of_features | {
            name: self.plain[name] for name in ("measures", "tasks", "closers")
        }


class Models:
    """The model of this process, loaded when it is first needed. An error is raised again."""

    def __init__(self) -> None:
        self.spec = ""
        self.encoder: Encoder | None = None
        self.error: Exception | None = None

    def load(self, spec: str, seed: int) -> Encoder:
        """The model ``spec``; a model that was loaded before is released."""
        if spec != self.spec:
            self.spec, self.encoder, self.error = spec, None, None
            try:
                self.encoder = load_model(spec, seed=seed)
            except Exception as error:  # stored, so that it is not loaded for each data set
                self.error = error
        if self.encoder is None:
            assert self.error is not None  # noqa: S101 - one of both is set
            raise self.error
        return self.encoder


MODELS = Models()


def compute(cell: Cell, folder: Path, settings: Settings, models: Models = MODELS) -> Record:
    """The record of a cell: its state, values, facts of the model, and the reason of a failure."""
    started = time.monotonic()
    record: Record = {"model": cell.model, "data": cell.label}
    try:
        encoder = models.load(cell.model, settings.seed)
        record["facts"] = facts_of(encoder)
        record |= _results(cell, encoder, folder, settings)
        record["state"] = "ok"
    except Exception as error:  # of any library; the next cell is not affected
        record |= {"state": "failed", "reason": reason_of(error), "values": {}}
    return record | {"seconds": round(time.monotonic() - started, 3), "versions": versions()}


def reason_of(error: BaseException) -> str:
    """Why a cell failed, in one line."""
    if isinstance(error, ModalgapError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = " ".join(str(error).split())
    return shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__, 300)


def _results(cell: Cell, encoder: Encoder, folder: Path, settings: Settings) -> Record:
    data, notes = _features(cell, encoder, folder, settings)
    found = numbers(data, settings)
    return {
        "values": {name: _plain(value.value, value.interval) for name, value in found.items()},
        "skipped": dict(found.skipped),
        "pair": dict(found.pair),
        "notes": notes,
    }


def numbers(data: Pair | Embeddings, settings: Settings) -> Result:
    """Measures and tasks of a data set, and those of closed embeddings.

    Numbers after a closer are named ``closer.number``, such as ``center.rmg``; the closer is fitted
    on the same embeddings. What does not apply is in ``skipped`` with the reason.
    """
    found = [_before(data, settings)]
    skipped = dict(found[0].skipped)
    for name in settings.closers:
        try:
            if not isinstance(data, Pair):
                raise NotApplicable("it needs two modalities")
            after = _before(close(data, name), settings)
        except NotApplicable as reason:
            skipped[name] = str(reason)
            continue
        values = {f"{name}.{number}": value for number, value in after.items()}
        found.append(replace(after, measures=values))
    values = {name: value for each in found for name, value in each.measures.items()}
    return Result(values, skipped, found[0].pair, found[0].versions)


def _before(data: Pair | Embeddings, settings: Settings) -> Result:
    """The measures and tasks that apply."""
    found: list[Result] = [measure(data)] if settings.measures is None else []
    reasons: dict[str, str] = {}
    verbs: list[tuple[Any, str, dict[str, Any]]] = [
        *((measure, name, {}) for name in settings.measures or ())
    ]
    if isinstance(data, Pair):
        verbs += [(evaluate, name, {"seed": settings.seed}) for name in settings.tasks]
    for verb, name, options in verbs:
        try:
            found.append(verb(data, only=[name], **options))
        except NotApplicable as reason:
            reasons[name] = str(reason)
    values = {name: value for each in found for name, value in each.measures.items()}
    skipped = {name: why for each in found for name, why in each.skipped.items()} | reasons
    return Result(values, skipped, found[0].pair if found else {}, versions())


def _plain(value: float, interval: tuple[float, float] | None) -> list[float | None]:
    return [value, *(interval or (None, None))]


def _features(
    cell: Cell, encoder: Encoder, folder: Path, settings: Settings
) -> tuple[Any, list[str]]:
    """The features of a cell: those of an earlier run, or encoded now."""
    target = folder / EMBEDDINGS / f"{cell.file(settings.of_features)}.safetensors"
    there = sorted(target.parent.glob(f"{target.stem}*.safetensors"))
    if there and not path_of(target).exists():
        return load_any(list(there)), []
    source = read(cell.data, **cell.reading(settings.seed))
    _make_room(target.parent, _bytes(source, encoder), settings.disk)
    options = Options(
        template=cell.template,
        device=settings.device,
        precision=settings.precision,
        batch_size=settings.batch_size,
        workers=settings.workers,
        overwrite=True,
    )
    done = encode(source, encoder, target, options, seed=settings.seed)
    notes = [*done.notes]
    if done.skipped:
        notes.append(f"{len(done.skipped)} items were skipped; the first: {done.skipped[0][1]}")
    if done.cut:
        notes.append(f"{done.cut} texts were longer than the model's context and lost their end")
    return done.data, notes


def _bytes(source: Source, encoder: Encoder) -> int:
    """Bytes that the features need while they are written."""
    rows = (0 if source.media is None else len(source.media)) + len(source.texts or ())
    return rows * encoder.dim * FLOAT * TWICE


def _make_room(folder: Path, needed: int, limit: float | None) -> None:
    """Remove the oldest features until ``needed`` bytes fit; results are kept.

    Raises:
        OutputError: they do not fit on the disk, or into the limit.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{folder}: the features need about {needed / 1e9:.2f} GB; {free / 1e9:.2f} GB are free"
        )
    if limit is None:
        return
    if needed > limit:
        raise OutputError(
            f"disk must hold the features of one cell, about {needed / 1e9:.2f} GB; got"
            f" {limit / 1e9:.2f} GB"
        )
    files: Sequence[Path] = sorted(
        folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime
    )
    used = sum(path.stat().st_size for path in files)
    for path in files:
        if used + needed <= limit:
            return
        used -= path.stat().st_size
        path.unlink()
