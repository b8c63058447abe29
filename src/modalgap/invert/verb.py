"""The verb: features of one modality as features of the other."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import torch
import xxhash

from modalgap import checks
from modalgap.arguments import checked
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.formats.keys import factor_name
from modalgap.embeddings.store import load_any
from modalgap.encode import Encoder, load_model
from modalgap.encode.device import check_precision, device_of
from modalgap.errors import InputError, ModalgapError, OptionError, quoted
from modalgap.invert import parts
from modalgap.invert.base import Given, Inversion
from modalgap.invert.items import check_model, item_names, known_features, side_of
from modalgap.invert.output import Inverted, check_output, joined, rows_of
from modalgap.invert.registry import METHODS
from modalgap.invert.spread import Work, alone, batch_of, shared, together
from modalgap.method import pick
from modalgap.unfinished import remove, work_folder

MOST_JOBS = 1024


@checked
def invert(
    data: Embeddings | Pair | str | Path,
    method: str | Inversion | None = None,
    model: str | Encoder | None = None,
    output: str | Path | None = None,
    *,
    bank: Pair | Embeddings | str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    batch_size: int | None = None,
    jobs: int = 1,
    compiled: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> Inverted:
    """Carry features of one modality over to the other.

    Args:
        data: embeddings, or a pair of which the side that the method takes is meant, or a file of
            either. They must come from the model.
        method: the name of an inversion, ``modalgap.invert.METHODS`` lists them; or one of your
            own. By default "oti" for images and "ovi" for texts.
        model: LIBRARY:MODEL or an ``Encoder``: what ``data`` were encoded with.
        output: the .safetensors to write. Work in progress lies beside it, and the same call after
            a kill goes on from there.
        bank: pairs, or embeddings of the other modality, for methods that learn from some.
        seed: of noise. Each item's depends on it and on the item's name alone.
        device: "cpu", "cuda", "mps", "auto", or several with commas, for a process on each.
        precision: "fp32", "bf16" or "fp16" for passes through the model.
        batch_size: items at once; by default as many as memory allows. It changes no result beyond
            rounding.
        jobs: processes on the CPU.
        compiled: whether passes go through ``torch.compile``.
        overwrite: replace the file, and throw away unfinished work of other settings.
        **options: of the method: ``steps``, ``tokens``, ``template``, ``wanted`` …

    Returns:
        The inverted features, n unit rows, and what they were made from.

    Raises:
        InputError: data that are not of this model, names that are there twice, options that
            nothing has, or a run of other settings beside the output.
        NotApplicable: a tower that cannot be entered.
        OutputError: the file cannot be written.
    """
    target = None if output is None else Path(output)
    if target is not None:
        check_output(target, overwrite=overwrite)
    found = load_any(data) if isinstance(data, str | Path) else data
    chosen = _method(method, found)
    rows = side_of(found, chosen)
    names = item_names(rows)
    places = check_running(
        device=device, precision=precision, jobs=jobs, batch_size=batch_size, seed=seed
    )
    if target is not None:
        _can_be_kept(rows, options)
    encoder = _encoder(chosen, model, rows, seed)
    known = _bank(chosen, bank, rows)
    given = Given(
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
    if encoder is not None:
        encoder.to(given.device)
    spec = model if isinstance(model, str) else None
    if len(places) > 1 and encoder is not None and spec is None:
        raise OptionError("jobs: processes load the model themselves, so name it: LIBRARY:MODEL")
    if len(places) > 1 and METHODS.get(chosen.name) is not chosen:
        raise OptionError("method: one of your own does not go to other processes; take jobs=1")
    if len(places) > 1 and callable(options.get("loss")):
        raise OptionError("loss: a function does not go to other processes; take jobs=1")
    work = Work(method=chosen, options=options, given=given, spec=spec)
    inverter = work.inverter()
    size = batch_size or batch_of(inverter, given.device)
    settings = {"method": chosen.name, **inverter.settings, "seed": seed, "precision": precision}
    plan = _plan(settings, rows, names, given)
    with ExitStack() as stack:
        if target is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modalgap-")))
        else:
            folder = target.with_name(f"{target.name}.parts")
        stack.enter_context(work_folder(folder, plan, anew=overwrite, said=HASHED))
        run = xxhash.xxh3_128_hexdigest(json.dumps(plan, sort_keys=True).encode())
        done = parts.read_all(folder, rows.n, run)
        first = sum(b - a for a, b in done)
        if batch_size is None:
            size = shared(size, rows.n - first, len(places))
        todo = parts.missing(list(done), rows.n, size)
        running = (
            alone(inverter, rows, names, todo, first)
            if len(places) == 1
            else together(work, rows, names, todo, first, places[: len(todo)] or places[:1])
        )
        try:
            with closing(running):
                for span, each in running:
                    parts.write(folder, span, each, run)
        except ModalgapError:
            if not parts.spans(folder):  # nothing to go on from, and other settings are welcome
                remove(folder)
            raise
        every = list(parts.read_all(folder, rows.n, run).values())
        made = joined(every, known_features(found, rows, rows_of(every), given, settings))
        if target is not None:
            made.save(target, overwrite=overwrite)
    if target is not None:
        remove(folder)
    return made


HASHED = {  # settings of which a plan holds hashes
    "data": "the embeddings have changed",
    "names": "the names have changed",
    "bank": "the bank has changed",
}


def check_running(
    *, device: str, precision: str, jobs: int, batch_size: int | None, seed: int
) -> list[str]:
    """A device for each process, once all that says how to run is in order.

    Raises:
        OptionError: something of it is not.
    """
    places = _places(device, jobs)
    check_precision(precision, torch.device(places[0]))
    checks.whole("seed", seed, 0)
    if batch_size is not None:
        checks.whole("batch_size", batch_size, 1, 2**31 - 1)
    return places


def _method(given: str | Inversion | None, data: Any) -> Inversion:
    if given is None:
        texts = isinstance(data, Embeddings) and data.modality == "text"
        given = "ovi" if texts else "oti"
    return pick(given, METHODS, Inversion, "method")


def _encoder(
    method: Inversion, model: str | Encoder | None, rows: Embeddings, seed: int
) -> Encoder | None:
    if not method.card.needed("model"):
        if model is not None:
            raise OptionError(f"model: {method.name} does without; it takes bank=")
        return None
    if model is None:
        raise OptionError(f"model: {method.name} needs the model that made the features")
    encoder = load_model(model, seed=seed)
    check_model(rows, encoder)
    if rows.modality not in encoder.modalities:
        takes = " and ".join(encoder.modalities)
        raise InputError(f"{rows.source}: holds {rows.modality}s; {encoder.spec} takes {takes}")
    return encoder


def _bank(method: Inversion, bank: Any, rows: Embeddings) -> Pair | Embeddings | None:
    """What a method learns from, of the same model as far as both say theirs."""
    if bank is None:
        return None
    if method.card.needed("model"):
        raise OptionError(f"bank: {method.name} does without; it takes model=")
    found = load_any(bank) if isinstance(bank, str | Path) else bank
    if not isinstance(found, Pair | Embeddings):
        raise InputError(f"bank: must be a pair, embeddings or a path; got {type(bank).__name__}")
    ours = rows.provenance.get("weights_hash")
    for side in found.sides if isinstance(found, Pair) else (found,):
        theirs = side.provenance.get("weights_hash")
        if ours and theirs and ours != theirs:
            raise InputError(
                f"bank: must be of the model that made the features, weights {ours[:12]}; has"
                f" {theirs[:12]}"
            )
    return found


def _can_be_kept(rows: Embeddings, options: Mapping[str, Any]) -> None:
    """Refuse, before any work is done, what no file or plan can hold."""
    for name in rows.factors:
        factor_name(name)
    if callable(options.get("loss")):
        raise OptionError(
            "loss: a run cannot be taken up again with a function; leave output, and save what"
            " you get: .save(path)"
        )


def _into(rows: Embeddings, encoder: Encoder | None, bank: Any) -> str:
    """The other modality."""
    if encoder is not None:
        known = list(encoder.modalities)
    else:
        sides = bank.sides if isinstance(bank, Pair) else (bank,) if bank is not None else ()
        known = [side.modality for side in sides]
    others = [each for each in known if each != rows.modality]
    return others[0] if others else ("image" if rows.modality == "text" else "text")


def _places(device: str, jobs: int) -> list[str]:
    """A device for each process."""
    checks.whole("jobs", jobs, 1, MOST_JOBS)
    asked = [each.strip() for each in device.split(",")] if isinstance(device, str) else [device]
    found = [str(device_of(each)) for each in asked]
    if jobs > 1 and (len(found) > 1 or not found[0].startswith("cpu")):
        raise OptionError(
            "jobs: is for the CPU; for processes on several devices name these, such as"
            f" cuda:0,cuda:1; got device={quoted(device)} and jobs={jobs}"
        )
    return found * jobs


def _plan(
    settings: Mapping[str, Any], rows: Embeddings, names: Iterable[str], given: Given
) -> dict[str, Any]:
    digest = xxhash.xxh3_128()
    for name in names:
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
    bank = None if given.bank is None else given.bank.fingerprint
    weights = None if given.encoder is None else given.encoder.provenance.get("weights_hash")
    return {
        "kind": "invert",
        **settings,
        "model": None if given.encoder is None else given.encoder.spec,
        "weights": weights,
        "data": rows.fingerprint,
        "names": digest.hexdigest(),
        "bank": bank,
        "device": given.device.type,
    }
