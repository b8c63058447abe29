"""Robustness against the shift: noise on stored texts that move toward the images.

Texts move by α g', where g' is the gap without its part in V, the principal directions of the texts
(closer ``project``). Noise N(0, σ² I) is added to the texts, and every image retrieves its nearest
text, its answer. The paper uses Euclidean distance; by cosine, texts are normalised after the shift
(task ``robustness``).
Source: Chowers et al. 2026, figure 8, theorem 3.5, algorithm 1. The paper's α = −1 is α = 1
here: the closed gap.
Expected: Rob, the share of answers that stay, rises up to α = 1 and falls beyond. The accuracy
without noise does not change; exactly so if V spans all texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from modalgap import checks
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.close import fit
from modalgap.embeddings import Embeddings, Pair, joined
from modalgap.errors import OptionError
from modalgap.evaluate import evaluate
from modalgap.evaluate.base import Scores
from modalgap.evaluate.perturb import REPEATS, Answers
from modalgap.extras import TRAIN
from modalgap.panels import Curves, Part, Reference
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.chowers2026.queries import QUERIES, Queries, nearest
from modalgap.study.embedded import classes, paired, planned, stem
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order
from modalgap.trace import traced

EMBEDDED = "short"  # captions: this model has a gap to close, that of full captions hardly one
SETS = {"object": "digits", "colour": "colours"}  # embedded class sets
VARIANCES = (0.005, 0.022, 0.04)
CLEAN = "no noise"
HEADS = {
    "rob_open": "Rob (answers that stay), open",
    "rob": "Rob, closed",
    "rob_beyond": "Rob, beyond",
    "accuracy_open": "top-1, open",
    "accuracy": "top-1, closed",
    "accuracy_beyond": "top-1, beyond",
    "cosine_rob_open": "Rob by cosine, open",
    "cosine_rob": "Rob by cosine, closed",
    "cosine_accuracy_open": "top-1 by cosine, open",
    "cosine_accuracy": "top-1 by cosine, closed",
    "leakage": "leakage (part of the gap that is not closed)",
    "changed": "largest share of answers that change without noise",
}
CARD = Card(
    name="robustness_shift",
    title="Robustness to noise at each shift",
    idea="Moves stored texts toward the images in steps, and counts answers that stay under noise.",
    source="Chowers et al. 2026, figure 8, theorem 3.5, algorithm 1",
    question="Does closing the gap make answers robust to noise, and does it cost accuracy?",
    traits=("random",),
)


@checked
def plan(
    *,
    pair: str = "",
    alphas: checks.Several[float] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
    variances: checks.Several[float] = VARIANCES,
    explained_variance: float = 1.0,
    seed: int = 0,
) -> Plan:
    """Plan the shifts.

    Args:
        pair: file of images with class prompts, or with captions; by default the digits and
            colours of the embedded model with short captions.
        alphas: shifts; 0 is the open gap, 1 the closed gap. Both must be among them.
        variances: σ² of the noise in each dimension of the stored texts.
        explained_variance: fraction of the variance of the texts that V explains; 1 preserves
            every ranking, but needs fewer texts than dimensions.
        seed: seed of the noise.

    Raises:
        OptionError: a value outside its range.
    """
    alphas = checks.several("alphas", alphas)
    variances = checks.several("variances", variances, least=1)
    for alpha in alphas:
        checks.at_least("alphas", alpha, -100.0, 100.0)
    if not {0, 1} <= set(alphas) or len(set(alphas)) < len(alphas):
        raise OptionError(f"alphas must be different, with 0 and 1 among them; got {alphas}")
    for variance in variances:
        checks.at_least("variances", variance, 1e-12, 1e3)
    checks.distinct("variances", [f"{variance:g}" for variance in variances])
    checks.share("explained_variance", explained_variance)
    checks.whole("seed", seed, 0)
    settings, models = planned(pair, EMBEDDED)
    own: dict[str, Any] = {"alphas": sorted(map(float, alphas)), "variances": variances,
                           "explained_variance": explained_variance, "seed": seed}  # fmt: skip
    return Plan(settings=settings | own, models=models)


def run(work: Work) -> Table:
    """Shift the texts of every set."""
    settings = work.settings
    if "pair" in settings:
        sets = {f"{stem(settings['pair'])}: ": paired(settings["pair"])}
    else:
        found = classes(work, EMBEDDED)
        sets = {f"{title}, ": found[name] for name, title in SETS.items()}
    rows: dict[str, dict[str, Value]] = {}
    for prefix, pair in sets.items():
        rows |= {f"{prefix}{name}": row for name, row in shifted(pair, settings).items()}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="set and noise",
        rows=rows,
        heads=HEADS,
        settings=settings,
        notes=[
            "α: size of the shift of the texts. Open: α = 0; closed: α = 1; beyond: α ="
            f" {settings['alphas'][-1]:g}; curves over α",
            "Rob: share of images whose nearest text stays the same under noise, correct or not;"
            f" {REPEATS} draws of the noise; at most {QUERIES:,} images",
            "intervals: 95 %, over images",
            "V: principal directions of the texts. The part of the gap in V is not closed, because"
            " a shift in V could change the answers; the leakage is its fraction of the gap",
        ],
    )


def shifted(pair: Pair, settings: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
    """Noise to its row, for one pair; "no noise" has only accuracies."""
    pair = joined(pair).pair
    text = pair.text.modality
    map_ = fit(pair, "project", retrieved=text, alpha=1.0,
               explained_variance=settings["explained_variance"])  # fmt: skip
    offset = map_.roles[text][0].offset  # α g' without the normalisation that follows
    by = torch.as_tensor(offset).float()
    queries = Queries(pair, settings["seed"])
    sigmas = {f"σ² = {variance:g}": math.sqrt(variance) for variance in settings["variances"]}
    scores: dict[str, dict[str, list[Scores]]] = {name: {} for name in (CLEAN, *sigmas)}
    cosines: dict[str, dict[str, list[Value]]] = {name: {} for name in (CLEAN, *sigmas)}
    changed = 0.0
    first: Answers | None = None
    with progress("shifting texts", len(settings["alphas"])) as advance:
        for alpha in settings["alphas"]:
            stored = queries.stored + alpha * by
            base = nearest(queries.images, stored)
            first = base if first is None or alpha == 0 else first
            changed = max(changed, float(np.mean(base != first)))
            scores[CLEAN].setdefault("accuracy", []).append(queries.right([base]))
            moved = pair.over(pair.image, Embeddings(stored, text, names=pair.text.names))
            own = evaluate(moved, "robustness", retrieved=text, sigmas=list(sigmas.values()),
                           noise_on="index", bins=(), indexes=(), max_rows=QUERIES,
                           seed=settings["seed"])  # fmt: skip
            cosines[CLEAN].setdefault("accuracy", []).append(own["robustness.flat_accuracy"])
            for name, sigma in sigmas.items():
                noisy = [
                    nearest(queries.images, stored + sigma * noise)
                    for noise in queries.noise(settings["seed"])
                ]
                scores[name].setdefault("rob", []).append(queries.same(base, noisy))
                scores[name].setdefault("accuracy", []).append(queries.right(noisy))
                for number in ("rob", "accuracy"):
                    value = own[f"robustness.gaussian_{sigma:g}_{number}"]
                    cosines[name].setdefault(number, []).append(value)
            advance(1)
    facts = {"leakage": Value(float(map_.facts["leakage"])), "changed": Value(changed)}
    alphas = settings["alphas"]
    rows = {}
    for name in (CLEAN, *sigmas):
        row: dict[str, Value] = {}
        for number, every in scores[name].items():
            values = [each.number(settings["seed"]) for each in every]
            row |= _columns(number, alphas, values)
        for number, each in cosines[name].items():
            row |= _columns(f"cosine_{number}", alphas, each)
        rows[name] = row | facts
    return rows


def _columns(name: str, alphas: list[float], values: list[Value]) -> dict[str, Value]:
    """A number closed, with its trace over α; open; and beyond."""
    closed = values[alphas.index(1.0)]
    return {
        name: traced(closed.value, alphas, [each.value for each in values], closed.interval),
        f"{name}_open": Value(values[alphas.index(0.0)].value, values[alphas.index(0.0)].interval),
        f"{name}_beyond": Value(values[-1].value, values[-1].interval),
    }


def _found(table: Table) -> str:
    row = next(row for name, row in table.rows.items() if CLEAN not in name)
    clean = next(row for name, row in table.rows.items() if CLEAN in name)
    return (
        f"In the first set, with the weakest noise, Rob is {row['rob_open'].value:.3f} with the"
        f" open gap, {row['rob'].value:.3f} with the closed gap and"
        f" {row['rob_beyond'].value:.3f} at the largest α. The accuracy without noise is"
        f" {clean['accuracy_open'].value:.3f} with the open gap and"
        f" {clean['accuracy'].value:.3f} with the closed gap. The leakage is"
        f" {clean['leakage'].value:.2f}: this fraction of the gap stays."
    )


XLABEL = "α (0: open gap, 1: closed gap)"
CAPTION = "One curve per variance σ² of the noise. Higher is better."


def _panels(match: str, title: str) -> tuple[Curves, ...]:
    """Rob and accuracy of one set."""
    closed = (Reference(at=1.0, axis="x", label="closed"),)
    return tuple(
        Curves(title=f"{title}{words}" if title else words.capitalize(), trace=trace,
               match=match, xlabel=XLABEL, ylabel=ylabel, caption=CAPTION,
               zero=False, limits=(None, 1.02), references=closed)
        for words, trace, ylabel in (
            ("Rob", "rob", "share of answers that stay"),
            ("accuracy", "accuracy", "top-1"),
        )
    )  # fmt: skip


def _cosine(match: str, title: str) -> Curves:
    return Curves(
        title=f"{title}Rob by cosine",
        caption="Texts are normalised after the shift; not in the paper. Higher is better.",
        trace="cosine_rob",
        match=match,
        xlabel=XLABEL,
        ylabel="share of answers that stay",
        zero=False,
        limits=(None, 1.02),
        references=(Reference(at=1.0, axis="x", label="closed"),),
        in_figure=False,
    )


PARTS = (
    Part(
        head="Robustness (Rob) and accuracy along the shift",
        words=(
            "Each image retrieves its nearest text; this text is its answer. Noise is added to the"
            " stored texts, and Rob, the robustness, is the share of images whose answer stays the"
            " same, correct or not.",
            "The texts move toward the images by α g'. Here g' is the gap, the difference of the"
            " means, without its part in V; V is spanned by the principal directions of the texts."
            " Directions in V tell the texts apart, so a shift in V could change the answers. If"
            " V spans all texts, a shift by g' changes no answer without noise. The leakage is the"
            " fraction of the gap that lies in V, and that this shift does not close.",
            "As α rises from 0 (open gap) to 1 (closed gap), the same noise changes fewer answers,"
            " because the effect of noise on a distance grows with this distance. Beyond α = 1, the"
            " distances along the shift grow again.",
            _found,
        ),
        panels=tuple(
            panel
            for match, title in (("digits,", "Digits: "), ("colours,", "Colours: "), (": ", ""))
            for panel in (*_panels(match, title), _cosine(match, title))
        ),
        columns=2,
    ),
)  # fmt: skip
WHERE = "Chowers et al. 2026, figure 8"
NOTE = "other data and models: only the direction is compared"
NEEDS = "the embedded class sets; run the study without the option pair"
DIGITS, COLOURS = SETS.values()
PUBLISHED = (
    *(
        Order(
            claim=f"Closing the gap raises Rob ({name}, σ² = {variance:g})",
            where=WHERE,
            larger=(f"{name}, σ² = {variance:g}", "rob"),
            smaller=(f"{name}, σ² = {variance:g}", "rob_open"),
            margin=0.005,
            published="the first is larger",
            note=NOTE,
            needs=NEEDS,
            why="under strong noise the squared length of the noise decides the answers, and no"
            " shift changes it"
            if variance == VARIANCES[-1]
            else "",
        )
        for name in SETS.values()
        for variance in VARIANCES
    ),
    *(
        Number(
            claim=f"Closing the gap does not change the accuracy without noise ({name})",
            where="Chowers et al. 2026, theorem 3.5",
            published="unchanged",
            cell=(f"{name}, {CLEAN}", "accuracy"),
            value=(f"{name}, {CLEAN}", "accuracy_open"),
            tolerance=0.001,
            needs=NEEDS,
        )
        for name in SETS.values()
    ),
    *(
        Order(
            claim=f"Beyond the closed gap, Rob falls (digits, σ² = {variance:g})",
            where=WHERE,
            larger=(f"{DIGITS}, σ² = {variance:g}", "rob"),
            smaller=(f"{DIGITS}, σ² = {variance:g}", "rob_beyond"),
            note=NOTE,
            needs=NEEDS,
        )
        for variance in VARIANCES
    ),
    Order(
        claim="Beyond the closed gap, the accuracy without noise falls (digits)",
        where=WHERE,
        larger=(f"{DIGITS}, {CLEAN}", "accuracy"),
        smaller=(f"{DIGITS}, {CLEAN}", "accuracy_beyond"),
        note=NOTE,
        needs=NEEDS,
        why="V spans all texts here, so every α preserves every ranking (theorem 3.5)",
    ),
    *(
        Order(
            claim=f"Closing the gap raises Rob by cosine ({name}, σ² = {VARIANCES[0]:g})",
            where="the form by cosine, which is not in the paper",
            against="reference",
            larger=(f"{name}, σ² = {VARIANCES[0]:g}", "cosine_rob"),
            smaller=(f"{name}, σ² = {VARIANCES[0]:g}", "cosine_rob_open"),
            note="the paper uses distances",
            needs=NEEDS,
            why="most of the gap of these prompts lies in V and is not closed (see leakage)",
        )
        for name in SETS.values()
    ),
)
MODELS = {
    "ViT-B-16": "open_clip:ViT-B-16/openai",
    "ViT-L-14": "open_clip:ViT-L-14/openai",
    "SigLIP": "open_clip:ViT-B-16-SigLIP/webli",
    "MetaCLIP": "open_clip:ViT-B-16-quickgelu/metaclip_fullcc",
}
REAL = tuple(
    line
    for data in ("cifar10", "cifar100")
    for name, model in MODELS.items()
    for line in (
        f"modalgap encode {data} --model {model} -o {data}_{name}.safetensors",
        f"modalgap study robustness_shift -o {data}_{name} --set pair={data}_{name}.safetensors",
    )
)
robustness_shift = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=1.5,
    extras=("train", *TRAIN),
    real=REAL,
)
