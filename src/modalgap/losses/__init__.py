"""Losses: one a file; ``LOSSES`` lists them, ``Objective`` adds them up.

All are computed on the features of a whole batch, gathered over processes with their gradients.
"""

from modalgap.losses.base import Features, Loss, LossCard
from modalgap.losses.objective import Objective
from modalgap.losses.registry import LOSSES

__all__ = ["LOSSES", "Features", "Loss", "LossCard", "Objective"]
