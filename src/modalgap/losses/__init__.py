"""Losses: what a two-tower model is trained on, one per file; ``LOSSES`` lists them.

``modalgap.losses.infonce(x, y)`` is the loss of two arrays or tensors, ``Objective.of({"infonce":
1.0, "uniformity": 0.5})(features)`` a weighted sum of losses. A loss sees all rows of the batch: in
distributed training gather them with gradients, compute the same number in every process, and
average the gradients of the weights; that is the gradient of one process.
"""

from modalgap.losses.base import Features, Loss
from modalgap.losses.objective import Objective
from modalgap.losses.registry import *

__all__ = [
    "LOSSES",
    "Features",
    "Loss",
    "Objective",
    *LOSSES,
]
