"""TASKS: every task, in the order in which tables show them."""

from __future__ import annotations

from modalgap.evaluate.base import Task
from modalgap.evaluate.calibration import calibration
from modalgap.evaluate.clustering import clustering
from modalgap.evaluate.fairness import fairness
from modalgap.evaluate.mixed import mixed
from modalgap.evaluate.retrieval import retrieval
from modalgap.evaluate.robustness import robustness
from modalgap.evaluate.within import within
from modalgap.evaluate.zero_shot import zero_shot

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        retrieval,
        zero_shot,
        within,
        mixed,
        robustness,
        clustering,
        calibration,
        fairness,
    )
}
