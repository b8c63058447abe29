"""Invert: map features of one modality to the other, to compare them within one modality.

``modalgap.invert(images, "oti", model)`` maps image features to text features. Each method is also
a function: ``modalgap.invert.oti(images, model)``. Each method has its own file; ``METHODS`` lists
them.
"""

from modalgap._lazy import callable_package
from modalgap.invert.curve import curve
from modalgap.invert.method import Inversion
from modalgap.invert.nearest_words import nearest_words
from modalgap.invert.output import Inverted, read
from modalgap.invert.presets import BACKBONES, Backbone
from modalgap.invert.registry import *
from modalgap.invert.verb import invert

__all__ = [
    "BACKBONES",
    "METHODS",
    "Backbone",
    "Inversion",
    "Inverted",
    "curve",
    "invert",
    "nearest_words",
    "read",
    *METHODS,
]

callable_package(__name__, invert)
