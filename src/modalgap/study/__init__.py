"""Study: figures and tables of papers, computed again on data that needs no download.

``modalgap.study.imbalance("folder")`` computes the numbers, writes the table, figure and page, and
returns the ``Table``; a finished study in the folder is reused. One study per file, in the folder
of its paper; ``STUDIES`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.study.base import Study
from modalgap.study.every import run_all
from modalgap.study.plan import Plan, Tuned, Work
from modalgap.study.published import Number, Order, Published, Trend
from modalgap.study.registry import *
from modalgap.study.verb import study

__all__ = [
    "STUDIES",
    "Number",
    "Order",
    "Plan",
    "Published",
    "Study",
    "Trend",
    "Tuned",
    "Work",
    "run_all",
    "study",
    *STUDIES,
]

callable_package(__name__, study)
