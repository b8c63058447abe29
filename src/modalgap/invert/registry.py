"""METHODS: every inversion method, in display order.

To add one, write its file and import it here.
"""

from modalgap.invert.method import Inversion
from modalgap.invert.oti import oti as oti
from modalgap.invert.ovi import ovi as ovi
from modalgap.invert.caption_mixture import caption_mixture as caption_mixture
from modalgap.invert.ridge_map import ridge_map as ridge_map
from modalgap.invert.gap_shift import gap_shift as gap_shift
from modalgap.method import collect as _collect

METHODS: dict[str, Inversion] = _collect(globals(), Inversion)
