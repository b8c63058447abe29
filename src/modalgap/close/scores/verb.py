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
        gallery: (m, d) items to search.
        bank: (b, d) example queries, from the same distribution as later queries.
        method: the name of a correction in ``modalgap.close.CORRECTIONS``, or your own
            ``CorrectionRule``.
        **options: options of the correction.

    Raises:
        OptionError: an unknown correction or option.
        InputError: gallery and bank have different numbers of columns, or a row is zero or not
            finite.
    """
    return pick(method, CORRECTIONS, CorrectionRule, "method").fitted(gallery, bank, options)
