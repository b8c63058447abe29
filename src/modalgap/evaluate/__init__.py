"""Evaluate: effects of the gap, or of closing it, on the tasks that embeddings are used for.

``modalgap.evaluate(pair)`` runs every task that applies. Each task is also a function:
``modalgap.evaluate.retrieval(pair)`` returns an ``Outcome`` with the values per query. Each file
holds one task; ``TASKS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.evaluate.base import Outcome, Scores, Task
from modalgap.evaluate.calibration import Calibration, calibrate
from modalgap.evaluate.cutoff import CutOff
from modalgap.evaluate.flip import flip_probability
from modalgap.evaluate.registry import *
from modalgap.evaluate.verb import evaluate

__all__ = [
    "TASKS",
    "Calibration",
    "CutOff",
    "Outcome",
    "Scores",
    "Task",
    "calibrate",
    "evaluate",
    "flip_probability",
    *TASKS,
]

callable_package(__name__, evaluate)
