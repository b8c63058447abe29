"""Advise: should I close the gap, and how? Nothing is touched; all is tried on held-out rows.

``modalgap.preflight(pair)`` says in words whether to; ``modalgap.compare(pair)`` is the leaderboard
behind such words: closers against tasks, fitted on one part and judged on another.
"""

from modalgap.advise.advice import Advice, Verdict
from modalgap.advise.compare import compare
from modalgap.advise.comparison import Comparison
from modalgap.advise.preflight import preflight

__all__ = ["Advice", "Comparison", "Verdict", "compare", "preflight"]
