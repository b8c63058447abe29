"""Transport: move texts onto the images by optimal transport that keeps neighbours together.

Equation: γ = argmin ⟨γ, C⟩ + reg · (Laplacian of the moved rows), uniform marginals, C squared
distances; texts move to the barycentres norm(m γᵀ X). Source: Fill the Gap (arXiv 2505.03703,
section 4), after Flamary et al. 2014; computed by POT's ``EMDLaplaceTransport``.
Transductive: it cannot be applied to new rows. Reported to hurt retrieval.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch

from modalgap import checks
from modalgap.card import Card
from modalgap.close.base import Closer
from modalgap.close.moved import moved
from modalgap.embeddings import Pair
from modalgap.errors import NotApplicable
from modalgap.extras import import_extra

LARGEST = 5000  # rows per modality: the plan is dense

CARD = Card(
    name="transport",
    title="Optimal transport",
    idea="Moves each text to a mean of the images that optimal transport assigns to it.",
    equation=r"y_j \mapsto \operatorname{norm}(m \textstyle\sum_i \gamma_{ij} x_i)",
    source="Fill the Gap, arXiv 2505.03703, section 4",
    roles=("text",),
    reads="rows",
    traits=("size",),
    use_when="Studying one fixed set.",
    fails_when="Transductive; needs `pip install modalgap[transport]`; it removes content too.",
)


def _transform(pair: Pair, *, reg: float = 1.0, iterations: int = 10) -> Pair:
    """``reg``: weight of the Laplacian term, 0 for plain transport. ``iterations``: of POT."""
    checks.at_least("reg", reg, 0.0)
    checks.whole("iterations", iterations, 1)
    checks.needs(
        max(pair.image.n, pair.text.n) <= LARGEST,
        f"transport takes at most {LARGEST} rows per modality; there are {pair.image.n} and"
        f" {pair.text.n}",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about the source code of POT
        ot = import_extra("ot", "transport", "transport", NotApplicable)
    x, y = pair.image.unit().double().numpy(), pair.text.unit().double().numpy()
    how = (
        ot.da.EMDTransport()
        if reg == 0
        else ot.da.EMDLaplaceTransport(reg_lap=reg, max_iter=iterations)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the number of iterations
        try:
            carried = np.asarray(how.fit(Xs=y, Xt=x).transform(Xs=y))
        except ValueError as error:  # fewer rows than its neighbours
            raise NotApplicable(f"transport cannot process these rows ({error})") from None
    checks.needs(bool(np.isfinite(carried).all()), "the transport plan is not finite")
    rows = torch.nn.functional.normalize(torch.from_numpy(carried), dim=1)
    return moved(pair, pair.image.unit(), rows, "transport")


transport = Closer(CARD, transform=_transform)
