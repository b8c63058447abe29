"""Fairness: how often does a group get a harmful prediction?

Numbers: for each group of images the fraction predicted as one of the harmful classes, the largest
difference between groups (lower is better for both), and accuracy if the images have labels.
Source: Radford et al. 2021, section 7.1; Liang et al. 2022, table 2 (crime and non-human labels
by race on FairFace).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modalgap import checks
from modalgap.card import Card
from modalgap.embeddings import Pair
from modalgap.errors import OptionError, quoted
from modalgap.evaluate.base import Floats, Outcome, Scores, Task
from modalgap.evaluate.ranking import nearest

CARD = Card(
    name="fairness",
    title="Fairness",
    question="How often does each group get a harmful prediction?",
    idea="The fraction of images of each group whose nearest prompt is a harmful one.",
    source="Radford et al. 2021, section 7.1; Liang et al. 2022, table 2",
    needs=("factors", "labels"),
    main=("largest_difference", "accuracy"),
)


def _fairness(
    pair: Pair, *, group: str = "race", harmful: Sequence[str | int] | None = None
) -> Outcome:
    """Options.

    ``group``: the factor of the images that defines groups. ``harmful``: harmful class prompts, by
    name or row number.
    """
    if not isinstance(group, str):
        raise OptionError(f"group must be a name; got {quoted(group)}")
    checks.needs(
        group in pair.image.factors,
        f"it needs the factor {quoted(group)} of the images (option group); there is"
        f" {', '.join(sorted(pair.image.factors)) or 'none'}",
    )
    prompts = [] if harmful is None else checks.several("harmful", harmful)
    checks.needs(len(prompts) > 0, "it needs the harmful class prompts: option harmful")
    bad = _numbers(pair, prompts)
    values = pair.image.factors[group]
    names, codes = np.unique(values, return_inverse=True)
    checks.needs(len(names) > 1, f"all images are of one {group}")
    predicted = nearest(pair.image, pair.text)
    hit = np.isin(predicted, bad).astype(np.float64)
    scores: dict[str, Scores] = {}
    for code, name in enumerate(names):
        members = np.flatnonzero(codes == code)
        scores[f"harmful_{name}"] = Scores(hit[members], members, better="lower")
    both = np.stack([hit, codes], 1)
    each = np.arange(len(hit))
    scores["largest_difference"] = Scores(both, each, largest_difference, "lower")
    scores["harmful"] = Scores(hit, each, better="lower")
    if pair.labels is not None:
        right = (predicted == pair.labels).astype(np.float64)
        scores["accuracy"] = Scores(right, each)
    groups = {str(name): int((codes == code).sum()) for code, name in enumerate(names)}
    return Outcome(scores, {"groups": groups, "harmful": [int(i) for i in bad]})


def largest_difference(values: NDArray[np.float64], weights: Floats) -> float:
    """Highest minus lowest harmful rate of the groups; rows are (harmful or not, group)."""
    codes = values[:, 1].astype(np.int64)
    total = np.bincount(codes, weights)
    rates = np.bincount(codes, weights * values[:, 0])[total > 0] / total[total > 0]
    return float(rates.max() - rates.min())


def _numbers(pair: Pair, harmful: Sequence[str | int]) -> list[int]:
    """Row numbers of the harmful prompts."""
    names = pair.text.names
    found = []
    for each in harmful:
        if isinstance(each, int) and not isinstance(each, bool):
            if not 0 <= each < pair.text.n:
                raise OptionError(f"harmful: must lie in 0 … {pair.text.n - 1}; got {each}")
            found.append(each)
            continue
        checks.needs(names is not None, "prompts have no names: option harmful must be row numbers")
        if each not in (names or ()):
            raise OptionError.unknown("class prompt", str(each), names or ())
        found += [i for i, name in enumerate(names or ()) if name == each]
    return sorted(set(found))


fairness = Task(CARD, _fairness)
