"""The verb: run a simulation by name."""

from __future__ import annotations

from typing import Any

from modalgap.embeddings import Pair
from modalgap.method import pick
from modalgap.result import Table
from modalgap.simulate.base import Simulation
from modalgap.simulate.registry import SIMULATIONS


def simulate(method: str | Simulation[Any], /, **options: Any) -> Pair | Table:
    """Run a simulation.

    Args:
        method: the name of a simulation, see ``SIMULATIONS``, or a ``Simulation``.
        **options: options of the simulation.

    Returns:
        The result of the simulation: a pair of embeddings, or a table of numbers.

    Raises:
        OptionError: an unknown simulation or option, or a value outside its range.
    """
    found: Simulation[Pair | Table] = pick(method, SIMULATIONS, Simulation, "method")
    return found(**options)
