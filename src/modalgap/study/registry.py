"""STUDIES: every study, in the order in which tables show them.

To add one, write its file in the folder of its paper and import it here.
"""

from modalgap.study.base import Study
from modalgap.study.demo.demo import demo as demo
from modalgap.study.liang2022.cone_effect import cone_effect as cone_effect
from modalgap.study.liang2022.cosine_rise import cosine_rise as cosine_rise
from modalgap.study.liang2022.random_encoders import random_encoders as random_encoders
from modalgap.study.liang2022.random_cosines import random_cosines as random_cosines
from modalgap.study.liang2022.weight_variance import weight_variance as weight_variance
from modalgap.study.schrodi2025.imbalance import imbalance as imbalance
from modalgap.study.cicchetti2025.modalities import modalities as modalities
from modalgap.study.mistretta2025.inversion import inversion as inversion
from modalgap.study.caption_length.caption_length import caption_length as caption_length
from modalgap.study.mixed_search.mixed_search import mixed_search as mixed_search
from modalgap.method import collect as _collect

STUDIES: dict[str, Study] = _collect(globals(), Study)
