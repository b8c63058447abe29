"""One cell: encode the data, measure and evaluate it, in a record of plain JSON types.

It runs in the process of its model, which loads the model once. Every error is part of the record,
so that a broken model or data set does not end the run.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from modalgap.close import close
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, load_model
from modalgap.errors import ModalgapError, NotApplicable, shortened
from modalgap.evaluate import evaluate
from modalgap.measure import measure
from modalgap.result import Result, versions
from modalgap.zoo.cells import Cell
from modalgap.zoo.facts import facts_of
from modalgap.zoo.features import features
from modalgap.zoo.settings import Settings as Settings

Record = dict[str, Any]


class Models:
    """The model of this process, loaded when it is first needed. An error is raised again."""

    def __init__(self) -> None:
        self.spec = ""
        self.encoder: Encoder | None = None
        self.error: BaseException | None = None

    def load(self, spec: str, seed: int) -> Encoder:
        """The model ``spec``; a model that was loaded before is released."""
        if spec != self.spec:
            self.spec, self.encoder, self.error = spec, None, None
            try:
                self.encoder = load_model(spec, seed=seed)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # stored, so that it is not loaded for each data set
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
        json.dumps(record, allow_nan=False)  # raises an error for what is not a number
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of any library, SystemExit too: the next cell is not affected
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
    data, notes = features(cell, encoder, folder, settings)
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
