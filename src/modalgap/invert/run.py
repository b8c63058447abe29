"""A run of an inversion method, in batches that are stored as they finish."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import torch
import xxhash

from modalgap import checks
from modalgap.arguments import checked
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.embeddings.formats.keys import factor_name, modality_name
from modalgap.embeddings.store import load_all
from modalgap.encode import Encoder, load_model
from modalgap.encode.device import check_precision, requested_device
from modalgap.errors import InputError, ModalgapError, OptionError, quoted
from modalgap.invert import parts
from modalgap.invert.base import InversionContext, Prepares
from modalgap.invert.engine import Work, batch_of, batches, shared
from modalgap.invert.inputs import check_model, item_names, known_features, side_of
from modalgap.invert.output import Inverted, check_output, joined, rows_of
from modalgap.work import Parts, executor, path_of, remove, work_folder

MOST_JOBS = 1024


@checked
def run(
    data: Embeddings | Pair | Modalities | str | Path,
    method: Prepares,
    model: str | Encoder | None = None,
    output: str | Path | None = None,
    *,
    bank: Pair | Embeddings | Modalities | str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    batch_size: int | None = None,
    jobs: int = 1,
    compiled: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> Inverted:
    """Map features of one modality to the other with a method; see ``modalgap.invert``."""
    target = None if output is None else Path(output)
    if target is not None:
        check_output(target, overwrite=overwrite)
    found = _two(load_all(data) if isinstance(data, str | Path) else data)
    rows = side_of(found, method)
    names = item_names(rows)
    places = check_running(
        device=device, precision=precision, jobs=jobs, batch_size=batch_size, seed=seed
    )
    encoder = _encoder(method, model, rows, seed)
    known = _bank(method, bank, rows)
    context = InversionContext(
        encoder=encoder,
        device=torch.device(places[0]),
        precision=precision,
        compiled=compiled,
        seed=seed,
        bank=known,
        dim=rows.dim,
        modality=rows.modality,
        into=_into(rows, encoder, known),
    )
    if target is not None:
        _can_be_kept(rows, context.into, options)
    where = executor()
    if encoder is not None and where.local:
        encoder.to(context.device)
    spec = model if isinstance(model, str) else None
    if len(places) > 1 or not where.local:
        _can_be_sent(method, encoder, spec, options, "on" if len(places) == 1 else "jobs")
    work = Work(method=method, options=options, context=context, spec=spec)
    inverter = work.inverter() if where.local else work.on_cpu().inverter()
    size = batch_size or batch_of(inverter, context.device)
    settings = {"method": method.name, **inverter.settings, "seed": seed, "precision": precision}
    plan = _plan(settings, rows, names, context)
    with ExitStack() as stack:
        if target is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modalgap-")))
        else:
            folder = path_of(target)
        stack.enter_context(work_folder(folder, plan, overwrite=overwrite, changed=HASHED))
        kept = Parts(folder, "items")
        first = sum(b - a for a, b in parts.read_all(kept, rows.n))
        if batch_size is None:
            size = shared(size, rows.n - first, len(places))
        todo = kept.missing(rows.n, size)
        used = places[: max(1, len(todo))]
        try:
            with closing(batches(work, inverter, rows, names, todo, first, used)) as running:
                for span, each in running:
                    parts.write(kept, span, each)
        except ModalgapError:
            if not kept.spans():  # nothing to resume: allow other settings
                remove(folder)
            raise
        every = list(parts.read_all(kept, rows.n).values())
        made = joined(every, known_features(found, rows, rows_of(every), context, settings))
        if target is not None:
            made.save(target, overwrite=overwrite)
    if target is not None:
        remove(folder)
    return made


HASHED = {  # settings that a plan stores as hashes: the message if one differs
    "data": "the embeddings have changed",
    "names": "the names have changed",
    "bank": "the bank has changed",
}


def check_running(
    *, device: str, precision: str, jobs: int, batch_size: int | None, seed: int
) -> list[str]:
    """Check the options of a run; return one device per process.

    Raises:
        OptionError: an option is not valid.
    """
    places = _places(device, jobs)
    check_precision(precision, torch.device(places[0]))
    checks.whole("seed", seed, 0)
    if batch_size is not None:
        checks.whole("batch_size", batch_size, 1, 2**31 - 1)
    return places


def _encoder(
    method: Prepares, model: str | Encoder | None, rows: Embeddings, seed: int
) -> Encoder | None:
    if not method.card.needed("model"):
        if model is not None:
            raise OptionError(f"model: {method.name} takes no model; it takes bank=")
        return None
    if model is None:
        raise OptionError(f"model: {method.name} needs the model that made the features")
    encoder = load_model(model, seed=seed)
    check_model(rows, encoder)
    if rows.modality not in encoder.modalities:
        takes = " and ".join(encoder.modalities)
        raise InputError(f"{rows.source}: holds {rows.modality}s; {encoder.spec} takes {takes}")
    return encoder


def _two(data: Any) -> Any:
    """Of several modalities, the images and texts; anything else as it is."""
    return data.pair("image", "text") if isinstance(data, Modalities) else data


def _bank(method: Prepares, bank: Any, rows: Embeddings) -> Pair | Embeddings | None:
    """The bank of a method; it must come from the model of ``rows`` if both name their weights."""
    if bank is None:
        return None
    if method.card.needed("model"):
        raise OptionError(f"bank: {method.name} takes no bank; it takes model=")
    result = _two(load_all(bank) if isinstance(bank, str | Path) else bank)
    if not isinstance(result, Pair | Embeddings):
        raise InputError(f"bank: must be a pair, embeddings or a path; got {type(bank).__name__}")
    ours = rows.provenance.get("weights_hash")
    for side in result.sides if isinstance(result, Pair) else (result,):
        theirs = side.provenance.get("weights_hash")
        if ours and theirs and ours != theirs:
            raise InputError(
                f"bank: must come from the model that made the features, weights {ours[:12]};"
                f" has {theirs[:12]}"
            )
    return result


def _can_be_kept(rows: Embeddings, into: str, options: Mapping[str, Any]) -> None:
    """Raise an error, before any work is done, if a file or a plan cannot hold the result."""
    for name in rows.factors:
        factor_name(name)
    modality_name(into)
    if callable(options.get("loss")):
        raise OptionError(
            "loss: a run with a function cannot be resumed; omit output, and save the"
            " result with .save(path)"
        )


def _can_be_sent(
    method: Prepares,
    encoder: Encoder | None,
    spec: str | None,
    options: Mapping[str, Any],
    option: str,
) -> None:
    """Raise an error if other processes, which ``option`` asks for, cannot do the work."""
    here = "on='here'" if option == "on" else "jobs=1"
    if encoder is not None and spec is None:
        raise OptionError(
            f"model: must be a name, LIBRARY:MODEL, if other processes invert ({option}); got an"
            " encoder"
        )
    if not _importable(method):
        raise OptionError(
            f"method: must be in a module that other processes can import; or use {here}"
        )
    if callable(options.get("loss")):
        raise OptionError(f"loss: a function cannot be sent to other processes; use {here}")


def _into(rows: Embeddings, encoder: Encoder | None, bank: Any) -> str:
    """The target modality."""
    if encoder is not None:
        known = list(encoder.modalities)
    else:
        sides = bank.sides if isinstance(bank, Pair) else (bank,) if bank is not None else ()
        known = [side.modality for side in sides]
    others = [each for each in known if each != rows.modality]
    return others[0] if others else ("image" if rows.modality == "text" else "text")


def _places(device: str, jobs: int) -> list[str]:
    """One device per process."""
    checks.whole("jobs", jobs, 1, MOST_JOBS)
    names = [each.strip() for each in device.split(",")] if isinstance(device, str) else [device]
    found = [str(requested_device(each)) for each in names]
    if jobs > 1 and (len(found) > 1 or not found[0].startswith("cpu")):
        raise OptionError(
            "jobs: is for the CPU; for processes on several devices name the devices, such as"
            f" cuda:0,cuda:1; got device={quoted(device)} and jobs={jobs}"
        )
    if not executor().local and (jobs > 1 or len(found) > 1):
        raise OptionError(
            "jobs: must be 1, and device a single device, if other processes invert (on); got"
            f" device={quoted(device)} and jobs={jobs}"
        )
    return found * jobs


def _plan(
    settings: Mapping[str, Any], rows: Embeddings, names: Iterable[str], context: InversionContext
) -> dict[str, Any]:
    digest = xxhash.xxh3_128()
    for name in names:
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
    bank = None if context.bank is None else context.bank.fingerprint
    weights = None if context.encoder is None else context.encoder.provenance.get("weights_hash")
    return {
        "kind": "invert",
        **settings,
        "model": None if context.encoder is None else context.encoder.spec,
        "weights": weights,
        "data": rows.fingerprint,
        "names": digest.hexdigest(),
        "bank": bank,
        "device": context.device.type,
    }


def _importable(method: Prepares) -> bool:
    """Whether another process can import the method by its name."""
    rule = getattr(method, "rule", None)
    home = sys.modules.get(getattr(rule, "__module__", ""))
    name = getattr(rule, "__qualname__", "")
    return home is not None and home.__name__ != "__main__" and getattr(home, name, None) is rule
