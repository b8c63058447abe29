"""Train: contrastive two-tower models, of any size, from a configuration.

``modalgap.train("mad_k2", "run")`` trains; the output folder is a model for ``encode``.
Needs ``pip install 'modalgap[train]'``.
"""

from modalgap._lazy import callable_package
from modalgap.train.config import Config, load_config, ready
from modalgap.train.profile_tower import load_profile_tower
from modalgap.train.result import Run, read_run
from modalgap.train.verb import train

__all__ = ["Config", "Run", "load_config", "load_profile_tower", "read_run", "ready", "train"]

callable_package(__name__, train)
