"""Measure: how large is the gap, what is it made of, what does it do?

``modalgap.measure(pair)`` computes everything that applies; each measure is also a function of
arrays: ``modalgap.measure.rmg(images, texts)``. One measure a file; ``MEASURES`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.card import Card
from modalgap.measure.alignment import alignment
from modalgap.measure.base import Measure
from modalgap.measure.class_bias_spread import class_bias_spread
from modalgap.measure.cone import cone
from modalgap.measure.effective_rank import effective_rank
from modalgap.measure.frechet import centroid_share, distribution_gap, frechet
from modalgap.measure.hubness import hubness
from modalgap.measure.infonce import infonce, loss_landscape
from modalgap.measure.kendall_tau import kendall_tau
from modalgap.measure.l2i import l2i
from modalgap.measure.l2m import l2m
from modalgap.measure.leakage import leakage, leakage_image, leakage_text
from modalgap.measure.logit_entropy import (
    logit_entropy,
    logit_entropy_image,
    logit_entropy_text,
)
from modalgap.measure.matched_cosine import matched_cosine
from modalgap.measure.mixing import imr, itr, tir, tmr
from modalgap.measure.moad import moad
from modalgap.measure.nas import nas
from modalgap.measure.per_dimension_gap import gap_concentration, per_dimension_gap
from modalgap.measure.prediction import prediction_entropy, prediction_gini
from modalgap.measure.principal_angles import principal_angles
from modalgap.measure.registry import MEASURES
from modalgap.measure.rmg import rmg
from modalgap.measure.separability import separability
from modalgap.measure.trace_ratio import trace_ratio
from modalgap.measure.uniformity import uniformity
from modalgap.measure.verb import measure

__all__ = [
    "MEASURES",
    "Card",
    "Measure",
    "alignment",
    "centroid_share",
    "class_bias_spread",
    "cone",
    "distribution_gap",
    "effective_rank",
    "frechet",
    "gap_concentration",
    "hubness",
    "imr",
    "infonce",
    "itr",
    "kendall_tau",
    "l2i",
    "l2m",
    "leakage",
    "leakage_image",
    "leakage_text",
    "logit_entropy",
    "logit_entropy_image",
    "logit_entropy_text",
    "loss_landscape",
    "matched_cosine",
    "measure",
    "moad",
    "nas",
    "per_dimension_gap",
    "prediction_entropy",
    "prediction_gini",
    "principal_angles",
    "rmg",
    "separability",
    "tir",
    "tmr",
    "trace_ratio",
    "uniformity",
]

callable_package(__name__, measure)
