"""The table of a simulated pair: sizes and means of each modality, and the gap."""

from __future__ import annotations

from typing import Any

from modalgap.embeddings import Pair
from modalgap.measure import measure
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation

MEASURES = ("l2m", "rmg", "matched_cosine", "cone")


def summary(pair: Pair, simulation: Simulation[Any]) -> Table:
    """One row of numbers that describe a simulated pair.

    Args:
        pair: the result of the simulation.
        simulation: the simulation, for its name and source.
    """
    found = measure(pair, MEASURES)
    row = {"rows": Value(float(pair.image.n)), "dim": Value(float(pair.dim)), **found.measures}
    return Table(
        name=simulation.name,
        source=simulation.card.source,
        vary="simulation",
        rows={simulation.name: row},
        heads={name: name for name in row},
        settings=dict(pair.image.provenance),
    )
