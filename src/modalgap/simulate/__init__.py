"""Simulate: run the theory of the modality gap, without a model or data.

``modalgap.simulate.free_points(seed=1)`` returns a ``Pair``; other simulations return a ``Table``.
One simulation per file; ``SIMULATIONS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.simulate.base import Simulation
from modalgap.simulate.registry import *
from modalgap.simulate.verb import simulate

__all__ = ["SIMULATIONS", "Simulation", "simulate", *SIMULATIONS]

callable_package(__name__, simulate)
