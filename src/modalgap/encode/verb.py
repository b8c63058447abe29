"""encode: from a source and a model to embeddings on the disk."""

from __future__ import annotations

import json
import os
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
import xxhash
from numpy.typing import NDArray

from modalgap.atomic import check_target, replacing
from modalgap.data.find import read
from modalgap.data.source import Source, check_template
from modalgap.embeddings.formats import WRITERS
from modalgap.embeddings.pair import Embeddings, Pair
from modalgap.embeddings.rows import MemoryRows, Rows, SomeRows
from modalgap.embeddings.store import load_any, save
from modalgap.encode.base import Encoder
from modalgap.encode.engine import Engine
from modalgap.encode.parts import Parts, remove, work_folder
from modalgap.encode.registry import load_model
from modalgap.errors import InputError, OptionError, OutputError

PRECISIONS = ("fp32", "bf16", "fp16")
BATCH = {"cpu": 32}  # items a forward pass; elsewhere:
BATCH_ELSEWHERE = 256
MOST_WORKERS = 8
SHARD = 4 * 2**30  # bytes of vectors in one file


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
    """

    data: Pair | Embeddings
    files: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]
    listing: Path | None
    seconds: float
    resumed: int
    cut: int


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
        overwrite: replace the file, and throw away unfinished work of other settings.

    Returns:
        A pair, or the embeddings of one modality where the source has one. Rows have unit norm.

    Raises:
        InputError: the source, the model or an option is not what it should be.
        OutputError: the file cannot be written.

    A warning says how many items were skipped; ``OUTPUT.skipped.jsonl`` names them.
    """
    done = run(
        source,
        model,
        output,
        template=template,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        strict=strict,
        overwrite=overwrite,
    )
    if done.skipped:
        name, why = done.skipped[0]
        said = f"skipped {len(done.skipped)} items; the first is {name}: {why}"
        warnings.warn(said, stacklevel=2)
    return done.data


def run(
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
    overwrite: bool = False,
) -> Encoded:
    """As ``encode``, with what was skipped and how long it took."""
    target = None if output is None else Path(output)
    if target is not None:
        _check_output(target, overwrite=overwrite)
    where = _device(device)
    if precision not in PRECISIONS:
        raise OptionError.unknown("precision", str(precision), PRECISIONS)
    if precision == "fp16" and where.type == "cpu":
        raise OptionError("precision: fp16 needs a GPU; on the CPU take bf16 or fp32")
    found = source if isinstance(source, Source) else read(source)
    sentences = _templates(template, found)
    encoder = load_model(model)
    _check_kinds(found, encoder)
    encoder.to(where)
    size = BATCH.get(where.type, BATCH_ELSEWHERE) if batch_size is None else batch_size
    engine = Engine(
        encoder=encoder,
        device=where,
        precision=precision,
        batch_size=_positive("batch_size", size),
        workers=_workers(workers),
        strict=strict,
    )
    plan = _plan(found, engine, sentences)
    started = time.monotonic()
    with ExitStack() as stack:
        if target is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modalgap-")))
        else:
            folder = target.with_name(f"{target.name}.parts")
        work = stack.enter_context(work_folder(folder, plan, anew=overwrite))
        made = _Run(found, engine, sentences, work)
        data = made.data()
        files: tuple[Path, ...] = ()
        if target is not None:
            files = _write(data, target, overwrite=overwrite)
        else:
            data = _in_memory(data)
    listing = None
    if target is not None:
        listing = _list_skipped(made.skipped, target)
        data = load_any(list(files))
        remove(folder)
    return Encoded(
        data=data,
        files=files,
        skipped=made.skipped,
        listing=listing,
        seconds=time.monotonic() - started,
        resumed=made.resumed,
        cut=made.cut,
    )


class _Run:
    """The parts of both sides, and how they become a pair.

    Media come first: texts of media that cannot be read are never encoded, so that rows and matches
    stay together by construction.
    """

    def __init__(
        self, source: Source, engine: Engine, templates: tuple[str, ...], work: Path
    ) -> None:
        self.source, self.engine, self.templates = source, engine, templates
        dim, dtype = engine.encoder.dim, engine.stored
        self.media = Parts(work, "media", dim, dtype)
        self.text = Parts(work, "text", dim, dtype)
        self.resumed = self.media.position + self.text.position
        skipped = list(source.missing)
        self.images: NDArray[np.int64] | None = None
        if source.media is not None:
            engine.media(source.media, self.media)
            self.images = self.media.kept()
            skipped += [(source.media.names[i], why) for i, why in self.media.failed()]
        self.asked: NDArray[np.int64] | None = None
        self.owner: NDArray[np.int64] | None = None
        if source.texts is not None:
            self.asked, self.owner = self._texts_of_images()
            texts = [source.texts[i] for i in self.asked]
            engine.texts(texts, templates, self.text)
            lost = [(texts[i], why) for i, why in self.text.failed()]
            if lost and source.labels is not None:
                name, why = lost[0]
                raise InputError(f"{source.name}: class {name!r} cannot be encoded: {why}")
            skipped += lost
        self.skipped = tuple(skipped)
        self.cut = self.text.cut()

    def _texts_of_images(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Which texts to encode, and the row of the image of each."""
        every = np.arange(len(self.source.texts or ()))
        if self.images is None or self.source.labels is not None:
            return every, None
        matches = self.source.text_to_image
        owner = every if matches is None else np.asarray(matches)
        asked = every[np.isin(owner, self.images)]
        return asked, np.searchsorted(self.images, owner[asked])

    def data(self) -> Pair | Embeddings:
        """The pair, its rows still in the parts."""
        image, text = self._media_side(), self._text_side()
        if image is None or text is None:
            found = image or text
            assert found is not None  # noqa: S101 - a source has one side at least
            return found
        if self.source.labels is not None:
            return Pair(image, text, labels=np.asarray(self.source.labels)[self.images])
        assert self.owner is not None  # noqa: S101 - as above
        owner = self.owner[self.text.kept()]
        if np.array_equal(owner, np.arange(image.n)):
            return Pair(image, text)
        return Pair(image, text, text_to_image=owner)

    def _media_side(self) -> Embeddings | None:
        source, kept = self.source, self.images
        if source.media is None or kept is None:
            return None
        return Embeddings(
            self._rows(self.media, f"{source.modality}s", len(source.media)),
            source.modality,
            names=[source.media.names[i] for i in kept],
            factors={key: _pick(column, kept) for key, column in source.factors.items()},
            provenance=self._provenance(self.media),
            source=source.name,
        )

    def _text_side(self) -> Embeddings | None:
        source = self.source
        if source.texts is None or self.asked is None:
            return None
        kept = self.asked[self.text.kept()]
        provenance = self._provenance(self.text)
        if self.templates:
            provenance["templates"] = json.dumps(self.templates, ensure_ascii=False)
        if self.cut:
            provenance["cut"] = str(self.cut)
        return Embeddings(
            self._rows(self.text, "texts", len(self.asked)),
            source.text_modality,
            names=[source.texts[i] for i in kept],
            factors={key: _pick(column, kept) for key, column in source.text_factors.items()},
            provenance=provenance,
            source=source.name,
        )

    def _rows(self, parts: Parts, what: str, asked: int) -> Rows:
        rows = parts.rows()
        if rows is None or rows.shape[0] < 2:
            found = 0 if rows is None else rows.shape[0]
            first = f"; {self.skipped[0][0]}: {self.skipped[0][1]}" if self.skipped else ""
            raise InputError(
                f"{self.source.name}: needs at least 2 {what} that can be encoded; found {found}"
                f" of {asked}{first}"
            )
        return rows

    def _provenance(self, parts: Parts) -> dict[str, str]:
        encoder = self.engine.encoder
        made = {**encoder.provenance, **self.source.provenance}
        made.setdefault("data", self.source.name)
        made["data_fingerprint"] = xxhash.xxh3_128_hexdigest(parts.digests().tobytes())
        made["precision"] = self.engine.precision
        made["libraries"] = f"{made.get('libraries', '')}, Pillow {PIL.__version__}"
        if encoder.logit_scale is not None:
            made["logit_scale"] = repr(encoder.logit_scale)
        if lost := len(parts.failed()):
            made["skipped"] = str(lost)
        return made


def _plan(source: Source, engine: Engine, templates: tuple[str, ...]) -> dict[str, Any]:
    """Everything that the numbers depend on: an unfinished run goes on only under the same."""
    encoder = engine.encoder
    return {
        **encoder.provenance,
        "data": dict(source.provenance) | {"source": source.name},
        "media": _hash(source.media.names if source.media is not None else ()),
        "texts": _hash(source.texts or ()),
        "matches": _hash(
            map(str, np.asarray(_first(source.labels, source.text_to_image, [])).tolist())
        ),
        "templates": list(templates),
        "device": engine.device.type,
        "precision": engine.precision,
        "batch_size": engine.batch_size,
    }


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _hash(values: Iterable[str]) -> str:
    digest = xxhash.xxh3_128()
    for value in values:
        digest.update(value.encode(errors="surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def _write(data: Pair | Embeddings, target: Path, *, overwrite: bool) -> tuple[Path, ...]:
    """The file, or its shards if it would be large."""
    shards = _shards(data, target)
    for path, part in shards:
        # shards of an interrupted write are ours
        save(part, path, overwrite=overwrite or len(shards) > 1)
    return tuple(path for path, _ in shards)


def _list_skipped(skipped: Sequence[tuple[str, str]], target: Path) -> Path | None:
    """One JSON object a line, beside the output; an older list goes."""
    listing = target.with_name(f"{target.name}.skipped.jsonl")
    if not skipped:
        listing.unlink(missing_ok=True)
        return None
    with replacing(listing, overwrite=True) as file:
        for name, reason in skipped:
            file.write(json.dumps({"name": name, "reason": reason}).encode() + b"\n")
    return listing


def _shards(data: Pair | Embeddings, target: Path) -> list[tuple[Path, Pair | Embeddings]]:
    sides = data.sides if isinstance(data, Pair) else (data,)
    size = sum(side.n * side.dim * side.rows.dtype.itemsize for side in sides)
    first = sides[0]
    count = min(-(-size // SHARD), first.n // 2)
    if count <= 1:
        return [(target, data)]
    edges = [first.n * i // count for i in range(count + 1)]
    names = [f"{target.stem}-{i:05d}-of-{count:05d}{target.suffix}" for i in range(count)]
    return [
        (target.with_name(name), _slice(data, start, stop))
        for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True)
    ]


def _slice(data: Pair | Embeddings, start: int, stop: int) -> Pair | Embeddings:
    """Images [start, stop) and their texts; class prompts all stay."""
    if isinstance(data, Embeddings):
        return _some(data, start, stop)
    image = _some(data.image, start, stop)
    if data.labels is not None:
        return Pair(image, data.text, labels=data.labels[start:stop])
    owner = data.text_to_image
    if owner is None:
        return Pair(image, _some(data.text, start, stop))
    a, b = np.searchsorted(owner, [start, stop])  # texts lie in the order of their images
    return Pair(image, _some(data.text, int(a), int(b)), text_to_image=owner[a:b] - start)


def _some(side: Embeddings, start: int, stop: int) -> Embeddings:
    return Embeddings(
        SomeRows(side.rows, start, stop),
        side.modality,
        names=None if side.names is None else side.names[start:stop],
        factors={key: column[start:stop] for key, column in side.factors.items()},
        provenance=side.provenance,
        source=side.source,
    )


def _in_memory(data: Pair | Embeddings) -> Pair | Embeddings:
    """The same without files."""

    def held(side: Embeddings) -> Embeddings:
        return Embeddings(
            MemoryRows(side.rows.read(0, side.n)),
            side.modality,
            side.names,
            side.factors,
            side.provenance,
            side.source,
        )

    if isinstance(data, Embeddings):
        return held(data)
    return Pair(held(data.image), held(data.text), data.text_to_image, data.labels)


def _check_output(target: Path, *, overwrite: bool) -> None:
    if target.suffix.lower() not in WRITERS:
        known = ", ".join(sorted(WRITERS))
        raise OutputError(f"{target}: must end in {known}; found {target.suffix or 'no extension'}")
    check_target(target, overwrite=overwrite)


def _templates(asked: str | Sequence[str] | None, source: Source) -> tuple[str, ...]:
    if asked is None:
        return source.templates
    if asked == "imagenet":
        from modalgap.data.imagenet import templates as imagenet_templates

        found: Sequence[str] = imagenet_templates()
    else:
        found = [asked] if isinstance(asked, str) else list(asked)
    if not found:
        raise InputError("template: must be one sentence at least; got none")
    for each in found:
        check_template(each)
    if source.texts is None or source.labels is None:
        raise InputError(f"template: is for class names; {source.name} has none")
    return tuple(found)


def _check_kinds(source: Source, encoder: Encoder) -> None:
    if source.media is None or source.media.kind in encoder.modalities:
        return
    raise InputError(
        f"model: {encoder.spec} takes {' and '.join(encoder.modalities)}; {source.name} holds"
        f" {source.media.kind}"
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise OptionError(f"device: cannot use {name!r} ({reason})") from error
    return device


def _workers(asked: int | None) -> int:
    if asked is None:
        return min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    if asked != 0:
        _positive("workers", asked)
    return asked


def _positive(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(f"{name}: must be an integer of at least 1; got {value!r}")
    return value


def _pick(column: Sequence[Any], kept: NDArray[np.int64]) -> list[Any]:
    return [column[i] for i in kept]
