"""The cone effect: mean cosine after each layer of random networks, with and without bias.

Random inputs pass through 25 random layers of each activation, and through blocks of newer
architectures. A dashed line of the same colour is the closed form for infinite width.
Source: Liang et al. 2022, section 2.2 and figure 2b.
Expected: the cosine rises with each layer of ReLU, from 1/π after the first, whether there is a
bias or not; for sigmoid it is .99 after two layers; for a linear network it stays low.
"""

from __future__ import annotations

import math
from typing import Any

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.panels import Curves, Part, Reference
from modalgap.result import Table, Value
from modalgap.simulate import cone_effect as simulation
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Published

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "linear", "maxout")
BLOCKS = ("residual", "attention", "transformer")
CLOSED = ", closed form"
N = 1024
DIM = 512
COLUMNS = {"bias": "with bias", "free": "without bias", "later": "newer networks"}
SHOWN = (1, 2, 3, 4, 5, 10, 15, 25)
LISTED = (1, 5, 25)  # in the printed table
CARD = Card(
    name="cone_effect",
    title="The cone effect in random networks",
    idea="Mean cosine of random inputs after each layer of random networks, with closed forms.",
    source="Liang et al. 2022, section 2.2, figure 2b",
    question="Why are all embeddings of an untrained model in a narrow cone?",
    traits=("random",),
)


@checked
def plan(*, n: int = N, dim: int = DIM, layers: int = 25, repeats: int = 5, seed: int = 0) -> Plan:
    """Plan the networks.

    Args:
        n: number of inputs, rounded down to a multiple of 8: attention sees 8 inputs together.
        dim: width.
        layers: number of layers.
        repeats: random networks per curve; the curve is their mean. The paper has one.
        seed: seed of the first network.

    Raises:
        OptionError: a value outside its range.
    """
    for name, value, least in (("dim", dim, 2), ("layers", layers, 1), ("repeats", repeats, 1)):
        whole(name, value, least, 2**31)
    whole("n", n, 8, 2**31)
    whole("seed", seed, 0, 2**31)
    settings = {"n": n - n % 8, "dim": dim, "layers": layers, "repeats": repeats, "seed": seed}
    return Plan(settings=settings)


def run(work: Work) -> Table:
    """Simulate each network with and without bias, and blocks of newer architectures."""
    settings: dict[str, Any] = dict(work.settings)
    rows: dict[str, dict[str, Value]] = {}

    def add(column: str, table: Table, names: dict[str, str] | None = None) -> None:
        """Columns of a simulated table; ``names``: its rows by their names there."""
        for row, values in table.rows.items():
            base = row.removesuffix(CLOSED)
            name = row if names is None else row.replace(base, names.get(base, base))
            own = rows.setdefault(name, {})
            own[column] = values["cosine"]
            own |= {f"{column}_{layer}": values[f"layer_{layer}"] for layer in SHOWN
                    if f"layer_{layer}" in values}  # fmt: skip
            if "within" in values:
                own["within"] = values["within"]

    add("bias", simulation(architectures=ACTIVATIONS, bias=True, **settings))
    add("free", simulation(architectures=ACTIVATIONS, bias=False, **settings))
    for norm, name in (("none", "relu"), ("before", "norm, relu"), ("after", "relu, norm")):
        table = simulation(architectures=["relu"], norm=norm, **settings)
        add("later", table, {"relu": name})
    add("later", simulation(architectures=BLOCKS, **settings))
    heads = {
        f"{column}_{layer}": f"{title}, layer {layer}"
        for column, title in COLUMNS.items()
        for layer in LISTED
        if layer <= settings["layers"]
    }
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="network",
        rows=rows,
        heads=heads | {"within": "tokens of one input, last layer"},
        settings=work.settings,
        notes=[
            f"{settings['n']:,} inputs N(0, I), width {settings['dim']}; W, b ~ N(0, 1/width)",
            "mean cosine of all n² pairs, including the pairs of an input with itself",
            f"mean of {settings['repeats']} networks; intervals: 95 %, over networks",
            "closed form: infinite width",
        ],
    )


DASHED = "1 is the narrowest cone, 0 no cone. Dashed: the closed form for infinite width."
PARTS = (
    Part(
        head="Random layers cause a cone",
        words=(
            "Every layer has new random weights. Nothing is trained, and the inputs are random,"
            " but the mean cosine of all pairs rises from layer to layer: an activation that is"
            " not odd, such as ReLU, gives all outputs a common mean, and a bias adds the same"
            " vector to all of them.",
        ),
        panels=(
            Curves(title="With bias", caption=DASHED, trace="bias", dashed=CLOSED,
                   xlabel="layers", ylabel="mean cosine", limits=(0, 1.03)),
            Curves(title="Without bias", caption=DASHED, trace="free", dashed=CLOSED,
                   xlabel="layers", ylabel="mean cosine", limits=(0, 1.03),
                   references=(Reference(at=1 / math.pi, label="1/π"),)),
            Curves(title="Newer architectures, with bias",
                   caption=f"{DASHED} norm: layer normalisation. residual, attention and"
                   " transformer: blocks with a residual connection that normalise their input.",
                   trace="later", dashed=CLOSED, xlabel="layers", ylabel="mean cosine",
                   limits=(0, 1.03)),
        ),
    ),
)  # fmt: skip
FIGURE = "Liang et al. 2022, figure 2b"
ONE = "the published curve is one network; tolerance: 2.5 standard deviations between networks"
SPREAD = {1: 0.0006, 2: 0.0106, 3: 0.0191, 4: 0.0281, 5: 0.0259, 10: 0.0036, 15: 0.0003}
FREE_SPREAD = {1: 0.0009, 2: 0.0106, 3: 0.0199, 4: 0.0274, 5: 0.0260, 10: 0.0154, 25: 0.0095}
NOTEBOOK = {1: 0.3195, 2: 0.4943, 3: 0.6069, 4: 0.7008, 5: 0.7541, 10: 0.9477, 15: 0.9980}


def _near(
    row: str, column: str, layer: int, value: float, within: float, note: str = "", why: str = ""
) -> Number:
    with_bias = "with" if column == "bias" else "without"
    return Number(
        claim=f"{row}, {with_bias} bias: the mean cosine is {value:.4g} after {layer}"
        f" layer{'s' * (layer > 1)}",
        where=FIGURE,
        cell=(row, f"{column}_{layer}"),
        value=value,
        tolerance=within,
        note=note,
        why=why,
    )


def _limit(column: str, layer: int, within: float) -> Number:
    with_bias = "with" if column == "bias" else "without"
    return Number(
        claim=f"relu, {with_bias} bias: the mean cosine after layer {layer} is that of the closed"
        " form",
        where=FIGURE,
        against="closed form",
        cell=("relu", f"{column}_{layer}"),
        value=(f"relu{CLOSED}", f"{column}_{layer}"),
        tolerance=within,
        note="tolerance: 1.5 standard deviations between networks",
    )


PUBLISHED: tuple[Published, ...] = (
    *(
        _near("relu", "bias", layer, value, round(2.5 * SPREAD[layer], 4), note=ONE)
        for layer, value in NOTEBOOK.items()
    ),
    *(_limit("bias", layer, round(1.5 * SPREAD[layer], 4)) for layer in SPREAD),
    *(_limit("free", layer, round(1.5 * FREE_SPREAD[layer], 4)) for layer in FREE_SPREAD),
    Number(
        claim="relu, without bias: the mean cosine is 1/π after the first layer",
        where=FIGURE,
        against="closed form",
        cell=("relu", "free_1"),
        value=1 / math.pi + (1 - 1 / math.pi) / N,
        tolerance=0.002,
        note=f"1/π, plus the share of the {N:,} pairs of an input with itself",
    ),
    _near("sigmoid", "bias", 2, 0.99, 0.005),
    _near("tanh", "bias", 25, 0.52, 0.08, note=ONE),
    _near("linear", "bias", 25, 0.045, 0.016, note=ONE),
)  # fmt: skip
cone_effect = Study(card=CARD, plan=plan, run=run, parts=PARTS, published=PUBLISHED, minutes=1)
