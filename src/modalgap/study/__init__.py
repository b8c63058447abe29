"""Study: figures and tables of papers, made again from nothing.

``modalgap.study.imbalance("folder")`` trains, measures and answers with a ``Table``; what is in
the folder already is not made again. ``STUDIES`` lists them.
"""

from modalgap.study.imbalance import imbalance
from modalgap.study.inversion import inversion
from modalgap.study.story import Story, story

STUDIES = {"imbalance": imbalance, "inversion": inversion}

__all__ = ["STUDIES", "Story", "imbalance", "inversion", "story"]
