"""Statistics of first moments, for all data and for each jackknife replicate.

Shapes: B = 1 + groups. Entry 0 uses all data; entry i leaves out group i.
"""

from __future__ import annotations

import numpy as np

from modalgap.embeddings.moments import Floats, MatchMoments, Moments


def means(moments: Moments) -> Floats:
    """(B, d) means."""
    count, total = moments.leave_one_group_out()
    return total / count[:, None]


def mean_cosine(moments: Moments) -> Floats:
    """(B,) mean cosine over distinct pairs of unit rows: (‖Σu‖² − n) / (n(n−1))."""
    count, total = moments.leave_one_group_out()
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = ((total**2).sum(1) - count) / (count * (count - 1))
    return result


def variance(moments: Moments) -> Floats:
    """(B,) trace of the unbiased covariance of unit rows: n/(n−1) · (1 − ‖mean‖²)."""
    count, total = moments.leave_one_group_out()
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = (count - (total**2).sum(1) / count) / (count - 1)
    return np.maximum(found, 0.0)


def mean_distance(matches: MatchMoments) -> Floats:
    """(B,) mean of ‖x − y‖ over matched pairs."""
    count, distance, _ = matches.leave_one_group_out()
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = distance / count
    return result


def mean_squared_distance(matches: MatchMoments) -> Floats:
    """(B,) mean of ‖x − y‖² over matched pairs."""
    count, _, squared = matches.leave_one_group_out()
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = squared / count
    return result
