"""Neighbourhoods of classes: do images and texts order the classes by similarity in the same way?

For each class, all classes are ordered by their mean image cosine, and by the cosine of their
texts. The Kendall distance is the fraction of pairs of classes that the two orders rank
differently: 0 for equal orders, 0.5 for unrelated ones.
Source: Schrodi et al. 2025, section 4 and table 2.
Expected: the orders agree only partly. The code of the paper compares the inverse permutations of
the orders, whose distance is near 0.5 for almost any data; both are computed here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, distinct, whole
from modalgap.embeddings import Pair
from modalgap.errors import InputError
from modalgap.extras import TRAIN
from modalgap.measure.kendall_tau import tau_b
from modalgap.panels import Bars, Part, Reference
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published

Rows = NDArray[np.float64]
LEAST = 4  # classes
CORRELATIONS = (0.5, 0.95)  # of the simulated orders
SIMULATED = 100  # values of a simulated order
DRAWS = 200  # simulated orders
CARD = Card(
    name="neighbourhoods",
    title="Neighbourhoods of classes in images and in texts",
    idea="Orders classes by similarity, by their images and by their texts; compares the orders.",
    source="Schrodi et al. 2025, section 4, table 2",
    question="Do images and texts agree on which classes are similar?",
    traits=("random",),
)


@checked
def plan(*, classes: Several[str | Path] = (), seed: int = 0) -> Plan:
    """Plan the class sets.

    Args:
        classes: files of images, class prompts and labels; by default digits and colours of MAD,
            encoded by small models that the study trains.
        seed: seed of the simulated orders.

    Raises:
        OptionError: two files of the same name, or a value outside its range.
        InputError: a file without labels, or with fewer than four classes that have images.
    """
    whole("seed", seed, 0)
    files = embedded.files("classes", classes)
    distinct("names of classes", [embedded.stem(each) for each in files])
    if not files:
        settings, models = embedded.planned("", "full", "short")
        return Plan(settings={**settings, "seed": seed}, models=models)
    prints = {}
    for file in files:
        pair = embedded.paired(file)
        if pair.labels is None or len(np.unique(pair.labels)) < LEAST:
            raise InputError(f"{file}: must have labels of at least {LEAST} classes with images")
        prints[file] = pair.fingerprint
    return Plan(settings={"classes": files, "fingerprints": prints, "seed": seed})


def run(work: Work) -> Table:
    """Compare the orders of every class set, and simulated orders."""
    random = np.random.default_rng(work.settings["seed"])
    sets = _sets(work)
    rows: dict[str, dict[str, Value]] = {}
    with progress("orders", len(sets)) as advance:
        for name, (images, texts) in sets.items():
            rows[name] = _row(images, texts)
            advance(1)
    for rho in CORRELATIONS:
        rows[f"simulated, correlation {rho:g}"] = _simulated(rho, random)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="classes",
        rows=rows,
        heads={
            "distance": "Kendall distance",
            "unrelated": "distance of unrelated orders",
            "inverse": "distance of inverse permutations",
            "expected": "closed form of the distance",
            "classes": "classes",
        },
        settings=work.settings,
        notes=[
            "similarity of two classes: mean cosine of their images, or cosine of their texts. The"
            " order of a class contains the class itself, as in the code of the paper",
            "unrelated orders: the expected Kendall distance if both orders of a class start with"
            " this class and are otherwise unrelated, (c - 2) / 2c for c classes",
            "distance of inverse permutations: what the code of the paper computes",
            f"simulated: {DRAWS} pairs of orders of {SIMULATED} correlated normal values",
        ],
    )


def _sets(work: Work) -> dict[str, tuple[Rows, Rows]]:
    """Name to the mean image (c, d) and the text (c, d) of each class with images."""
    if "classes" in work.settings:
        return {embedded.stem(f): _means(embedded.paired(f)) for f in work.settings["classes"]}
    found = {}
    for model in ("full", "short"):
        sets = embedded.classes(work, model)
        for name, words in (("object", "digits"), ("colour", "colours")):
            if name in sets:
                found[f"MAD {words}, {model} captions"] = _means(sets[name])
        pair = embedded.held_out(work, model)
        found[f"MAD digits × colours, {model} captions"] = _products(pair)
    return found


def _means(pair: Pair) -> tuple[Rows, Rows]:
    assert pair.labels is not None  # noqa: S101 - checked by the plan
    codes, labels = np.unique(pair.labels, return_inverse=True)
    texts = pair.text.unit()[torch.from_numpy(codes)].double().numpy()
    return _by_class(pair.image.unit().double().numpy(), labels), texts


def _products(pair: Pair) -> tuple[Rows, Rows]:
    """Each digit in each colour is a class; its text is the mean of its captions."""
    factors = pair.image.factors
    names = [f"{a} {b}" for a, b in zip(factors["object"], factors["colour"], strict=True)]
    labels = np.unique(names, return_inverse=True)[1]
    _, captions = pair.distinct_matches
    own = labels[np.asarray(pair.distinct_matches[0])]
    texts = _by_class(pair.text.unit()[captions].double().numpy(), own)
    images = _by_class(pair.image.unit().double().numpy(), labels)
    return images, texts / np.linalg.norm(texts, axis=1, keepdims=True)


def _by_class(rows: Rows, labels: NDArray[np.int64]) -> Rows:
    """(c, d) the mean row of each class."""
    sums = np.zeros((labels.max() + 1, rows.shape[1]))
    np.add.at(sums, labels, rows)
    return sums / np.bincount(labels)[:, None]


def _row(images: Rows, texts: Rows) -> dict[str, Value]:
    ours, inverse = _distances(images @ images.T, texts @ texts.T)
    classes = len(texts)
    return {
        "distance": Value(ours),
        # each class is first in its own order: of the other pairs of classes, half
        "unrelated": Value((classes - 2) / (2 * classes)),
        "inverse": Value(inverse),
        "classes": Value(float(classes)),
    }


def _distances(x: Rows, y: Rows) -> tuple[float, float]:
    """Mean Kendall distance over rows: of the values, and of the inverse permutations."""
    direct = [(1 - tau_b(a, b)) / 2 for a, b in zip(x, y, strict=True)]
    inverse = [
        (1 - tau_b(np.argsort(a).astype(float), np.argsort(b).astype(float))) / 2
        for a, b in zip(x, y, strict=True)
    ]
    return float(np.mean(direct)), float(np.mean(inverse))


def _simulated(rho: float, random: np.random.Generator) -> dict[str, Value]:
    x = random.normal(size=(DRAWS, SIMULATED))
    y = rho * x + np.sqrt(1 - rho**2) * random.normal(size=(DRAWS, SIMULATED))
    ours, inverse = _distances(x, y)
    expected = (1 - 2 / np.pi * np.arcsin(rho)) / 2  # τ of normal values
    return {
        "distance": Value(ours),
        "unrelated": Value(0.5),
        "inverse": Value(inverse),
        "expected": Value(float(expected)),
    }


PARTS = (
    Part(
        head="Do both modalities rank the classes in the same order?",
        words=(
            "For each class, all classes are ordered by their similarity to it, once by images and"
            " once by texts. The Kendall distance is the fraction of pairs of classes that the two"
            " orders rank differently: 0 for equal orders, 0.5 for unrelated ones. The code of the"
            " paper compares inverse permutations of the orders. Their distance stays near 0.5 even"
            " for similar orders, as the simulated rows show.",
        ),
        panels=(
            Bars(
                title="Distance of the orders",
                caption="Mean over classes; 0 is the same order. Dashed: unrelated orders of many"
                " classes.",
                ys={"distance": "Kendall distance", "inverse": "of inverse permutations"},
                xlabel="distance",
                references=(Reference(at=0.5, axis="x"),),
            ),
        ),
    ),
)
WHERE = "Schrodi et al. 2025, table 2"
OWN = "a separate computation of modalgap"
NORMAL = "for normal values with correlation ρ, τ = 2 asin(ρ) / π"


def _published() -> list[Published]:
    simulated = {rho: f"simulated, correlation {rho:g}" for rho in CORRELATIONS}
    result: list[Published] = [
        Number(
            claim=f"Kendall distance of the orders of normal values with correlation {rho:g}",
            where=NORMAL,
            against="closed form",
            cell=(row, "distance"),
            value=(row, "expected"),
            tolerance=0.01,
        )
        for rho, row in simulated.items()
    ]
    result += [
        Number(
            claim=f"The distance of inverse permutations is near 0.5, even for correlation {rho:g}",
            where=OWN,
            against="reference",
            cell=(row, "inverse"),
            value=0.5,
            tolerance=0.04,
        )
        for rho, row in simulated.items()
    ]
    result += [
        Order(
            claim=f"The distance of inverse permutations is larger than that of the orders: {name}",
            where=OWN,
            against="reference",
            larger=(name, "inverse"),
            smaller=(name, "distance"),
        )
        for name in ("MAD digits, full captions", "MAD digits × colours, full captions")
    ]
    result += [
        Number(
            claim=f"Distance of CLIP on {name}, by the code of the paper: between .34 and .51",
            where=WHERE,
            published=".34 to .51",
            cell=(name, "inverse"),
            value=0.425,
            tolerance=0.085,
            needs=f"images and prompts of {name}: see the commands on its page",
        )
        for name in ("cifar10", "cifar100")
    ]
    return result


neighbourhoods = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=3,
    extras=("train", *TRAIN),
    real=(
        "modalgap encode cifar10 -m open_clip:ViT-B-16/openai -o cifar10.safetensors",
        "modalgap encode cifar100 -m open_clip:ViT-B-16/openai -o cifar100.safetensors",
        "modalgap study neighbourhoods -o neighbourhoods --set"
        " classes=cifar10.safetensors,cifar100.safetensors",
    ),
)
