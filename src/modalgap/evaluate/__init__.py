"""Evaluate: what the gap, or closing it, does to the tasks that embeddings are used for.

``modalgap.evaluate(pair)`` does every task that applies; each task is also a function:
``modalgap.evaluate.retrieval(pair)`` gives its evidence. One task a file; ``TASKS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.evaluate.base import Outcome, Scores, Task
from modalgap.evaluate.calibration import Calibration, calibrate
from modalgap.evaluate.flip import flip_probability
from modalgap.evaluate.registry import *
from modalgap.evaluate.verb import evaluate

__all__ = [
    "TASKS",
    "Calibration",
    "Outcome",
    "Scores",
    "Task",
    "calibrate",
    "evaluate",
    "flip_probability",
    *TASKS,
]

callable_package(__name__, evaluate)
