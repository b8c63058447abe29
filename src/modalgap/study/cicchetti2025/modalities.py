"""Three modalities: the gaps between them, after pairwise InfoNCE and after GRAM.

Models with three towers are trained on MAD: images, captions of all attributes, and profiles. The
losses are InfoNCE, averaged over the three pairs of modalities; GRAM, a contrastive loss of
volumes; and the sum of both. Held-out items are measured for each pair of modalities and for all
three.
Source: Cicchetti et al. 2025 (GRAM), arXiv 2412.11959.
Expected: captions retrieve their items better by volume after training with GRAM than by cosines
after pairwise training. The paper starts from a trained model of video, audio and text, whose
matched rows have positive cosines; here training starts from random weights. Only the direction is
compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.embeddings import Modalities
from modalgap.embeddings.store import load
from modalgap.evaluate import evaluate
from modalgap.extras import TRAIN
from modalgap.losses.gram import volumes
from modalgap.measure import measure
from modalgap.measure.intervals import mean_interval
from modalgap.panels import Bars, Part, Reference
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.judge import over_seeds
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order
from modalgap.study.training import training_settings
from modalgap.train import Run, load_config

LOSSES = {
    "InfoNCE": {"infonce": 1.0},
    "GRAM": {"gram": 1.0},
    "both": {"infonce": 1.0, "gram": 1.0},
}
OWN = ("data.captions", "data.source", "data.digits", "data.profiles", "losses", "seed")
ITEMS = 359  # at most; as many as scikit-learn's held-out digits, so that each has one image
MEASURES = ("rmg", "l2m", "matched_cosine", "gram_volume", "pmrl")
NAMES = ("image", "text", "profile")
ALL, QUERIES = "all three", "queries"
HEADS = {
    "rmg": "RMG",
    "l2m": "distance of means",
    "matched_cosine": "cosine of a match",
    "gram_volume": "GRAM volume",
    "pmrl": "PMRL",
    "r1": "R@1",
    "r1_back": "R@1, reverse",
    **{f"to_{name}": f"answered by {name}" for name in NAMES},
    "r1_volume": "R@1 by volume",
    "r1_cosines": "R@1 by the sum of cosines",
    "temperature": "τ",
}
CARD = Card(
    name="modalities",
    title="Three modalities, and the gaps between them",
    idea="Trains three towers with pairwise InfoNCE and with GRAM; measures every gap.",
    source="Cicchetti et al. 2025 (GRAM), arXiv 2412.11959",
    question="Does a loss of all modalities at once close the gaps that pairwise losses leave?",
    traits=("random",),
)


@checked
def plan(
    *,
    seeds: int = 1,
    digits: str | Path | None = None,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan one model per loss and seed.

    Args:
        seeds: runs per loss. Intervals are over held-out items for one run, over runs for several.
        digits: folder of the files of MNIST; by default the digits of scikit-learn.
        train: training settings on top of the configuration "mad_profiles"; as train.KEY=VALUE, for
            example train.steps=600.

    Raises:
        OptionError: a value outside its range, or a training setting that the study sets itself.
    """
    whole("seeds", seeds, 1, 1000)
    settings = training_settings(train, OWN, base="mad_profiles", digits=digits)
    base = load_config("mad_profiles").plain()
    models = {
        _name(head, seed): load_config(
            {**base, "losses": losses},
            ["watch.tensorboard=false", f"watch.rows={ITEMS}", *settings, f"seed={seed}"],
        )
        for head, losses in LOSSES.items()
        for seed in range(seeds)
    }
    return Plan(settings={"seeds": seeds}, models=models)


def _name(head: str, seed: int) -> str:
    return f"{'_'.join(LOSSES[head])}_seed{seed}"


def run(work: Work) -> Table:
    """Measure the held-out items of every model."""
    seeds = work.settings["seeds"]
    judged: dict[str, dict[str, dict[str, Value]]] = {}
    items = 0
    with progress("measuring", len(work.runs)) as advance:
        for name, trained in work.runs.items():
            data = load(trained.folder / "held_out.safetensors")
            assert isinstance(data, Modalities)  # noqa: S101 - the run has three towers
            items = data.complete
            judged[name] = _judged(data, trained)
            advance(1)
    rows = {
        f"{head}: {row}": over_seeds([judged[_name(head, seed)][row] for seed in range(seeds)])
        for head in LOSSES
        for row in judged[_name(head, 0)]
    }
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="loss: modalities",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            f"{items} held-out items, no two with the same attributes",
            "R@1: by cosines, from the first modality of a row to the second; reverse: from the"
            " second to the first",
            "R@1 by volume: of two modalities, by the absolute cosine",
            f"{ALL}: R@1 is the mean of all pairs and directions; by volume and by the sum of"
            " cosines, captions retrieve items by their image and profile together",
            f"answered by: share of the nearest items that have this modality, in one index of all"
            f" modalities ({QUERIES}); without a gap about 1/3 each",
            "intervals: 95 %, " + ("over held-out items" if seeds == 1 else f"over {seeds} runs"),
        ],
    )


def _judged(data: Modalities, trained: Run) -> dict[str, dict[str, Value]]:
    """Row to column to value: each pair of modalities, the queries of each, and all three."""
    found = measure(data, MEASURES)
    tasks = evaluate(data, ("retrieval", "answers"))
    rows: dict[str, dict[str, Value]] = {}
    for a, b in combinations(NAMES, 2):
        rows[f"{a}, {b}"] = {name: found[f"{name}.{a}.{b}"] for name in MEASURES} | {
            "r1": tasks[f"retrieval.{a}_to_{b}_r1"],
            "r1_back": tasks[f"retrieval.{b}_to_{a}_r1"],
            "r1_volume": _share(_first(-volumes(_rows(data, a), [_rows(data, b)]))),
        }
    for a in NAMES:
        rows[f"{a} {QUERIES}"] = {f"to_{b}": tasks[f"answers.{a}_to_{b}_top1"] for b in NAMES}
    mean = np.mean([tasks[f"retrieval.{a}_to_{b}_r1"].value for a, b in permutations(NAMES, 2)])
    rows[ALL] = {
        "gram_volume": found["gram_volume"],
        "pmrl": found["pmrl"],
        "r1": Value(float(mean)),
        **_joint(data),
        "temperature": Value(trained.last["temperature"]),
    }
    return rows


def _joint(data: Modalities) -> dict[str, Value]:
    """R@1 of captions among items, by volume (the paper's) and by the sum of both cosines."""
    image, text, profile = (_rows(data, name) for name in NAMES)
    scores = {
        "r1_volume": -volumes(text, [image, profile]),
        "r1_cosines": text @ image.T + text @ profile.T,
    }
    return {name: _share(_first(each)) for name, each in scores.items()}


def _rows(data: Modalities, name: str) -> torch.Tensor:
    return data[name].unit().double()


def _first(scores: torch.Tensor) -> NDArray[np.float64]:
    """(n,) whether the match, column i of row i, has the one highest score."""
    best = scores >= scores.diagonal()[:, None]
    return (best.sum(1) == 1).double().numpy()


def _share(values: NDArray[np.float64]) -> Value:
    interval = mean_interval(np.arange(len(values)), values, 0.0, 1.0)
    return Value(float(values.mean()), interval)


def _compared(table: Table) -> str:
    said = []
    for head in LOSSES:
        row, pair = (table.rows[f"{head}: {each}"] for each in (ALL, "text, profile"))
        said.append(
            f"{head}: the GRAM volume of an item is {row['gram_volume'].value:.2f}, and the cosine"
            f" of a caption and its profile {pair['matched_cosine'].value:.2f}. Mean R@1 of all"
            f" pairs is {row['r1'].value:.1%}. Captions retrieve their item, by image and profile"
            f" together, in {row['r1_volume'].value:.1%} of cases by volume and in"
            f" {row['r1_cosines'].value:.1%} by the sum of cosines."
        )
    return " ".join(said)


PAIRS = ", "  # in the names of rows of two modalities
PARTS = (
    Part(
        head="One item, three modalities",
        words=(
            "An item is an image of a digit, a caption that names all its attributes, and its"
            " profile: the share of ink in each row and column. A profile does not show the"
            " colour, so its pairs with the other modalities differ in information. The models"
            " differ only in their loss: InfoNCE, averaged over the three pairs, GRAM, or both."
            " The volume of GRAM does not depend on the sign of a row: a match and a row of the"
            " opposite direction have the same volume.",
            _compared,
        ),
        panels=(
            Bars(
                title="The gap of each pair of modalities",
                caption="RMG and the distance of means; 0 is a closed gap.",
                ys={"rmg": "RMG", "l2m": "distance of means"},
                match=PAIRS,
            ),
            Bars(
                title="Cosine of a match",
                caption="Higher is better. At 0, matches are orthogonal; below 0, they have"
                " opposite directions.",
                ys={"matched_cosine": "cosine"},
                match=PAIRS,
            ),
            Bars(
                title="Retrieval of matches (R@1)",
                caption="By cosines, in both directions; higher is better.",
                ys={"r1": "forward", "r1_back": "reverse"},
                match=PAIRS,
                in_figure=False,
            ),
            Bars(
                title="Who answers whom",
                caption="Share of the nearest items by modality, in one index of all modalities."
                " Dashed: 1/3, the share without a gap.",
                ys={f"to_{name}": name for name in NAMES},
                match=QUERIES,
                references=(Reference(at=1 / 3, axis="x", label="no gap"),),
            ),
        ),
    ),
)
NOTE = "other data and models: only the direction is compared"
WHERE = "Cicchetti et al. 2025, retrieval of videos with audio by text"
PUBLISHED = (
    Order(
        claim="Captions retrieve items better after training with GRAM than after pairwise"
        " training",
        where=WHERE,
        larger=(f"GRAM: {ALL}", "r1_volume"),
        smaller=(f"InfoNCE: {ALL}", "r1_cosines"),
        note=NOTE,
    ),
    Order(
        claim="Captions retrieve items better after training with both than after pairwise"
        " training",
        where=WHERE,
        larger=(f"both: {ALL}", "r1_volume"),
        smaller=(f"InfoNCE: {ALL}", "r1_cosines"),
        note=NOTE,
    ),
)
modalities = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=10,
    extras=("train", *TRAIN),
)
