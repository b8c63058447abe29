"""encode: from a source and a model to embeddings on the disk."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from modalgap.arguments import checked
from modalgap.data.find import read
from modalgap.data.imagenet import templates as imagenet_templates
from modalgap.data.media import state
from modalgap.data.repeats import join_texts
from modalgap.data.source import Source, check_template
from modalgap.data.summary import facts, grouped
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.store import load_any
from modalgap.encode.base import Encoder
from modalgap.encode.device import check_precision, device_of
from modalgap.encode.engine.engine import Engine, fault
from modalgap.encode.engine.output import (
    check_output,
    in_memory,
    list_skipped,
    not_own,
    write,
)
from modalgap.encode.engine.sides import Sides
from modalgap.encode.registry import load_model
from modalgap.errors import FileError, InputError, OptionError, quoted
from modalgap.work import path_of, processors, remove, work_folder

BATCH = {"cpu": 32}  # items a forward pass; elsewhere:
BATCH_ELSEWHERE = 256
MOST_WORKERS = 8  # unless more are asked for
MOST = {"batch_size": 2**31 - 1, "workers": 1024}


@checked
@dataclass(frozen=True, kw_only=True)
class Options:
    """How to encode; ``encode`` says what each means."""

    template: str | Sequence[str] | None = None
    device: str = "auto"
    precision: str = "fp32"
    batch_size: int | None = None
    workers: int | None = None
    strict: bool = False
    keep_repeats: bool = False
    overwrite: bool = False


@checked
@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What a run gave.

    Attributes:
        data: the embeddings.
        files: what was written.
        skipped: (name, reason) of each item that has no row.
        listing: the file that lists them, if one was written.
        seconds: how long the run took, models loaded.
        resumed: how many items an earlier run had done.
        cut: how many texts were longer than the model's context.
        source: what was read.
        notes: what was joined while encoding, one short sentence each.
    """

    data: Pair | Embeddings
    files: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]
    listing: Path | None
    seconds: float
    resumed: int
    cut: int
    source: Source
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What was read, written and left out, as plain JSON types."""
        sides = self.data.sides if isinstance(self.data, Pair) else (self.data,)
        return {
            **facts(self.source),
            "files": [str(path) for path in self.files],
            "encoded": {f"{side.modality}s": side.n for side in sides},
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
            "listing": None if self.listing is None else str(self.listing),
            "cut": self.cut,
            "joined": list(self.notes),
            "resumed": self.resumed,
            "seconds": round(self.seconds, 3),
        }


@checked
def encode(
    source: str | Path | Source,
    model: str | Encoder,
    output: str | Path | None = None,
    *,
    template: str | Sequence[str] | None = None,
    device: str = "auto",
    precision: str = "fp32",
    batch_size: int | None = None,
    workers: int | None = None,
    strict: bool = False,
    keep_repeats: bool = False,
    overwrite: bool = False,
) -> Pair | Embeddings:
    """Encode images and captions with any CLIP-like model.

    Args:
        source: a path of any kind, the name of a data set, or what ``modalgap.data.read`` gives,
            where a split, a root, columns and a limit are chosen.
        model: LIBRARY:MODEL, such as ``"open_clip:ViT-B-32/openai"``, or an ``Encoder``.
        output: the file to write: .safetensors, .npz or .parquet. Work in progress lies beside it,
            and the same call after a kill goes on from there, to the same bytes. Without it the
            embeddings are in memory only.
        template: one sentence or several with ``{}`` for the class name, or ``"imagenet"`` for the
            80 of Radford et al. 2021; by default the source's own.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best there is.
        precision: "fp32", "bf16" or "fp16"; the last two are stored as float16.
        batch_size: items a forward pass; by default 32 on the CPU and 256 elsewhere.
        workers: processes that decode; by default one a processor, at most 8.
        strict: stop at the first item that cannot be encoded, rather than skip and list it.
        keep_repeats: give identical captions, and identical images, a row each. By default they are
            joined: a row for each distinct one, with the matches of all (``pair.pairs``). Class
            names, and the images of classes, are never joined.
        overwrite: replace the file, and throw away unfinished work of other settings.

    Returns:
        A pair, or the embeddings of one modality where the source has one. Rows have unit norm.

    Raises:
        InputError: the source, the model or an option is not what it should be.
        OutputError: the file cannot be written.

    A warning says how many items were skipped; ``OUTPUT.skipped.jsonl`` names them.
    """
    options = Options(
        template=template,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        strict=strict,
        keep_repeats=keep_repeats,
        overwrite=overwrite,
    )
    done = run(source, model, output, options)
    left = [*grouped("skipped", done.skipped), *grouped("not used", done.source.unused)]
    if left:
        warnings.warn("; ".join(left), stacklevel=2)
    return done.data


@checked
def run(
    source: str | Path | Source,
    model: str | Encoder,
    output: str | Path | None = None,
    options: Options | None = None,
    *,
    seed: int = 0,
    on_start: Callable[[Source], None] | None = None,
) -> Encoded:
    """As ``encode``, with what was skipped and how long it took.

    Args:
        source: as there.
        model: as there.
        output: as there.
        options: as there.
        seed: of weights named ``random``.
        on_start: called with the source when every option is checked and the work begins.
    """
    options = options or Options()
    if output is not None and not isinstance(output, str | Path):
        raise InputError(f"output: must be a path; got {type(output).__name__}")
    target = None if output is None else Path(output)
    if target is not None:
        check_output(target, overwrite=options.overwrite)
    engine_options = _checked(options)
    found = source if isinstance(source, Source) else read(source)
    if target is not None:
        not_own(target, found)
    if options.strict and found.missing:
        name, why = found.missing[0]
        raise InputError(f"{found.name}: {name}: {why}")
    if not options.keep_repeats:
        found = join_texts(found)
    sentences = _templates(options.template, found)
    _check_classes(found)
    encoder = load_model(model, seed=seed)
    _check_kinds(found, encoder)
    engine = Engine(encoder=encoder, strict=options.strict, **engine_options)
    encoder.to(engine.device)
    plan = _plan(found, engine, sentences)
    started = time.monotonic()
    with ExitStack() as stack:
        if target is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modalgap-")))
        else:
            folder = path_of(target)
        work = stack.enter_context(
            work_folder(folder, plan, overwrite=options.overwrite, changed=HASHED)
        )
        if on_start is not None:
            on_start(found)
        sides = Sides(found, engine, sentences, work, keep_repeats=options.keep_repeats)
        try:
            data = sides.data()
        except FileError:  # damaged parts
            raise
        except InputError:  # too little could be read: nothing to resume
            remove(folder)
            raise
        files: tuple[Path, ...] = ()
        if target is None:
            data = in_memory(data)
        else:
            files = write(data, target, overwrite=options.overwrite)
    listing = None
    if target is not None:
        listing = list_skipped(sides.skipped, found.unused, target)
        data = load_any(list(files))
        remove(folder)
    return Encoded(
        data=data,
        files=files,
        skipped=sides.skipped,
        listing=listing,
        seconds=time.monotonic() - started,
        resumed=sides.resumed,
        cut=sides.cut,
        source=found,
        notes=tuple(sides.notes),
    )


HASHED = {  # settings that a plan holds as hashes: what to say if one differs
    "media": "the images, their names or their files have changed",
    "texts": "the texts have changed",
    "matches": "who matches whom has changed",
}


def _plan(source: Source, engine: Engine, templates: tuple[str, ...]) -> dict[str, Any]:
    """All settings on which the numbers depend: a run resumes only with the same."""
    encoder = engine.encoder
    return {
        "kind": "encode",
        **encoder.provenance,
        "data": dict(source.provenance) | {"source": source.name},
        **_hashes(source),
        "templates": list(templates),
        "device": engine.device.type,
        "precision": engine.precision,
        "batch_size": engine.batch_size,
    }


def state_of(source: Source) -> str:
    """A hash that changes with the names, files, texts and matches of a source."""
    return _hash(_hashes(source).values())


def _hashes(source: Source) -> dict[str, str]:
    pairs = None if source.pairs is None else np.asarray(source.pairs).ravel()
    return {
        "media": _hash(state(source.media) if source.media is not None else ()),
        "texts": _hash(source.texts or ()),
        "matches": _hash(
            map(str, np.asarray(_first(source.labels, source.text_to_image, pairs, [])).tolist())
        ),
    }


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _hash(values: Iterable[str]) -> str:
    digest = xxhash.xxh3_128()
    for value in values:
        digest.update(value.encode(errors="surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def _templates(asked: str | Sequence[str] | None, source: Source) -> tuple[str, ...]:
    if asked is None:
        return source.templates
    if asked == "imagenet":
        found: Sequence[str] = imagenet_templates()
    else:
        found = list(asked) if isinstance(asked, list | tuple) else [str(asked)]
    if not found:
        raise InputError("template: must be one sentence at least; got none")
    for each in found:
        check_template(each)
    if source.texts is None or source.labels is None:
        raise InputError(f"template: is for class names; {source.name} has none")
    return tuple(found)


def _check_classes(source: Source) -> None:
    """A class is never skipped: better refused before the images are encoded."""
    for name in source.texts or () if source.labels is not None else ():
        if why := fault(name):
            raise InputError(f"{source.name}: class {quoted(name)} cannot be encoded: {why}")


def _check_kinds(source: Source, encoder: Encoder) -> None:
    if source.media is None or source.media.kind in encoder.modalities:
        return
    raise InputError(
        f"model: {encoder.spec} takes {' and '.join(encoder.modalities)}; {source.name} holds"
        f" {source.media.kind}"
    )


def _checked(options: Options) -> dict[str, Any]:
    """What the engine needs of the options."""
    device = device_of(options.device)
    check_precision(options.precision, device)
    size = options.batch_size
    if size is None:
        size = BATCH.get(device.type, BATCH_ELSEWHERE)
    return {
        "device": device,
        "precision": options.precision,
        "batch_size": _positive("batch_size", size),
        "workers": _workers(options.workers),
    }


def _workers(asked: int | None) -> int:
    if asked is None:
        return min(processors(), MOST_WORKERS)
    return asked if asked == 0 and not isinstance(asked, bool) else _positive("workers", asked)


def _positive(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(f"{name}: must be an integer of at least 1; got {quoted(value)}")
    if value > MOST[name]:
        found = value if value < 2**64 else "more than 2^64"
        raise OptionError(f"{name}: must be at most {MOST[name]}; got {found}")
    return value
