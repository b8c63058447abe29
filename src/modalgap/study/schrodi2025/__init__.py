"""Schrodi et al. 2025, "Two Effects, One Trigger"."""
