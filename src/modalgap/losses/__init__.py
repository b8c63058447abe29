"""Losses: what a two-tower model is trained on, one a file; ``LOSSES`` lists them.

``Objective.of({"infonce": 1.0, "uniformity": 0.5})(features)`` is their weighted sum. A loss sees
all rows of the batch: in distributed training gather them with gradients, compute the same number
in every process, and average the gradients of the weights; that is the gradient of one process.
"""

from modalgap.losses.base import Features, Loss, LossCard
from modalgap.losses.objective import Objective
from modalgap.losses.registry import LOSSES

__all__ = ["LOSSES", "Features", "Loss", "LossCard", "Objective"]
