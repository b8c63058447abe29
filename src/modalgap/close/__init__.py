"""Close: move the two modalities onto one another, by a map that is fitted once.

``m = modalgap.close.fit(pair, "center")`` fits, ``m.apply(pair)`` closes, ``m.save(path)`` keeps
it; ``modalgap.close(pair, "center")`` does both at once, and so does
``modalgap.close.center(pair)``. One closer per file; ``CLOSERS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.close.affine import AffineMap, load
from modalgap.close.base import Closer, Fitted, Transductive
from modalgap.close.cca import cca
from modalgap.close.center import center
from modalgap.close.drop_dims import drop_dims
from modalgap.close.exports import faiss_views, to_json, to_onnx, to_torch
from modalgap.close.isoclip import isoclip
from modalgap.close.noise import noise
from modalgap.close.none import none
from modalgap.close.pca_text import pca_text
from modalgap.close.procrustes import procrustes
from modalgap.close.project import project
from modalgap.close.realign import realign
from modalgap.close.registry import CLOSERS
from modalgap.close.ridge import ridge
from modalgap.close.scores import CORRECTIONS, Correction, CorrectionRule, correct
from modalgap.close.scores.csls import csls
from modalgap.close.scores.nnn import nnn
from modalgap.close.scores.qbnorm import qbnorm
from modalgap.close.scores.sinkhorn import sinkhorn
from modalgap.close.shift import shift
from modalgap.close.spectral import spectral
from modalgap.close.standardize import standardize
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.close.transport import transport
from modalgap.close.verb import close, fit
from modalgap.close.whiten import whiten

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
    "cca",
    "center",
    "close",
    "correct",
    "csls",
    "drop_dims",
    "faiss_views",
    "fit",
    "isoclip",
    "load",
    "nnn",
    "noise",
    "none",
    "pca_text",
    "procrustes",
    "project",
    "qbnorm",
    "realign",
    "ridge",
    "shift",
    "sinkhorn",
    "spectral",
    "standardize",
    "to_json",
    "to_onnx",
    "to_torch",
    "transport",
    "whiten",
]

callable_package(__name__, close)
