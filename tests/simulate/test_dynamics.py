"""The simulation dynamics: gradients in plain numpy, both theorems, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import modalgap as mg
from modalgap import errors
from modalgap.losses import infonce, siglip
from modalgap.result import Table
from modalgap.simulate.dynamics import QUANTITIES, dynamics, recorded
from modalgap.simulate.motion import (
    LOSSES,
    SPACES,
    Rules,
    State,
    loss_of,
    moved,
    similarities,
    started,
)
from modalgap.trace import points

SMALL: dict[str, Any] = {"n": 20, "dim": 4, "steps": 60}
RULES = Rules(loss="infonce", space="free", optimiser="descent", rate=0.0, learning_rate=0.1,
              tolerance=1e-4, until=1e9)  # fmt: skip


def state_of(rows: Tensor, temperature: float = 1.0, rules: Rules = RULES) -> State:
    return next(moved(rows.double(), temperature, -1.0, rules, 1))


def by_hand(x: NDArray[Any], y: NDArray[Any], tau: float) -> tuple[float, NDArray[Any]]:
    """Symmetric InfoNCE of −‖x − y‖²/τ and its gradient by texts, in loops."""
    n = len(x)
    logits = np.array([[-np.sum((a - b) ** 2) / tau for b in y] for a in x])
    rows = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    columns = np.exp(logits) / np.exp(logits).sum(0, keepdims=True)
    loss = -sum(np.log(rows[i, i]) + np.log(columns[i, i]) for i in range(n)) / (2 * n)
    slope = np.zeros_like(y)
    for j in range(n):
        for i in range(n):
            weight = rows[i, j] + columns[i, j] - 2 * (i == j)
            slope[j] += weight * 2 * (x[i] - y[j]) / tau / (2 * n)
    return loss, slope


def test_loss_and_gradient_by_hand() -> None:
    rows = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(1)).double()
    found = state_of(rows, 0.7)
    loss, slope = by_hand(rows[0].numpy(), rows[1].numpy(), 0.7)
    assert found.loss == pytest.approx(loss, rel=1e-12)
    assert found.gradient[1].numpy() == pytest.approx(slope, abs=1e-12)


def test_losses_on_the_sphere_are_those_of_the_package() -> None:
    x, y = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(2)).double()
    scores = similarities(torch.stack([x, y]), "sphere")
    scale, bias = torch.tensor(5.0).double(), torch.tensor(-2.0).double()
    assert float(loss_of(scores, scale, bias, "infonce")) == pytest.approx(
        float(infonce(x, y, scale=5.0)), abs=1e-6
    )
    assert float(loss_of(scores, scale, bias, "sigmoid")) == pytest.approx(
        float(siglip(x, y, scale=5.0, bias=-2.0)), abs=1e-6
    )


def test_theorem_31_early_gradient_of_tight_far_clusters() -> None:
    """The error falls with the spread and with τ/‖g‖²; the coefficient is 2/(nτ²)."""
    errors_of = []
    for spread, distance in ((0.1, 5.0), (0.001, 5.0), (0.001, 30.0)):
        table = dynamics(60, 8, spread=spread, distance=distance, steps=1, until=1e-6, seed=1)
        errors_of.append(table.rows[QUANTITIES["theorem"]]["start"].value)
    assert errors_of[0] > errors_of[1] > errors_of[2]
    assert errors_of[2] < 0.02


@pytest.mark.parametrize("n", [3, 6])
def test_theorem_32_no_gradient_where_both_are_constant(n: int) -> None:
    """Regular polygons on two parallel planes: doubly stochastic, so exactly no pull along g."""
    angles = torch.arange(n).double() * 2 * torch.pi / n
    ring = torch.stack([angles.cos(), angles.sin(), torch.zeros(n).double()], 1)
    up = torch.tensor([0.0, 0.0, 3.0]).double()
    found = state_of(torch.stack([ring, ring + up]), 0.5)
    assert found.gradient[:, :, 2].abs().max() < 1e-13
    assert found.gradient[:, :, :2].abs().max() > 1e-3  # other directions still move


def test_theorem_32_needs_doubly_stochastic() -> None:
    """The same planes with points in unequal places: single points are pulled, their mean not."""
    random = torch.Generator().manual_seed(3)
    flat = torch.randn(2, 6, 3, generator=random).double()
    flat[:, :, 2] = torch.tensor([0.0, 3.0])[:, None]
    along = state_of(flat, 0.5).gradient[:, :, 2]
    assert along.abs().max() > 1e-3
    assert along.mean(1).abs().max() < 1e-13


def test_the_flow_follows_small_steps_of_descent() -> None:
    rows = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(4)).double()
    flow = Rules(loss="infonce", space="free", optimiser="flow", rate=1.0, learning_rate=0,
                 tolerance=1e-6, until=0.5)  # fmt: skip
    steps = Rules(loss="infonce", space="free", optimiser="descent", rate=1.0, learning_rate=1e-4,
                  tolerance=0, until=1e9)  # fmt: skip
    *_, one = moved(rows, 1.0, 0.0, flow, 10_000)
    many = list(moved(rows, 1.0, 0.0, steps, int(one.time * 1e4)))
    near = many[-1]
    assert 0.5 <= one.time < 1.0
    assert one.points.numpy() == pytest.approx(near.points.numpy(), abs=1e-3)
    assert one.temperature == pytest.approx(near.temperature, abs=1e-3)


def test_adam_is_the_adam_of_torch() -> None:
    rows = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(5)).double()
    rules = Rules(loss="infonce", space="free", optimiser="adam", rate=1.0, learning_rate=0.01,
                  tolerance=0, until=1e9)  # fmt: skip
    *_, ours = moved(rows, 0.5, 0.0, rules, 20)
    theirs, scale = (
        rows.clone().requires_grad_(),
        torch.tensor(math.log(2.0), dtype=torch.float64).requires_grad_(),
    )
    optimiser = torch.optim.Adam([theirs, scale], lr=0.01)
    for _ in range(20):
        optimiser.zero_grad()
        loss_of(similarities(theirs, "free"), scale.exp(), scale, "infonce").backward()
        optimiser.step()
    assert ours.points.numpy() == pytest.approx(theirs.detach().numpy(), abs=1e-9)
    assert ours.temperature == pytest.approx(float((-scale).exp().detach()), abs=1e-9)


def test_variance_along_the_gap_vanishes_first_and_the_gap_is_frozen() -> None:
    rows = dynamics(40, 6, steps=600).rows
    _, along = points(rows[QUANTITIES["variance_along"]]["end"])
    _, loss = points(rows[QUANTITIES["loss"]]["end"])
    early = next(i for i, value in enumerate(along) if value < 0.01 * along[0])
    assert loss[early] > 0.95 * loss[0]  # before the loss falls
    assert rows[QUANTITIES["gap"]]["end"].value == pytest.approx(
        rows[QUANTITIES["gap"]]["start"].value, rel=0.02
    )
    assert (
        rows[QUANTITIES["sums_image"]]["end"].value
        < 1e-3
        < rows[QUANTITIES["sums_image"]]["start"].value
    )


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimiser", ["flow", "descent", "adam"])
def test_every_kind_lowers_the_loss(space: str, loss: str, optimiser: str) -> None:
    table = dynamics(**SMALL, space=space, loss=loss, optimiser=optimiser, temperature=0.5,
                     distance=1.0, learn_temperature=True)  # fmt: skip
    assert (
        table.rows[QUANTITIES["loss"]]["end"].value < table.rows[QUANTITIES["loss"]]["start"].value
    )
    assert (QUANTITIES["threshold"] in table.rows) == (loss == "sigmoid")


def test_the_margin_is_half_the_least_match_minus_the_best_other() -> None:
    found = dynamics(20, 4, steps=1, space="sphere").rows[QUANTITIES["margin"]]["start"].value
    random = torch.Generator().manual_seed(0)
    rows = started("clusters", "sphere", (20, 4), 1.0, 0.03, 4, random)
    scores = similarities(rows, "sphere").numpy()
    others = [scores[i, j] for i in range(20) for j in range(20) if i != j]
    assert found == pytest.approx((min(scores.diagonal()) - max(others)) / 2)


def test_a_fixed_temperature_stays() -> None:
    table = dynamics(**SMALL, temperature=0.5)
    assert table.rows[QUANTITIES["temperature"]]["end"].value == pytest.approx(0.5)
    assert dynamics(**SMALL).to_dict() == dynamics(**SMALL).to_dict()
    assert dynamics(**SMALL, seed=1).rows != dynamics(**SMALL).rows


def test_a_start_in_few_directions() -> None:
    table = dynamics(50, 8, directions=1, distance=0.0, spread=1.0, steps=1)
    ratio = (
        7 * table.rows[QUANTITIES["variance_off"]]["start"].value
        + table.rows[QUANTITIES["variance_along"]]["start"].value
    )
    assert ratio == pytest.approx(1.0, abs=0.3)


def test_recorded_steps() -> None:
    assert recorded(3) == {0, 1, 2, 3}
    many = recorded(100_000)
    assert {0, 1, 100_000} <= many
    assert len(many) <= 202


def test_by_name_gives_a_table() -> None:
    table = mg.simulate("dynamics", **SMALL)
    assert isinstance(table, Table)
    assert Table.from_json(table.to_json()).to_dict() == table.to_dict()


def test_divergence_names_the_step() -> None:
    with pytest.raises(errors.Diverged, match=r"at step \d+.*learning_rate"):
        dynamics(**SMALL, optimiser="descent", learning_rate=1e9, learn_temperature=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 1), ("dim", 1), ("steps", 0), ("temperature", 0.0), ("temperature", float("nan")),
        ("start", "ring"), ("space", "torus"), ("loss", "mse"), ("optimiser", "sgd"),
        ("learn_temperature", 1), ("tolerance", 0.0), ("until", 0.0), ("distance", -1.0),
        ("spread", 0.0), ("directions", 11), ("learning_rate", 0.0), ("bias", float("inf")),
        ("seed", -1), ("n", 10**8),
    ],
)  # fmt: skip
def test_options_out_of_range(name: str, value: float) -> None:
    with pytest.raises(errors.OptionError, match=name):
        dynamics(**{name: value})  # type: ignore[arg-type]


def test_the_sphere_has_a_largest_distance() -> None:
    with pytest.raises(errors.OptionError, match=r"distance must be .* at most 2"):
        dynamics(space="sphere", distance=2.5)
