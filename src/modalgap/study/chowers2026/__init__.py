"""Figures and theorems of Chowers et al. 2026."""
