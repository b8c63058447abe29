"""Figures, tables and theorems of Liang et al. 2022."""
