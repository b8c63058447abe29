"""Measure: how large is the gap, what does it consist of, and what are its effects?

``modalgap.measure(pair)`` computes all measures that apply. Each measure is also a function of
arrays: ``modalgap.measure.rmg(images, texts)``. Each file holds one measure; ``MEASURES`` lists
them.
"""

from modalgap._lazy import callable_package
from modalgap.card import Card
from modalgap.measure.base import Measure
from modalgap.measure.leakage import leakage_image, leakage_text
from modalgap.measure.logit_entropy import logit_entropy_image, logit_entropy_text
from modalgap.measure.registry import *
from modalgap.measure.verb import measure

__all__ = [
    "MEASURES",
    "Card",
    "Measure",
    "leakage_image",
    "leakage_text",
    "logit_entropy_image",
    "logit_entropy_text",
    "measure",
    *MEASURES,
]

callable_package(__name__, measure)
