"""Dynamics of the gap: free points under a contrastive loss, traced over the steps.

Matched points start in two tight clusters or in all directions, and move down the gradient of
InfoNCE or of the sigmoid loss. From two clusters, the variance along the gap g vanishes first;
then the gradient along g is 0 and the gap stays.
Equations, with the symmetric mean L = −(1/2n) Σ_i [log Q_x(i, i) + log Q_y(i, i)] and Q the softmax
of −‖x − y‖²/τ: for two tight, far clusters ∂L/∂y_i ≈ (2/(nτ²)) [g·(y_i − μ_y)] g, so that descent
removes the variance along g; if both modalities are constant along a direction and both softmax
matrices are doubly stochastic, the gradient along it is 0.
Source: Chowers et al. 2026, theorems 3.1 and 3.2; constellation margin: arXiv 2509.18552.
Expected: the variance along the gap falls long before the distance of means changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import at_least, finite, fits, one_of, whole
from modalgap.errors import OptionError, quoted
from modalgap.linalg import one_thread
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.simulate.motion import (
    LOSSES,
    OPTIMISERS,
    SPACES,
    STARTS,
    Rules,
    State,
    moved,
    softmaxes,
    started,
)
from modalgap.simulate.motion import similarities as scores_of
from modalgap.trace import traced

RECORDS = 200  # recorded steps, about evenly spaced on a logarithmic scale
QUANTITIES = {  # name in this file to title in the table
    "loss": "loss",
    "gap": "distance of means",
    "variance_along": "variance along the gap",
    "variance_off": "variance across the gap, per dimension",
    "matched_off": "distance of a match across the gap",
    "sums_image": "largest |column sum − 1|, softmax of images",
    "sums_text": "largest |row sum − 1|, softmax of texts",
    "gradient_along": "gradient along the gap",
    "theorem": "relative error of the gradient of theorem 3.1, texts",
    "temperature": "τ",
    "margin": "constellation margin",
    "threshold": "threshold of the sigmoid loss",
}
CARD = Card(
    name="dynamics",
    title="Dynamics of the gap",
    idea="Minimises a contrastive loss over free points; traces gap, variance and gradient.",
    equation=r"\partial L/\partial y_i \approx \tfrac{2}{n\tau^2} [g \cdot (y_i - \mu_y)]\, g",
    source="Chowers et al. 2026, theorems 3.1 and 3.2",
    question="When does a loss stop closing the gap, and why?",
    traits=("random",),
)


@checked
def _dynamics(
    n: int = 100,
    dim: int = 10,
    *,
    start: str = "clusters",
    space: str = "free",
    loss: str = "infonce",
    temperature: float = 1.0,
    learn_temperature: bool = False,
    temperature_rate: float = 1.0,
    bias: float = -10.0,
    optimiser: str = "flow",
    steps: int = 2000,
    learning_rate: float = 0.01,
    tolerance: float = 1e-4,
    until: float = 1e5,
    distance: float | None = None,
    spread: float = 0.03,
    directions: int = 0,
    seed: int = 0,
) -> Table:
    """Minimise a contrastive loss over free points, and trace it.

    Args:
        n: number of matched pairs.
        dim: number of dimensions.
        start: "clusters", two clusters; or "isotropic", points at a distance of about 1 from one
            centre.
        space: "free", where pairs are scored by −‖x − y‖²; or "sphere", by the cosine.
        loss: "infonce" or "sigmoid".
        temperature: τ at the start; scores are divided by it.
        learn_temperature: whether τ, and the bias of the sigmoid loss, are learnable; else frozen.
        temperature_rate: rate at which a learnable log(1/τ) and bias move, relative to the points.
        bias: bias of the sigmoid loss at the start; it is added to scores/τ.
        optimiser: "flow", gradient flow with a step size that adapts to the error; "descent",
            gradient descent with a fixed step; or "adam".
        steps: number of steps. A step of the flow covers more time if the gradient is small.
        learning_rate: learning rate of descent and Adam.
        tolerance: largest error of a coordinate per step of the flow.
        until: time at which the flow stops, if it has not stopped after ``steps``.
        distance: distance between the centres of the clusters; by default 5, and 1 on the sphere.
        spread: root mean square distance of points from the centre of their cluster.
        directions: number of directions in which points vary at the start, drawn for each
            modality; 0 for all.
        seed: seed of the start.

    Returns:
        One row per quantity, with its first, smallest and last value; the last has the curve over
        time for the flow, over steps otherwise.

    Raises:
        OptionError: an option outside its range.
        Diverged: the loss is not finite; the message has the step.
    """
    if distance is None:
        distance = 1.0 if space == "sphere" else 5.0
    settings = dict(locals())
    _check(settings)
    rate = temperature_rate if learn_temperature else 0.0
    flows = optimiser == "flow"
    rules = Rules(loss=loss, space=space, optimiser=optimiser, rate=rate, tolerance=tolerance,
                  learning_rate=learning_rate, until=until if flows else math.inf)  # fmt: skip
    random = torch.Generator().manual_seed(seed)
    wanted = recorded(steps)
    found: list[dict[str, float]] = []
    with one_thread(), progress("moving points", steps) as advance:
        points = started(start, space, (n, dim), distance, spread, directions or dim,
                         random)  # fmt: skip
        for state in moved(points, temperature, bias, rules, steps):
            if state.step in wanted:
                found.append({"time": state.time} | _numbers(state, rules))
            advance(int(state.step > 0))
    times = [each["time"] for each in found]
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="quantity",
        rows={title: _row(times, [each[name] for each in found])
              for name, title in QUANTITIES.items() if name in found[0]},
        heads={"start": "at the start", "least": "smallest", "end": "at the end"},
        settings=settings,
        notes=[
            "curves: over " + ("time of the gradient flow" if flows else "steps"),
            "constellation margin: half the difference between the lowest score of a match and the"
            " highest score of an unmatched pair; above 0, all pairs match",
        ],
    )  # fmt: skip


dynamics = Simulation(CARD, _dynamics)


def _check(options: Mapping[str, Any]) -> None:
    """Refuse options outside their range."""
    for name, least in (("n", 2), ("dim", 2), ("steps", 1), ("seed", 0)):
        whole(name, options[name], least)
    whole("directions", options["directions"], 0, options["dim"])
    known = {"start": STARTS, "space": SPACES, "loss": LOSSES, "optimiser": OPTIMISERS}
    for name, words in known.items():
        one_of(name, options[name], words)
    for name in (
        "temperature",
        "temperature_rate",
        "learning_rate",
        "tolerance",
        "until",
        "spread",
    ):
        at_least(name, options[name], 1e-9, 1e12)
    at_least("distance", options["distance"], 0.0, 2.0 if options["space"] == "sphere" else 1e6)
    learn = options["learn_temperature"]
    if not isinstance(learn, bool):
        raise OptionError(f"learn_temperature must be true or false; got {quoted(learn)}")
    finite("bias", options["bias"])
    n, dim = options["n"], options["dim"]
    fits("n, dim", 8.0 * (12 * n * n + 40 * n * dim))


def recorded(steps: int) -> set[int]:
    """The steps to record: all of a short run, and fewer and fewer of a long one."""
    if steps <= RECORDS:
        return set(range(steps + 1))
    ratio = steps ** (1 / RECORDS)
    return {0, steps} | {round(ratio**power) for power in range(RECORDS)}


def _row(times: list[float], values: list[float]) -> dict[str, Value]:
    return {
        "start": Value(values[0]),
        "least": Value(min(values)),
        "end": traced(values[-1], times, values),
    }


def _numbers(state: State, rules: Rules) -> dict[str, float]:
    """Every quantity of one state."""
    points, n = state.points, state.points.shape[1]
    gap = points[1].mean(0) - points[0].mean(0)
    unit = gap / gap.norm().clamp_min(1e-300)
    centred = points - points.mean(1, keepdim=True)
    along = float(((centred @ unit) ** 2).mean())
    total = float((centred**2).sum(2).mean())
    between = points[0] - points[1]
    across = between - (between @ unit)[:, None] * unit
    q_image, q_text = softmaxes(points, 1 / state.temperature, rules.space)
    scores = scores_of(points, rules.space)
    unmatched = scores - torch.diag(torch.full((n,), torch.inf, dtype=scores.dtype))
    lowest, highest = float(scores.diagonal().min()), float(unmatched.max())
    found = {
        "loss": state.loss,
        "gap": float(gap.norm()),
        "variance_along": along,
        "variance_off": (total - along) / (points.shape[2] - 1),
        "matched_off": float(across.norm(dim=1).mean()),
        "sums_image": float((q_image.sum(0) - 1).abs().max()),
        "sums_text": float((q_text.sum(1) - 1).abs().max()),
        "gradient_along": float((state.gradient @ unit).norm()),
        "temperature": state.temperature,
        "margin": (lowest - highest) / 2,
    }
    if rules.loss == "sigmoid":
        found["threshold"] = -float(state.bias) * state.temperature
    elif rules.space == "free":
        early = 2 / (n * state.temperature**2) * (centred[1] @ gap)[:, None] * gap
        apart = (state.gradient[1] - early).norm() / early.norm().clamp_min(1e-300)
        found["theorem"] = float(apart)
    return found
