"""MEASURES: every measure, in the order in which tables show them.

To add one, write its file and import it here.
"""

from modalgap.measure.base import Measure
from modalgap.measure.l2m import l2m as l2m
from modalgap.measure.l2i import l2i as l2i
from modalgap.measure.rmg import rmg as rmg
from modalgap.measure.energy_distance import energy_distance as energy_distance
from modalgap.measure.mmd import mmd as mmd
from modalgap.measure.fisher_ratio import fisher_ratio as fisher_ratio
from modalgap.measure.matched_cosine import matched_cosine as matched_cosine
from modalgap.measure.gram_volume import gram_volume as gram_volume
from modalgap.measure.pmrl import pmrl as pmrl
from modalgap.measure.cone import cone as cone
from modalgap.measure.alignment import alignment as alignment
from modalgap.measure.uniformity import uniformity as uniformity
from modalgap.measure.per_dimension_gap import per_dimension_gap as per_dimension_gap
from modalgap.measure.per_dimension_gap import gap_concentration as gap_concentration
from modalgap.measure.frechet import frechet as frechet
from modalgap.measure.frechet import distribution_gap as distribution_gap
from modalgap.measure.frechet import centroid_share as centroid_share
from modalgap.measure.trace_ratio import trace_ratio as trace_ratio
from modalgap.measure.separability import separability as separability
from modalgap.measure.effective_rank import effective_rank as effective_rank
from modalgap.measure.participation_ratio import participation_ratio as participation_ratio
from modalgap.measure.principal_angles import principal_angles as principal_angles
from modalgap.measure.leakage import leakage as leakage
from modalgap.measure.class_bias_spread import class_bias_spread as class_bias_spread
from modalgap.measure.kendall_tau import kendall_tau as kendall_tau
from modalgap.measure.mixing import itr as itr  # before nas, hubness: they reuse its result
from modalgap.measure.mixing import tir as tir
from modalgap.measure.mixing import tmr as tmr
from modalgap.measure.mixing import imr as imr
from modalgap.measure.knn_mixing import knn_mixing as knn_mixing
from modalgap.measure.out_of_corpus_fraction import out_of_corpus_fraction as out_of_corpus_fraction
from modalgap.measure.score_spread_ratio import score_spread_ratio as score_spread_ratio
from modalgap.measure.nas import nas as nas
from modalgap.measure.hubness import hubness as hubness
from modalgap.measure.antihub_fraction import antihub_fraction as antihub_fraction
from modalgap.measure.near_duplicate_fraction import (
    near_duplicate_fraction as near_duplicate_fraction,
)
from modalgap.measure.logit_entropy import logit_entropy as logit_entropy
from modalgap.measure.prediction import prediction_gini as prediction_gini
from modalgap.measure.prediction import prediction_entropy as prediction_entropy
from modalgap.measure.moad import moad as moad
from modalgap.measure.infonce import infonce as infonce
from modalgap.measure.infonce import loss_landscape as loss_landscape
from modalgap.method import collect as _collect

MEASURES: dict[str, Measure] = _collect(globals(), Measure)
