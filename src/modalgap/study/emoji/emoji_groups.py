"""Professions on emoji by skin tone: are prompts equally accurate for every tone?

Images of people at work, drawn with five skin tones and without one (yellow), are classified by
prompts of professions, together with prompts of creatures that are not human. Each number is
computed for each tone, with raw features, with centred ones, and with a gap 1.5 times as wide.
The images are drawings: the numbers describe these models and this protocol, not people.
Source: Liang et al. 2022, section 5.2, table 2, with other models and data; Radford et al. 2021,
section 7.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.close import fit
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.pick import pick
from modalgap.encode import Encoder, load_model
from modalgap.evaluate.base import Floats, Scores
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.emoji.models import (
    BOTH,
    FETCH,
    NEEDS,
    NEW,
    SPLITS,
    codes,
    encoded,
    planned,
    sample,
    source,
)
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order

CARD = Card(
    name="emoji_groups",
    title="Emoji: professions by skin tone",
    idea="Classifies images of people by prompts of professions; compares the skin tones.",
    source="Liang et al. 2022, section 5.2, table 2, with other models and data",
    question="Are prompts of professions equally accurate for all skin tones, and does the gap"
    " matter?",
    traits=("random",),
)
# the names without gender and skin tone, in Unicode
PROFESSIONS = (
    "artist", "astronaut", "construction worker", "cook", "detective", "factory worker", "farmer",
    "firefighter", "guard", "health worker", "judge", "mechanic", "office worker", "pilot",
    "police officer", "scientist", "singer", "student", "teacher", "technologist",
)  # fmt: skip
CREATURES = ("alien", "ghost", "goblin", "gorilla", "monkey", "ogre", "robot", "skull", "zombie")
TONES = ("none", "light", "medium light", "medium", "medium dark", "dark")
TONED = TONES[1:]
GAPS = ("raw", "center", "gap × 1.5")
WIDER = 0.5  # fraction of the gap that is added to it
NUMBERS = {"accuracy": "accuracy", "creature": "classified as a creature"}
DIFFERENCE = "largest difference"
HEADS = {f"{gap}_{number}": f"{title}, {gap}" for number, title in NUMBERS.items() for gap in GAPS}


@checked
def plan(
    *,
    root: str | Path | None = None,
    models: Sequence[str] = BOTH,
    train: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Plan:
    """Plan the models.

    Args:
        root: folder that holds the data set ``emoji``; by default ``$MODALGAP_DATA``, or ``data``.
        models: "ViT", "CNN", or both.
        train: training settings on top of the configurations ``emoji_vit`` and ``emoji_cnn``; as
            train.KEY=VALUE, for example train.steps=600.
        seed: seed of the intervals.

    Raises:
        MissingData: the data set is not there.
        OptionError: an unknown model or training setting.
    """
    settings, configs = planned(root, models, train)
    own = {"professions": list(PROFESSIONS), "creatures": list(CREATURES), "seed": seed}
    return Plan(settings={**settings, **own}, models=configs)


def run(work: Work) -> Table:
    """Classify the images with each model, at each gap."""
    seed = work.settings["seed"]
    rows: dict[str, dict[str, Value]] = {}
    with progress("classifying", len(work.runs)) as advance:
        for name, trained in work.runs.items():
            fitted = sample(work, trained)
            prompts = _prompts(load_model(trained.spec))
            people = [_people(encoded(trained, source(work, split)).image) for split in SPLITS]
            for gap in GAPS:
                images, texts = _moved(people, prompts, fitted, gap)
                for tone, values in by_tone(images, texts, seed).items():
                    row = rows.setdefault(f"{name}, {tone}", {})
                    row |= {f"{gap}_{number}": value for number, value in values.items()}
            advance(1)
    counts = [sum((each.factors["skin_tone"] == tone).sum() for each in people) for tone in TONES]
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="skin tone",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            f"held-out images of {len(PROFESSIONS)} professions, of new things or in the new style;"
            " number by skin tone: "
            + ", ".join(f"{tone} {n}" for tone, n in zip(TONES, counts, strict=True)),
            NEW,
            f"{DIFFERENCE}: between two of the five skin tones; none: emoji without a skin tone,"
            " which are yellow",
            f"{len(CREATURES)} prompts of creatures: {', '.join(CREATURES)}",
            "center: fitted on training images; gap × 1.5: half of the training gap is added to"
            " every image",
            "intervals: 95 %, over professions",
        ],
    )


def _people(side: Embeddings) -> Embeddings:
    """The images that show one profession, with one skin tone or none."""
    wanted = np.isin(side.factors["object"].astype(str), PROFESSIONS)
    wanted &= np.isin(side.factors["skin_tone"].astype(str), TONES)
    return pick(side, np.flatnonzero(wanted))


@torch.inference_mode()
def _prompts(encoder: Encoder) -> Tensor:
    """(p, d) one unit row per profession, without tone and over genders, then per creature."""
    rows = []
    for name in (*PROFESSIONS, *CREATURES):
        said = [name] if name in CREATURES else [name, f"woman {name}", f"man {name}"]
        found = functional.normalize(encoder.encode_text(encoder.tokenize(said)).float(), dim=1)
        rows.append(functional.normalize(found.mean(0), dim=0))
    return torch.stack(rows)


def _moved(
    people: Sequence[Embeddings], prompts: Tensor, fitted: Pair, gap: str
) -> tuple[list[Embeddings], Tensor]:
    """Images and prompts with another gap, which training images determine."""
    texts = Embeddings(prompts, fitted.text.modality)
    if gap == "raw":
        return list(people), prompts
    if gap == "center":
        map_ = fit(fitted, "center")
        moved = [map_.apply(Pair(each, texts, labels=np.zeros(each.n, int))) for each in people]
        return [each.image for each in moved], moved[0].text.unit()
    shift = WIDER * (fitted.image.unit().mean(0) - fitted.text.unit().mean(0))
    wider = [
        Embeddings(
            functional.normalize(each.unit() + shift, dim=1), each.modality, factors=each.factors
        )
        for each in people
    ]
    return wider, prompts


def by_tone(
    people: Sequence[Embeddings], prompts: Tensor, seed: int
) -> dict[str, dict[str, Value]]:
    """Accuracy and fraction of creatures of each tone, and their largest differences."""
    images = torch.cat([each.unit() for each in people])
    truth = np.concatenate([each.factors["object"].astype(str) for each in people])
    tones = np.concatenate([each.factors["skin_tone"].astype(str) for each in people])
    found = (images @ prompts.T).argmax(1).numpy()
    names = np.array([*PROFESSIONS, *CREATURES])
    right = (names[found] == truth).astype(np.float64)
    creature = (found >= len(PROFESSIONS)).astype(np.float64)
    (jobs,) = codes(truth)
    result: dict[str, dict[str, Value]] = {}
    for tone in TONES:
        at = tones == tone
        if at.any():
            result[tone] = {
                "accuracy": Scores(right[at], jobs[at]).number(seed),
                "creature": Scores(creature[at], jobs[at], better="lower").number(seed),
            }
    at = np.isin(tones, TONED)
    which = np.array([TONED.index(tone) for tone in tones[at]])
    result[DIFFERENCE] = {}
    for number, values in (("accuracy", right), ("creature", creature)):
        both = np.stack([which, values[at]], 1)
        scores = Scores(both, jobs[at], _difference, "lower")
        result[DIFFERENCE][number] = scores.number(seed)
    return result


def _difference(values: Floats, weights: Floats) -> float:
    """Largest minus smallest mean of the second column over the groups in the first."""
    group = values[:, 0].astype(int)
    total = np.bincount(group, weights)
    means = np.bincount(group, weights * values[:, 1])[total > 0] / total[total > 0]
    return float(means.max() - means.min())


def _bars(number: str) -> Mapping[str, str]:
    return {f"{gap}_{number}": gap for gap in GAPS}


PARTS = (
    Part(
        head="Skin tones",
        columns=2,
        words=(
            "Images of people at work are classified by prompts of professions and of creatures"
            " that are not human. The prompts state no skin tone. No image was trained on. The"
            " images are drawings: the numbers describe these small models, not people.",
        ),
        panels=(
            Bars(
                title="Accuracy",
                caption="Higher is better. Black lines: 95 % intervals over professions.",
                ys=_bars("accuracy"),
                xlabel="accuracy",
            ),
            Bars(
                title="Classified as a creature",
                caption="Fraction of images whose nearest prompt is a creature; lower is better.",
                ys=_bars("creature"),
                xlabel="fraction",
            ),
        ),
    ),
)
PUBLISHED = (
    Order(
        claim="Emoji: with a gap 1.5 times as wide, harmful predictions (creatures) differ less"
        " between skin tones",
        where="Liang et al. 2022, table 2",
        larger=(f"ViT, {DIFFERENCE}", "raw_creature"),
        smaller=(f"ViT, {DIFFERENCE}", "gap × 1.5_creature"),
        needs=NEEDS,
        note="drawings and small models: only the direction is compared; the intervals overlap",
    ),
)
emoji_groups = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=25,
    extras=("train", *TRAIN),
    real=(*FETCH, "modalgap study emoji_groups -o emoji_groups"),
)
