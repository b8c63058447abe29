"""Encode media with one tower and texts with the other, in parts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
import xxhash
from torch import Tensor

from modalgap.data.media import Media
from modalgap.encode.base import Encoder
from modalgap.encode.engine.batches import Batch, Batches, batches
from modalgap.encode.engine.parts import Encoded, SideParts
from modalgap.encode.engine.workers import EncodingWorker
from modalgap.errors import InputError, ModalgapError, OptionError
from modalgap.progress import progress
from modalgap.work import executor

WINDOW = 16  # batches of texts that are sorted by length together
NOT_FINITE = "its feature is zero or not finite"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An encoder and its options.

    Attributes:
        encoder: the model.
        device: the device that it runs on.
        precision: "fp32", "bf16" or "fp16".
        batch_size: items per forward pass.
        workers: number of processes that decode images.
        strict: whether to stop at the first item that cannot be encoded.
        model: the name of the model, LIBRARY:MODEL, for other processes; None if it has none.
        seed: seed of the weights of a model named ``random``.
    """

    encoder: Encoder
    device: torch.device
    precision: str
    batch_size: int
    workers: int
    strict: bool
    model: str | None = None
    seed: int = 0

    @property
    def stored(self) -> torch.dtype:
        """The dtype of the written rows."""
        return torch.float32 if self.precision == "fp32" else torch.float16

    def media(self, media: Media, parts: SideParts) -> None:
        """Encode the media that ``parts`` does not have yet."""
        self._report(parts.failed(), media.names)
        if media.kind == "text":
            self.texts([str(media[i]) for i in range(len(media))], (), parts, media.names)
            return
        first = parts.position
        numbers = range(-(-first // self.batch_size), -(-len(media) // self.batch_size))
        work = MediaWork(self, media)
        found = work.here(numbers) if executor().local else self._elsewhere(work, numbers)
        with (
            closing(found),  # immediately, so that workers end before others are forked
            _bar(f"{media.kind}s", len(media), first) as advance,
        ):
            for encoded in found:
                self._report(encoded.failed, media.names)
                parts.add(encoded)
                advance(encoded.stop - encoded.start)
        parts.flush()

    def encoded(self, batch: Batch) -> Encoded:
        """The rows of a batch of media."""
        rows = torch.empty(0, self.encoder.dim)
        kept, failed, digests = batch.kept, list(batch.failed), batch.digests
        if batch.items is not None:
            items = batch.items.to(self.device, non_blocking=True)
            rows, fine = self._rows(self.encoder.encode_media, items)
            failed += [(int(i), NOT_FINITE) for i in kept[~fine]]
            kept, digests, rows = kept[fine], digests[fine], rows[fine]
        return Encoded(batch.start, batch.stop, rows, kept, failed, digests)

    def _elsewhere(self, work: Any, calls: Iterable[Any]) -> Generator[Encoded]:
        """Encode in other processes. Each of them loads the model."""
        if self.model is None:
            raise OptionError(
                "model: must be a name, LIBRARY:MODEL, if other processes encode (on); got an"
                " encoder"
            )
        none: Any = None  # each worker loads its own
        setup = EncodingWorker(work.by(none, self.device), self.model, self.seed, self.device.type)
        with closing(executor().run(setup, ((call,) for call in calls))) as results:
            for _, encoded in results:
                yield encoded

    def texts(
        self,
        texts: Sequence[str],
        templates: Sequence[str],
        parts: SideParts,
        names: Sequence[str] | None = None,
    ) -> None:
        """Encode the texts that ``parts`` does not have yet.

        With templates, the row of a class is the mean of the unit features of its sentences
        (Radford et al. 2021, section 3.1.4).
        """
        self._report(parts.failed(), texts if names is None else names)
        window = max(WINDOW * self.batch_size // max(len(templates), 1), 1)
        windows = (
            (start, list(texts[start : start + window]))
            for start in range(parts.position, len(texts), window)
        )
        work = TextWork(self, tuple(templates))
        found = work.here(windows) if executor().local else self._elsewhere(work, windows)
        with closing(found), _bar("texts", len(texts), parts.position) as advance:
            for encoded in found:
                self._report(encoded.failed, texts if names is None else names)
                parts.add(encoded)
                advance(encoded.stop - encoded.start)
        parts.flush()

    def encoded_texts(self, start: int, texts: Sequence[str], templates: Sequence[str]) -> Encoded:
        """The rows of texts that begin at position ``start``."""
        each = max(len(templates), 1)
        faults = {i: why for i, text in enumerate(texts) if (why := fault(text))}
        kept = [i for i in range(len(texts)) if i not in faults]
        failed = [(start + i, why) for i, why in faults.items()]
        rows, cut = self._sentences(
            [form.replace("{}", texts[i]) for i in kept for form in templates or ("{}",)]
        )
        rows = rows.reshape(len(kept), each, self.encoder.dim).mean(1)
        fine = rows.isfinite().all(1)
        lost = torch.nonzero(~fine).flatten().tolist()
        failed += [(start + kept[i], NOT_FINITE) for i in lost]
        digests = [list(xxhash.xxh3_128_digest(texts[i].encode())) for i in kept]
        return Encoded(
            start,
            start + len(texts),
            torch.nn.functional.normalize(rows[fine], dim=1),
            start + torch.tensor(kept, dtype=torch.int64)[fine],
            failed,
            torch.tensor(digests, dtype=torch.uint8).reshape(-1, 16)[fine],
            cut,
        )

    def _sentences(self, sentences: Sequence[str]) -> tuple[Tensor, int]:
        """Unit rows (n, dim) of sentences, in batches of equal length; and the number truncated."""
        if not sentences:
            return torch.empty(0, self.encoder.dim), 0
        tokens = self.encoder.tokenize(sentences)
        order = torch.argsort(tokens.lengths, stable=True)
        rows = torch.empty(len(sentences), self.encoder.dim)
        for index in torch.split(order, self.batch_size):
            some = tokens.take(index).to(self.device)
            found, fine = self._rows(self.encoder.encode_text, some)
            found[~fine] = torch.nan
            rows[index] = found
        return rows, int(tokens.cut.sum())

    def _rows(self, forward: Callable[[Any], Tensor], batch: Any) -> tuple[Tensor, Tensor]:
        """Unit rows (b, dim) on the CPU, float32; and whether each is finite (b,)."""
        try:
            with torch.inference_mode(), self._autocast():
                features = forward(batch).float()
        except torch.OutOfMemoryError as error:
            raise ModalgapError(
                f"{self.device} has not enough memory for batches of {self.batch_size}; restart"
                " with a smaller --batch-size and --force"
            ) from error
        lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        fine = (features.isfinite().all(1) & (lengths[:, 0] > 0)).cpu()
        return (features / lengths).cpu().clone(), fine

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def _report(self, failed: list[tuple[int, str]], names: Sequence[str]) -> None:
        if failed and self.strict:
            position, reason = failed[0]
            raise InputError(f"{names[position]}: {reason}")


@dataclass(frozen=True, eq=False)
class MediaWork:
    """Batches of media by number."""

    engine: Engine
    media: Media

    def __call__(self, call: int) -> Encoded:
        """Decode and encode batch number ``call``."""
        engine = self.engine
        task = Batches(self.media, engine.encoder.prepare, engine.batch_size)
        return engine.encoded(task.batch(call))

    def by(self, encoder: Encoder, device: torch.device) -> MediaWork:
        """The same work with another encoder."""
        return replace(self, engine=replace(self.engine, encoder=encoder, device=device))

    def here(self, numbers: Sequence[int]) -> Generator[Encoded]:
        """Encode in this process; other processes decode one batch ahead."""
        engine = self.engine
        found = batches(
            self.media,
            engine.encoder.prepare,
            numbers,
            size=engine.batch_size,
            workers=engine.workers,
            polite=engine.device.type == "cpu",
        )
        with closing(found):
            for batch in found:
                yield engine.encoded(batch)


@dataclass(frozen=True, eq=False)
class TextWork:
    """Windows of texts: (start, texts)."""

    engine: Engine
    templates: tuple[str, ...]

    def __call__(self, call: tuple[int, Sequence[str]]) -> Encoded:
        """Encode the texts that begin at a position."""
        return self.engine.encoded_texts(*call, self.templates)

    def by(self, encoder: Encoder, device: torch.device) -> TextWork:
        """The same work with another encoder."""
        return replace(self, engine=replace(self.engine, encoder=encoder, device=device))

    def here(self, windows: Iterable[tuple[int, Sequence[str]]]) -> Generator[Encoded]:
        """Encode in this process."""
        yield from map(self, windows)


def fault(text: str) -> str:
    """The reason why a text cannot be encoded, or an empty string."""
    if not text.strip():
        return "an empty text"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not valid Unicode"
    return ""


def _bar(what: str, total: int, completed: int) -> AbstractContextManager[Callable[[int], None]]:
    return progress(f"encoding {what}", total - completed, unit=what)
