"""Advise: should I close the gap, and how? Inputs are not changed; numbers are on held-out rows.

``modalgap.preflight(pair)`` gives a recommendation; ``modalgap.compare(pair)`` gives the full
leaderboard: closers and tasks, fitted on one part and evaluated on another.
"""

from modalgap.advise.advice import Advice, Check, Verdict
from modalgap.advise.compare import compare
from modalgap.advise.comparison import Comparison
from modalgap.advise.health import CHECKS
from modalgap.advise.preflight import preflight

__all__ = ["CHECKS", "Advice", "Check", "Comparison", "Verdict", "compare", "preflight"]
