"""Batches of any source: workers decode images and captions while the model trains."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modalgap.data.media import Media, state
from modalgap.data.pixels import decode
from modalgap.data.source import Source
from modalgap.errors import InputError, OptionError
from modalgap.train.batches import (
    DRAW,
    HELD_OUT,
    ITEM,
    Batch,
    HeldOut,
    Ints,
    Sampler,
    hash_of,
    split,
)
from modalgap.train.captions import Transform
from modalgap.work import Executor, InProcess, Processes

AHEAD = 4  # parts per worker that are prepared before they are needed
PART = 16  # images that a worker prepares at once
MOST_TRIES = 50  # consecutive images that cannot be read

Prepare = Callable[[Any], Tensor]


@dataclass(frozen=True, eq=False)
class _Part:
    """The data of a worker: the images, and how to prepare them."""

    media: Media
    rows: Ints  # rows to train on
    prepare: Prepare
    prepare_view: Prepare | None
    seed: int

    def make(self, epoch: int, positions: Sequence[int]) -> tuple[Ints, list[Tensor]]:
        """Rows that were read, and their images; then both views of them, if needed."""
        read, made = [], []
        for position in positions:
            row, image = self._readable(position)
            torch.manual_seed(
                np.random.default_rng((self.seed, ITEM, epoch, row)).integers(2**62).item()
            )
            read.append(row)
            views = [self.prepare_view] * 2 if self.prepare_view else []
            made.append([prepare(image) for prepare in (self.prepare, *views)])
        return np.array(read), [torch.stack(each) for each in zip(*made, strict=True)]

    def setup(self, _worker: int) -> Callable[[int, Sequence[int]], Any]:
        """The function that a worker calls."""
        return self.make

    def setup_here(self, _worker: int) -> Callable[[int, Sequence[int]], Any]:
        """The same in this process, without changing its random state."""

        def make(epoch: int, positions: Sequence[int]) -> Any:
            with torch.random.fork_rng(devices=[]):
                return self.make(epoch, positions)

        return make

    def _readable(self, position: int) -> tuple[int, Any]:
        """The image at a position, or the next one that can be read, so that batches are full."""
        for step in range(MOST_TRIES):
            row = int(self.rows[(position + step) % len(self.rows)])
            try:
                return row, decode(self.media[row])  # type: ignore[arg-type]
            except Exception as error:  # any error of a damaged file
                reason = error
        name = self.media.names[int(self.rows[position])]
        raise InputError(f"{MOST_TRIES} images from {name} cannot be read; the last: {reason}")


class SourceBatches:
    """Pairs of a source; an image that cannot be read is replaced by the next one that can.

    Args:
        source: images and captions, or classes with sentences for them.
        transform: the transform of each caption.
        tokenizer: maps captions to ids.
        prepare: prepares images to train on.
        prepare_held_out: prepares held-out images.
        prepare_view: prepares views.
        sampler: selects the rows of each batch, and those of this process.
        held_out: fraction or number of images.
        workers: number of decoding processes; 0 decodes in this process.
        held_out_by: a factor; images with equal values are held out together.
    """

    def __init__(
        self,
        source: Source,
        transform: Transform | None,
        tokenizer: Callable[[Sequence[str]], Tensor],
        prepare: Prepare,
        prepare_held_out: Prepare,
        prepare_view: Prepare,
        sampler: Sampler,
        held_out: float,
        workers: int,
        held_out_by: str | None = None,
    ) -> None:
        if source.media is None or source.texts is None or source.media.kind != "image":
            raise InputError(f"{source.name}: training needs images and captions")
        self.source, self.transform, self.tokenizer = source, transform, tokenizer
        self.media, self.texts = source.media, source.texts
        self.prepare_held_out, self.sampler, self.workers = prepare_held_out, sampler, workers
        self.of_image = _captions_of(source)
        usable = np.flatnonzero([len(each) > 0 for each in self.of_image])
        groups = None
        if held_out_by is not None:
            if held_out_by not in source.factors:
                raise OptionError.unknown("data.held_out_by", held_out_by, source.factors)
            groups = [str(source.factors[held_out_by][row]) for row in usable.tolist()]
        train, kept = split(len(usable), held_out, sampler.seed, groups)
        self.train, self.kept = usable[train], usable[kept]
        view = prepare_view if sampler.views else None
        self.part = _Part(self.media, self.train, prepare, view, sampler.seed)

    @property
    def pairs(self) -> int:
        return len(self.train)

    @property
    def fingerprint(self) -> str:
        return hash_of(*state(self.media), *self.texts, *map(str, self.of_image))

    def steps(self, first: int, last: int) -> Generator[Batch]:
        executor: Executor = InProcess()
        setup: Callable[[int], Any] = self.part.setup_here
        if self.workers:
            setup = self.part.setup
            executor = Processes(count=self.workers, ahead=AHEAD, threads=1, polite=True)
        calls = (part for step in range(first, last) for part in self._parts(step))
        size = self.sampler.batch // self.sampler.world
        held: list[tuple[Ints, list[Tensor]]] = []
        step = first
        with closing(executor.run(setup, calls)) as results:
            for _, made in results:
                held.append(made)
                if sum(len(rows) for rows, _ in held) == size:
                    epoch, _ = self.sampler.place(step, self.pairs)
                    yield self._join(held, epoch)
                    held, step = [], step + 1

    def first_pairs(self, count: int) -> Batch:
        rng = self.sampler.rng(DRAW, 2**31)
        positions = rng.choice(len(self.train), min(count, len(self.train)), replace=False)
        return self._join([self.part.make(2**31, positions.tolist())], 2**31)

    def held_out(self, rows: int) -> HeldOut | None:
        if len(self.kept) < 2:
            return None
        chosen = np.sort(self.sampler.rng(HELD_OUT).permutation(self.kept)[:rows])
        images, texts, factors = [], [], []
        for row in chosen.tolist():
            try:
                images.append(self.prepare_held_out(decode(self.media[row])))  # type: ignore[arg-type]
            except Exception:  # noqa: S112 - held-out pairs without files that cannot be read
                continue
            texts.append(self._caption(row, 0))
            factors.append(row)
        if len(images) < 2:
            return None
        labels = self.source.labels
        prompts: dict[str, dict[str, Sequence[str]]] = {}
        known = {
            key: [str(column[r]) for r in factors] for key, column in self.source.factors.items()
        }
        if labels is not None:
            names = [f"{i} {name}" for i, name in enumerate(self.texts)]
            known["class"] = [names[np.asarray(labels)[r]] for r in factors]
            prompts["class"] = {name: self._sentences(i) for i, name in enumerate(names)}
        drawn = [self._drawn(row, 0) for row in factors]
        return HeldOut(
            images=torch.stack(images), texts=texts, factors=known, prompts=prompts,
            described=np.stack([np.isin(drawn, self.of_image[row]) for row in factors]),
        )  # fmt: skip

    def _parts(self, step: int) -> Iterator[tuple[int, list[int]]]:
        """(epoch, positions) that this process prepares for a step, in parts."""
        epoch, rows = self.sampler.rows(step, self.pairs)
        mine = rows[self.sampler.mine].tolist()
        for start in range(0, len(mine), PART):
            yield epoch, mine[start : start + PART]

    def _join(self, parts: list[tuple[Ints, list[Tensor]]], epoch: int) -> Batch:
        rows = np.concatenate([rows for rows, _ in parts])
        images, *views = (
            torch.cat(each) for each in zip(*(made for _, made in parts), strict=True)
        )
        ids = self.tokenizer([self._caption(row, epoch) for row in rows.tolist()])
        return Batch(images, ids, (views[0], views[1]) if views else None)

    def _caption(self, row: int, epoch: int) -> str:
        """One of the captions of an image, transformed."""
        rng = self.sampler.rng(DRAW, epoch, row)
        which = self._drawn(row, epoch, rng)
        if self.source.labels is not None:
            sentences = self._sentences(which)
            text = sentences[rng.integers(len(sentences))]
        else:
            text = self.texts[which]
        return self.transform(text, rng) if self.transform else text

    def _drawn(self, row: int, epoch: int, rng: np.random.Generator | None = None) -> int:
        """The index of the caption of an image in an epoch."""
        texts = self.of_image[row]
        return int(texts[(rng or self.sampler.rng(DRAW, epoch, row)).integers(len(texts))])

    def _sentences(self, which: int) -> list[str]:
        return _filled(self.source, self.texts[which])


def _captions_of(source: Source) -> list[Ints]:
    """The texts of each image, ascending."""
    assert source.media is not None  # noqa: S101 - checked by the caller
    n = len(source.media)
    images, texts = source.matches.T  # ascending by image, then text
    return np.split(texts, np.searchsorted(images, np.arange(1, n)))


def sentences(source: Source) -> list[str]:
    """All texts that a model reads: the captions, or the class names in their templates."""
    texts = list(source.texts or ())
    if source.labels is None:
        return texts
    return [sentence for name in texts for sentence in _filled(source, name)]


def _filled(source: Source, name: str) -> list[str]:
    return [each.replace("{}", name) for each in source.templates] or [name]
