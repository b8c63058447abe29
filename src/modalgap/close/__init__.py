"""Close: reduce the modality gap by a map that is fitted once.

A closer is a method that closes the gap. ``m = modalgap.close.fit(pair, "center")`` fits a map,
``m.apply(pair)`` applies it and ``m.save(path)`` saves it. ``modalgap.close(pair, "center")`` fits
and applies in one call, and so does ``modalgap.close.center(pair)``. Each file holds one closer;
``CLOSERS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.close.affine import AffineMap, load
from modalgap.close.base import Closer, Fitted, Transductive
from modalgap.close.exports import faiss_views, to_json, to_model, to_mteb, to_onnx, to_torch
from modalgap.close.registry import *
from modalgap.close.scores import CORRECTIONS, Correction, CorrectionRule, ScoreScaler, correct
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
    "ScoreScaler",
    "Step",
    "Transductive",
    "close",
    "correct",
    "faiss_views",
    "fit",
    "load",
    "to_json",
    "to_model",
    "to_mteb",
    "to_onnx",
    "to_torch",
    *CLOSERS,
    *CORRECTIONS,
]

callable_package(__name__, close)
