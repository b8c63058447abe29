"""SIMULATIONS: every simulation, in the order in which tables show them.

To add one, write its file and import it here.
"""

from __future__ import annotations

from typing import Any as _Any

from modalgap.simulate.base import Simulation
from modalgap.simulate.free_points import free_points as free_points
from modalgap.simulate.first_page import first_page as first_page
from modalgap.simulate.information_imbalance import (
    information_imbalance as information_imbalance,
)
from modalgap.method import collect as _collect

SIMULATIONS: dict[str, Simulation[_Any]] = _collect(globals(), Simulation)
