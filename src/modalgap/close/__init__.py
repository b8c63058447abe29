"""Close: move the two modalities onto one another, by a map that is fitted once.

``m = modalgap.close.fit(pair, "center")`` fits, ``m.apply(pair)`` closes, ``m.save(path)`` keeps
it; ``modalgap.close(pair, "center")`` does both at once. One closer a file; ``CLOSERS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.close.affine import AffineMap
from modalgap.close.base import Closer, CloserCard
from modalgap.close.exports import faiss_views, to_json, to_onnx, to_torch
from modalgap.close.files import load
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS, Correction, correct
from modalgap.close.step import Step
from modalgap.close.verb import Transductive, close, fit

__all__ = [
    "CLOSERS",
    "CORRECTIONS",
    "AffineMap",
    "Closer",
    "CloserCard",
    "Correction",
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
]

callable_package(__name__, close)
