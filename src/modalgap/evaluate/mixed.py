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
to only images; and split-and-merge, where each form is searched separately and the lists are merged
by reciprocal rank fusion (Cormack et al. 2009).
Source: MixBench (arXiv 2507.19054), whose public code computes the ideal from retrieved documents.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.embeddings import Pair
from modalgap.errors import OptionError, quoted
from modalgap.evaluate.base import Floats, Ints, Outcome, Scores, Task
from modalgap.evaluate.ranks import Ranks, Relevant, block_ranks
from modalgap.linalg import blocks
from modalgap.modality import several
from modalgap.progress import progress

IMAGE, TEXT, FUSED = 0, 1, 2
RATIOS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

CARD = Card(
    name="mixed",
    title="Mixed-modality search",
    question="In one index of images and texts, is the relevant item found whatever its modality?",
    idea="NDCG@10 of queries for one item among images, texts and fused documents.",
    source="MixBench, arXiv 2507.19054",
    needs=("pairs",),
    main=("{1}_ndcg10", "{0}_ndcg10"),
)


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
    indexes of images and texts, for the curve. ``k``: number of results for NDCG. ``max_rows``:
    largest number of items. ``seed``: for drawing the form in which each item is stored.
    """
    parts = _shares(shares)
    checks.distinct("ratios", [f"{100 * ratio:.0f}" for ratio in _ratios(ratios)])
    ratios = _ratios(ratios)
    checks.whole("k", k, 1)
    checks.whole("max_rows", max_rows, 2)
    checks.whole("seed", seed, 0)
    checks.needs(pair.labels is None, "class prompts are not documents: it needs captions")
    forms = _Forms.of(pair, checks.sample(pair.image.n, max_rows, seed))
    random = np.random.default_rng(seed)
    order = random.permutation(forms.n)
    stored = np.empty(forms.n, np.int64)
    stored[order] = np.searchsorted(np.cumsum(parts), (np.arange(forms.n) + 0.5) / forms.n)
    drawn = {"": stored}
    for ratio in ratios:
        kinds = np.full(forms.n, TEXT)
        kinds[order[: round(ratio * forms.n)]] = IMAGE
        drawn[f"_{round(100 * ratio)}pct_{several(pair.image.modality)}"] = kinds
    scores: dict[str, Scores] = {}
    names = {"image": pair.image.modality, "text": pair.text.modality, "fused": "fused"}
    for asks, queries, relevant in forms.asking():
        name = names[asks]
        indexes = {end: _Index(forms, asks, relevant, kinds) for end, kinds in drawn.items()}
        lists = None
        if np.isin(indexes[""].form, stored).all():  # every list has at least two items
            lists = _Lists(forms, asks, relevant, stored)
        every = [*indexes.values()] if lists is None else [*indexes.values(), lists]
        forms.search(name, queries, every)
        found = {end: index.ranks() for end, index in indexes.items()}
        scores[f"{name}_ndcg{k}"] = Scores(found[""].ndcg(k), forms.clusters)
        scores[f"{name}_r1"] = Scores(found.pop("").within(1), forms.clusters)
        if lists is not None:
            scores[f"{name}_ndcg{k}_rrf"] = Scores(lists.ndcg(k), forms.clusters)
        for end, ranked in found.items():
            scores[f"{name}_ndcg{k}{end}"] = Scores(ranked.ndcg(k), forms.clusters)
    return Outcome(
        scores,
        {
            "stored": {
                name: int((stored == form).sum())
                for name, form in zip(names.values(), (IMAGE, TEXT, FUSED), strict=True)
            },
            "second_caption": forms.second,
        },
    )


class _Forms:
    """Every item in every form: image, stored text, query text.

    Args:
        pair: the pair that contains the items.
        image, text, ask: (n,) rows of the image, of the stored text, and of the query text.
    """

    def __init__(self, pair: Pair, image: Ints, text: Ints, ask: Ints) -> None:
        self.pair, self.image, self.text, self.ask = pair, image, text, ask
        self.n, self.second = len(image), not np.array_equal(text, ask)
        rows = pair.image.take(torch.from_numpy(image))
        asking = pair.text.take(torch.from_numpy(ask))
        texts = pair.text.take(torch.from_numpy(text)) if self.second else asking
        self.asking_rows = asking
        self.documents = torch.stack([rows, texts, fuse(rows, texts)])
        self.clusters = pair.clusters[0][image]

    @classmethod
    def of(cls, pair: Pair, chosen: Tensor) -> _Forms:
        images, texts = (index.numpy() for index in pair.matches)
        order = np.lexsort((texts, images))
        images, texts = images[order], texts[order]
        first = np.searchsorted(images, chosen.numpy(), "left")
        last = np.searchsorted(images, chosen.numpy(), "right")
        kept = np.flatnonzero(last > first)
        several = bool((last - first >= 2)[kept].all())
        checks.needs(len(kept) >= 2, "fewer than two images have a caption")
        ask = texts[first[kept]]
        return cls(pair, chosen.numpy()[kept], texts[first[kept] + int(several)], ask)

    def asking(self) -> list[tuple[str, Tensor, Relevant]]:
        """Name, queries (n, d), and the relevant items of each."""
        image = self.documents[IMAGE]
        images, texts = (index.numpy() for index in self.pair.matches)
        here = np.isin(images, self.image)
        images, texts = images[here], texts[here]
        position = np.empty(self.pair.image.n, np.int64)
        position[self.image] = np.arange(self.n)
        found = Relevant.same_class(self.ask, texts, itself=False)
        by_text = Relevant.of(found.queries, position[images[found.items]], self.n)
        found = Relevant.same_class(self.image, images, itself=False)
        of_text = Relevant.same_class(texts[found.items], self.text, itself=False)
        by_image = Relevant.of(found.queries[of_text.queries], of_text.items, self.n)
        asking = [("text", self.asking_rows, by_text), ("image", image, by_image)]
        if self.second:
            both = [(each.queries, each.items) for each in (by_text, by_image)]
            queries, items = np.unique(np.concatenate(both, 1), axis=1)
            fused = Relevant.of(queries, items, self.n)
            asking.append(("fused", fuse(image, self.asking_rows), fused))
        return asking

    def form_of(self, name: str, relevant: Relevant, stored: Ints) -> Ints:
        """(k,) the form of each relevant item: as drawn, unless this contains the query itself."""
        queries, items = relevant.queries, relevant.items
        drawn = stored[items]
        same_text = self.text[items] == self.ask[queries]
        text_holds = (drawn != IMAGE) & same_text & (name != "image")
        image_holds = (drawn != TEXT) & (items == queries) & (name != "text")
        other = np.where(same_text & (name != "image"), IMAGE, TEXT)
        result: Ints = np.where(text_holds | image_holds, other, drawn)
        return result

    def search(self, name: str, queries: Tensor, indexes: Sequence[_Index]) -> None:
        """Search every index; the scores for each form are computed once and shared by all."""
        with progress(f"mixed search, {name}", self.n) as advance:
            for a, b in blocks(self.n, 4 * self.n):
                every = torch.stack([queries[a:b] @ rows.T for rows in self.documents])
                for index in indexes:
                    index.add(every, a, b)
                advance(b - a)


class _Index:
    """The items as they are stored, and the ranks of the relevant ones.

    Args:
        forms: the items.
        name: the kind of query: "text", "image" or "fused".
        relevant: the relevant items of each query.
        stored: (n,) the form of each item.

    Attributes:
        form: (k,) the form of each relevant item: as stored, unless that contains the query itself.
    """

    def __init__(self, forms: _Forms, name: str, relevant: Relevant, stored: Ints) -> None:
        self.n, self.relevant, self.stored = forms.n, relevant, stored
        self.form = forms.form_of(name, relevant, stored)
        self._columns = torch.from_numpy(stored)[None, None]
        self._queries, self._form = relevant.queries, torch.from_numpy(self.form)
        self._found: list[Ints] = []

    def add(self, every: Tensor, a: int, b: int) -> None:
        """Take the scores (3, b - a, n) of queries a … b and the items in each form."""
        self._found.append(block_ranks(self._scores(every, a, b), self.relevant, None, a, b))

    def ranks(self) -> Ranks:
        """Ranks of the relevant items in the whole index."""
        return Ranks(np.arange(self.n), self.relevant.starts, np.concatenate(self._found))

    def _scores(self, every: Tensor, a: int, b: int) -> Tensor:
        """(b - a, n) scores of each item in its form."""
        scores = every.gather(0, self._columns.expand(1, b - a, -1))[0]
        rows, items, form = self._right(a, b)
        scores[rows, items] = every[form, rows, items]
        return scores

    def _right(self, a: int, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, items and forms of the relevant items of queries a … b."""
        part = slice(self.relevant.starts[a], self.relevant.starts[b])
        rows = torch.from_numpy(self._queries[part] - a)
        return rows, torch.from_numpy(self.relevant.items[part]), self._form[part]


class _Lists(_Index):
    """An index with one list per form; the lists are merged by 1 / (60 + rank)."""

    def __init__(self, forms: _Forms, name: str, relevant: Relevant, stored: Ints) -> None:
        super().__init__(forms, name, relevant, stored)
        self._parts = [relevant.where(self.form == form) for form in (IMAGE, TEXT, FUSED)]
        self._ranks: list[list[Ints]] = [[], [], []]

    def add(self, every: Tensor, a: int, b: int) -> None:
        """Rank within each list."""
        rows, items, form = self._right(a, b)
        for each, part in enumerate(self._parts):
            scores = every[each].masked_fill(torch.from_numpy(self.stored != each), -torch.inf)
            right = torch.where(form == each, every[each, rows, items], -torch.inf)
            scores[rows, items] = right
            self._ranks[each].append(block_ranks(scores, part, None, a, b))

    def ndcg(self, k: int) -> Floats:
        """(n,) NDCG@k of the merged list.

        Of documents with the same rank in their lists, half are counted as ranked higher.
        """
        size = []  # (n,) documents of each list, for each query
        for each, part in enumerate(self._parts):
            moved = self._queries[self.stored[self.relevant.items] == each]
            left = (self.stored == each).sum() - np.bincount(moved, minlength=self.n)
            size.append(left + part.counts)
        gain = np.zeros(self.n)
        for each, part in enumerate(self._parts):
            rank, asking = np.concatenate(self._ranks[each]).astype(np.float64), part.queries
            at = rank.copy()
            for other in {IMAGE, TEXT, FUSED} - {each}:
                there = size[other][asking]
                at += np.minimum(there, rank - 1) + 0.5 * (there >= rank)
            gain += np.bincount(asking, np.where(at <= k, 1 / np.log2(at + 1), 0.0), self.n)
        ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
        result: Floats = gain / ideal[np.minimum(self.relevant.counts, k) - 1]
        return result


def fuse(image: Tensor, text: Tensor) -> Tensor:
    """The normalised means of the rows."""
    return torch.nn.functional.normalize(image + text, dim=1)


def _ratios(values: Sequence[float]) -> list[float]:
    result = checks.several("ratios", values)
    for ratio in result:
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
            raise OptionError(f"ratios must be numbers from 0 to 1; got {quoted(ratio)}")
    return result


def _shares(values: Sequence[float]) -> Floats:
    found = checks.several("shares", values)
    numbers = all(
        isinstance(each, int | float) and not isinstance(each, bool) and 0 <= each <= 1e9
        for each in found
    )
    if not numbers or len(found) != 3 or not sum(found) > 0:
        raise OptionError(
            f"shares must be three numbers, of images, texts and fused documents; got"
            f" {quoted(values)}"
        )
    shares: Floats = np.asarray(found, np.float64) / sum(found)
    return shares


mixed = Task(CARD, _mixed)
