"""Figures and tables of Liang et al. 2022."""
