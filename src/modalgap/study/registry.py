"""STUDIES: every study, in the order in which tables show them.

To add one, write its file in the folder of its paper and import it here.
"""

from modalgap.study.base import Study
from modalgap.study.demo.demo import demo as demo
from modalgap.study.liang2022.sphere_pairs import sphere_pairs as sphere_pairs
from modalgap.study.liang2022.nine_points import nine_points as nine_points
from modalgap.study.liang2022.loss_landscape import loss_landscape as loss_landscape
from modalgap.study.liang2022.trained_and_untrained import (
    trained_and_untrained as trained_and_untrained,
)
from modalgap.study.liang2022.zero_shot_shift import zero_shot_shift as zero_shot_shift
from modalgap.study.liang2022.fairness_shift import fairness_shift as fairness_shift
from modalgap.study.chowers2026.three_points import three_points as three_points
from modalgap.study.schrodi2025.imbalance import imbalance as imbalance
from modalgap.study.cicchetti2025.modalities import modalities as modalities
from modalgap.study.mistretta2025.inversion import inversion as inversion
from modalgap.study.caption_length.caption_length import caption_length as caption_length
from modalgap.study.mixed_search.mixed_search import mixed_search as mixed_search
from modalgap.method import collect as _collect

STUDIES: dict[str, Study] = _collect(globals(), Study)
