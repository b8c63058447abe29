"""train: from a configuration to a model in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.errors import FileError, InputError
from modalgap.extras import library
from modalgap.losses import Objective
from modalgap.train.captions import captions_of, chain
from modalgap.train.checkpoint import steps_done
from modalgap.train.config import Config, load_config
from modalgap.train.log import read_log

CONFIG, MODEL = "config.yaml", "model"


@checked
@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        folder: where everything of it lies.
        model: the trained model's folder; ``open_clip:`` and this path is a model for ``encode``.
        config: its settings.
        log: the lines of ``log.jsonl``: losses, and measurements on the held-out pairs.
        steps: how many.
        remarks: what was noticed: that it was resumed, that a checkpoint was damaged.
        rank: of the process that answers, where several trained together.
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
        """The model as ``encode`` takes it."""
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
    """A line of measurements as names and numbers."""
    return {**line["held_out"], **{f"accuracy/{k}": v for k, v in line["accuracy"].items()}}


@checked
def train(
    config: str | Path | Mapping[str, Any] | Config,
    output: str | Path,
    *,
    settings: Sequence[str] = (),
    overwrite: bool = False,
) -> Run:
    """Train a contrastive model of two towers.

    Args:
        config: the name of a ready configuration (``modalgap list configs``), the path of a YAML
            file, a mapping, or a ``Config``.
        output: the folder of the run. The same call after a kill goes on from its newest
            checkpoint, and after the end reads what is there.
        settings: ``section.key=value``, laid over the configuration.
        overwrite: discard a run made with other settings and start over.

    Returns:
        The finished run. Its ``model`` folder is loaded by ``encode`` like any other.

    Raises:
        OptionError: a key, a name or a value that nothing has.
        InputError: the data cannot be trained on; or the folder holds a run of other settings.
        OutputError: the folder cannot be written.
        Diverged: the loss became no number; the checkpoints before it are kept.
    """
    made = load_config(config, settings)
    if not isinstance(output, str | Path) or not str(output).isprintable():
        raise InputError(f"output: must be the path of a folder; got {output!a}"[:200])
    # what is misspelt is said before libraries are loaded
    Objective.of(made.losses)
    captions_of(made.data.captions)
    chain(made.data.transforms)
    work = library("modalgap.train.run", "train", "training")
    remarks, rank = work.run(made, Path(output), overwrite=overwrite)
    return replace(read_run(output, remarks), rank=rank)


@checked
def read_run(folder: str | Path, remarks: Sequence[str] = ()) -> Run:
    """A finished run, from its folder.

    Raises:
        FileError: the folder holds none.
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
