"""LOSSES: every loss, in the order in which tables show them.

To add one, write its file and import it here.
"""

from modalgap.losses.base import Loss
from modalgap.losses.infonce import infonce as infonce
from modalgap.losses.siglip import siglip as siglip
from modalgap.losses.dual import dual as dual
from modalgap.losses.correct_only import correct_only as correct_only
from modalgap.losses.alignment import alignment as alignment
from modalgap.losses.uniformity import uniformity as uniformity
from modalgap.losses.cross_uniformity import cross_uniformity as cross_uniformity
from modalgap.losses.centroid_uniformity import centroid_uniformity as centroid_uniformity
from modalgap.losses.intra_simclr import intra_simclr as intra_simclr
from modalgap.losses.intra_separation import intra_separation as intra_separation
from modalgap.losses.cyclip import cyclip as cyclip
from modalgap.losses.gram import gram as gram
from modalgap.method import collect as _collect

LOSSES: dict[str, Loss] = _collect(globals(), Loss)
