"""CORRECTIONS: every correction of scores."""

from __future__ import annotations

from modalgap.close.scores.base import CorrectionRule
from modalgap.close.scores.csls import csls
from modalgap.close.scores.nnn import nnn
from modalgap.close.scores.qbnorm import qbnorm
from modalgap.close.scores.sinkhorn import sinkhorn

CORRECTIONS: dict[str, CorrectionRule] = {
    rule.card.name: rule for rule in (csls, nnn, qbnorm, sinkhorn)
}
