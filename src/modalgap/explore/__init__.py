"""Explore: one interactive page of the gap, as a file or from a server on this machine.

``modalgap.explore(pair, "explore.html")`` writes the page as one file. ``serve(Explorer(pair))``
serves it, with any strength of a closer, and ``write_table`` writes a table for tools that are made
for millions of points.

``scene`` chooses the rows that are shown, ``steps`` the closers and strengths, ``maps`` the
projections, and ``frames`` computes all numbers of one step; ``payload`` writes them as JSON,
``plots`` describes the two plots, and ``page`` puts everything into one file. The script of the
page (folder ``script``) shows numbers and computes none.
"""

from modalgap._lazy import callable_package
from modalgap.explore.server import Explorer, serve
from modalgap.explore.table import write_table
from modalgap.explore.verb import explore

__all__ = ["Explorer", "explore", "serve", "write_table"]

callable_package(__name__, explore)
