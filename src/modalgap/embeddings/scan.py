"""Scan: a hash of each block of stored rows and the range of their norms, from one pass.

A hash of all bytes can only be computed by one process, from the first row to the last. Hashes of
blocks can be computed by several processes in any order, and are joined afterwards
(docs/format.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 4096  # rows of a block; each block has one hash
FORM = "2-"  # starts every fingerprint; those of modalgap 0.1 had no such start
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Scan:
    """The scan of consecutive rows, from the start of a block.

    Attributes:
        blocks: the 128-bit XXH3 of each block, 16 bytes each.
        low: smallest norm.
        high: largest norm.
    """

    blocks: bytes
    low: float
    high: float


class Scanning:
    """Collects a ``Scan`` while rows are read in order, in chunks of any size."""

    def __init__(self) -> None:
        self._blocks = bytearray()
        self._digest = xxhash.xxh3_128()
        self._inside = 0  # rows of the unfinished block
        self.low, self.high = np.inf, 0.0

    def hash(self, raw: Tensor) -> None:
        """Add the next rows (n, d), as they are stored, to the hashes."""
        bits = _bits(raw)
        start = 0
        while start < len(bits):
            stop = min(len(bits), start + BLOCK - self._inside)
            self._digest.update(bits[start:stop].data)
            self._inside += stop - start
            start = stop
            if self._inside == BLOCK:
                self._close()

    def add(self, norms: Tensor) -> None:
        """Add the norms (n,) of the next rows."""
        self.low = min(self.low, float(norms.min()))
        self.high = max(self.high, float(norms.max()))

    def result(self) -> Scan:
        """The scan of all added rows. An unfinished block ends here."""
        if self._inside:
            self._close()
        return Scan(bytes(self._blocks), self.low, self.high)

    def _close(self) -> None:
        self._blocks += self._digest.digest()
        self._digest, self._inside = xxhash.xxh3_128(), 0


def joined(scans: Iterable[Scan]) -> Scan:
    """The scan of the rows of several scans, in this order."""
    found = list(scans)
    return Scan(
        b"".join(each.blocks for each in found),
        min(each.low for each in found),
        max(each.high for each in found),
    )


def fingerprint(
    scan: Scan,
    shape: tuple[int, int],
    dtype: torch.dtype,
    factors: Mapping[str, NDArray[np.generic]],
) -> str:
    """The fingerprint of rows of this scan, shape and dtype, with these factors."""
    digest = xxhash.xxh3_128(f"{shape}|{dtype}|".encode())
    digest.update(scan.blocks)
    _add_factors(digest, factors)
    return f"{FORM}{digest.hexdigest()}"


def earlier_fingerprint(
    shape: tuple[int, int],
    dtype: torch.dtype,
    factors: Mapping[str, NDArray[np.generic]],
    chunks: Iterable[Tensor],
) -> str:
    """The fingerprint in the form of modalgap 0.1, of the stored rows in order."""
    digest = xxhash.xxh3_128(f"{shape}|{dtype}|".encode())
    for raw in chunks:
        digest.update(_bits(raw).data)
    _add_factors(digest, factors)
    return digest.hexdigest()


def _bits(raw: Tensor) -> NDArray[np.generic]:
    found: NDArray[np.generic] = raw.contiguous().view(_BITS[raw.element_size()]).numpy()
    return found


def _add_factors(digest: xxhash.xxh3_128, factors: Mapping[str, NDArray[np.generic]]) -> None:
    for name, values in sorted(factors.items()):
        digest.update(f"|{name}|".encode())
        digest.update("\0".join(map(str, values)).encode())
