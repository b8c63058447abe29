"""Sums of the softmax matrices: once all are 1, the gradient along the gap is 0.

Row i of Q_x is the softmax of image i over all texts, so rows of Q_x sum to 1, and only its column
sums S_j can differ from 1. In Q_y, the softmax of texts over images, only row sums can. If both
modalities are constant along a direction, the gradient of point j along it is a multiple of
S_j − 1. A matrix whose row and column sums are all 1 is doubly stochastic.
Source: Chowers et al. 2026, figure 6, theorem 3.2.
Expected: late in training the sums are 1 and the gradient along the gap is 0; early they are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from modalgap import checks
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.embeddings import Pair, joined
from modalgap.encode import load_model
from modalgap.errors import InputError
from modalgap.evaluate.base import Ints
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.chowers2026.running import dynamics_rows
from modalgap.study.embedded import TITLES, paired, pairs, planned, stem
from modalgap.study.judge import temperature_of
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order

SIMULATED = "simulated"
HEADS = {
    "rows": "pairs",
    "temperature": "τ",
    "sums": "mean |sum − 1|",
    "sums_image": "largest |column sum − 1|, images",
    "sums_text": "largest |row sum − 1|, texts",
    "gradient_along": "gradient along the gap",
    "share_along": "fraction of the squared gradient along the gap",
    "sums_image_start": "largest |column sum − 1|, images, at the start",
    "gradient_along_start": "gradient along the gap, at the start",
}
CARD = Card(
    name="softmax_sums",
    title="Sums of the softmax matrices",
    idea="Computes sums of softmax matrices, and the gradient of InfoNCE along the gap.",
    source="Chowers et al. 2026, figure 6, theorem 3.2",
    question="Are the softmax matrices doubly stochastic, so that the gap has no gradient?",
    traits=("random",),
)


@checked
def plan(
    *,
    pair: str = "",
    temperature: float = 0.01,
    rows: int = 500,
    steps: int = 2000,
    seed: int = 0,
) -> Plan:
    """Plan the simulation and the embeddings.

    Args:
        pair: file of image and text embeddings; by default the embedded models of full captions, of
            short captions, and untrained.
        temperature: τ of the model of the file; embedded models have their own.
        rows: largest number of pairs in a softmax matrix.
        steps: largest number of steps of the simulated gradient flow.
        seed: seed of the simulation and of the sample of pairs.

    Raises:
        OptionError: a value outside its range.
        InputError: the file has fewer than two pairs, or one column.
    """
    checks.at_least("temperature", temperature, 1e-6, 1e6)
    checks.whole("rows", rows, 2, 20_000)
    checks.whole("steps", steps, 1)
    checks.whole("seed", seed, 0)
    checks.fits("rows", 8.0 * 8 * rows * rows)
    if pair:
        stem(pair, SIMULATED)
        found = joined(paired(pair)).pair
        count = len(_single(found)[0])
        if count < 2 or found.dim < 2:
            raise InputError(
                f"{pair}: must have at least 2 pairs of different images and different texts, and"
                f" 2 columns; has {count} and {found.dim}"
            )
    settings, models = planned(pair, "full", "short", "untrained")
    own: dict[str, Any] = {"rows": rows, "steps": steps, "seed": seed}
    if pair:
        own["temperature"] = temperature
    return Plan(settings=settings | own, models=models)


def run(work: Work) -> Table:
    """Simulate, and sum the matrices of every pair."""
    settings = work.settings
    found = dynamics_rows({SIMULATED: {}}, steps=settings["steps"], seed=settings["seed"])
    rows = {SIMULATED: found[SIMULATED] | {"rows": Value(100.0)}}
    with progress("summing", 1) as advance:
        for name, pair in pairs(work).items():
            rows[name] = sums_of(pair, _temperature(work, name), settings["rows"], settings["seed"])
        advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="embeddings",
        rows=rows,
        heads=HEADS,
        settings=settings,
        notes=[
            "simulated: 100 free points from two tight clusters, τ = 1; see the study frozen_gap",
            f"others: a random sample of at most {settings['rows']} pairs, one text per image, no"
            " text twice",
            "gradient: of the mean symmetric InfoNCE with respect to the rows, as if they were"
            " free points; norm of its component along the gap over all rows",
        ],
    )


def _temperature(work: Work, title: str) -> float:
    """τ of an embedded model, or that of the file."""
    if "temperature" in work.settings:
        return float(work.settings["temperature"])
    name = next(name for name, each in TITLES.items() if each == title)
    return temperature_of(load_model(work.runs[name].spec))


def _single(pair: Pair) -> tuple[Ints, Ints]:
    """Positions of images and of their texts: one text per image, no text twice."""
    images, texts = (each.numpy() for each in pair.matches)
    _, first = np.unique(images, return_index=True)
    _, single = np.unique(texts[first], return_index=True)
    chosen = np.sort(first[single])
    return images[chosen], texts[chosen]


def sums_of(pair: Pair, temperature: float, most: int, seed: int = 0) -> dict[str, Value]:
    """Deviations of the sums from 1, and the gradient along the gap, of one pair.

    Args:
        pair: the pair; of each image one matching text is used, repeated items once.
        temperature: τ.
        most: largest number of pairs; more are drawn from.
        seed: seed of the draw.

    Returns:
        The values; without ``share_along`` if the gradient is 0.
    """
    pair = joined(pair).pair
    images, texts = _single(pair)
    chosen = checks.sample(len(images), most, seed).numpy()
    x = pair.image.unit()[torch.from_numpy(images[chosen])].double()
    y = pair.text.unit()[torch.from_numpy(texts[chosen])].double()
    logits = x @ y.T / temperature
    by_image = (logits.softmax(1).sum(0) - 1).abs()
    by_text = (logits.softmax(0).sum(1) - 1).abs()
    gradient = _gradient(x, y, temperature)
    gap = y.mean(0) - x.mean(0)
    length = gradient.norm()
    along = (gradient @ (gap / gap.norm().clamp_min(1e-300))).norm()
    return {
        "rows": Value(float(len(chosen))),
        "temperature": Value(temperature),
        "sums": Value(float(torch.cat([by_image, by_text]).mean())),
        "sums_image": Value(float(by_image.max())),
        "sums_text": Value(float(by_text.max())),
        "gradient_along": Value(float(along)),
    } | ({"share_along": Value(float((along / length) ** 2))} if length > 0 else {})


def _gradient(x: Tensor, y: Tensor, temperature: float) -> Tensor:
    """(2, n, d) gradient of the mean symmetric InfoNCE by unit rows."""
    rows = torch.stack([x, y]).requires_grad_()
    unit = rows / rows.norm(dim=2, keepdim=True)
    logits = unit[0] @ unit[1].T / temperature
    own = torch.arange(len(logits))
    loss = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    return torch.autograd.grad(loss, rows)[0]


def _real(table: Table) -> str:
    others = [row for row in table.rows if row != SIMULATED]
    found = "; ".join(f"{row}: {table.rows[row]['sums'].value:.3f}" for row in others)
    return (
        f"Mean difference of the sums from 1, in the embeddings: {found}. An item with a sum above"
        " 1 has a high probability for many queries: a hub."
    )


XLABEL = "time of the gradient flow"
PARTS = (
    Part(
        head="Free points",
        words=(
            "The softmax of each image over all texts sums to 1, but the sum over images for one"
            " text need not be 1. Early, a text that is nearer to the images has a sum above 1,"
            " and its gradient moves it away from them. Late, every sum is 1, and the gradient"
            " along the gap is 0.",
        ),
        panels=(
            Curves(title="Column sums", trace="sums_image", xlabel=XLABEL,
                   ylabel="largest |column sum − 1|", log="xy", zero=False, match=SIMULATED,
                   caption="At 0, the softmax of images is doubly stochastic."),
            Curves(title="Gradient along the gap", trace="gradient_along", xlabel=XLABEL,
                   ylabel="norm", log="xy", zero=False, match=SIMULATED,
                   caption="At 0, the gap does not change."),
        ),
    ),
    Part(
        head="Embeddings of models",
        words=(_real,),
        panels=(
            Bars(title="Sums of the softmax matrices", ys={"sums": "mean |sum − 1|"},
                 xlabel="mean |sum − 1|", caption="0: the matrices are doubly stochastic."),
            Bars(title="Gradient along the gap", ys={"share_along": "fraction"},
                 xlabel="fraction of the squared gradient",
                 caption="Near 0, the gradient hardly moves points along the gap."),
        ),
    ),
)  # fmt: skip
FIGURE, THEOREM = "Chowers et al. 2026, figure 6", "Chowers et al. 2026, theorem 3.2"
NOTE = "other data and models: only the direction is compared"
PUBLISHED = (
    Order(
        claim="Simulated: the column sums are farther from 1 early than late",
        where=FIGURE,
        larger=(SIMULATED, "sums_image_start"),
        smaller=(SIMULATED, "sums_image"),
    ),
    Number(
        claim="Simulated: the largest |column sum − 1| is 0 late",
        where=FIGURE,
        cell=(SIMULATED, "sums_image"),
        value=0.0,
        tolerance=0.001,
    ),
    Number(
        claim="Simulated: the gradient along the gap is 0 late",
        where=THEOREM,
        cell=(SIMULATED, "gradient_along"),
        value=0.0,
        tolerance=1e-5,
    ),
    *(
        Order(
            claim=f"The sums are nearer to 1 after training than before ({name} captions)",
            where=FIGURE,
            larger=(TITLES["untrained"], "sums"),
            smaller=(TITLES[name], "sums"),
            note=NOTE,
            needs="the embedded models; run the study without the option pair",
        )
        for name in ("full", "short")
    ),
)
REAL = (
    "modalgap encode coco --model open_clip:ViT-B-16/openai -o coco.safetensors",
    "modalgap study softmax_sums -o softmax_sums --set pair=coco.safetensors",
)
softmax_sums = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=1.5,
    extras=("train", *TRAIN),
    real=REAL,
)
