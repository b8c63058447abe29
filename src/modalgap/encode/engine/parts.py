"""The parts of one side: encoded rows, on disk next to the output.

The positions of a batch never depend on where a run was interrupted, so a resumed run writes the
same bytes as one that was not interrupted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.embeddings.formats import safetensors as format_
from modalgap.embeddings.rows import Rows, concatenate
from modalgap.work import Parts, Span

PATIENCE = 5.0  # seconds of work that a killed run may lose
MOST = 64 * 2**20  # bytes of rows in memory before they are written


@dataclass(frozen=True, eq=False)
class Encoded:
    """The results of the positions from ``start`` to ``stop``.

    Attributes:
        start: the first position.
        stop: one past the last position.
        rows: (k, dim) unit rows.
        kept: (k,) their positions.
        failed: (position, reason) of each position without a row.
        digests: (k, 16) hashes of the encoded items.
        cut: number of truncated texts.
    """

    start: int
    stop: int
    rows: Tensor
    kept: Tensor
    failed: list[tuple[int, str]]
    digests: Tensor
    cut: int = 0


class SideParts:
    """The rows of one side, in parts that cover its positions from 0 on.

    Args:
        folder: the work folder of the run.
        side: ``media`` or ``text``.
        dim: width of the rows.
        dtype: dtype of the stored rows.
    """

    def __init__(self, folder: Path, side: str, dim: int, dtype: torch.dtype) -> None:
        self.dim, self.dtype = dim, dtype
        self.position = 0
        self._parts = Parts(folder, side)
        self._spans: list[Span] = []
        for span in self._parts.spans():
            if span[0] == self.position:
                self._spans.append(span)
                self.position = span[1]
        self._start = self.position
        self._waiting: list[dict[str, Tensor]] = []
        self._failed: list[tuple[int, str]] = []
        self._since = time.monotonic()

    def add(self, encoded: Encoded) -> None:
        """Add the results of the next positions; write them in larger parts."""
        self._waiting.append(
            {
                "image": encoded.rows.to(self.dtype),
                "kept": encoded.kept,
                "digests": encoded.digests,
                "cut": torch.tensor([encoded.cut]),
            }
        )
        self._failed += encoded.failed
        self.position = encoded.stop
        held = sum(each["image"].numel() * each["image"].element_size() for each in self._waiting)
        if time.monotonic() - self._since > PATIENCE or held > MOST:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are still in memory."""
        if not self._waiting:
            return
        span = (self._start, self.position)
        whole = {
            key: torch.cat([each[key] for each in self._waiting]).numpy()
            for key in self._waiting[0]
        }
        self._parts.write(span, whole, self._failed)
        self._spans.append(span)
        self._start, self._waiting, self._failed = self.position, [], []
        self._since = time.monotonic()

    def kept(self) -> NDArray[np.int64]:
        """Positions that have a row, ascending."""
        return self._column("kept").astype(np.int64)

    def digests(self) -> NDArray[np.uint8]:
        """(k, 16) hashes of the encoded items."""
        return self._column("digests").reshape(-1, 16)

    def cut(self) -> int:
        """Number of truncated texts."""
        return int(self._column("cut").sum())

    def failed(self) -> list[tuple[int, str]]:
        """(position, reason) of each position without a row."""
        found = [self._parts.read(span, ()).about for span in self._spans]
        return [(int(position), str(reason)) for each in found for position, reason in each]

    def rows(self) -> Rows | None:
        """All rows, as views of the files; None if there are none."""
        paths = [self._parts.path(span) for span in self._spans]
        sides = [format_.read(path).sides["image"] for path in paths]
        found = [side.rows for side in sides if side.rows.shape[0]]
        return concatenate(found, str(self._parts.folder)) if found else None

    def _column(self, key: str) -> NDArray[Any]:
        found = [self._parts.read(span, (key,)).arrays[key] for span in self._spans]
        return np.concatenate(found) if found else np.zeros(0, np.int64)
