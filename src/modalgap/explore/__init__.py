"""Explore: one interactive page of the gap, as a file or from a server on this machine.

``scene`` chooses the rows that are shown, ``steps`` the closers and strengths, ``maps`` the
projections, and ``frames`` computes all numbers of one step; ``payload`` writes them as JSON,
``plots`` describes the two plots, and ``page`` puts everything into one file. The script of the
page (folder ``script``) shows numbers and computes none.
"""
