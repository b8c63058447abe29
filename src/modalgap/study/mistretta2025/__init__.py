"""Mistretta et al. 2025, "Cross the Gap"."""
