"""Studies of Chowers et al. 2026 (arXiv 2603.29080), and of its neighbours."""
