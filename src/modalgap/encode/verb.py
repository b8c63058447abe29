"""encode: from a source and a model to embeddings on disk."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.arguments import checked
from modalgap.data.find import read
from modalgap.data.imagenet import templates as imagenet_templates
from modalgap.data.items import Items
from modalgap.data.media import files_of, hash_of, state
from modalgap.data.repeats import join_texts
from modalgap.data.source import Source, check_template
from modalgap.data.summary import facts, grouped
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.store import load_any
from modalgap.encode.base import Encoder
from modalgap.encode.engine.engine import Engine, fault
from modalgap.encode.engine.output import (
    check_output,
    in_memory,
    list_skipped,
    not_own,
    write,
)
from modalgap.encode.engine.sides import Sides
from modalgap.encode.many import run_items
from modalgap.encode.options import Options, engine_options
from modalgap.encode.registry import load_model
from modalgap.errors import FileError, InputError, quoted
from modalgap.work import executor, path_of, remove, work_folder


@checked
@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The result of a run.

    Attributes:
        data: the embeddings.
        files: the written files.
        skipped: (name, reason) of each item that has no row.
        listing: the file that lists the skipped items, if one was written.
        seconds: duration of the run, without loading the model.
        resumed: number of items that an earlier run had encoded.
        cut: number of texts that were truncated to the model's context.
        source: the source that was read.
        notes: what was merged while encoding, one short sentence each.
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
        """The input, the output and the skipped items, as plain JSON types."""
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
    source: str | Path | Source | Items,
    model: str | Encoder | Mapping[str, Any],
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
) -> Pair | Embeddings | Any:
    """Encode images and captions, or any number of modalities, with CLIP-like models.

    Args:
        source: a path of any kind, the name of a data set, or a result of
            ``modalgap.data.read``, which selects a split, a root, columns and a limit; or of
            ``modalgap.data.read_items``, for more than two modalities.
        model: LIBRARY:MODEL, such as ``"open_clip:ViT-B-32/openai"``, or an ``Encoder``. A mapping
            encodes modalities by different models of one space: ``{"image,text": "open_clip:…",
            "audio": "hf:…"}``. A key names modalities, or kinds: "audio" is all sounds.
        output: the file to write: .safetensors, .npz or .parquet. Unfinished work is stored next
            to it. The same call resumes an interrupted run and writes the same bytes. Without an
            output the embeddings are in memory only.
        template: one or several sentences with ``{}`` for the class name, or ``"imagenet"`` for the
            80 of Radford et al. 2021; by default the template of the source.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best available device.
        precision: "fp32", "bf16" or "fp16"; the last two are stored as float16.
        batch_size: items per forward pass; by default 32 on the CPU and 256 on other devices.
        workers: number of decoding processes; by default one per processor, at most 8.
        strict: stop at the first item that cannot be encoded, instead of skipping it.
        keep_repeats: give each identical caption and each identical image its own row. By default
            they are merged: one row per distinct item, with the matches of all (``pair.pairs``).
            Class names, and the images of classes, are never merged.
        overwrite: replace the file, and delete unfinished work of other settings.

    Returns:
        A pair, or the embeddings of one modality if the source has one; ``Modalities``, matched by
        item, for ``Items`` or models by modality. Rows have unit norm.

    Raises:
        InputError: the source, the model or an option is invalid, or models differ in width.
        OutputError: the file cannot be written.

    A warning gives the number of skipped items; ``OUTPUT.skipped.jsonl`` lists them.
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
    if isinstance(source, Items) or isinstance(model, Mapping):
        several = run_items(source, model, output, options)
        _warn_of(several.skipped, several.source.unused)
        return several.data
    finished = run(source, model, output, options)
    _warn_of(finished.skipped, finished.source.unused)
    return finished.data


def _warn_of(skipped: Sequence[tuple[str, str]], unused: Sequence[tuple[str, str]]) -> None:
    if left := [*grouped("skipped", skipped), *grouped("not used", unused)]:
        warnings.warn("; ".join(left), stacklevel=4)


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
    """Encode as ``encode``; return the skipped items and the duration too.

    Args:
        source: as for ``encode``.
        model: as for ``encode``.
        output: as for ``encode``.
        options: the other options of ``encode``.
        seed: seed of the weights of a model named ``random``.
        on_start: called with the source after all options are checked, before the work begins.
    """
    options = options or Options()
    if output is not None and not isinstance(output, str | Path):
        raise InputError(f"output: must be a path; got {type(output).__name__}")
    target = None if output is None else Path(output)
    if target is not None:
        check_output(target, overwrite=options.overwrite)
    engine_settings = engine_options(options)
    found = source if isinstance(source, Source) else read(source)
    if target is not None:
        not_own(target, (*found.files, *files_of(found.media)))
    if options.strict and found.missing:
        name, why = found.missing[0]
        raise InputError(f"{found.name}: {name}: {why}")
    if not options.keep_repeats:
        found = join_texts(found)
    sentences = _templates(options.template, found)
    _check_classes(found)
    encoder = load_model(model, seed=seed)
    _check_kinds(found, encoder)
    spec = model if isinstance(model, str) else None
    engine = Engine(
        encoder=encoder, strict=options.strict, model=spec, seed=seed, **engine_settings
    )
    if executor().local:
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
        except InputError:  # too few items could be read: nothing to resume
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


HASHED = {  # settings that a plan stores as hashes: the message if one differs
    "media": "the images, their names or their files have changed",
    "texts": "the texts have changed",
    "matches": "the matches have changed",
}


def _plan(source: Source, engine: Engine, templates: tuple[str, ...]) -> dict[str, Any]:
    """All settings that change the numbers: a run resumes only with equal settings."""
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
    """A hash of the names, files, texts and matches of a source."""
    return hash_of(_hashes(source).values())


def _hashes(source: Source) -> dict[str, str]:
    pairs = None if source.pairs is None else np.asarray(source.pairs).ravel()
    return {
        "media": hash_of(state(source.media) if source.media is not None else ()),
        "texts": hash_of(source.texts or ()),
        "matches": hash_of(
            map(str, np.asarray(_first(source.labels, source.text_to_image, pairs, [])).tolist())
        ),
    }


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _templates(template: str | Sequence[str] | None, source: Source) -> tuple[str, ...]:
    if template is None:
        return source.templates
    if template == "imagenet":
        found: Sequence[str] = imagenet_templates()
    else:
        found = list(template) if isinstance(template, list | tuple) else [str(template)]
    if not found:
        raise InputError("template: must be at least one sentence; got none")
    for each in found:
        check_template(each)
    if source.texts is None or source.labels is None:
        raise InputError(f"template: is for class names; {source.name} has none")
    return tuple(found)


def _check_classes(source: Source) -> None:
    """Check the class names before the images are encoded: a class is never skipped."""
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
