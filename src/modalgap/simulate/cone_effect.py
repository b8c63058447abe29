"""The cone effect: random layers alone move all embeddings into a narrow cone.

Random inputs pass through random layers; after each layer the mean cosine of all pairs is measured.
The closed form is the cosine in the limit of infinite width. A layer is h ← φ(W h + b) with the
activation φ, the width d and W, b ~ N(0, 1/d).
Blocks of newer architectures, each counted as one layer: ``residual`` h + W₂ relu(W₁ LN(h)),
``attention`` h + Wₒ softmax(Q Kᵀ/√d) V with Q, K, V linear in LN(h), one head over the tokens of an
input, and ``transformer``, ``attention`` followed by ``residual``. LN is layer normalisation.
Source: Liang et al. 2022, section 2.2 and figure 2b.
Expected: the mean cosine of ReLU is 1/π after one layer, and after ten layers .95 with a bias and
.87 without; that of sigmoid is .99 after two layers; that of a linear network stays low. Layer
normalisation before the activation makes the bias small relative to the inputs, so the curve is
that without bias; after the activation it removes the mean over units, which causes the cone. With
residual connections the cosine rises more slowly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, distinct, fits, one_of, several, whole
from modalgap.errors import OptionError
from modalgap.linalg import to_unit
from modalgap.measure.intervals import student_t
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.simulate.wide_networks import (
    ACTIVATIONS,
    BLOCKS,
    NORMS,
    Layers,
    closed_form,
    directed,
)
from modalgap.trace import traced

CLOSED = ", closed form"
SHOWN = (1, 2, 3, 4, 5, 10, 15, 20, 25, 50, 100)  # layers with a column of their own
CARD = Card(
    name="cone_effect",
    title="The cone effect in random networks",
    idea="Mean cosine of random inputs after each layer of random networks, and its closed form.",
    equation=r"\frac{1}{n^2}\Big\lVert\sum_i \frac{h_i}{\lVert h_i\rVert}\Big\rVert^2,"
    r"\quad h \leftarrow \varphi(W h + b),\ W, b \sim \mathcal{N}(0, 1/d)",
    source="Liang et al. 2022, section 2.2 and figure 2b",
    question="Why are all embeddings of an untrained model in a narrow cone?",
    traits=("random",),
)


@checked
def _cone_effect(
    n: int = 1024,
    dim: int = 512,
    *,
    layers: int = 25,
    architectures: Several[str] = (*ACTIVATIONS, *BLOCKS),
    bias: bool = True,
    norm: str = "none",
    tokens: int = 8,
    repeats: int = 1,
    seed: int = 0,
) -> Table:
    """Measure the mean cosine after each layer of random networks.

    Args:
        n: number of inputs, drawn from N(0, I).
        dim: width of the inputs and of every layer.
        layers: number of layers.
        architectures: activations of a plain network: relu, leaky_relu (slope 0.01), tanh, sigmoid,
            gelu, linear, maxout (of two); or blocks: residual, attention, transformer.
        bias: whether linear maps have a bias.
        norm: layer normalisation "before" or "after" the activation of plain networks, or "none".
            Blocks always normalise their input.
        tokens: inputs that attention sees together; n must be a multiple of it.
        repeats: networks per architecture; the curve is their mean.
        seed: seed of the inputs and of the weights of the first network.

    Returns:
        For each architecture a row with the mean cosine of all n² pairs after each layer, including
        the pairs of an input with itself, and a row with its closed form, if it has one:
        ``layer_1``, …; ``cosine`` after the last layer, with the curve; ``within``: the mean cosine
        of the tokens of one input, for attention.

    Raises:
        OptionError: an option outside its range, or sizes that do not fit in memory.
        Diverged: the features are 0 or infinite after some layer.
    """
    for name, value, least in (
        ("n", n, 2),
        ("dim", dim, 2),
        ("layers", layers, 1),
        ("tokens", tokens, 2),
        ("repeats", repeats, 1),
        ("seed", seed, 0),
    ):
        whole(name, value, least, 2**31)
    names = [str(each) for each in several("architectures", architectures)]
    for each in names:
        one_of("architectures", each, (*ACTIVATIONS, *BLOCKS))
    distinct("architectures", names)
    if not names:
        raise OptionError("architectures must have at least one name; got an empty list")
    one_of("norm", norm, NORMS)
    if n % tokens and {"attention", "transformer"} & set(names):
        raise OptionError(f"n must be a multiple of tokens={tokens} for attention; got {n}")
    fits("n, dim", 4.0 * (8 * n * dim + 3 * dim * dim + n * tokens))
    rows: dict[str, dict[str, Value]] = {}
    with progress("random layers", len(names) * repeats * layers) as advance:
        for name in names:
            curves, within = [], []
            for repeat in range(repeats):
                random = torch.Generator().manual_seed(seed + repeat)
                start = torch.randn(n, dim, generator=random)
                network = Layers(name, dim, bias=bias, norm=norm, tokens=tokens, random=random)
                curve = [mean_cosine(start, 0)]
                for layer in range(1, layers + 1):
                    start = network.next(start)
                    curve.append(mean_cosine(start, layer))
                    advance(1)
                curves.append(curve)
                within.append(_within(start, tokens))
            rows[name] = _row(curves)
            if name in ("attention", "transformer"):
                rows[name]["within"] = Value(sum(within) / repeats)
            limit = closed_form(name, layers, dim, bias=bias, norm=norm)
            if limit is not None:
                rows[name + CLOSED] = _row([[(c * (n - 1) + 1) / n for c in [0.0, *limit]]])
    shown = [layer for layer in SHOWN if layer <= layers]
    heads = {f"layer_{layer}": f"layer {layer}" for layer in shown}
    heads["cosine"] = f"after {layers} layers"
    if any("within" in row for row in rows.values()):
        heads["within"] = "tokens of one input"
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="network",
        rows=rows,
        heads=heads,
        settings={"n": n, "dim": dim, "layers": layers, "architectures": names, "bias": bias,
                  "norm": norm, "tokens": tokens, "repeats": repeats, "seed": seed},
        notes=[
            f"mean cosine of all {n:,}² pairs, including the pairs of an input with itself",
            "closed form: infinite width",
        ],
    )  # fmt: skip


cone_effect = Simulation(CARD, _cone_effect)


def mean_cosine(rows: Tensor, layer: int) -> float:
    """Mean cosine of all n² pairs of rows (n, d), from their sum.

    Raises:
        Diverged: a row is 0 or infinite.
    """
    unit, lengths = to_unit(rows)
    directed(float(lengths.min()), float(lengths.max()), layer, rows.shape[1])
    total: Tensor = unit.sum(0, dtype=torch.float64)
    return float(total @ total) / len(rows) ** 2


def _within(rows: Tensor, tokens: int) -> float:
    """Mean cosine of different rows of one input, over inputs."""
    if len(rows) % tokens:
        return 0.0
    unit = to_unit(rows)[0].view(-1, tokens, rows.shape[1])
    totals = unit.sum(1, dtype=torch.float64).square().sum(1)
    return float((totals.mean() - tokens) / (tokens * (tokens - 1)))


def _row(curves: Sequence[Sequence[float]]) -> dict[str, Value]:
    """Means over repeats, with Student's interval if there are several."""
    values = torch.tensor(curves, dtype=torch.float64)
    middle, last = values.mean(0), values.shape[1] - 1
    half = None
    if len(curves) > 1:
        half = student_t(len(curves) - 1) * values.std(0) / len(curves) ** 0.5

    def interval(layer: int) -> Any:
        ends = () if half is None else (middle[layer] - half[layer], middle[layer] + half[layer])
        return tuple(map(float, ends)) or None

    row = {
        f"layer_{layer}": Value(float(middle[layer]), interval(layer))
        for layer in SHOWN
        if layer <= last
    }
    row["cosine"] = traced(float(middle[last]), range(last + 1), middle.tolist(), interval(last))
    return row
