"""Losses: what a two-tower model is trained on, one per file; ``LOSSES`` lists them.

``modalgap.losses.infonce(x, y)`` is the loss of two arrays or tensors, ``Objective.of({"infonce":
1.0, "uniformity": 0.5})(features)`` a weighted sum of losses. A loss sees all rows of the batch: in
distributed training gather them with gradients, compute the same number in every process, and
average the gradients of the weights; that is the gradient of one process.
"""

from modalgap.losses.alignment import alignment
from modalgap.losses.base import Features, Loss
from modalgap.losses.centroid_uniformity import centroid_uniformity
from modalgap.losses.correct_only import correct_only
from modalgap.losses.cross_uniformity import cross_uniformity
from modalgap.losses.cyclip import cyclip
from modalgap.losses.dual import dual
from modalgap.losses.infonce import infonce
from modalgap.losses.intra_separation import intra_separation
from modalgap.losses.intra_simclr import intra_simclr
from modalgap.losses.objective import Objective
from modalgap.losses.registry import LOSSES
from modalgap.losses.siglip import siglip
from modalgap.losses.uniformity import uniformity

__all__ = [
    "LOSSES",
    "Features",
    "Loss",
    "Objective",
    "alignment",
    "centroid_uniformity",
    "correct_only",
    "cross_uniformity",
    "cyclip",
    "dual",
    "infonce",
    "intra_separation",
    "intra_simclr",
    "siglip",
    "uniformity",
]
