"""Losses for training two-tower models, one per file; ``LOSSES`` lists them.

``modalgap.losses.infonce(x, y)`` is the loss of two arrays or tensors. ``Objective.of({"infonce":
1.0, "uniformity": 0.5})(features)`` is a weighted sum of losses. A loss needs all rows of the
batch. In distributed training, gather them with gradients, compute the same loss in every process
and average the gradients of the weights. The result equals the gradient of a single process.
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
