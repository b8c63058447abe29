"""Embeddings (one modality) and Pair (two, and who matches whom): the nouns, and the door.

The door checks each row as it is first read: finite, not zero; then makes it a unit row in float32.
Nothing downstream checks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import ArrayLike, DTypeLike, NDArray
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings import matching
from modalgap.embeddings.matching import Ints, array
from modalgap.embeddings.rows import Rows, as_rows
from modalgap.errors import InputError, NotApplicable, quoted
from modalgap.linalg import keep_freed_memory, to_unit

CHUNK = 4096  # rows read at a time: fewer wait for one another less often, more leave the cache
UNIT_TOLERANCE = 2e-3  # float16 rows of unit norm come back within about 1e-3


@checked
@dataclass(frozen=True, eq=False, init=False)
class Embeddings:
    """Vectors of one modality, normalised at the door, with what is known about them.

    Args:
        vectors: (n, d) array, tensor, memory map or ``Rows``; float16, bfloat16, float32 or
            float64. Need not be unit.
        modality: "image", "text", or another name; it becomes the suffix of per-modality measures.
        names: n names for people (file names, captions), or None.
        factors: what is known of each row, name to (n,) integers or strings: for instance
            ``{"object": [...], "color": [...]}``. MOAD needs them.
        provenance: where the vectors come from (model, weights, data set, prompt, logit_scale ...).
        source: how errors call these vectors.

    Raises:
        InputError: a wrong shape or dtype, a row that is zero or not finite, a wrong length.
    """

    rows: Rows
    modality: str
    names: tuple[str, ...] | None
    factors: Mapping[str, NDArray[Any]]
    provenance: Mapping[str, str]
    source: str
    _cache: dict[str, Any]

    def __init__(
        self,
        vectors: ArrayLike | Tensor | Rows,
        modality: str = "image",
        names: Sequence[object] | None = None,
        factors: Mapping[str, ArrayLike] | None = None,
        provenance: Mapping[str, object] | None = None,
        source: str = "",
    ) -> None:
        if not isinstance(modality, str) or not modality:
            raise InputError(f"modality: must be a name such as 'image'; got {quoted(modality)}")
        _unicode([modality], "modality")
        source = source or modality
        rows = as_rows(vectors, source)
        n = rows.shape[0]
        if names is not None:
            names = tuple(map(str, names))
            if len(names) != n:
                raise InputError(f"{source}: names must be {n}, one a row; got {len(names)}")
            _unicode(names, f"{source}: names")
        known = {
            str(name): _column(values, f"{source}: factor {quoted(name)}", n)
            for name, values in (factors or {}).items()
        }
        _unicode(known, f"{source}: factors")
        made = {str(key): str(value) for key, value in (provenance or {}).items()}
        _unicode([*made, *made.values()], f"{source}: provenance")
        _freeze(
            self,
            rows=rows,
            modality=modality,
            names=names,
            factors=known,
            provenance=made,
            source=source,
            _cache={},
        )
        if rows.in_memory:
            self._scan()

    def __repr__(self) -> str:
        return f"Embeddings({self.modality}, n={self.n}, dim={self.dim})"

    def __len__(self) -> int:
        return self.n

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Unit rows (n, d), float32: ``np.asarray(pair.image)``; always a copy."""
        if copy is False:
            raise ValueError("Embeddings make their unit rows anew: copy=False cannot be kept")
        rows = self.unit().numpy()
        return rows if dtype is None else rows.astype(dtype)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.rows.shape[0]

    @property
    def dim(self) -> int:
        """Number of columns."""
        return self.rows.shape[1]

    def unit(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Unit rows [start, stop), float32 (stop - start, d)."""
        stop = self.n if stop is None else stop
        if not 0 <= start < stop <= self.n:
            raise InputError(
                f"{self.source}: rows must lie in 0 … {self.n}; got {quoted(start)} to"
                f" {quoted(stop)}"
            )
        return self._enter(self.rows.read(start, stop), torch.arange(start, stop))[0]

    def take(self, index: Tensor | Sequence[int]) -> Tensor:
        """Unit rows at ``index`` (k,), float32 (k, d)."""
        index = torch.as_tensor(index, dtype=torch.int64)
        if len(index) == 0:
            return torch.empty(0, self.dim)
        low, high = int(index.min()), int(index.max()) + 1
        if high - low <= 4 * len(index):  # dense enough to read in one go
            return self._enter(self.rows.read(low, high)[index - low], index)[0]
        return self._enter(self.rows.take(index), index)[0]

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, unit rows) over all rows in order.

        A whole pass also settles ``fingerprint`` and ``norm_range``, at no further reading.
        """
        keep_freed_memory()
        seen = None if "fingerprint" in self._cache else _Seen(self)
        for start, raw in self._stored(size, seen):
            unit, lengths = self._enter(raw, torch.arange(start, start + len(raw)))
            if seen is not None:
                seen.add(lengths)
            yield start, unit
        if seen is not None:
            seen.settle()

    def _stored(self, size: int, seen: _Seen | None) -> Iterator[tuple[int, Tensor]]:
        """Rows as stored; those of a file are read while the rows before them are used."""

        def read(start: int) -> Tensor:
            raw = self.rows.read(start, min(self.n, start + size))
            if seen is not None:
                seen.hash(raw)
            return raw

        starts = range(0, self.n, size)
        if self.rows.in_memory or len(starts) < 2:
            for start in starts:
                yield start, read(start)
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, 0)
            for start in starts:
                raw = ahead.result()
                if start + size < self.n:
                    ahead = reader.submit(read, start + size)
                yield start, raw

    @property
    def fingerprint(self) -> str:
        """A hash of shape, dtype, every byte and the factors: the same data in any file format."""
        self._scan()
        return str(self._cache["fingerprint"])

    @property
    def norm_range(self) -> tuple[float, float]:
        """Smallest and largest norm of the rows before they were normalised."""
        self._scan()
        low, high = self._cache["norm_range"]
        return (low, high)

    @property
    def were_unit(self) -> bool:
        """Whether every row had unit norm, within 0.002, before the door."""
        low, high = self.norm_range
        return abs(low - 1) <= UNIT_TOLERANCE and abs(high - 1) <= UNIT_TOLERANCE

    def factor(self, name: str) -> tuple[Tensor, int]:
        """Codes (n,) in 0 … k-1 of a factor, and k."""
        if name not in self.factors:
            known = ", ".join(sorted(self.factors)) or "none"
            raise NotApplicable(
                f"the {self.modality} side needs the factor {quoted(name)}; it has {known}"
            )
        values, codes = np.unique(self.factors[name], return_inverse=True)
        return torch.from_numpy(codes.reshape(-1).astype(np.int64)), len(values)

    def _scan(self) -> None:
        if "fingerprint" not in self._cache:
            for _ in self.chunks():
                continue

    def _enter(self, raw: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        unit, lengths = to_unit(raw)
        if not (lengths.min() > 0 and lengths.max() < torch.inf):
            row = int(torch.nonzero(~((lengths > 0) & lengths.isfinite()))[0])
            found = "only zeros" if lengths[row] == 0 else "nan or infinity"
            raise InputError(
                f"{self.source}: every row must be finite and not zero;"
                f" row {int(index[row])} holds {found}"
            )
        return unit, lengths


@checked
@dataclass(frozen=True, eq=False, init=False)
class Pair:
    """Two modalities in one space, and who matches whom.

    Args:
        image: n rows (or any first modality).
        text: m rows.
        text_to_image: (m,) the image that each text describes: captions, several per image allowed.
        labels: (n,) the text that describes each image: class prompts, one text per class.
        pairs: (k, 2) an image and a text that match, in any order: for texts that describe several
            images. Items without a match are allowed. Where each text has one image, this is kept
            as ``text_to_image``.

    With none of the three, n must equal m and row i matches row i.

    Raises:
        InputError: different widths, two kinds of match, or matches of a wrong shape or range.
    """

    image: Embeddings
    text: Embeddings
    text_to_image: Ints | None
    labels: Ints | None
    pairs: Ints | None

    def __init__(
        self,
        image: Embeddings | ArrayLike | Tensor,
        text: Embeddings | ArrayLike | Tensor,
        text_to_image: ArrayLike | Tensor | None = None,
        labels: ArrayLike | Tensor | None = None,
        *,
        pairs: ArrayLike | Tensor | None = None,
    ) -> None:
        if not isinstance(image, Embeddings):
            image = Embeddings(image, "image")
        if not isinstance(text, Embeddings):
            text = Embeddings(text, "text")
        if image.dim != text.dim:
            raise InputError(
                f"{image.source} and {text.source}: must have the same width;"
                f" got {image.dim} and {text.dim}"
            )
        if image.modality == text.modality:
            raise InputError(
                f"the two modalities must have two names; both are {quoted(image.modality)}"
            )
        kinds = {"text_to_image": text_to_image, "labels": labels, "pairs": pairs}
        given = {name: value for name, value in kinds.items() if value is not None}
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)}: give one or neither, not both")
        if not given and image.n != text.n:
            raise InputError(
                f"{image.source} and {text.source}: without text_to_image, labels or pairs, row i"
                " matches row i, so both need the same number of rows;"
                f" got {image.n} and {text.n}"
            )
        found = matching.matches_of(given, image.n, text.n)
        _freeze(self, image=image, text=text, **{name: found.get(name) for name in kinds})

    def __repr__(self) -> str:
        return f"Pair({self.image!r}, {self.text!r}, matched by {self.matched_by})"

    def over(self, image: Embeddings, text: Embeddings) -> Pair:
        """The same matches over other embeddings, of n and m rows."""
        return Pair(image, text, self.text_to_image, self.labels, pairs=self.pairs)

    @property
    def dim(self) -> int:
        """Width of both sides."""
        return self.image.dim

    @property
    def matched_by(self) -> str:
        """How the sides match: "rows", "text_to_image", "labels" or "pairs"."""
        if self.pairs is not None:
            return "pairs"
        if self.labels is not None:
            return "labels"
        return "rows" if self.text_to_image is None else "text_to_image"

    @property
    def sides(self) -> tuple[Embeddings, Embeddings]:
        """Image, then text."""
        return (self.image, self.text)

    @property
    def captions_per_image(self) -> int | None:
        """C when texts come in order, c to an image; None otherwise."""
        if self.labels is not None or self.pairs is not None:
            return None
        if self.text_to_image is None:
            return 1
        c, rest = divmod(self.text.n, self.image.n)
        if rest or not np.array_equal(self.text_to_image, np.arange(self.text.n) // c):
            return None
        return c

    @property
    def matches(self) -> tuple[Tensor, Tensor]:
        """Indices (image, text), each (k,), of every match.

        Ordered by text; by image, then text, where ``labels`` or ``pairs`` say who matches whom.
        """
        if self.pairs is not None:
            image, text = np.ascontiguousarray(self.pairs.T)
            return torch.from_numpy(image), torch.from_numpy(text)
        if self.labels is not None:
            return torch.arange(self.image.n), torch.from_numpy(self.labels)
        if self.text_to_image is not None:
            return torch.from_numpy(self.text_to_image), torch.arange(self.text.n)
        return torch.arange(self.image.n), torch.arange(self.image.n)

    @property
    def first_matches(self) -> tuple[Tensor, Tensor]:
        """``matches`` with each image once: its first text. Images without one are left out.

        With ``labels`` or ``pairs`` a text may be there several times; see ``distinct_matches``.
        """
        image, text = self.matches
        if self.text_to_image is None and self.pairs is None:
            return image, text
        found, first = np.unique(image.numpy(), return_index=True)
        return torch.from_numpy(found), text[torch.from_numpy(first.astype(np.int64))]

    @property
    def distinct_matches(self) -> tuple[Tensor, Tensor]:
        """Matches (image, text) of which no image matches the text of another.

        Of captions: each image with its first. For what compares items one by one, such as
        InfoNCE, where a second right answer would count as a wrong one.
        """
        if self.pairs is None:
            return self.first_matches
        chosen = matching.distinct(self.pairs, self.image.n, self.text.n)
        image, text = self.matches
        return image[chosen], text[chosen]

    @cached_property
    def clusters(self) -> tuple[Ints, Ints]:
        """Items that depend on one another have one number: of images (n,), and of texts (m,).

        Captions have the number of their image. With ``pairs``, all items that are connected by
        matches have one number. Class prompts are a fixed set, so each item has its own.
        """
        if self.pairs is not None:
            return matching.components(self.pairs, self.image.n, self.text.n)
        texts = np.arange(self.text.n) if self.text_to_image is None else self.text_to_image
        return np.arange(self.image.n), texts

    @property
    def fingerprint(self) -> str:
        """A hash of both sides and of who matches whom."""
        digest = xxhash.xxh3_128()
        digest.update(f"{self.image.fingerprint}|{self.text.fingerprint}|".encode())
        if self.captions_per_image != 1:
            digest.update(self.matched_by.encode())
            who = next(
                each for each in (self.labels, self.text_to_image, self.pairs) if each is not None
            )
            digest.update(np.ascontiguousarray(who).data)
        return digest.hexdigest()


def _freeze(noun: object, **values: object) -> None:
    """Set the fields of a frozen dataclass, once."""
    for name, value in values.items():
        object.__setattr__(noun, name, value)


class _Seen:
    """What a first whole pass learns: the hash of the bytes and the range of the norms."""

    def __init__(self, side: Embeddings) -> None:
        self.side = side
        self.digest = xxhash.xxh3_128()
        self.digest.update(f"{side.rows.shape}|{side.rows.dtype}|".encode())
        self.low, self.high = np.inf, 0.0

    def hash(self, raw: Tensor) -> None:
        bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[raw.element_size()]
        self.digest.update(raw.contiguous().view(bits).numpy().data)

    def add(self, lengths: Tensor) -> None:
        self.low = min(self.low, float(lengths.min()))
        self.high = max(self.high, float(lengths.max()))

    def settle(self) -> None:
        for name, values in sorted(self.side.factors.items()):
            self.digest.update(f"|{name}|".encode())
            self.digest.update("\0".join(map(str, values)).encode())
        self.side._cache["norm_range"] = (self.low, self.high)
        self.side._cache["fingerprint"] = self.digest.hexdigest()


def _unicode(values: Iterable[str], what: str) -> None:
    """Text that no file and no page could hold is refused here, not where it is written."""
    try:
        "".join(values).encode()
    except ValueError as error:  # a lone surrogate, or a code point beyond the last
        raise InputError(f"{what}: must be valid Unicode text; got other code points") from error


def _column(values: object, what: str, n: int) -> NDArray[Any]:
    """A factor: (n,) integers or strings."""
    column = array(values, what)
    if column.dtype.kind not in "iuUb":
        raise InputError(f"{what}: must hold integers or strings; got {column.dtype}")
    if column.shape != (n,):
        raise InputError(f"{what}: must have shape ({n},), one a row; got {column.shape}")
    if column.dtype.kind != "U":
        return column.astype(np.int64)
    _unicode(map(str, column.flat), what)
    return column.astype(str)
