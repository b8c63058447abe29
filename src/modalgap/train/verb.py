"""train: from a configuration to a model in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.errors import InputError
from modalgap.extras import import_extra
from modalgap.losses import Objective
from modalgap.train.captions import captions_of, chain
from modalgap.train.check_data import check_data
from modalgap.train.config import Config, load_config
from modalgap.train.result import Run, read_run


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
        config: the name of a configuration in this package (``modalgap list configs``), the path
            of a YAML file, a mapping, or a ``Config``.
        output: the folder of the run. After an interruption, the same call resumes from the newest
            checkpoint. If the run is finished, the same call reads it.
        settings: ``section.key=value``, which replace values of the configuration.
        overwrite: discard a run made with other settings and start over.

    Returns:
        The finished run. Its ``model`` folder is loaded by ``encode`` like any other.

    Raises:
        OptionError: an unknown key or name, or a value that is not allowed.
        InputError: the data cannot be trained on, or the folder holds a run made with other
            settings.
        OutputError: the folder cannot be written.
        Diverged: the loss became NaN or infinite; earlier checkpoints are kept.
    """
    made = load_config(config, settings)
    if not isinstance(output, str | Path) or not str(output).isprintable():
        raise InputError(f"output: must be the path of a folder; got {output!a}"[:200])
    # before libraries are loaded
    Objective.of(made.losses)
    captions_of(made.data.captions)
    chain(made.data.transforms)
    check_data(made.data)
    work = import_extra("modalgap.train.run", "train", "training")
    remarks, rank = work.run(made, Path(output), overwrite=overwrite)
    return replace(read_run(output, remarks), rank=rank)
