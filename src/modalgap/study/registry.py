"""STUDIES: every study, in the order in which tables show them.

To add one, write its file in the folder of its paper and import it here.
"""

from modalgap.study.base import Study
from modalgap.study.demo.demo import demo as demo
from modalgap.study.liang2022.trained_and_untrained import (
    trained_and_untrained as trained_and_untrained,
)
from modalgap.study.liang2022.random_cosines import random_cosines as random_cosines
from modalgap.study.liang2022.cone_effect import cone_effect as cone_effect
from modalgap.study.liang2022.random_encoders import random_encoders as random_encoders
from modalgap.study.liang2022.cosine_rise import cosine_rise as cosine_rise
from modalgap.study.liang2022.weight_variance import weight_variance as weight_variance
from modalgap.study.liang2022.loss_landscape import loss_landscape as loss_landscape
from modalgap.study.liang2022.sphere_pairs import sphere_pairs as sphere_pairs
from modalgap.study.liang2022.nine_points import nine_points as nine_points
from modalgap.study.liang2022.temperature import temperature as temperature
from modalgap.study.liang2022.amended_start import amended_start as amended_start
from modalgap.study.liang2022.zero_shot_shift import zero_shot_shift as zero_shot_shift
from modalgap.study.liang2022.fairness_shift import fairness_shift as fairness_shift
from modalgap.study.schrodi2025.imbalance import imbalance as imbalance
from modalgap.study.schrodi2025.named_factor import named_factor as named_factor
from modalgap.study.schrodi2025.entropy import entropy as entropy
from modalgap.study.schrodi2025.caption_parts import caption_parts as caption_parts
from modalgap.study.schrodi2025.toy_imbalance import toy_imbalance as toy_imbalance
from modalgap.study.schrodi2025.gap_dimensions import gap_dimensions as gap_dimensions
from modalgap.study.schrodi2025.neighbourhoods import neighbourhoods as neighbourhoods
from modalgap.study.schrodi2025.gap_and_performance import (
    gap_and_performance as gap_and_performance,
)
from modalgap.study.schrodi2025.filtered_data import filtered_data as filtered_data
from modalgap.study.schrodi2025.object_bias import object_bias as object_bias
from modalgap.study.schrodi2025.ideal_words import ideal_words as ideal_words
from modalgap.study.mistretta2025.wrong_neighbours import wrong_neighbours as wrong_neighbours
from modalgap.study.mistretta2025.inversion import inversion as inversion
from modalgap.study.mistretta2025.inversion_data_sets import (
    inversion_data_sets as inversion_data_sets,
)
from modalgap.study.mistretta2025.inversion_steps import inversion_steps as inversion_steps
from modalgap.study.mistretta2025.inversion_and_temperature import (
    inversion_and_temperature as inversion_and_temperature,
)
from modalgap.study.mistretta2025.inverted_gallery import inverted_gallery as inverted_gallery
from modalgap.study.chowers2026.accuracy_and_gap import accuracy_and_gap as accuracy_and_gap
from modalgap.study.chowers2026.three_points import three_points as three_points
from modalgap.study.chowers2026.frozen_gap import frozen_gap as frozen_gap
from modalgap.study.chowers2026.softmax_sums import softmax_sums as softmax_sums
from modalgap.study.chowers2026.temperature_law import temperature_law as temperature_law
from modalgap.study.chowers2026.flips import flips as flips
from modalgap.study.chowers2026.robustness_shift import robustness_shift as robustness_shift
from modalgap.study.chowers2026.quantised_and_rephrased import (
    quantised_and_rephrased as quantised_and_rephrased,
)
from modalgap.study.cicchetti2025.modalities import modalities as modalities
from modalgap.study.caption_length.caption_length import caption_length as caption_length
from modalgap.study.mixed_search.mixed_search import mixed_search as mixed_search
from modalgap.study.mixed_search.first_page import first_page as first_page
from modalgap.study.across_models.gap_and_retrieval import gap_and_retrieval as gap_and_retrieval
from modalgap.study.across_models.gap_and_gain import gap_and_gain as gap_and_gain
from modalgap.study.across_models.closing_over_models import (
    closing_over_models as closing_over_models,
)
from modalgap.study.emoji.emoji_retrieval import emoji_retrieval as emoji_retrieval
from modalgap.study.emoji.emoji_search import emoji_search as emoji_search
from modalgap.study.emoji.emoji_inversion import emoji_inversion as emoji_inversion
from modalgap.study.emoji.emoji_groups import emoji_groups as emoji_groups
from modalgap.method import collect as _collect

STUDIES: dict[str, Study] = _collect(globals(), Study)
