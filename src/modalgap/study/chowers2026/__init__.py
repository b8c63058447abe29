"""Figures and tables of Chowers et al. 2026."""
