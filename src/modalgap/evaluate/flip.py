"""The probability that noise changes the best item, in closed form.

With noise ε_j ~ N(0, σ² I) on each stored row x_j only, scores become s_j + σ‖q‖ z_j with
independent standard normal z_j. The best item remains the best with probability

    ∫ φ(z) Π_{j ≠ best} Φ((s_best − s_j)/(σ‖q‖) + z) dz,

computed by Gauss-Hermite quadrature. Exact for inner products with noise on the index only.
Source: order statistics; the quantity is the robustness of Chowers et al. 2026, equation 10.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from modalgap.arguments import checked
from modalgap.errors import InputError, OptionError, quoted

NODES = 32


@checked
def flip_probability(
    scores: ArrayLike, sigma: float, lengths: ArrayLike | float = 1.0
) -> NDArray[np.float64]:
    """Probability that noise on the index changes the best item of each query.

    Args:
        scores: (n, m) inner products of queries and stored rows.
        sigma: standard deviation of the noise in each column.
        lengths: (n,) lengths of the queries; 1 for unit rows.

    Returns:
        (n,) probabilities; lower is more robust.
    """
    try:
        s = np.asarray(scores, np.float64)
        spread = np.broadcast_to(np.asarray(lengths, np.float64), s.shape[:1])
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"scores, lengths: must be numbers, one length per row; got {error}"
        ) from error
    if s.ndim != 2 or s.shape[1] < 2 or not np.isfinite(s).all():
        raise InputError(f"scores: must be finite, (n, m) with m of at least 2; got {s.shape}")
    if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 < sigma < np.inf:
        raise OptionError(f"sigma must be a number above 0; got {quoted(sigma)}")
    if not ((spread > 0) & (spread < np.inf)).all():
        raise InputError("lengths: must be finite and above 0")
    z, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    spread = sigma * spread
    found = np.empty(len(s))
    for i, row in enumerate(s):
        best = row.argmax()
        ahead = (row[best] - np.delete(row, best)) / spread[i]
        near = ahead[ahead < 12]  # items farther behind never become the best
        logs = torch.special.log_ndtr(torch.from_numpy(near[:, None] + z))
        stays = logs.sum(0).exp().numpy() @ weights
        found[i] = 1 - stays
    return np.clip(found, 0.0, 1.0)
