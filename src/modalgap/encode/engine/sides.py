"""Encode both sides of a source and match them into a pair."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import xxhash
from numpy.typing import NDArray

from modalgap.data.repeats import first_of
from modalgap.data.source import Source
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.pick import pick
from modalgap.embeddings.rows import Rows
from modalgap.encode.engine.engine import Engine
from modalgap.encode.engine.parts import SideParts
from modalgap.errors import InputError, quoted

SHOWN = 3  # items that an error names


class Sides:
    """The parts of both sides, and the pair that they form.

    Media are encoded first. Texts of media that cannot be read are not encoded, so that rows and
    matches stay consistent.
    """

    def __init__(
        self,
        source: Source,
        engine: Engine,
        templates: tuple[str, ...],
        work: Path,
        *,
        keep_repeats: bool = False,
    ) -> None:
        self.source, self.engine, self.templates = source, engine, templates
        self.keep_repeats = keep_repeats
        self.notes: list[str] = []
        dim, dtype = engine.encoder.dim, engine.stored
        self.media = SideParts(work, "media", dim, dtype)
        self.text = SideParts(work, "text", dim, dtype)
        self.resumed = self.media.position + self.text.position
        skipped = list(source.missing)
        self.images: NDArray[np.int64] | None = None
        if source.media is not None:
            engine.media(source.media, self.media)
            self.images = self.media.kept()
            skipped += [(source.media.names[i], why) for i, why in self.media.failed()]
        self.text_rows: NDArray[np.int64] | None = None
        self.matches: NDArray[np.int64] | None = None
        if source.texts is not None:
            self.text_rows, self.matches = self._texts_of_images()
            without = np.setdiff1d(np.arange(len(source.texts)), self.text_rows)
            reason = f"its {source.modality} was not encoded"
            skipped += [(source.texts[i], reason) for i in without]
            texts = [source.texts[i] for i in self.text_rows]
            engine.texts(texts, templates, self.text)
            lost = [(texts[i], why) for i, why in self.text.failed()]
            if lost and source.labels is not None:
                name, why = lost[0]
                raise InputError(f"{source.name}: class {quoted(name)} cannot be encoded: {why}")
            skipped += lost
        self.skipped = tuple(skipped)
        self.cut = self.text.cut()

    def _texts_of_images(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """The texts to encode, and matches (k, 2) of image rows and positions in these texts."""
        every = np.arange(len(self.source.texts or ()))
        if self.images is None or self.source.labels is not None:
            return every, None
        matches = self.source.matches
        lost = np.setdiff1d(matches[:, 1], matches[np.isin(matches[:, 0], self.images), 1])
        wanted = np.setdiff1d(every, lost)
        matches = matches[np.isin(matches[:, 0], self.images)]
        rows = np.searchsorted(self.images, matches[:, 0])
        return wanted, np.stack([rows, np.searchsorted(wanted, matches[:, 1])], 1)

    def data(self) -> Pair | Embeddings:
        """The pair; its rows are views of the parts."""
        image, text = self._media_side(), self._text_side()
        if image is None or text is None:
            result = image or text
            assert result is not None  # noqa: S101 - a source has at least one side
            return result
        if self.source.labels is not None:
            return Pair(image, text, labels=np.asarray(self.source.labels)[self.images])
        assert self.matches is not None  # noqa: S101 - as above
        kept = self.text.kept()
        images, texts = self.matches[np.isin(self.matches[:, 1], kept)].T
        matches = np.stack([images, np.searchsorted(kept, texts)], 1)
        first = np.arange(image.n) if self.keep_repeats else self._same_images(image)
        if np.array_equal(first, np.arange(image.n)):
            return Pair(image, text, pairs=matches)
        rows, place = np.unique(first, return_inverse=True)
        matches[:, 0] = place.reshape(-1)[matches[:, 0]]
        return Pair(pick(image, rows), text, pairs=matches)

    def _same_images(self, image: Embeddings) -> NDArray[np.int64]:
        """(n,) the first row with the same bytes and factors."""
        what = f"{image.modality}s"
        stored = [bytes(each) for each in self.media.digests()]
        first = first_of(list(zip(stored, *image.factors.values(), strict=True)))
        different, distinct = len(set(stored)), len(np.unique(first))
        if distinct < 2 and image.n > 1:
            self.notes.append(f"all {what} are identical; they were not merged")
            return np.arange(image.n)
        if distinct < image.n:
            self.notes.append(
                f"{image.n:,} {what} are {distinct:,} distinct ones (same bytes); identical {what}"
                " were merged (--keep-repeats keeps them separate)"
            )
        if apart := distinct - different:
            names = ", ".join(image.factors)
            self.notes.append(
                f"{apart:,} identical {what} differ in their factors ({names}); not merged"
            )
        return first

    def _media_side(self) -> Embeddings | None:
        source, kept = self.source, self.images
        if source.media is None or kept is None:
            return None
        return Embeddings(
            self._rows(self.media, source.media.names, f"{source.modality}s"),
            source.modality,
            names=[readable(source.media.names[i]) for i in kept],
            factors={key: _pick(column, kept) for key, column in source.factors.items()},
            provenance=self._provenance(self.media),
            source=source.name,
        )

    def _text_side(self) -> Embeddings | None:
        source = self.source
        if source.texts is None or self.text_rows is None:
            return None
        kept = self.text_rows[self.text.kept()]
        provenance = self._provenance(self.text)
        if self.templates:
            provenance["templates"] = json.dumps(self.templates, ensure_ascii=False)
        if self.cut:
            provenance["cut"] = str(self.cut)
        return Embeddings(
            self._rows(self.text, [source.texts[i] for i in self.text_rows], "texts"),
            source.text_modality,
            names=[source.texts[i] for i in kept],
            factors={key: _pick(column, kept) for key, column in source.text_factors.items()},
            provenance=provenance,
            source=source.name,
        )

    def _rows(self, parts: SideParts, names: Sequence[str], what: str) -> Rows:
        rows = parts.rows()
        if rows is None or rows.shape[0] < 2:
            found = 0 if rows is None else rows.shape[0]
            failed = [(names[i], why) for i, why in parts.failed()] or self.skipped
            reasons = [f"{name}: {why}" for name, why in failed[:SHOWN]]
            if len(failed) > SHOWN:
                reasons.append(f"and {len(failed) - SHOWN} more")
            raise InputError(
                "; ".join(
                    [
                        f"{self.source.name}: needs at least 2 {what} that can be encoded; found"
                        f" {found} of {len(names)}",
                        *reasons,
                    ]
                )
            )
        return rows

    def _provenance(self, parts: SideParts) -> dict[str, str]:
        return provenance_of(self.engine, parts, self.source.provenance, self.source.name)


def provenance_of(
    engine: Engine, parts: SideParts, source: Mapping[str, str], name: str
) -> dict[str, str]:
    """The origin of the rows of a side.

    Args:
        engine: the encoder and its options.
        parts: the rows.
        source: the facts that the source states.
        name: the name of the source.
    """
    encoder = engine.encoder
    made = {**encoder.provenance, **source}
    made.setdefault("data", name)
    made["data_fingerprint"] = xxhash.xxh3_128_hexdigest(parts.digests().tobytes())
    made["precision"] = engine.precision
    made["libraries"] = f"{made.get('libraries', '')}, Pillow {PIL.__version__}"
    if encoder.logit_scale is not None:
        made["logit_scale"] = repr(encoder.logit_scale)
    if lost := len(parts.failed()):
        made["skipped"] = str(lost)
    return made


def readable(name: str) -> str:
    """A name that files can hold: invalid Unicode, from a file system, is replaced."""
    return re.sub("[\ud800-\udfff]", "\ufffd", name)


def _pick(column: Sequence[Any], kept: NDArray[np.int64]) -> list[Any]:
    return [column[i] for i in kept]
