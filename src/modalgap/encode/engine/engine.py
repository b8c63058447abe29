"""Encode media with one tower and texts with the other, in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import xxhash
from torch import Tensor

from modalgap.data.media import Media
from modalgap.encode.base import Encoder
from modalgap.encode.engine.batches import batches
from modalgap.encode.engine.parts import SideParts
from modalgap.errors import InputError, ModalgapError
from modalgap.progress import progress

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
    """

    encoder: Encoder
    device: torch.device
    precision: str
    batch_size: int
    workers: int
    strict: bool

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
        found = batches(
            media,
            self.encoder.prepare,
            size=self.batch_size,
            first=parts.position,
            workers=self.workers,
            polite=self.device.type == "cpu",
        )
        with (
            closing(found),  # immediately, so that workers end before others are forked
            _bar(f"{media.kind}s", len(media), parts.position) as advance,
        ):
            for batch in found:
                rows = torch.empty(0, parts.dim)
                kept, failed = batch.kept, list(batch.failed)
                digests = batch.digests
                if batch.items is not None:
                    items = batch.items.to(self.device, non_blocking=True)
                    rows, fine = self._rows(self.encoder.encode_media, items)
                    failed += [(int(i), NOT_FINITE) for i in kept[~fine]]
                    kept, digests, rows = kept[fine], digests[fine], rows[fine]
                self._report(failed, media.names)
                parts.add(batch.stop, rows, kept, failed, digests)
                advance(batch.stop - batch.start)
        parts.flush()

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
        each = max(len(templates), 1)
        window = max(WINDOW * self.batch_size // each, 1)
        with _bar("texts", len(texts), parts.position) as advance:
            for start in range(parts.position, len(texts), window):
                stop = min(start + window, len(texts))
                faults = {i: why for i in range(start, stop) if (why := fault(texts[i]))}
                kept = [i for i in range(start, stop) if i not in faults]
                failed = list(faults.items())
                rows, cut = self._sentences(
                    [form.replace("{}", texts[i]) for i in kept for form in templates or ("{}",)]
                )
                rows = rows.reshape(len(kept), each, parts.dim).mean(1)
                fine = rows.isfinite().all(1)
                failed += [(kept[i], NOT_FINITE) for i in torch.nonzero(~fine).flatten().tolist()]
                self._report(failed, texts if names is None else names)
                digests = [list(xxhash.xxh3_128_digest(texts[i].encode())) for i in kept]
                parts.add(
                    stop,
                    torch.nn.functional.normalize(rows[fine], dim=1),
                    torch.tensor(kept, dtype=torch.int64)[fine],
                    failed,
                    torch.tensor(digests, dtype=torch.uint8).reshape(-1, 16)[fine],
                    cut,
                )
                advance(stop - start)
        parts.flush()

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
