"""SIMULATIONS: every simulation, in the order in which tables show them.

To add one, write its file and import it here.
"""

from __future__ import annotations

from typing import Any as _Any

from modalgap.simulate.base import Simulation
from modalgap.simulate.cone_effect import cone_effect as cone_effect
from modalgap.simulate.cosine_rise import cosine_rise as cosine_rise
from modalgap.simulate.weight_variance import weight_variance as weight_variance
from modalgap.simulate.random_encoders import random_encoders as random_encoders
from modalgap.simulate.free_points import free_points as free_points
from modalgap.method import collect as _collect

SIMULATIONS: dict[str, Simulation[_Any]] = _collect(globals(), Simulation)
