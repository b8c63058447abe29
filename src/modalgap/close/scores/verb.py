"""The verb: fit a correction of scores."""

from __future__ import annotations

from typing import Any

from modalgap.arguments import checked
from modalgap.close.scores.base import Correction, CorrectionRule
from modalgap.close.scores.registry import CORRECTIONS
from modalgap.embeddings.arrays import Rows
from modalgap.method import pick


@checked
def correct(
    gallery: Rows, bank: Rows, method: str | CorrectionRule = "nnn", **options: Any
) -> Correction:
    """Fit a correction of scores.

    Args:
        gallery: (m, d) what is searched.
        bank: (b, d) queries of the kind that will come.
        method: the name of a correction, ``modalgap.close.CORRECTIONS`` lists them; or one of your
            own.
        **options: the correction's own.

    Raises:
        OptionError: an unknown correction or option.
        InputError: gallery and bank differ in width, or hold rows that are zero or not finite.
    """
    return pick(method, CORRECTIONS, CorrectionRule, "method").fitted(gallery, bank, options)
