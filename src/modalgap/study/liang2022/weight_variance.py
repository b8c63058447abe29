"""Theorem 2: most variance of a random network's outputs comes from its weights.

The same inputs pass through many random networks. The variance of each layer is split into the
share between networks and the share between inputs. The share between networks is compared with the
mean cosine of the layer before.
Source: Liang et al. 2022, theorem 2.
Expected: the share between networks is at least that cosine, and tends to 1 with depth.
"""

from __future__ import annotations

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.panels import Curves, Part
from modalgap.result import Table, Value
from modalgap.simulate import weight_variance as simulation
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published

BIASES = {"bias": True, "free": False}
TITLES = {"bias": "with bias", "free": "without bias"}
HEADS = {
    "share": "share between networks",
    "cosine": "mean cosine of the layer before",
    "limit": "expected share",
    "after": "share after ReLU",
}
CARD = Card(
    name="weight_variance",
    title="Variance from weights and from inputs",
    idea="Splits the variance of each random layer into a share of weights and a share of inputs.",
    source="Liang et al. 2022, theorem 2",
    question="Why do two untrained encoders embed the same inputs in different places?",
    traits=("random",),
)


@checked
def plan(
    *, n: int = 64, dim: int = 128, networks: int = 200, layers: int = 10, seed: int = 0
) -> Plan:
    """Plan the networks.

    Args:
        n: number of inputs.
        dim: width.
        networks: number of random networks.
        layers: number of layers.
        seed: seed of the inputs and the weights.

    Raises:
        OptionError: a value outside its range.
    """
    settings = {"n": n, "dim": dim, "networks": networks, "layers": layers, "seed": seed}
    least = {"layers": 1, "seed": 0}
    for name, value in settings.items():
        whole(name, value, least.get(name, 2), 2**31)
    return Plan(settings=settings)


def run(work: Work) -> Table:
    """Simulate with and without bias; one row per layer."""
    rows: dict[str, dict[str, Value]] = {}
    for name, bias in BIASES.items():
        for layer, values in simulation(bias=bias, **work.settings).rows.items():
            row = rows.setdefault(layer, {})
            row |= {f"{name}_{each}": value for each, value in values.items()}
            parts = values["network"].value + values["data"].value
            row[f"{name}_parts"] = Value(parts / values["total"].value)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="layer",
        rows=rows,
        heads={f"{name}_{each}": f"{head}, {TITLES[name]}" for name in BIASES
               for each, head in HEADS.items()},
        settings=work.settings,
        notes=[
            f"{work.settings['networks']:,} networks, {work.settings['n']:,} inputs of norm 1,"
            f" width {work.settings['dim']}; variances are summed over the units",
            "share between networks: of the variance of a layer before its ReLU",
            "mean cosine: of all n² pairs, including the pairs of an input with itself",
            "without bias, the share equals the cosine if all rows of the layer before have the"
            " same norm; in narrow networks norms differ, and the share is a little smaller",
        ],
    )  # fmt: skip


def _panel(name: str) -> Curves:
    return Curves(
        title=TITLES[name].capitalize(),
        caption="Line: share of the variance between networks. Dashed: mean cosine of the layer"
        " before.",
        ys={f"{name}_share": "networks", f"{name}_cosine": "cosine"},
        dashed="_cosine",
        xlabel="layer",
        ylabel="share of the variance, cosine",
        limits=(0, 1.03),
    )


PARTS = (
    Part(
        head="The variance between networks",
        words=(
            "The same inputs pass through many random networks. The variance of a layer, before its"
            " ReLU, has a share between networks and a share between inputs; the two add up to 1."
            " If all rows of the layer before have the same norm, the share between networks is at"
            " least their mean cosine. A share near 1 means that the seed of the weights decides"
            " where an input is embedded.",
        ),
        panels=tuple(_panel(name) for name in BIASES),
        columns=2,
    ),
)
THEOREM = "Liang et al. 2022, theorem 2"
LAYERS = (1, 2, 3, 5, 10)
PUBLISHED: tuple[Published, ...] = (
    *(
        Order(
            claim=f"Layer {layer}, {TITLES[name]}: the share between networks is at least the mean"
            " cosine of the layer before",
            where=THEOREM,
            larger=(str(layer), f"{name}_share"),
            smaller=(str(layer), f"{name}_cosine"),
        )
        for name in ("bias",)  # the theorem has a bias
        for layer in LAYERS
    ),
    *(
        Number(
            claim=f"Layer {layer}, {TITLES[name]}: the share between networks has its expected"
            " value",
            where=THEOREM,
            against="closed form",
            cell=(str(layer), f"{name}_share"),
            value=(str(layer), f"{name}_limit"),
            tolerance=0.02,
        )
        for name in BIASES
        for layer in (2, 5, 10)
    ),
    *(
        Number(
            claim=f"Layer 10, {TITLES[name]}: the variances between networks and between inputs"
            " add up to the total",
            where=THEOREM,
            against="closed form",
            cell=("10", f"{name}_parts"),
            value=1.0,
            tolerance=1e-9,
        )
        for name in BIASES
    ),
)
weight_variance = Study(
    card=CARD, plan=plan, run=run, parts=PARTS, published=PUBLISHED, minutes=0.2
)
