"""The verb: features of one modality as features of the other."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash

from modalgap import checks
from modalgap._version import __version__
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.formats.keys import factor_name
from modalgap.embeddings.store import load_any
from modalgap.encode import Encoder, load_model
from modalgap.encode.device import check_precision, device_of
from modalgap.errors import InputError, ModalgapError, OptionError
from modalgap.invert import parts
from modalgap.invert.base import Given, Inversion
from modalgap.invert.output import Inverted, check_output, joined, rows_of
from modalgap.invert.registry import METHODS
from modalgap.invert.spread import Work, alone, batch_of, shared, together
from modalgap.unfinished import remove, work_folder

MOST_JOBS = 1024
SAME = 1e-4  # cosine distance up to which two rows of one name are one item said twice


def invert(
    data: Embeddings | Pair | str | Path,
    method: str | None = None,
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
        method: of ``METHODS``; by default "oti" for images and "ovi" for texts.
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
    if output is not None and not isinstance(output, str | Path):
        raise InputError(f"output: must be a path; got {type(output).__name__}")
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
    if len(places) > 1 and callable(options.get("loss")):
        raise OptionError("loss: a function does not go to other processes; take jobs=1")
    work = Work(method=chosen.name, options=options, given=given, spec=spec)
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
        done = parts.read_all(folder)
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
            for span, each in running:
                parts.write(folder, span, each)
        except ModalgapError:
            if not parts.spans(folder):  # nothing to go on from, and other settings are welcome
                remove(folder)
            raise
        every = list(parts.read_all(folder).values())
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


def side_of(data: Embeddings | Pair, method: Inversion) -> Embeddings:
    """The embeddings that a method takes; images of a pair where it takes either.

    Raises:
        InputError: they are of the other modality.
    """
    takes = method.card.takes
    if isinstance(data, Pair):
        data = data.text if takes == "text" else data.image
        return _not_inverted(data)
    if not isinstance(data, Embeddings):
        raise InputError(f"data: must be embeddings, a pair or a path; got {type(data).__name__}")
    if takes != "either" and (data.modality == "text") != (takes == "text"):
        other = "ovi" if takes == "media" else "oti"
        raise InputError(
            f"{data.source}: {method.name} takes {'texts' if takes == 'text' else 'images'}; these"
            f" are {data.modality}s: see {other}"
        )
    return _not_inverted(data)


def _not_inverted(data: Embeddings) -> Embeddings:
    if "inverted_from" in data.provenance:
        before = data.provenance["inverted_from"]
        raise InputError(f"{data.source}: must be native; is inverted already, from {before}s")
    return data


def check_model(data: Embeddings, encoder: Encoder) -> None:
    """Refuse embeddings that another model made.

    Raises:
        InputError: the provenance names other weights, or the width is another.
    """
    if data.dim != encoder.dim:
        raise InputError(
            f"{data.source}: must have the width of {encoder.spec}, {encoder.dim}; has {data.dim}"
        )
    theirs, ours = data.provenance.get("weights_hash"), encoder.provenance.get("weights_hash")
    if theirs is not None and ours is not None and theirs != ours:
        by = data.provenance.get("model", "another model")
        raise InputError(
            f"{data.source}: must come from {encoder.spec}; comes from {by} with weights"
            f" {theirs[:12]}, where the model has {ours[:12]}"
        )


def _method(name: str | None, data: Any) -> Inversion:
    if name is None:
        texts = isinstance(data, Embeddings) and data.modality == "text"
        name = "ovi" if texts else "oti"
    if not isinstance(name, str) or name not in METHODS:
        raise OptionError.unknown("way of inverting", str(name), METHODS)
    return METHODS[name]


def _encoder(
    method: Inversion, model: str | Encoder | None, rows: Embeddings, seed: int
) -> Encoder | None:
    if not method.card.needs.startswith("a model"):
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
    if method.card.needs.startswith("a model"):
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
            f" cuda:0,cuda:1; got device={device!r} and jobs={jobs}"
        )
    return found * jobs


def item_names(rows: Embeddings) -> list[str]:
    """What each item's noise depends on: its name, or the number of its row.

    A name may be there twice only with the same row, as of a caption said of two images.
    """
    if rows.names is None:
        return [str(i) for i in range(rows.n)]
    twice = [name for name, count in Counter(rows.names).items() if count > 1]
    if twice:
        where: dict[str, list[int]] = {name: [] for name in twice}
        for i, name in enumerate(rows.names):
            if name in where:
                where[name].append(i)
        for name, index in where.items():
            same = rows.take(index)
            if float((same @ same[0]).min()) < 1 - SAME:
                raise InputError(
                    f"{rows.source}: names must be different for different rows, since the noise of"
                    f" an item depends on its name; {name!r} is there {len(index)} times"
                )
    return list(rows.names)


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


def known_features(
    data: Embeddings | Pair,
    rows: Embeddings,
    made: Any,
    given: Given | None,
    settings: Mapping[str, Any] | None = None,
) -> Embeddings:
    """Rows with all that is known of the items, and how they were made.

    Args:
        data: what was given.
        rows: the side of it that was taken.
        made: (n, d) rows instead of them.
        given: what made them; None for the same rows with what the pair knows of them.
        settings: of the method.
    """
    factors: dict[str, Any] = dict(rows.factors)
    if isinstance(data, Pair):  # what retrieval needs to know of the pair
        if rows is data.text:
            factors.setdefault("row", np.arange(rows.n))
            if data.labels is None:
                owner = data.text_to_image
                factors.setdefault("image", np.arange(rows.n) if owner is None else owner)
        elif data.labels is not None:
            factors.setdefault("label", data.labels)
    provenance = dict(rows.provenance)
    if given is not None:
        if (encoder := given.encoder) is not None:
            provenance["model"] = encoder.spec
            provenance["weights_hash"] = encoder.provenance.get("weights_hash", "")
        provenance["inverted_from"] = given.modality
        provenance["inversion"] = json.dumps(settings or {}, ensure_ascii=False)
        provenance["inverted_with"] = f"modalgap {__version__}, torch {torch.__version__}"
    return Embeddings(
        made,
        rows.modality if given is None else given.into,
        names=rows.names,
        factors=factors,
        provenance=provenance,
        source=rows.source if given is None else f"{rows.source}, inverted",
    )
