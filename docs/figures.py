"""The figures and tables of the four papers, for the index of ``reproduced.md``.

``FIGURES`` is the only list of them. The studies and verdicts of each are found by the place that
a published result names: "Liang et al. 2022, figure 3b".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

PAPERS = {
    "liang2022": "Liang et al. 2022, Mind the Gap",
    "schrodi2025": "Schrodi et al. 2025, Two Effects, One Trigger",
    "mistretta2025": "Mistretta et al. 2025, Cross the Gap",
    "chowers2026": "Chowers et al. 2026, Is the Modality Gap a Bug or a Feature?",
}
KINDS = ("figure", "table", "theorem", "section", "algorithm")
# a kind; a number with a letter or a span of letters; appendix; a span of numbers
LABEL = re.compile(
    rf"\b({'|'.join(KINDS)})s?\b|\b(\d+(?:\.\d+)?)([a-z]?)(?:–([a-z]))?\b|\b(appendix)\b|(–|\bto\b)"
)


@dataclass(frozen=True)
class Figure:
    """A figure, a table, or another result of a paper.

    Attributes:
        shows: what it shows.
        also: labels that stand for the same result.
        private: why nothing can be compared with it; "" if its results are public.
    """

    shows: str
    also: tuple[str, ...] = ()
    private: str = ""


FIGURES: dict[str, dict[str, Figure]] = {
    "liang2022": {
        "figure 1": Figure("four models before and after training"),
        "figure 2a": Figure("mean cosines of trained and random encoders"),
        "figure 2b": Figure("mean cosines after each random layer"),
        "figure 2c": Figure("cones of 25 random initialisations"),
        "theorem 1": Figure("a ReLU layer raises the cosine"),
        "theorem 2": Figure("variance from the weights"),
        "figure 3": Figure("loss against the gap, six temperatures (a, c, d)"),
        "figure 3b": Figure("six simulated pairs, two of them exchanged"),
        "appendix": Figure("simulations of six pairs in order, and of nine points"),
        "section 4": Figure("fine-tuning at several temperatures; amended start"),
        "table 1": Figure("accuracy at the best shift, five data sets"),
        "table 2": Figure("harmful predictions by race, five shifts"),
    },
    "schrodi2025": {
        "figure 3": Figure("gap against performance of the models of open_clip", ("table 1",)),
        "table 1": Figure("rank correlations of performance with gap, size and data"),
        "table 2": Figure("neighbourhoods of classes in images and texts"),
        "table 3": Figure("rank correlations within training sets"),
        "table 4": Figure("models of filtered data (CommonPool)"),
        "figure 4a": Figure("sorted differences of the means"),
        "figure 4b": Figure("two dimensions separate the modalities"),
        "figure 4c": Figure("without the dimensions of the gap"),
        "table 5": Figure("ideal words of attributes and objects"),
        "figure 5a": Figure("object bias and accuracy of attributes", ("figure 5",)),
        "figure 5b": Figure("accuracy of objects and of attributes", ("figure 5",)),
        "figure 6a": Figure("words in captions"),
        "figure 6b": Figure("object bias if another factor is always named"),
        "figure 7": Figure("gap, bias and accuracy by number of attributes (a, b)"),
        "figure 7c": Figure("training on full, half and quarter captions"),
        "figure 8": Figure("fine-tuning on quarter captions: entropy and temperature (a–d)"),
        "figure 11": Figure("figure 4 for SigLIP"),
        "figure 12": Figure("two dimensions of largest difference"),
        "figure 15": Figure("training on captions without sentences"),
    },
    "mistretta2025": {
        "section 2": Figure("similarity of images of dogs and cats"),
        "table 1": Figure("image retrieval with inverted queries, 15 data sets"),
        "table 2": Figure("text retrieval and classification with inverted features"),
        "table 3": Figure("inversion of SLIP"),
        "table 4": Figure("inversion of models fine-tuned without and with a gap"),
        "figure 3": Figure("number of pseudo-tokens and steps (a, b); cosines (c)"),
        "appendix": Figure("gap per model; both sides inverted; adapters, captions, long texts"),
    },
    "chowers2026": {
        "figure 1": Figure("gap of models and tasks"),
        "figure 2": Figure("accuracy against the shift"),
        "figure 3": Figure("loss of three points"),
        "figure 4": Figure("variance along the gap during training"),
        "figure 5": Figure("the gap freezes, from clusters and from an isotropic start"),
        "theorem 3.1": Figure("the gradient along the gap"),
        "figure 6": Figure("sums of softmax matrices", ("theorem 3.2",)),
        "theorem 3.2": Figure("a gap with doubly stochastic matrices has no gradient"),
        "figure 7": Figure("flips of answers with the distance", ("theorem 3.4",)),
        "theorem 3.4": Figure("closing the gap makes answers robust"),
        "figure 8": Figure("robustness and accuracy against the shift, under noise"),
        "theorem 3.5": Figure("an orthogonal shift keeps every answer", ("algorithm 1",)),
        "figure 9": Figure("rounding of features"),
        "figure 10": Figure("rewording of texts"),
        "appendix": Figure(
            "results per model and data set, up to figure 19",
            private="its numbers are not public",
        ),
    },
}


def labels(where: str) -> set[str]:
    """The labels in the place of a result: "figures 4a and 5" gives "figure 4a" and "figure 5"."""
    found: list[str] = []
    kind, last, span = "", 0, False
    for name, number, letter, end, appendix, to in LABEL.findall(where.partition(",")[2]):
        if appendix:
            found.append(appendix)
        elif name:
            kind, span = name, False
        elif to:
            span = True
        elif kind:
            whole = span and number.isdigit()
            numbers = map(str, range(last + 1, int(number) + 1)) if whole else [number]
            letters = map(chr, range(ord(letter), ord(end) + 1)) if letter and end else [letter]
            found += [f"{kind} {a}{b}" for a, b in product(numbers, letters)]
            last, span = int(float(number)), False
    return set(found)


def paper_of(where: str) -> str:
    """The folder of the paper that a place names; "" for other papers."""
    names = {title.partition(",")[0]: paper for paper, title in PAPERS.items()}
    return next((names[name] for name in names if where.startswith(name)), "")


def shown_in(where: str, paper: str, label: str) -> bool:
    """Whether the place of a result is this figure, or a part of it that has no row of its own."""
    if paper_of(where) != paper:
        return False
    known = FIGURES[paper]
    own = {label, *known[label].also}
    return any(
        each in own or (each[-1:].isalpha() and each not in known and each[:-1] in own)
        for each in labels(where)
    )


def without_results(places: Iterable[str]) -> list[tuple[str, str]]:
    """The figures that no place names, of those with public results: (paper, label)."""
    places = list(places)
    return [
        (paper, label)
        for paper, figures in FIGURES.items()
        for label, figure in figures.items()
        if not figure.private and not any(shown_in(each, paper, label) for each in places)
    ]
