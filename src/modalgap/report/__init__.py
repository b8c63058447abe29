"""Report: one page that shows a gap in words, numbers and pictures.

``modalgap.report(pair, "report.html")`` writes one self-contained HTML file; ``figures`` and
``save_figures`` give its pictures for a paper.
"""

from modalgap._lazy import callable_package
from modalgap.report.export import figures, save_figures
from modalgap.report.verb import report

__all__ = ["figures", "report", "save_figures"]

callable_package(__name__, report)
