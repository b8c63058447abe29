"""Parts: what is encoded so far, on the disk beside the output, so that a kill loses little.

One folder holds ``plan.json``, the settings of the run, and for each side files of rows named by
the positions that they cover. Each file is replaced whole. Which positions share a batch never
depends on where a run was interrupted, so a resumed run gives the bytes of an unbroken one.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from modalgap.atomic import replacing
from modalgap.embeddings.formats import safetensors as format_
from modalgap.embeddings.formats.files import parsing
from modalgap.embeddings.rows import Rows, concatenate

PATIENCE = 5.0  # seconds of work that a kill may cost
MOST = 64 * 2**20  # bytes of rows held before they are written


class Parts:
    """The rows of one side, in files that cover its positions from 0 on.

    Args:
        folder: the run's.
        side: ``media`` or ``text``.
        dim: width of the rows.
        dtype: of the rows as stored.
    """

    def __init__(self, folder: Path, side: str, dim: int, dtype: torch.dtype) -> None:
        self.folder, self.side, self.dim, self.dtype = folder, side, dim, dtype
        self.files: list[Path] = []
        self.position = 0
        pattern = re.compile(rf"{side}-([0-9]+)-([0-9]+)\.safetensors")
        found = {}
        for path in folder.iterdir():
            match = pattern.fullmatch(path.name)
            if match:
                found[int(match[1])] = (int(match[2]), path)
        while self.position in found:
            stop, path = found[self.position]
            self.files.append(path)
            self.position = stop
        self.start = self.position
        self._waiting: list[dict[str, Tensor]] = []
        self._failed: list[tuple[int, str]] = []
        self._since = time.monotonic()

    def add(
        self,
        stop: int,
        rows: Tensor,
        kept: Tensor,
        failed: list[tuple[int, str]],
        digests: Tensor,
        cut: int = 0,
    ) -> None:
        """Take what positions up to ``stop`` gave; write it once enough has come together."""
        self._waiting.append(
            {
                "image": rows.to(self.dtype),
                "kept": kept,
                "digests": digests,
                "cut": torch.tensor([cut]),
            }
        )
        self._failed += failed
        self.position = stop
        held = sum(each["image"].numel() * each["image"].element_size() for each in self._waiting)
        if time.monotonic() - self._since > PATIENCE or held > MOST:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        whole = {key: torch.cat([each[key] for each in self._waiting]) for key in self._waiting[0]}
        path = self.folder / f"{self.side}-{self.start:012d}-{self.position:012d}.safetensors"
        content = safetensors.torch.save(whole, {"failed": json.dumps(self._failed)})
        with replacing(path, overwrite=True) as file:
            file.write(content)
        self.files.append(path)
        self.start, self._waiting, self._failed = self.position, [], []
        self._since = time.monotonic()

    def kept(self) -> NDArray[np.int64]:
        """Positions that have a row, in order."""
        return self._column("kept").astype(np.int64)

    def digests(self) -> NDArray[np.uint8]:
        """(k, 16) hashes of what was encoded."""
        return self._column("digests").reshape(-1, 16)

    def cut(self) -> int:
        """How many texts were longer than the context."""
        return int(self._column("cut").sum())

    def failed(self) -> list[tuple[int, str]]:
        """(position, reason) of what has no row."""
        found: list[tuple[int, str]] = []
        for path in self.files:
            with parsing(path, "safetensors"), safe_open(path, framework="np") as file:
                found += [(int(i), str(why)) for i, why in json.loads(file.metadata()["failed"])]
        return found

    def rows(self) -> Rows | None:
        """All rows, in the files until they are read; None if there are none."""
        sides = [format_.read(path).sides["image"] for path in self.files]
        found = [side.rows for side in sides if side.rows.shape[0]]
        return concatenate(found, str(self.folder)) if found else None

    def _column(self, key: str) -> NDArray[Any]:
        found = []
        for path in self.files:
            with parsing(path, "safetensors"), safe_open(path, framework="np") as file:
                found.append(file.get_tensor(key))
        return np.concatenate(found) if found else np.zeros(0, np.int64)
