"""Encode items of any number of modalities, each with the model of its modality."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.arguments import checked
from modalgap.data.find_items import read_items
from modalgap.data.items import Items
from modalgap.data.media import Media, files_of, hash_of, state
from modalgap.data.source import Source
from modalgap.data.summary import facts
from modalgap.embeddings import Embeddings, Modalities, Pair, mean_by_item, pick
from modalgap.embeddings.store import load_all, save
from modalgap.encode.base import Encoder
from modalgap.encode.by_modality import encoders
from modalgap.encode.engine.engine import Engine
from modalgap.encode.engine.output import check_output, held, list_skipped, not_own
from modalgap.encode.engine.parts import SideParts
from modalgap.encode.engine.sides import provenance_of, readable
from modalgap.encode.options import Options, engine_options
from modalgap.errors import FileError, InputError
from modalgap.modality import listed
from modalgap.work import executor, path_of, remove, work_folder


@checked
@dataclass(frozen=True, kw_only=True)
class EncodedItems:
    """The result of a run over several modalities; the attributes of ``Encoded``.

    Attributes:
        data: the embeddings, matched by item.
        files: the written file; none if there is no output.
        skipped: (name, reason) of each row that was not encoded; the name begins with the modality.
        listing: the file that lists the skipped rows, if one was written.
        seconds: duration of the run, without loading the models.
        resumed: number of rows that an earlier run had encoded.
        cut: number of texts that were truncated to the model's context.
        source: the items that were read, with the modalities that have a model.
        notes: messages about the models and the result, one short sentence each.
    """

    data: Modalities
    files: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]
    listing: Path | None
    seconds: float
    resumed: int
    cut: int
    source: Items
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> int:
        """Number of items that have a row of every modality."""
        return len(set.intersection(*(set(side.names or ()) for side in self.data.sides)))

    def to_dict(self) -> dict[str, Any]:
        """The input, the output and the skipped rows, as plain JSON types."""
        return {
            **facts(self.source),
            "files": [str(path) for path in self.files],
            "encoded": {name: side.n for name, side in self.data.items()},
            "complete": self.complete,
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
            "listing": None if self.listing is None else str(self.listing),
            "cut": self.cut,
            "joined": list(self.notes),
            "resumed": self.resumed,
            "seconds": round(self.seconds, 3),
        }


@checked
def run_items(
    source: str | Path | Source | Items,
    model: str | Encoder | Mapping[str, Any],
    output: str | Path | None = None,
    options: Options | None = None,
    *,
    seed: int = 0,
    on_start: Callable[[Items], None] | None = None,
) -> EncodedItems:
    """Encode each modality of items with its model, and match the rows by item.

    Every row that can be encoded is kept, also if its item lacks a modality. Nothing is merged.

    Args:
        source: as for ``modalgap.data.read_items``.
        model: as for ``encode``; of one model, every modality that it has a tower for is encoded.
        output: as for ``encode``; one file of all modalities.
        options: as for ``encode``, without ``template``; ``keep_repeats`` has no effect.
        seed: seed of the weights of a model named ``random``.
        on_start: called with the items after all options are checked, before the work begins.

    Raises:
        InputError: the source, a model or an option is invalid, models differ in width, or a
            modality has fewer than two rows that can be encoded.
        OutputError: the file cannot be written.
    """
    options = options or Options()
    target = None if output is None else Path(output)
    if target is not None:
        check_output(target, overwrite=options.overwrite)
    settings = engine_options(options)
    if options.template is not None:
        raise InputError("template: is for class names; items of several modalities have none")
    every = read_items(source)
    if target is not None:
        used = [path for media in every.sides.values() for path in files_of(media)]
        not_own(target, (*every.files, *used))
    if options.strict and every.missing:
        name, why = every.missing[0]
        raise InputError(f"{every.name}: {name}: {why}")
    chosen = encoders(model, every.kinds, every.name, seed)
    items = every.only(list(chosen))
    given = model.values() if isinstance(model, Mapping) else [model]
    named = all(isinstance(each, str) for each in given)
    engines: dict[int, Engine] = {}
    for encoder in chosen.values():
        if id(encoder) not in engines:
            engines[id(encoder)] = Engine(
                encoder=encoder,
                strict=options.strict,
                model=encoder.spec if named else None,
                seed=seed,
                **settings,
            )
            if executor().local:
                encoder.to(settings["device"])
    own = {side: engines[id(encoder)] for side, encoder in chosen.items()}
    started = time.monotonic()
    with ExitStack() as stack:
        if target is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modalgap-")))
        else:
            folder = path_of(target)
        plan, changed = _plan(items, own)
        work = stack.enter_context(
            work_folder(folder, plan, overwrite=options.overwrite, changed=changed)
        )
        if on_start is not None:
            on_start(items)
        sides = [_Side(items, side, own[side], work, i) for i, side in enumerate(items.sides)]
        try:
            data = _joined(sides)
        except FileError:  # damaged parts
            raise
        except InputError:  # too few rows could be read: nothing to resume
            remove(folder)
            raise
        files: tuple[Path, ...] = ()
        if target is None:
            data = data.over([held(side) for side in data.sides])
        else:
            files = (save(data, target, overwrite=options.overwrite),)
    skipped = (*items.missing, *(lost for side in sides for lost in side.lost))
    listing = None
    if target is not None:
        listing = list_skipped(skipped, items.unused, target)
        found = load_all(target)
        data = Modalities.of(found) if isinstance(found, Pair) else found  # type: ignore[assignment]
        remove(folder)
    return EncodedItems(
        data=data,
        files=files,
        skipped=skipped,
        listing=listing,
        seconds=time.monotonic() - started,
        resumed=sum(side.resumed for side in sides),
        cut=sum(side.cut for side in sides),
        source=items,
        notes=_notes(every, chosen),
    )


class _Side:
    """The encoded rows of one modality."""

    def __init__(self, items: Items, name: str, engine: Engine, work: Path, number: int) -> None:
        self.items, self.name, self.engine = items, name, engine
        self.media: Media = items.sides[name]
        self.parts = SideParts(work, f"side{number}", engine.encoder.dim, engine.stored)
        self.resumed = self.parts.position
        engine.media(self.media, self.parts)
        names = self.media.names
        self.lost = [(f"{name}: {names[i]}", why) for i, why in self.parts.failed()]
        self.cut = self.parts.cut()

    def embeddings(self) -> Embeddings:
        """The rows, in the order of the items; their names are the ids of the items."""
        kept, rows = self.parts.kept(), self.parts.rows()
        if rows is None or rows.shape[0] < 2:
            found = 0 if rows is None else rows.shape[0]
            first = f"; {self.lost[0][0]}: {self.lost[0][1]}" if self.lost else ""
            raise InputError(
                f"{self.items.name}: {self.name} needs at least 2 rows that can be encoded; found"
                f" {found} of {len(self.media)}{first}"
            )
        texts = self.media.kind == "text"
        made = provenance_of(self.engine, self.parts, self.items.provenance, self.items.name)
        if self.cut:
            made["cut"] = str(self.cut)
        found_side = Embeddings(
            rows,
            self.name,
            names=[readable(self.items.ids[self.name][i]) for i in kept],
            factors={"caption": [str(self.media[i]) for i in kept]} if texts else {},
            provenance=made,
            source=f"{self.name} of {self.items.name}",
        )
        if self.name in self.items.means:
            found_side = mean_by_item(found_side)
        place = {readable(item): i for i, item in enumerate(self.items.items)}
        order = np.argsort([place[name] for name in found_side.names or ()], kind="stable")
        if np.array_equal(order, np.arange(found_side.n)):
            return found_side
        return pick(found_side, order)


def _joined(sides: list[_Side]) -> Modalities:
    return Modalities([side.embeddings() for side in sides], items="names")


def _plan(items: Items, engines: Mapping[str, Engine]) -> tuple[dict[str, Any], dict[str, str]]:
    """All settings that change the numbers; and the message for each that is a hash."""
    plan: dict[str, Any] = {
        "kind": "encode",
        "data": dict(items.provenance) | {"source": items.name},
        "modalities": list(items.sides),
        "means": list(items.means),
    }
    changed: dict[str, str] = {}
    for side, media in items.sides.items():
        engine = engines[side]
        plan[f"model of {side}"] = dict(engine.encoder.provenance)
        plan[f"items of {side}"] = hash_of((*state(media), *items.ids[side]))
        changed[f"items of {side}"] = f"the items of {side}, their ids or files have changed"
        plan |= {
            "device": engine.device.type,
            "precision": engine.precision,
            "batch_size": engine.batch_size,
        }
    return plan, changed


def _notes(every: Items, chosen: Mapping[str, Encoder]) -> tuple[str, ...]:
    notes = []
    left = [side for side in every.sides if side not in chosen]
    if left:
        notes.append(f"no model encodes {listed(left)}")
    specs = list(dict.fromkeys(encoder.spec for encoder in chosen.values()))
    if len(specs) > 1:
        notes.append(
            f"{listed(specs)} have the same width; numbers between their modalities mean something"
            " only if they were trained into one space"
        )
    return tuple(notes)
