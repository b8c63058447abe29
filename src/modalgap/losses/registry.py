"""LOSSES: every loss, in the order in which tables show them."""

from __future__ import annotations

from modalgap.losses.alignment import alignment
from modalgap.losses.base import Loss
from modalgap.losses.centroid_uniformity import centroid_uniformity
from modalgap.losses.correct_only import correct_only
from modalgap.losses.cross_uniformity import cross_uniformity
from modalgap.losses.cyclip import cyclip
from modalgap.losses.dual import dual
from modalgap.losses.infonce import infonce
from modalgap.losses.intra_separation import intra_separation
from modalgap.losses.intra_simclr import intra_simclr
from modalgap.losses.siglip import siglip
from modalgap.losses.uniformity import uniformity

LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        infonce,
        siglip,
        dual,
        correct_only,
        alignment,
        uniformity,
        cross_uniformity,
        centroid_uniformity,
        intra_simclr,
        intra_separation,
        cyclip,
    )
}
