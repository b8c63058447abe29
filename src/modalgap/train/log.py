"""The log of a run: JSON lines, and the same numbers in TensorBoard files.

A resumed run first removes the lines after its checkpoint, so that the file is the same as without
interruption.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalgap.atomic import replacing
from modalgap.errors import OutputError
from modalgap.extras import import_extra


class Log:
    """``log.jsonl`` and TensorBoard files.

    Args:
        folder: the folder of the run.
        first: the first step to write; later lines of an earlier run are removed.
        tensorboard: whether to write TensorBoard files.
    """

    def __init__(self, folder: Path, first: int, *, tensorboard: bool) -> None:
        self.path = folder / "log.jsonl"
        if first == 0:
            shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        kept = [line for line in read_log(folder) if line["step"] < first]
        with replacing(self.path, overwrite=True) as file:
            file.write("".join(f"{json.dumps(line)}\n" for line in kept).encode())
        self._file = self.path.open("a", encoding="utf-8")
        self._board: Any = None
        if tensorboard:
            what = "watch.tensorboard"
            import_extra("tensorboard", "train", what)
            board = import_extra("torch.utils.tensorboard", "train", what)
            self._board = board.SummaryWriter(str(folder / "tensorboard"), purge_step=first)

    def write(self, line: Mapping[str, Any]) -> None:
        """Write one line; nested values are named ``outer/inner`` in TensorBoard."""
        try:
            self._file.write(f"{json.dumps(line)}\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror})") from error
        if self._board is not None:
            for name, value in _flat(line):
                if name != "step":
                    self._board.add_scalar(name, value, line["step"])

    def close(self) -> None:
        """Write everything to disk and close."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, without damaged ones."""
    try:
        text = (folder / "log.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if _is_line(found):
            lines.append(found)
    return lines


def _is_line(found: object) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("step"), int) or found["step"] < 0:
        return False
    if "held_out" not in found:
        return isinstance(found.get("loss"), float)
    both = found["held_out"], found.get("accuracy")
    return all(
        isinstance(each, dict) and all(isinstance(value, float) for value in each.values())
        for each in both
    )


def _flat(line: Mapping[str, Any], name: str = "") -> list[tuple[str, float]]:
    result = []
    for key, value in line.items():
        if isinstance(value, Mapping):
            result += _flat(value, f"{name}{key}/")
        elif isinstance(value, int | float):
            result.append((f"{name}{key}", float(value)))
    return result
