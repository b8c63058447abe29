"""Corrections of scores, for search: no map of vectors, but a change of the similarities.

``correction = modalgap.close.correct(gallery, bank, "nnn")`` computes once how a bank of example
queries scores the gallery; ``correction(queries)`` then gives corrected scores. The bank has the
modality of later queries and must not contain the queries of an evaluation.
"""

from modalgap.close.scores.base import Correction, CorrectionRule
from modalgap.close.scores.registry import CORRECTIONS
from modalgap.close.scores.scaler import ScoreScaler
from modalgap.close.scores.verb import correct

__all__ = ["CORRECTIONS", "Correction", "CorrectionRule", "ScoreScaler", "correct"]
