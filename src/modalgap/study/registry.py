"""STUDIES: every study, in the order in which tables show them.

To add one, write its file in the folder of its paper and import it here.
"""

from modalgap.study.base import Study
from modalgap.study.demo.demo import demo as demo
from modalgap.study.schrodi2025.imbalance import imbalance as imbalance
from modalgap.study.cicchetti2025.modalities import modalities as modalities
from modalgap.study.mistretta2025.inversion import inversion as inversion
from modalgap.study.chowers2026.frozen_gap import frozen_gap as frozen_gap
from modalgap.study.chowers2026.softmax_sums import softmax_sums as softmax_sums
from modalgap.study.chowers2026.temperature_law import temperature_law as temperature_law
from modalgap.study.chowers2026.flips import flips as flips
from modalgap.study.chowers2026.robustness_shift import robustness_shift as robustness_shift
from modalgap.study.chowers2026.accuracy_and_gap import accuracy_and_gap as accuracy_and_gap
from modalgap.study.chowers2026.quantised_and_rephrased import (
    quantised_and_rephrased as quantised_and_rephrased,
)
from modalgap.study.caption_length.caption_length import caption_length as caption_length
from modalgap.study.mixed_search.mixed_search import mixed_search as mixed_search
from modalgap.method import collect as _collect

STUDIES: dict[str, Study] = _collect(globals(), Study)
