"""A finished run: its folder, its model and its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.errors import FileError
from modalgap.train.checkpoint import steps_done
from modalgap.train.config import Config, load_config
from modalgap.train.log import read_log

CONFIG, MODEL = "config.yaml", "model"


@checked
@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        folder: the folder of all its files.
        model: the folder of the trained model; ``open_clip:`` and this path name it for ``encode``.
        config: its settings.
        log: the lines of ``log.jsonl``: losses, and measurements on the held-out pairs.
        steps: number of steps.
        remarks: events, such as a resumed run or a damaged checkpoint.
        rank: rank of this process, if several trained together.
    """

    folder: Path
    model: Path
    config: Config
    log: Sequence[Mapping[str, Any]]
    steps: int
    remarks: tuple[str, ...] = ()
    rank: int = 0

    @property
    def spec(self) -> str:
        """The name of the model for ``encode``."""
        return f"open_clip:{self.model}"

    @property
    def last(self) -> dict[str, float]:
        """The last measurement on the held-out pairs, with ``accuracy/…``; empty without one."""
        lines = [line for line in self.log if "held_out" in line]
        return {} if not lines else flat(lines[-1])

    @property
    def first(self) -> dict[str, float]:
        """The measurement before the first step."""
        lines = [line for line in self.log if "held_out" in line and line["step"] == 0]
        return {} if not lines else flat(lines[0])


def flat(line: Mapping[str, Any]) -> dict[str, float]:
    """A line of measurements as a flat mapping of names to numbers."""
    return {**line["held_out"], **{f"accuracy/{k}": v for k, v in line["accuracy"].items()}}


@checked
def read_run(folder: str | Path, remarks: Sequence[str] = ()) -> Run:
    """Read a finished run from its folder.

    Raises:
        FileError: the folder holds no finished run.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file() or not (folder / MODEL).is_dir():
        raise FileError(f"{folder}: must hold a finished run: {CONFIG} and {MODEL}")
    log = read_log(folder)
    if not any(line["step"] == steps_done(folder / "checkpoints") for line in log):
        remarks = [*remarks, f"{folder / 'log.jsonl'} lacks its last lines"]
    return Run(
        folder=folder,
        model=folder / MODEL,
        config=load_config(folder / CONFIG),
        log=log,
        steps=steps_done(folder / "checkpoints"),
        remarks=tuple(remarks),
    )
