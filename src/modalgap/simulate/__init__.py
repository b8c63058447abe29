"""Simulate: theory made to run, without a model or data."""

from modalgap.simulate.free_points import free_points

__all__ = ["free_points"]
