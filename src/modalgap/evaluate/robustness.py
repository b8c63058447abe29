"""Robustness: is the answer stable under noise, quantisation and compressed indexes?

Numbers, for each perturbation of the stored side: Rob, the fraction of queries whose answer stays
the same (one minus the flip rate), and accuracy, the fraction whose answer is right. Read both: an
answer that stays wrong counts as robust. Source: Chowers et al. 2026, section 3.3, equation 10.
For Gaussian noise the details also contain the expected flip rate for noise on the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from modalgap import checks
from modalgap.card import Card
from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.evaluate import perturb
from modalgap.evaluate.base import Ints, Outcome, Scores, Task
from modalgap.evaluate.flip import flip_probability

FAISS = ("sq8", "sq4", "sq4_uniform", "pq4", "ivf_pq4", "hnsw", "rabitq")
SIGMAS = (0.005, 0.01, 0.02, 0.05, 0.1)
BINS = (256, 64, 32, 16)
FEW = 200  # queries from which the expected flip rate is computed

CARD = Card(
    name="robustness",
    title="Robustness",
    question="Are answers stable under noise, quantisation and compressed indexes?",
    idea=(
        "The fraction of answers that do not change, and the fraction that are right, under"
        " each perturbation."
    ),
    source="Chowers et al. 2026, section 3.3",
    needs=(("pairs", "labels"),),
    main=(
        "gaussian_0.02_accuracy",
        "int4_accuracy",
        "binary_accuracy",
        "sq4_uniform_accuracy",
        "pq4_accuracy",
        "rabitq_accuracy",
    ),
)


def _robustness(
    pair: Pair,
    *,
    retrieved: str | None = None,
    sigmas: Sequence[float] = SIGMAS,
    noise_on: str = "both",
    bins: Sequence[int] = BINS,
    indexes: Sequence[str] = FAISS,
    other_text: Any = None,
    max_rows: int = 10_000,
    seed: int = 0,
) -> Outcome:
    """Options.

    ``retrieved``: the stored side, "image" or "text"; by default images, or class prompts if
    there are labels. ``sigmas``: standard deviations of Gaussian noise. ``noise_on``: "both",
    "index" or "queries". ``bins``: numbers of bins. ``indexes``: FAISS indexes: sq8, sq4,
    sq4_uniform, pq4, ivf_pq4, hnsw, rabitq. ``other_text``: rows of the same texts, in the same
    order, from another prompt template. ``max_rows``: number of queries. ``seed``: for noise,
    training and drawing queries.
    """
    sigmas, bins = checks.several("sigmas", sigmas), checks.several("bins", bins)
    indexes = checks.several("indexes", indexes)
    _check(pair, retrieved, sigmas, noise_on, bins, indexes, max_rows, seed)
    sampled = _Queries(pair, retrieved, max_rows, seed)
    queries, stored = sampled.queries, sampled.stored
    base = perturb.exact(queries, stored)
    scores = {"flat_accuracy": sampled.accuracy([base])}
    details: dict[str, Any] = {"retrieved": sampled.retrieved, "queries": len(queries)}
    jobs: list[tuple[str, perturb.Find]] = [
        *((f"gaussian_{sigma:g}", perturb.gaussian(sigma, noise_on)) for sigma in sigmas),
        *((f"bins_{count}", perturb.bins(count)) for count in bins),
        ("int8", perturb.signed(8)),
        ("int4", perturb.signed(4)),
        ("binary", perturb.binary),
        *((name, perturb.faiss_index(name)) for name in indexes),
    ]
    skipped: dict[str, str] = {}
    for name, find in jobs:
        try:
            answers = find(queries, stored, seed)
        except NotApplicable as reason:
            skipped[name] = str(reason)
            continue
        except RuntimeError as error:  # faiss refuses some sizes
            skipped[name] = f"faiss: …{' '.join(str(error).split())[-100:]}"
            continue
        scores[f"{name}_rob"] = sampled.unchanged(base, answers)
        scores[f"{name}_accuracy"] = sampled.accuracy(answers)
    if other_text is not None:
        changed = sampled.with_texts(other_text)
        answers = [perturb.exact(changed.queries, changed.stored)]
        scores["template_rob"] = sampled.unchanged(base, answers)
        scores["template_accuracy"] = sampled.accuracy(answers)
    few = (queries[:FEW] @ stored.T).numpy()
    details["expected_flip_of_noise_on_index"] = {
        f"{sigma:g}": float(flip_probability(few, float(sigma)).mean()) for sigma in sigmas
    }
    if skipped:
        details["skipped"] = skipped
    return Outcome(scores, details)


class _Queries:
    """Queries, the stored rows, and which stored rows are right for each query."""

    def __init__(self, pair: Pair, retrieved: str | None, max_rows: int, seed: int) -> None:
        self.pair, self.max_rows, self.seed = pair, max_rows, seed
        default = pair.text.modality if pair.labels is not None else pair.image.modality
        self.retrieved = retrieved or default
        images, texts = pair.matches
        by_text = self.retrieved == pair.text.modality
        asking, found = (images, texts) if by_text else (texts, images)
        side, other = (pair.image, pair.text) if by_text else (pair.text, pair.image)
        known = torch.unique(asking)  # a query without a match has no right answer
        self.chosen = known[checks.sample(len(known), max_rows, seed)]
        self.queries, self.stored = side.take(self.chosen), other.unit()
        self.correct = set(zip(asking.tolist(), found.tolist(), strict=True))
        self.clusters: Ints = pair.clusters[0 if by_text else 1][self.chosen.numpy()]

    def accuracy(self, answers: list[Ints]) -> Scores:
        """Fraction of queries whose answer is a matching item."""
        who = self.chosen.tolist()
        hits = [
            np.array([(q, a) in self.correct for q, a in zip(who, each.tolist(), strict=True)])
            for each in answers
        ]
        return Scores(np.stack(hits).mean(0, dtype=np.float64), self.clusters)

    def unchanged(self, base: Ints, answers: list[Ints]) -> Scores:
        """Fraction of queries whose answer is the same as ``base``."""
        same = np.stack([each == base for each in answers])
        return Scores(same.mean(0, dtype=np.float64), self.clusters)

    def with_texts(self, texts: Any) -> _Queries:
        """The same queries and items with other rows for the texts."""
        text = self.pair.text
        rows = texts.rows if isinstance(texts, Embeddings) else texts
        replaced = Embeddings(rows, text.modality)
        if (replaced.n, replaced.dim) != (text.n, text.dim):
            raise InputError(
                f"other_text: must have shape ({text.n}, {text.dim}), one row for each text;"
                f" got ({replaced.n}, {replaced.dim})"
            )
        pair = self.pair.over(self.pair.image, replaced)
        return _Queries(pair, self.retrieved, self.max_rows, self.seed)


def _check(
    pair: Pair,
    retrieved: str | None,
    sigmas: Sequence[float],
    noise_on: str,
    bins: Sequence[int],
    indexes: Sequence[str],
    max_rows: int,
    seed: int,
) -> None:
    if retrieved is not None:
        checks.one_of("retrieved", retrieved, (pair.image.modality, pair.text.modality))
    if pair.labels is not None and retrieved == pair.image.modality:
        raise OptionError(
            f"retrieved: with class labels the prompts are retrieved; got {quoted(retrieved)}"
        )
    checks.one_of("noise_on", noise_on, ("both", "index", "queries"))
    for sigma in sigmas:
        checks.at_least("sigmas", sigma, 1e-9, 1e3)
    checks.distinct("sigmas", [f"{sigma:g}" for sigma in sigmas])
    for count in bins:
        checks.whole("bins", count, 2, 2**31)
    for name in indexes:
        checks.one_of("indexes", name, FAISS)
    checks.whole("max_rows", max_rows, 2)
    checks.whole("seed", seed, 0)


robustness = Task(CARD, _robustness)
