"""Mixed search: one index of images, texts and documents of both; does the relevant one rank first?

Each item i is stored once, as its image, its text, or the two fused (their normalised mean), drawn
by ``shares``. Relevant to a text query are the items whose image it describes, to an image query
the items whose text describes it: one item, or several if images share captions. A document that
contains the query itself would rank first with any model. For this query the relevant item is
therefore stored in another form: as text for image queries, as image for text queries. If images
have a second caption, text queries are first captions, and the text and fused forms contain the
second caption instead. All other items stay as drawn.
Numbers: NDCG@10 (the ideal is over all documents, not over those retrieved) and R@1, by text and by
image queries (and by both fused, with two captions), at 1:1:1 and over the ratios from only texts
to only images. At 1:1:1 also:

- ``_zscore``: with standardised scores, s' = (s − μ) / σ, one mean and one standard deviation for
  each kind of query and form of document, in closed form from the moments of the set itself.
- ``_rrf``: split and merge, where each form is searched alone and lists merge by reciprocal rank
  (Cormack et al. 2009).
- ``share10_image``, ``share10_text``, ``share10_fused``: the fraction of the first 10 results of
  each form, the right items left out. With one caption per image the right document is always of
  the other modality than the query, so a method that only pushes the other modality up has a high
  NDCG; its shares then differ from those of the index.

Source: MixBench (arXiv 2507.19054), whose public code computes the ideal from retrieved documents.
Standardised scores: arXiv 2511.22141, with pseudo-positives there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.embeddings import Pair
from modalgap.errors import OptionError, quoted
from modalgap.evaluate.base import Floats, Outcome, Scores, Task
from modalgap.evaluate.mixed_index import (
    FUSED,
    IMAGE,
    TEXT,
    Change,
    Forms,
    Index,
    Listed,
    Lists,
    Scale,
    refused,
    standardized,
)
from modalgap.modality import several

RATIOS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

CARD = Card(
    name="mixed",
    title="Mixed-modality search",
    question="In one index of images and texts, is the relevant item found whatever its modality?",
    idea=(
        "NDCG@10 of queries for one item among images, texts and fused documents, with the"
        " fraction of each form among the first results; raw, standardised, and merged lists."
    ),
    source="MixBench, arXiv 2507.19054",
    needs=("pairs",),
    main=(
        "{1}_ndcg10", "{1}_share10_{0}", "{1}_share10_{1}", "{1}_share10_fused",
        "{0}_ndcg10", "{0}_share10_{0}", "{0}_share10_{1}", "{0}_share10_fused",
    ),
)  # fmt: skip


def _mixed(
    pair: Pair,
    *,
    shares: Sequence[float] = (1, 1, 1),
    ratios: Sequence[float] = RATIOS,
    k: int = 10,
    max_rows: int = 10_000,
    seed: int = 0,
) -> Outcome:
    """Options.

    ``shares``: fractions of images, texts and fused documents. ``ratios``: fractions of images in
    indexes of images and texts, for the curve. ``k``: number of results for NDCG and shares.
    ``max_rows``: largest number of items. ``seed``: of the form in which each item is stored.
    """
    return search_mixed(pair, shares, ratios, k, max_rows, seed)


def search_mixed(
    pair: Pair,
    shares: Sequence[float] = (1, 1, 1),
    ratios: Sequence[float] = RATIOS,
    k: int = 10,
    max_rows: int = 10_000,
    seed: int = 0,
    *,
    scales: Mapping[str, Sequence[Scale]] | None = None,
    correct: Callable[[str, Tensor], Sequence[Change]] | None = None,
) -> Outcome:
    """The task, with scales or corrections that were fitted elsewhere.

    Args:
        pair: both modalities.
        shares: see the options of the task, as for ``ratios``, ``k``, ``max_rows`` and ``seed``.
        ratios: the same.
        k: the same.
        max_rows: the same.
        seed: the same.
        scales: kind of query ("image", "text", "fused") to mean and standard deviation of its
            scores in each form; by default from the moments of the set itself.
        correct: makes a function of the scores of each form, from the kind of query and the
            documents (3, n, d); then only the index at ``shares`` is searched, by corrected
            scores.
    """
    parts = _shares(shares)
    checks.distinct("ratios", [f"{100 * ratio:.0f}" for ratio in _ratios(ratios)])
    ratios = _ratios(ratios)
    checks.whole("k", k, 1)
    checks.whole("max_rows", max_rows, 2)
    checks.whole("seed", seed, 0)
    checks.needs(pair.labels is None, "class prompts are not documents: it needs captions")
    forms = Forms.of(pair, checks.sample(pair.image.n, max_rows, seed))
    order = np.random.default_rng(seed).permutation(forms.n)
    stored = np.empty(forms.n, np.int64)
    stored[order] = np.searchsorted(np.cumsum(parts), (np.arange(forms.n) + 0.5) / forms.n)
    curve = {}
    for ratio in ratios if correct is None else ():
        kinds = np.full(forms.n, TEXT)
        kinds[order[: round(ratio * forms.n)]] = IMAGE
        curve[f"_{round(100 * ratio)}pct_{several(pair.image.modality)}"] = kinds
    if correct is None and scales is None:
        scales = forms.scales()
    no_scale = scales is not None and refused(scales)
    names = {"image": pair.image.modality, "text": pair.text.modality, "fused": "fused"}
    scores: dict[str, Scores] = {}
    relevant = forms.relevant
    for asks, queries in forms.queries.items():
        own = (forms, asks, relevant[asks])
        change = None if correct is None else correct(asks, forms.documents)
        main = {"": Index(*own, stored, first=k, changes=change)}
        if scales is not None and not no_scale:
            main["_zscore"] = Index(*own, stored, first=k, changes=standardized(scales[asks]))
        others = {end: Index(*own, kinds) for end, kinds in curve.items()}
        lists = None
        if correct is None and np.isin(main[""].form, stored).all():
            lists = Lists(*own, stored)  # else a document would be alone in its list
        every = [*main.values(), *others.values(), *([] if lists is None else [lists])]
        forms.search(asks, queries, every)
        found: dict[str, Floats] = {}
        for end, index in main.items():
            found |= _numbers(index.listed, k, end, names)
        if lists is not None:
            found[f"ndcg{k}_rrf"] = lists.ndcg(k)
            found |= _by_form(lists.shares(k), k, "_rrf", names)
        for end, index in others.items():
            found[f"ndcg{k}{end}"] = index.listed.ranks.ndcg(k)
        for name, values in found.items():
            better = "neither" if name.startswith("share") else "higher"
            scores[f"{names[asks]}_{name}"] = Scores(values, forms.clusters, better=better)
    details = {
        "stored": {
            name: int((stored == form).sum())
            for name, form in zip(names.values(), (IMAGE, TEXT, FUSED), strict=True)
        },
        "second_caption": forms.second,
    }
    if no_scale:
        details["no_zscore"] = "the scores of some form of document are all equal"
    return Outcome(scores, details)


def _numbers(found: Listed, k: int, end: str, names: Mapping[str, str]) -> dict[str, Floats]:
    """NDCG, R@1 and shares of one list, their names with ``end``."""
    numbers = {f"ndcg{k}{end}": found.ranks.ndcg(k), f"r1{end}": found.ranks.within(1)}
    return numbers if found.shares is None else numbers | _by_form(found.shares, k, end, names)


def _by_form(shares: Floats, k: int, end: str, names: Mapping[str, str]) -> dict[str, Floats]:
    return {f"share{k}_{names[form]}{end}": shares[:, number] for number, form in enumerate(names)}


def _ratios(given: Sequence[float]) -> list[float]:
    found = checks.several("ratios", given)
    for ratio in found:
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
            raise OptionError(f"ratios must be numbers from 0 to 1; got {quoted(ratio)}")
    return found


def _shares(given: Sequence[float]) -> Floats:
    found = checks.several("shares", given)
    numbers = all(
        isinstance(each, int | float) and not isinstance(each, bool) and 0 <= each <= 1e9
        for each in found
    )
    if not numbers or len(found) != 3 or not sum(found) > 0:
        raise OptionError(
            f"shares must be three numbers, of images, texts and fused documents; got"
            f" {quoted(given)}"
        )
    shares: Floats = np.asarray(found, np.float64) / sum(found)
    return shares


mixed = Task(CARD, _mixed)
