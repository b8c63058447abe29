"""Settings of all cells of a zoo."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

TASKS = ("retrieval", "zero_shot")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of all cells.

    Attributes:
        measures: names of measures; None for all that apply.
        tasks: names of tasks; those that do not apply are left out.
        closers: names of closers; measures and tasks are repeated after each.
        seed: seed of samples, intervals, and of models named ``random``.
        device, precision, batch_size, workers: as for ``encode``.
        disk: bytes that embeddings may use; None for no limit.
    """

    measures: tuple[str, ...] | None = None
    tasks: tuple[str, ...] = TASKS
    closers: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"
    precision: str = "fp32"
    batch_size: int | None = None
    workers: int | None = None
    disk: float | None = None

    @property
    def plain(self) -> dict[str, Any]:
        """All settings as plain JSON types."""
        lists = {"measures": self.measures and list(self.measures), "tasks": list(self.tasks)}
        return asdict(self) | lists | {"closers": list(self.closers)}

    @property
    def of_features(self) -> dict[str, Any]:
        """The settings that the features depend on."""
        return {name: self.plain[name] for name in ("seed", "device", "precision", "batch_size")}

    @property
    def of_results(self) -> dict[str, Any]:
        """The settings that the results depend on."""
        return self.of_features | {
            name: self.plain[name] for name in ("measures", "tasks", "closers")
        }
