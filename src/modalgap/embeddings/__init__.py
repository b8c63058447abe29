"""Embeddings, pairs and larger groups of them, and the files they come from."""

from modalgap.embeddings.all_moments import AllMoments, all_moments
from modalgap.embeddings.describe import describe_input, is_of
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.mean_by_item import mean_by_item
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.moments import (
    GROUPS,
    MatchMoments,
    Moments,
    PairMoments,
)
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.pick import pick, pick_images
from modalgap.embeddings.repeats import join_repeats, joined
from modalgap.embeddings.streaming import moments, pair_moments

__all__ = [
    "GROUPS",
    "AllMoments",
    "Embeddings",
    "MatchMoments",
    "Modalities",
    "Moments",
    "Pair",
    "PairMoments",
    "all_moments",
    "describe_input",
    "is_of",
    "join_repeats",
    "joined",
    "mean_by_item",
    "moments",
    "pair_moments",
    "pick",
    "pick_images",
]
