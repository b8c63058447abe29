"""Evaluate: what the gap, or closing it, does to the tasks that embeddings are used for.

``modalgap.evaluate(pair)`` does every task that applies; each task is also a function:
``modalgap.evaluate.retrieval(pair)`` gives its evidence. One task a file; ``TASKS`` lists them.
Queries from one set of embeddings are asked of another by ``search`` and ``classify``.
"""

from modalgap._lazy import callable_package
from modalgap.evaluate.base import Outcome, Scores, Task
from modalgap.evaluate.calibration import Calibration, calibrate
from modalgap.evaluate.flip import flip_probability
from modalgap.evaluate.protocols import PROTOCOLS
from modalgap.evaluate.registry import *
from modalgap.evaluate.search import classify, search
from modalgap.evaluate.verb import evaluate

__all__ = [
    "PROTOCOLS",
    "TASKS",
    "Calibration",
    "Outcome",
    "Scores",
    "Task",
    "calibrate",
    "classify",
    "evaluate",
    "flip_probability",
    "search",
    *TASKS,
]

callable_package(__name__, evaluate)
