"""SIMULATIONS: every simulation, in the order in which tables show them.

To add one, write its file and import it here.
"""

from __future__ import annotations

from typing import Any as _Any

from modalgap.simulate.base import Simulation
from modalgap.simulate.free_points import free_points as free_points
from modalgap.simulate.cone_effect import cone_effect as cone_effect
from modalgap.simulate.cosine_rise import cosine_rise as cosine_rise
from modalgap.simulate.weight_variance import weight_variance as weight_variance
from modalgap.simulate.random_encoders import random_encoders as random_encoders
from modalgap.simulate.sphere_pairs import sphere_pairs as sphere_pairs
from modalgap.simulate.nine_points import nine_points as nine_points
from modalgap.simulate.three_points import three_points as three_points
from modalgap.simulate.dynamics import dynamics as dynamics
from modalgap.simulate.flip_robustness import flip_robustness as flip_robustness
from modalgap.simulate.orthogonal_shift import orthogonal_shift as orthogonal_shift
from modalgap.simulate.information_imbalance import information_imbalance as information_imbalance
from modalgap.simulate.first_page import first_page as first_page
from modalgap.method import collect as _collect

SIMULATIONS: dict[str, Simulation[_Any]] = _collect(globals(), Simulation)
