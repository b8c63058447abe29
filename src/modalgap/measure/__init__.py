"""Measure: how large is the gap, what is it made of, what does it do?

``modalgap.measure(pair)`` computes everything that applies; each measure is also a function of
arrays: ``modalgap.measure.rmg(images, texts)``. One measure a file; ``MEASURES`` lists them.
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
