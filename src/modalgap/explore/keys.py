"""Key numbers: a few values of ``measure``, ``evaluate`` and ``search``, in words."""

from __future__ import annotations

from dataclasses import dataclass

from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.errors import NotApplicable
from modalgap.evaluate.verb import evaluate
from modalgap.measure.registry import MEASURES
from modalgap.measure.verb import measure
from modalgap.report import table
from modalgap.result import Result
from modalgap.search.verb import search

PAIR = ("l2m", "rmg", "matched_cosine", "knn_mixing")
MATRICES = ("l2m", "rmg")  # of three or more modalities
SINGLE = ("cone", "uniformity", "effective_rank", "hubness")


@dataclass(frozen=True)
class Key:
    """One number of the page.

    Attributes:
        name: its name in the result.
        verb: the function that computes it: "measure", "evaluate" or "search".
        title: for people.
        about: what it is, in a sentence.
        better: "lower" or "higher"; "" if neither direction is better.
        value, interval: as in the result.
    """

    name: str
    verb: str
    title: str
    about: str
    better: str
    value: float
    interval: tuple[float, float] | None


def keys(data: Pair | Embeddings | Modalities, seed: int, *, standardised: bool) -> list[Key]:
    """The key numbers of a closed pair, of one modality, or of several.

    Args:
        data: what is measured.
        seed: of samples and of the bootstrap.
        standardised: whether mixed lists use standardised scores.
    """
    wanted = {1: SINGLE, 2: PAIR}.get(len(data.sides), MATRICES)
    found = [key for name in wanted for key in _measured(data, name, seed)]
    if isinstance(data, Pair):
        found += _retrieval(data, seed) + _mixed(data, seed, standardised=standardised)
    return found


def _measured(data: Pair | Embeddings | Modalities, name: str, seed: int) -> list[Key]:
    """One measure; nothing if it does not apply."""
    own = {"seed": seed} if "seed" in MEASURES[name].options else {}
    try:
        result = measure(data, only=name, **own)
    except NotApplicable:
        return []
    rows = {row.name: row for row in table.rows(result)}
    found = []
    for each, value in result.items():
        card = rows[each].card if each in rows else MEASURES[name].card
        title = rows[each].title if each in rows else card.title  # rmg.image.text, of a matrix
        better = "" if card.direction == "neither" else card.direction
        found.append(Key(each, "measure", title, card.idea, better, value.value, value.interval))
    return found


def _retrieval(pair: Pair, seed: int) -> list[Key]:
    task = "zero_shot" if pair.labels is not None else "retrieval"
    try:
        result = evaluate(pair, only=task, seed=seed)
    except NotApplicable:
        return []
    a, b = (side.modality for side in pair.sides)
    if task == "zero_shot":
        about = f"Fraction of {a} rows whose nearest {b} row is the right one."
        return _kept(
            result, "evaluate", {"zero_shot.top1": ("Zero-shot accuracy", about, "higher")}
        )
    wanted = {
        f"retrieval.{x}_to_{y}_r1": (
            f"Recall at 1, {x} to {y}",
            f"Fraction of {x} rows whose nearest {y} row is a match.",
            "higher",
        )
        for x, y in ((a, b), (b, a))
    }
    return _kept(result, "evaluate", wanted)


def _mixed(pair: Pair, seed: int, *, standardised: bool) -> list[Key]:
    try:
        result = search(pair.image, pair, "mixed", seed=seed)
    except NotApplicable:
        return []
    a, b = (side.modality for side in pair.sides)
    end = "_zscore" if standardised else ""
    fair = pair.text.n / (pair.image.n + pair.text.n)
    wanted = {
        f"share10_{b}{end}": (
            f"Mixed search: {b} results",
            f"Fraction of {b} rows among the first 10 results for an {a} query, in one list of"
            f" both modalities. The {b} rows are {fair:.0%} of the list.",
            "",
        ),
        f"ndcg10{end}": (
            "Mixed search: nDCG@10",
            f"Quality of that list for {a} queries.",
            "higher",
        ),
    }
    return _kept(result, "search", wanted)


def _kept(result: Result, verb: str, wanted: dict[str, tuple[str, str, str]]) -> list[Key]:
    return [
        Key(name, verb, *words, result[name].value, result[name].interval)
        for name, words in wanted.items()
        if name in result
    ]
