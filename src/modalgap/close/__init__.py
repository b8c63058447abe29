"""Close: move the two modalities onto one another, by a map that is fitted once.

``m = modalgap.close.fit(pair, "center")`` fits, ``m.apply(pair)`` closes, ``m.save(path)`` keeps
it; ``modalgap.close(pair, "center")`` does both at once, and so does
``modalgap.close.center(pair)``. One closer per file; ``CLOSERS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.close.affine import AffineMap, load
from modalgap.close.base import Closer, Fitted, Transductive
from modalgap.close.exports import faiss_views, to_json, to_onnx, to_torch
from modalgap.close.registry import *
from modalgap.close.scores import CORRECTIONS, Correction, CorrectionRule, correct
from modalgap.close.scores.registry import *
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.close.verb import close, fit

__all__ = [
    "CLOSERS",
    "CORRECTIONS",
    "AffineMap",
    "Closer",
    "Correction",
    "CorrectionRule",
    "Evidence",
    "Fitted",
    "Step",
    "Transductive",
    "close",
    "correct",
    "faiss_views",
    "fit",
    "load",
    "to_json",
    "to_onnx",
    "to_torch",
    *CLOSERS,
    *CORRECTIONS,
]

callable_package(__name__, close)
