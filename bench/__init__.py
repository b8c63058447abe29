"""Benchmarks as ratios: each against what it must be measured by, in one run on one machine."""
