"""CORRECTIONS: every correction of scores, in the order in which tables show them.

To add one, write its file and import it here.
"""

from modalgap.close.scores.base import CorrectionRule
from modalgap.close.scores.csls import csls as csls
from modalgap.close.scores.nnn import nnn as nnn
from modalgap.close.scores.qbnorm import qbnorm as qbnorm
from modalgap.close.scores.sinkhorn import sinkhorn as sinkhorn
from modalgap.close.scores.zscore import zscore as zscore
from modalgap.method import collect as _collect

CORRECTIONS: dict[str, CorrectionRule] = _collect(globals(), CorrectionRule)
