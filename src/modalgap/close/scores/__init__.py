"""Corrections of scores, for search: no map of vectors, but a change of the similarities.

``correction = modalgap.close.correct(gallery, bank, "nnn")`` computes once how a bank of queries
(of the modality that will ask, and none of those that will be judged) scores the gallery;
``correction(queries)`` then gives corrected scores.
"""

from modalgap.close.scores.base import Correction, CorrectionRule
from modalgap.close.scores.registry import CORRECTIONS
from modalgap.close.scores.scaler import ScoreScaler
from modalgap.close.scores.verb import correct

__all__ = ["CORRECTIONS", "Correction", "CorrectionRule", "ScoreScaler", "correct"]
