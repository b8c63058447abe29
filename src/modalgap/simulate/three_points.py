"""Three points: the contrastive loss can be small although the image is far from its text.

Three texts are the corners of an equilateral triangle. An image starts at its own text and moves
away by d in a straight line. The loss is the cross-entropy of a softmax of −‖x − y‖²/τ.
Equation: L(d) = log Σ_j exp((b_j − d a_j)/τ), a_j = 2⟨u, y_1 − y_j⟩, b_j = −‖y_1 − y_j‖², u the
unit direction: d² is common to all texts and cancels. So L is convex in d. For large d
its slope is −min a_j/τ; if min a_j = 0, L has a limit: log Σ exp(b_j/τ) over the j with a_j = 0.
Source: Chowers et al. 2026, section 3, figure 3.
Expected: across, that is, orthogonal to the plane of the texts, the loss is constant, so a gap of
any length has no effect and no gradient. Away from the other texts it falls to 0. Beside, at a
right angle to one side of the triangle, it tends to a constant. Only toward the other texts it
rises, in proportion to d.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, distinct, fits, several, whole
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.trace import traced

CARD = Card(
    name="three_points",
    title="A small loss at a large distance",
    idea="Moves an image away from its text and computes the loss among three texts.",
    equation=r"L(d) = \log \sum_j \exp\big((b_j - d\, a_j) / \tau\big)",
    source="Chowers et al. 2026, section 3, figure 3",
    question="Does a small contrastive loss mean that an image is near its text?",
)
HALF = math.sqrt(3) / 2
# unit directions from the first corner; the texts are in the plane of the first two coordinates
DIRECTIONS: Mapping[str, tuple[float, float, float]] = {
    "across": (0.0, 0.0, 1.0),  # at a right angle to the plane of the texts
    "away": (0.0, 1.0, 0.0),  # from the middle of the other two texts
    "beside": (HALF, 0.5, 0.0),  # at a right angle to one side, away from the third corner
    "toward": (0.0, -1.0, 0.0),  # the middle of the other two
}
HEADS = {
    "start": "loss at its text",
    "end": "loss at the largest distance",
    "closed": "closed form there",
    "slope": "slope there",
    "closed_slope": "limit of the slope",
    "limit": "limit of the loss",
}


@checked
def _three_points(
    *,
    temperatures: Several[float] = (0.2, 0.5, 1.0),
    farthest: float = 10.0,
    points: int = 101,
    side: float = 1.0,
) -> Table:
    """The loss against the distance of an image from its text, in four directions.

    Args:
        temperatures: values of τ, in units of squared distance.
        farthest: the largest distance.
        points: number of distances, from 0 to the largest.
        side: distance between two texts.

    Returns:
        One row per direction and τ: the loss at distance 0 and at the largest one, its closed form
        there, its slope there, and the limits of slope and loss. The curve is in ``end``. A loss
        without a limit, because it grows, has none.

    Raises:
        OptionError: an option outside its range.
    """
    taus = [float(each) for each in several("temperatures", temperatures, least=1)]
    at_least("number of temperatures", len(taus), 1, 10)
    for tau in taus:
        at_least("temperatures", tau, 1e-3, 1e6)
    distinct("temperatures", [f"{tau:g}" for tau in taus])
    at_least("farthest", farthest, 1e-3, 1e4)
    at_least("side", side, 1e-3, 1e3)
    whole("points", points, 2)
    fits("points", 100.0 * points)
    corners = [[0, 0, 0], [-0.5, -HALF, 0], [0.5, -HALF, 0]]
    texts = side * torch.tensor(corners, dtype=torch.float64)
    distances = torch.linspace(0, farthest, points, dtype=torch.float64)
    rows = {}
    with progress("three points", len(DIRECTIONS) * len(taus)) as advance:
        for name, direction in DIRECTIONS.items():
            along = torch.tensor(direction, dtype=torch.float64)
            for tau in taus:
                rows[f"{name}, τ = {tau:g}"] = _row(texts, along, distances, tau)
                advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="direction",
        rows=rows,
        heads=HEADS,
        settings={"temperatures": taus, "farthest": farthest, "points": points, "side": side},
        notes=[
            f"largest distance: {farthest:g}; the texts are {side:g} apart",
            "across: at a right angle to the plane of the texts; away: from the other two texts;"
            " beside: at a right angle to a side of the triangle; toward: the other two texts",
        ],
    )


three_points = Simulation(CARD, _three_points)


def _row(texts: Tensor, along: Tensor, distances: Tensor, tau: float) -> dict[str, Value]:
    """Losses of an image at ``distances`` from the first text, and the closed forms."""
    image = (texts[0] + distances[:, None] * along).requires_grad_()
    loss = _loss(image, texts, tau)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None  # noqa: S101 - backward fills it
    slope = float(image.grad[-1] @ along)
    curve = loss.detach()
    apart = texts[0] - texts
    a, b = 2 * apart @ along, -apart.square().sum(1)
    closed = torch.logsumexp((b - distances[-1] * a) / tau, 0)
    row = {
        "start": Value(float(curve[0])),
        "end": traced(float(curve[-1]), distances.tolist(), curve.tolist()),
        "closed": Value(float(closed)),
        "slope": Value(slope),
        "closed_slope": Value(max(0.0, float(-a.min() / tau))),
    }
    tied = a.abs() < 1e-12 * float(apart.abs().max())
    if float(a[~tied].min() if (~tied).any() else 0) >= 0:
        row["limit"] = Value(float(torch.logsumexp(b[tied] / tau, 0)))
    return row


def _loss(images: Tensor, texts: Tensor, tau: float) -> Tensor:
    """Cross-entropy (k,) of softmax(−‖x − y‖²/τ) over texts; the first is the right one."""
    logits = -(images[:, None] - texts).square().sum(-1) / tau
    return logits.logsumexp(1) - logits[:, 0]
