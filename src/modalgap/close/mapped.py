"""Rows that are closed when they are read, so that files larger than memory can be closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modalgap.embeddings import Embeddings
from modalgap.embeddings.rows import Rows


class Mover(Protocol):
    """The part of ``AffineMap`` that ``MappedRows`` uses."""

    def move(self, rows: Tensor, role: str) -> Tensor:
        """Closed rows (n, e) of rows (n, d)."""
        ...

    def width(self, role: str) -> int:
        """Columns of closed rows."""
        ...


@dataclass(frozen=True, eq=False)
class MappedRows:
    """The rows of ``side``, closed by the map ``by``. It implements ``Rows``."""

    side: Embeddings
    by: Mover
    dtype: torch.dtype = torch.float32
    in_memory: bool = False

    @property
    def parts(self) -> tuple[Rows, ...]:
        """The rows from which these are computed."""
        return (self.side.rows,)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, e)."""
        return (self.side.n, self.by.width(self.side.modality))

    def read(self, start: int, stop: int) -> Tensor:
        """Closed rows [start, stop)."""
        return self.by.move(self.side.unit(start, stop), self.side.modality)

    def take(self, index: Tensor) -> Tensor:
        """Closed rows at ``index``."""
        return self.by.move(self.side.take(index), self.side.modality)
