"""Invert: features of one modality as features of the other, to compare within a modality.

``modalgap.invert(images, "oti", model)`` gives text features of images; each way is also a
function: ``modalgap.invert.oti(images, model)``. One way a file; ``METHODS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.invert.base import Inversion
from modalgap.invert.caption_mixture import caption_mixture
from modalgap.invert.curve import curve
from modalgap.invert.gap_shift import gap_shift
from modalgap.invert.oti import oti
from modalgap.invert.output import Inverted, read
from modalgap.invert.ovi import ovi
from modalgap.invert.ready import BACKBONES, Backbone
from modalgap.invert.registry import METHODS
from modalgap.invert.ridge_map import ridge_map
from modalgap.invert.verb import invert
from modalgap.invert.words import nearest_words

__all__ = [
    "BACKBONES",
    "METHODS",
    "Backbone",
    "Inversion",
    "Inverted",
    "caption_mixture",
    "curve",
    "gap_shift",
    "invert",
    "nearest_words",
    "oti",
    "ovi",
    "read",
    "ridge_map",
]

callable_package(__name__, invert)
