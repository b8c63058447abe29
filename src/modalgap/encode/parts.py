"""Parts: what is encoded so far, on the disk beside the output, so that a kill loses little.

One folder holds ``plan.json``, the settings of the run, and for each side files of rows named by
the positions that they cover. Each file is replaced whole. Which positions share a batch never
depends on where a run was interrupted, so a resumed run gives the bytes of an unbroken one.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
from modalgap.errors import FileError, InputError, OutputError

PATIENCE = 5.0  # seconds of work that a kill may cost
MOST = 64 * 2**20  # bytes of rows held before they are written
HASHED = {  # settings of which a plan holds hashes
    "media": "the images, their names or their files have changed",
    "texts": "the texts have changed",
    "matches": "who matches whom has changed",
}


@contextmanager
def work_folder(folder: Path, plan: Mapping[str, Any], *, anew: bool) -> Iterator[Path]:
    """The folder of a run, made or taken up again; one run at a time.

    Args:
        folder: where the parts lie.
        plan: the settings on which the numbers depend.
        anew: throw away a run of other settings rather than refuse.

    Raises:
        InputError: it holds a run of other settings; they are named.
        OutputError: it cannot be made, is somebody else's, or another run is at work in it.
    """
    _not_foreign(folder)
    try:
        folder.mkdir(exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    with lock:
        with suppress(ImportError):  # where the system has no such locks
            import fcntl

            try:
                # of this process alone: workers that outlive a kill by a moment do not hold it
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OutputError(f"{folder}: another run is at work in it") from error
        _agree(folder, plan, anew=anew)
        yield folder


def _not_foreign(folder: Path) -> None:
    """Refuse a folder that holds something else: it would be removed with the parts."""
    try:
        names = [each.name for each in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read ({error.strerror})") from error
    others = [name for name in names if name != "lock" and not name.startswith(".modalgap-")]
    if others and "plan.json" not in names:
        raise _foreign(folder, others[0])


def _foreign(folder: Path, found: str) -> OutputError:
    return OutputError(
        f"{folder}: must be missing, empty or of an unfinished run; found {found}: move it away,"
        " or choose another output"
    )


def _agree(folder: Path, plan: Mapping[str, Any], *, anew: bool) -> None:
    path = folder / "plan.json"
    new = json.loads(json.dumps(plan))
    if path.exists():
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FileError(f"{path}: is damaged; remove {folder} to begin anew") from error
        if not isinstance(old, dict):
            raise FileError(f"{path}: is damaged; remove {folder} to begin anew")
        if old == new:
            return
        if not old.keys() >= HASHED.keys():
            raise _foreign(folder, "a plan.json of something else")
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        if not anew:
            said = "; ".join(
                HASHED.get(k) or f"{k}: {_short(old.get(k))}, now {_short(new.get(k))}"
                for k in keys
            )
            raise InputError(
                f"{folder}: holds an unfinished run of other settings ({said}); take those, or"
                " begin anew with --force or overwrite=True"
            )
        for each in folder.glob("*.safetensors"):
            each.unlink()
    with replacing(path, overwrite=True) as file:
        file.write(json.dumps(new, indent=1).encode())


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def remove(folder: Path) -> None:
    """Remove the folder of a finished run."""
    shutil.rmtree(folder, ignore_errors=True)


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
        sides = [format_.read(path).image for path in self.files]
        found = [side.rows for side in sides if side is not None and side.rows.shape[0]]
        return concatenate(found, str(self.folder)) if found else None

    def _column(self, key: str) -> NDArray[Any]:
        found = []
        for path in self.files:
            with parsing(path, "safetensors"), safe_open(path, framework="np") as file:
                found.append(file.get_tensor(key))
        return np.concatenate(found) if found else np.zeros(0, np.int64)
