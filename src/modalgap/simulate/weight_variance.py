"""Most variance of a random network's outputs comes from its weights, not from its inputs.

The same inputs of norm 1 pass through many random networks. The variance of a pre-activation over
networks and inputs is the sum of two variances (law of total variance): that between networks, of
their means over inputs, and that between inputs of one network. The share between networks is at
least the mean cosine of the layer before. Variances are summed over the units of a layer. W and
b are drawn from N(0, 1/d), where d is the width.
Source: Liang et al. 2022, theorem 2.
Expected: with a bias the share between networks is larger than the cosine, because of the variance
of the bias. Without a bias it equals the cosine if all rows of the layer before have the same norm;
in a narrow network norms differ, and it is a little smaller. So two random networks embed the same
inputs in two different cones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import fits, one_of, whole
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.simulate.wide_networks import directed

PHI = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
HEADS = {
    "share": "share between networks",
    "cosine": "mean cosine of the layer before",
    "limit": "expected share",
    "network": "variance between networks",
    "data": "variance between inputs",
    "total": "total variance",
    "after": "share between networks, after the activation",
}
CARD = Card(
    name="weight_variance",
    title="Variance from weights and from inputs",
    idea="Splits the variance of each random layer into a share of weights and a share of inputs.",
    equation=r"\frac{\mathrm{Var}_\Theta\,E[h \mid \Theta]}{\mathrm{Var}[h]} \ge \beta,"
    r"\quad \mathrm{Var}[h] = \mathrm{Var}_\Theta\,E[h \mid \Theta]"
    r" + E_\Theta \mathrm{Var}[h \mid \Theta]",
    source="Liang et al. 2022, theorem 2",
    question="Why do two untrained encoders embed the same inputs in different places?",
    traits=("random",),
)


@checked
def _weight_variance(
    n: int = 64,
    dim: int = 128,
    *,
    networks: int = 200,
    layers: int = 10,
    activation: str = "relu",
    bias: bool = True,
    seed: int = 0,
) -> Table:
    """Split the variance of each layer into that of the weights and that of the inputs.

    Args:
        n: number of inputs: random directions, the same for every network.
        dim: width d of the inputs and of every layer.
        networks: number of random networks.
        layers: number of layers.
        activation: one of relu, tanh and sigmoid.
        bias: whether layers have a bias.
        seed: seed of the inputs and the weights.

    Returns:
        A row for each layer: ``share``, the share between networks of the variance of the
        pre-activations; ``cosine``, the mean cosine of the layer before, over networks and all n²
        pairs, including the pairs of an input with itself; ``limit``, the expected ``share``:
        (E‖x̄‖² + b)/(E‖x‖² + b) for rows x of the layer before and their mean x̄, with b = 1 with a
        bias and 0 without; the variances; ``after``, the share between networks after the
        activation, for which the theorem does not hold.

    Raises:
        OptionError: an option outside its range, or sizes that do not fit in memory.
        Diverged: the features are 0 or infinite after some layer.
    """
    for name, value, least in (
        ("n", n, 2),
        ("dim", dim, 2),
        ("networks", networks, 2),
        ("layers", layers, 1),
        ("seed", seed, 0),
    ):
        whole(name, value, least, 2**31)
    one_of("activation", activation, tuple(PHI))
    fits("n, dim, networks", 8.0 * networks * dim * (4 * n + 2 * dim))
    random = torch.Generator().manual_seed(seed)
    inputs = normalize(torch.randn(n, dim, generator=random, dtype=torch.float64), dim=1)
    rows, scale = inputs.expand(networks, n, dim), dim**-0.5
    found: dict[str, dict[str, Value]] = {}
    with progress("random layers", layers) as advance:
        for layer in range(1, layers + 1):
            square = float(rows.square().sum(-1).mean())
            middle = float(rows.mean(1).square().sum(-1).mean())
            cosine = _mean_cosine(rows, layer - 1)
            weights = torch.randn(networks, dim, dim, generator=random, dtype=torch.float64)
            made = rows @ weights.mul_(scale).transpose(1, 2)
            shift = torch.randn(networks, 1, dim, generator=random, dtype=torch.float64) * scale
            made = made + shift if bias else made
            network, data, total = _parts(made)
            rows = PHI[activation](made)
            after, _, whole_after = _parts(rows)
            found[str(layer)] = {
                "share": Value(network / total),
                "cosine": Value(cosine),
                "limit": Value((middle + bias) / (square + bias)),
                "network": Value(network),
                "data": Value(data),
                "total": Value(total),
                "after": Value(after / whole_after),
            }
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="layer",
        rows=found,
        heads=HEADS,
        settings={"n": n, "dim": dim, "networks": networks, "layers": layers,
                  "activation": activation, "bias": bias, "seed": seed},
        notes=[
            f"{networks:,} networks, {n:,} inputs of norm 1, width {dim}; variances are summed over"
            " the units",
            "mean cosine: of all n² pairs, including the pairs of an input with itself",
        ],
    )  # fmt: skip


weight_variance = Simulation(CARD, _weight_variance)


def _mean_cosine(rows: Tensor, layer: int) -> float:
    """Mean cosine of all pairs of rows (networks, n, d) of one network, over networks.

    Raises:
        Diverged: a row is 0 or infinite.
    """
    lengths = rows.norm(dim=-1, keepdim=True)
    directed(float(lengths.min()), float(lengths.max()), layer, rows.shape[-1])
    return float((rows / lengths).mean(1).square().sum(-1).mean())


def _parts(rows: Tensor) -> tuple[float, float, float]:
    """Variance over networks of the mean, mean of the variance over inputs, and total variance.

    Each is computed on its own, so that the law of total variance can be checked.
    """
    network = rows.mean(1).var(0, correction=0).sum()
    data = rows.var(1, correction=0).mean(0).sum()
    total = rows.flatten(0, 1).var(0, correction=0).sum()
    return float(network), float(data), float(total)
