"""Embeddings: the vectors of one modality, validated.

Each row is checked when it is first read (finite, not zero) and is returned as a float32 row of
unit norm. Code that receives ``Embeddings`` does not check values again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings.matching import array
from modalgap.embeddings.rows import CHUNK, Rows, as_rows
from modalgap.embeddings.scan import Scan, Scanning, fingerprint, joined
from modalgap.embeddings.strings import Strings
from modalgap.errors import InputError, NotApplicable, quoted
from modalgap.files import SMALL, check_memory
from modalgap.linalg import keep_freed_memory, to_unit

UNIT_TOLERANCE = 2e-3  # float16 rows of unit norm come back within about 1e-3


@checked
@dataclass(frozen=True, eq=False, init=False)
class Embeddings:
    """Vectors of one modality, with names, factors and provenance.

    Args:
        vectors: (n, d) array, tensor, memory map or ``Rows``; float16, bfloat16, float32 or
            float64. Rows of any norm are accepted.
        modality: "image", "text", or another name; it becomes the suffix of per-modality measures.
        names: one name per row (file names, captions), or None. Shown to people. A tuple; names
            that a large file holds are a sequence that reads them when they are used.
        factors: attributes of the rows: name to (n,) integers or strings, for instance
            ``{"object": [...], "color": [...]}``. MOAD needs them.
        provenance: where the vectors come from (model, weights, data set, prompt, logit_scale ...).
        source: what error messages call these vectors.

    Raises:
        InputError: a wrong shape or dtype, a row that is zero or not finite, a wrong length.
    """

    rows: Rows
    modality: str
    names: Sequence[str] | None
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
            if not isinstance(names, Strings):
                names = tuple(map(str, names))
                _unicode(names, f"{source}: names")
            if len(names) != n:
                raise InputError(f"{source}: names must be {n}, one per row; got {len(names)}")
        columns = {
            str(name): _column(values, f"{source}: factor {quoted(name)}", n)
            for name, values in (factors or {}).items()
        }
        _unicode(columns, f"{source}: factors")
        origin = {str(key): str(value) for key, value in (provenance or {}).items()}
        _unicode([*origin, *origin.values()], f"{source}: provenance")
        vars(self).update(  # the fields of a frozen dataclass
            rows=rows,
            modality=modality,
            names=names,
            factors=columns,
            provenance=origin,
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
            raise ValueError("unit rows are always a copy: copy=False is not supported")
        rows = self.unit().numpy()
        return rows if dtype is None else rows.astype(dtype)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Names, factors and vectors as stored, for table libraries: ``polars.DataFrame(texts)``.

        Columns: name, if there are names; the factors; vector, a list of d numbers. Vectors in
        memory are not copied, except bfloat16, which becomes float32.
        """
        from modalgap.embeddings.arrow import reader

        stream = reader(self.rows, self.names, self.factors, self._validated)
        return stream.__arrow_c_stream__(requested_schema)

    @property
    def sides(self) -> tuple[Embeddings]:
        """Itself, as the only modality: ``sides`` of a pair, or of several, are all of theirs."""
        return (self,)

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
        if (wanted := 4 * (stop - start) * self.dim) > SMALL:
            check_memory(self.source, wanted)
        return self._validated(self.rows.read(start, stop), torch.arange(start, stop))[0]

    def take(self, index: Tensor | Sequence[int]) -> Tensor:
        """Unit rows at ``index`` (k,), float32 (k, d)."""
        index = torch.as_tensor(index, dtype=torch.int64)
        if len(index) == 0:
            return torch.empty(0, self.dim)
        low, high = int(index.min()), int(index.max()) + 1
        if high - low <= 4 * len(index):  # dense enough to read in one go
            return self._validated(self.rows.read(low, high)[index - low], index)[0]
        return self._validated(self.rows.take(index), index)[0]

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, unit rows) over all rows in order.

        The first complete pass also computes ``fingerprint`` and ``norm_range``.
        """
        reading = self.reading((0, self.n), size)
        yield from reading
        if reading.scan is not None:
            self.keep([reading.scan])

    def reading(
        self, span: tuple[int, int], size: int = CHUNK, *, scanning: bool = True
    ) -> Reading:
        """The unit rows of a span, in chunks of ``size``; see ``Reading``."""
        return Reading(self, span, size, scanning and "scan" not in self._cache)

    def keep(self, scans: Iterable[Scan]) -> None:
        """Keep the scans of spans that cover all rows in order: the fingerprint is of these."""
        self._cache["scan"] = joined(scans)

    def bare(self) -> Embeddings:
        """The same rows without names, factors and provenance: small to send to other processes."""
        made = object.__new__(Embeddings)
        vars(made).update(vars(self), names=None, factors={}, provenance={})
        vars(made).update(_cache={key: self._cache[key] for key in self._cache if key == "scan"})
        return made

    def stored(self) -> Iterator[Tensor]:
        """Yield the rows as they are stored, in chunks in order."""
        return (raw for _, raw in self._stored(0, self.n, CHUNK, None))

    def _stored(
        self, begin: int, end: int, size: int, scanning: Scanning | None
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, rows as stored). A thread reads a file one chunk ahead of its use."""

        def read(start: int) -> Tensor:
            raw = self.rows.read(start, min(end, start + size))
            if scanning is not None:
                scanning.hash(raw)
            return raw

        starts = range(begin, end, size)
        if self.rows.in_memory or len(starts) < 2:
            for start in starts:
                yield start, read(start)
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, begin)
            for start in starts:
                raw = ahead.result()
                if start + size < end:
                    ahead = reader.submit(read, start + size)
                yield start, raw

    @property
    def fingerprint(self) -> str:
        """A hash of shape, dtype, every byte and the factors, the same in every file format."""
        if "fingerprint" not in self._cache:
            form = (self.rows.shape, self.rows.dtype, self.factors)
            self._cache["fingerprint"] = fingerprint(self._scan(), *form)
        return str(self._cache["fingerprint"])

    @property
    def norm_range(self) -> tuple[float, float]:
        """Smallest and largest norm of the rows before they were normalised."""
        scan = self._scan()
        return (scan.low, scan.high)

    @property
    def were_unit(self) -> bool:
        """Whether every row had unit norm, within 0.002, before it was normalised."""
        low, high = self.norm_range
        return abs(low - 1) <= UNIT_TOLERANCE and abs(high - 1) <= UNIT_TOLERANCE

    def factor(self, name: str) -> tuple[Tensor, int]:
        """Codes (n,) in 0 … k-1 of a factor, and k."""
        if name not in self.factors:
            there = ", ".join(sorted(self.factors)) or "none"
            raise NotApplicable(
                f"the {self.modality} side needs the factor {quoted(name)}; it has {there}"
            )
        values, codes = np.unique(self.factors[name], return_inverse=True)
        return torch.from_numpy(codes.reshape(-1).astype(np.int64)), len(values)

    def _scan(self) -> Scan:
        if "scan" not in self._cache:
            for _ in self.chunks():
                continue
        scan: Scan = self._cache["scan"]
        return scan

    def _validated(self, raw: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Unit rows and norms of the stored rows ``raw``, whose row numbers are ``index``."""
        unit, norms = to_unit(raw)
        if not (norms.min() > 0 and norms.max() < torch.inf):
            row = int(torch.nonzero(~((norms > 0) & norms.isfinite()))[0])
            found = "only zeros" if norms[row] == 0 else "nan or infinity"
            raise InputError(
                f"{self.source}: every row must be finite and not zero;"
                f" row {int(index[row])} holds {found}"
            )
        return unit, norms


class Reading:
    """Iterates over (start, unit rows) of a span of rows, in order.

    Args:
        side: the rows.
        span: from the start of a block; see ``modalgap.embeddings.scan``.
        size: rows at a time.
        scanning: whether to scan the rows.

    Attributes:
        scan: at the end, the scan of the rows, if they were scanned.
    """

    def __init__(self, side: Embeddings, span: tuple[int, int], size: int, scanning: bool) -> None:
        self._side, self._span, self._size, self._scanning = side, span, size, scanning
        self.scan: Scan | None = None

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        keep_freed_memory()
        side = self._side
        scanning = Scanning() if self._scanning else None
        for start, raw in side._stored(*self._span, self._size, scanning):
            unit, norms = side._validated(raw, torch.arange(start, start + len(raw)))
            if scanning is not None:
                scanning.add(norms)
            yield start, unit
        if scanning is not None:
            self.scan = scanning.result()


def _unicode(values: Iterable[str], what: str) -> None:
    """Refuse text that cannot be encoded as UTF-8."""
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
        raise InputError(f"{what}: must have shape ({n},), one per row; got {column.shape}")
    if column.dtype.kind != "U":
        return column.astype(np.int64)
    _unicode(map(str, column.flat), what)
    return column.astype(str)
