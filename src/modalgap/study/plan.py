"""Plan and Work: what a study will compute, and the input of its ``run``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modalgap.train import Config, Run


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A model that is fine-tuned from another model of the same plan.

    Attributes:
        start: the name of that model in ``Plan.models``.
        config: the configuration; its ``model.start`` is set when that model is trained.
    """

    start: str
    config: Config


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study will compute.

    Attributes:
        settings: everything that the numbers depend on; JSON types. A finished study with the same
            settings is reused.
        models: name to the configuration of each model that is trained before the study runs.
            Their settings are added to ``settings``.
        tuned: name to each model that is fine-tuned next, from one of ``models``.
    """

    settings: Mapping[str, Any]
    models: Mapping[str, Config] = field(default_factory=dict)
    tuned: Mapping[str, Tuned] = field(default_factory=dict)

    @property
    def all_settings(self) -> dict[str, Any]:
        """The settings with those of the models."""
        models = {name: config.plan() for name, config in self.models.items()}
        models |= {
            name: {"starts_from": each.start, **each.config.plan()}
            for name, each in self.tuned.items()
        }
        return {**self.settings, **({"runs": models} if models else {})}


@dataclass(frozen=True, kw_only=True)
class Work:
    """The input of ``run``.

    Attributes:
        settings: the settings of the plan.
        folder: folder of the study, for the files that panels read.
        runs: name to trained model.
        jobs: number of processes for a study that trains models on what it computed; None for one
            per processor.
    """

    settings: Mapping[str, Any]
    folder: Path
    runs: Mapping[str, Run] = field(default_factory=dict)
    jobs: int | None = None
