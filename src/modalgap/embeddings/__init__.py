"""Embeddings, pairs of them, and the files they come from."""

from modalgap.embeddings.describe import describe_input
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.moments import (
    GROUPS,
    MatchMoments,
    Moments,
    PairMoments,
    moments,
    pair_moments,
)
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.pick import pick, pick_images
from modalgap.embeddings.repeats import join_repeats, joined

__all__ = [
    "GROUPS",
    "Embeddings",
    "MatchMoments",
    "Moments",
    "Pair",
    "PairMoments",
    "describe_input",
    "join_repeats",
    "joined",
    "moments",
    "pair_moments",
    "pick",
    "pick_images",
]
