"""Evaluate: what the gap, or closing it, does to the tasks that embeddings are used for.

``modalgap.evaluate(pair)`` does every task that applies; each task is also a function:
``modalgap.evaluate.retrieval(pair)`` gives its evidence. One task a file; ``TASKS`` lists them.
Queries from one set of embeddings are asked of another by ``search`` and ``classify``.
"""

from modalgap._lazy import callable_package
from modalgap.evaluate.base import Outcome, Scores, Task
from modalgap.evaluate.calibration import Calibration, calibrate, calibration
from modalgap.evaluate.clustering import clustering
from modalgap.evaluate.fairness import fairness
from modalgap.evaluate.flip import flip_probability
from modalgap.evaluate.mixed import mixed
from modalgap.evaluate.protocols import PROTOCOLS
from modalgap.evaluate.registry import TASKS
from modalgap.evaluate.retrieval import retrieval
from modalgap.evaluate.robustness import robustness
from modalgap.evaluate.search import classify, search
from modalgap.evaluate.verb import evaluate
from modalgap.evaluate.within import within
from modalgap.evaluate.zero_shot import zero_shot

__all__ = [
    "PROTOCOLS",
    "TASKS",
    "Calibration",
    "Outcome",
    "Scores",
    "Task",
    "calibrate",
    "calibration",
    "classify",
    "clustering",
    "evaluate",
    "fairness",
    "flip_probability",
    "mixed",
    "retrieval",
    "robustness",
    "search",
    "within",
    "zero_shot",
]

callable_package(__name__, evaluate)
