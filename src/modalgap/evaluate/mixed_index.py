"""The index of mixed search: every item in every form, and the lists that queries produce."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modalgap import checks
from modalgap.embeddings import Pair
from modalgap.embeddings.cosine_moments import (
    SMALLEST,
    cosine_moments,
    fuse,
    mean_and_covariance,
)
from modalgap.evaluate.base import Floats, Ints
from modalgap.evaluate.merging import merged_ndcg, merged_shares
from modalgap.evaluate.ranks import Ranks, Relevant, block_ranks
from modalgap.evaluate.shares import form_shares
from modalgap.linalg import blocks
from modalgap.progress import progress

IMAGE, TEXT, FUSED = 0, 1, 2
FORMS = (IMAGE, TEXT, FUSED)

Scale = tuple[float, float]  # mean and standard deviation of the scores of one form
Change = Callable[[Tensor], Tensor]


class Forms:
    """Every item in every form: image, text to store, text to ask with.

    Args:
        pair: where the items come from.
        image, text, ask: (n,) rows of the image, of the text that is stored, and of the text that
            asks.
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
    def of(cls, pair: Pair, chosen: Tensor | None = None) -> Forms:
        """The items of a pair: of all its images, or of those in ``chosen``."""
        rows = np.arange(pair.image.n) if chosen is None else chosen.numpy()
        images, texts = (index.numpy() for index in pair.matches)
        order = np.lexsort((texts, images))
        images, texts = images[order], texts[order]
        first = np.searchsorted(images, rows, "left")
        last = np.searchsorted(images, rows, "right")
        kept = np.flatnonzero(last > first)
        several = bool((last - first >= 2)[kept].all())
        checks.needs(len(kept) >= 2, "fewer than two images have a caption")
        ask = texts[first[kept]]
        return cls(pair, rows[kept], texts[first[kept] + int(several)], ask)

    @property
    def queries(self) -> dict[str, Tensor]:
        """Rows (n, d) of each kind of query: "text", "image" and, with two captions, "fused"."""
        image = self.documents[IMAGE]
        found = {"text": self.asking_rows, "image": image}
        if self.second:
            found["fused"] = fuse(image, self.asking_rows)
        return found

    @property
    def relevant(self) -> dict[str, Relevant]:
        """The items that are right for each query of a kind."""
        images, texts = (index.numpy() for index in self.pair.matches)
        here = np.isin(images, self.image)
        images, texts = images[here], texts[here]
        position = np.empty(self.pair.image.n, np.int64)
        position[self.image] = np.arange(self.n)
        same = Relevant.same_class(self.ask, texts, itself=False)
        by_text = Relevant.of(same.queries, position[images[same.items]], self.n)
        same = Relevant.same_class(self.image, images, itself=False)
        of_text = Relevant.same_class(texts[same.items], self.text, itself=False)
        by_image = Relevant.of(same.queries[of_text.queries], of_text.items, self.n)
        found = {"text": by_text, "image": by_image}
        if self.second:
            both = [(each.queries, each.items) for each in (by_text, by_image)]
            queries, items = np.unique(np.concatenate(both, 1), axis=1)
            found["fused"] = Relevant.of(queries, items, self.n)
        return found

    def scales(self) -> dict[str, list[Scale]]:
        """Mean and standard deviation of the scores of each kind of query in each form."""
        documents = [mean_and_covariance([rows]) for rows in self.documents]
        own = {"image": documents[IMAGE]} if self.second else dict(
            zip(("image", "text"), documents, strict=False)
        )  # fmt: skip
        found = {}
        for name, rows in self.queries.items():
            asking = own[name] if name in own else mean_and_covariance([rows])
            found[name] = [cosine_moments(asking, each) for each in documents]
        return found

    def form_of(self, name: str, relevant: Relevant, stored: Ints) -> Ints:
        """(k,) the form of each right item: as drawn, unless this holds the query itself."""
        queries, items = relevant.queries, relevant.items
        drawn = stored[items]
        same_text = self.text[items] == self.ask[queries]
        text_holds = (drawn != IMAGE) & same_text & (name != "image")
        image_holds = (drawn != TEXT) & (items == queries) & (name != "text")
        other = np.where(same_text & (name != "image"), IMAGE, TEXT)
        found: Ints = np.where(text_holds | image_holds, other, drawn)
        return found

    def search(self, name: str, queries: Tensor, indexes: Sequence[Index]) -> None:
        """Ask every index; scores of a query and an item in one form are made once for all."""
        with progress(f"mixed search, {name}", self.n) as advance:
            for a, b in blocks(self.n, 4 * self.n):
                every = torch.stack([queries[a:b] @ rows.T for rows in self.documents])
                for index in indexes:
                    index.add(every, a, b)
                advance(b - a)


@dataclass(frozen=True, eq=False)
class Listed:
    """What an index finds: ranks of the right items, and the fractions of the first results.

    Attributes:
        ranks: ranks of the right items in the whole index.
        shares: (n, 3) fraction of the first k by form, the right items left out; None if it was
            not asked for.
    """

    ranks: Ranks
    shares: Floats | None


class Index:
    """The items as they are stored, and where the right ones rank.

    Args:
        forms: the items.
        name: what asks: "text", "image" or "fused".
        relevant: the items that are right for each query.
        stored: (n,) the form of each item.
        first: number of first results whose forms are counted; 0 counts none.
        changes: a function of the scores (b, n) of each form, to correct them.

    Attributes:
        form: (k,) the form of each right item: as stored, unless that holds the query itself.
    """

    def __init__(
        self,
        forms: Forms,
        name: str,
        relevant: Relevant,
        stored: Ints,
        *,
        first: int = 0,
        changes: Sequence[Change] | None = None,
    ) -> None:
        self.n, self.relevant, self.stored = forms.n, relevant, stored
        self.form = forms.form_of(name, relevant, stored)
        self._first, self._changes = first, changes
        self._columns = torch.from_numpy(stored)
        self._queries, self._form = relevant.queries, torch.from_numpy(self.form)
        self._ranks: list[Ints] = []
        self._shares: list[Floats] = []

    def add(self, every: Tensor, a: int, b: int) -> None:
        """Take the scores (3, b - a, n) of queries a … b and the items in each form."""
        scores = self._scores(every, a, b)
        self._ranks.append(block_ranks(scores, self.relevant, None, a, b))
        if self._first:
            rows, items, _ = self._right(a, b)
            scores[rows, items] = -torch.inf
            self._shares.append(form_shares(scores, self._columns, len(FORMS), self._first))

    @property
    def listed(self) -> Listed:
        """What was found, once every query has been added."""
        ranks = Ranks(np.arange(self.n), self.relevant.starts, np.concatenate(self._ranks))
        return Listed(ranks, np.concatenate(self._shares) if self._first else None)

    def _scores(self, every: Tensor, a: int, b: int) -> Tensor:
        """(b - a, n) scores of each item in its form."""
        if self._changes is not None:
            pairs = zip(every, self._changes, strict=True)
            every = torch.stack([change(scores) for scores, change in pairs])
        scores = every.gather(0, self._columns[None, None].expand(1, b - a, -1))[0]
        rows, items, form = self._right(a, b)
        scores[rows, items] = every[form, rows, items]
        return scores

    def _right(self, a: int, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, items and forms of what is right for queries a … b."""
        part = slice(self.relevant.starts[a], self.relevant.starts[b])
        rows = torch.from_numpy(self._queries[part] - a)
        return rows, torch.from_numpy(self.relevant.items[part]), self._form[part]


class Lists(Index):
    """The same with a list for each form; see ``modalgap.evaluate.merging``."""

    def __init__(self, forms: Forms, name: str, relevant: Relevant, stored: Ints) -> None:
        super().__init__(forms, name, relevant, stored)
        self._parts = [relevant.where(self.form == form) for form in FORMS]
        self._listed: list[list[Ints]] = [[] for _ in FORMS]

    def add(self, every: Tensor, a: int, b: int) -> None:
        """Rank within each list."""
        rows, items, form = self._right(a, b)
        for each, part in enumerate(self._parts):
            scores = every[each].masked_fill(torch.from_numpy(self.stored != each), -torch.inf)
            right = torch.where(form == each, every[each, rows, items], -torch.inf)
            scores[rows, items] = right
            self._listed[each].append(block_ranks(scores, part, None, a, b))

    def ndcg(self, k: int) -> Floats:
        """(n,) NDCG@k of the merged list."""
        ranks = [np.concatenate(each) for each in self._listed]
        sizes = [left + part.counts for left, part in zip(self._left, self._parts, strict=True)]
        return merged_ndcg(self._parts, ranks, sizes, self.relevant.counts, k)

    def shares(self, k: int) -> Floats:
        """(n, 3) fraction of the first k by form, the right items left out."""
        return merged_shares(self._left, k)

    @property
    def _left(self) -> list[Ints]:
        """(n,) documents of each list without the right ones, for each query."""
        found = []
        for each in FORMS:
            moved = self._queries[self.stored[self.relevant.items] == each]
            found.append((self.stored == each).sum() - np.bincount(moved, minlength=self.n))
        return found


def standardized(scales: Sequence[Scale]) -> list[Change]:
    """Functions that standardise the scores of each form: (s − μ) / σ, in units of the smallest σ.

    One common factor changes no ranking; with it, rounding errors stay as small as those of
    cosines.
    """
    smallest = min(deviation for _, deviation in scales)

    def change(mean: float, deviation: float) -> Change:
        return lambda scores: (scores - mean) * (smallest / deviation)

    return [change(*scale) for scale in scales]


def refused(scales: Mapping[str, Sequence[Scale]]) -> bool:
    """Whether the scores of some form do not vary, so that they have no scale."""
    return any(deviation < SMALLEST for each in scales.values() for _, deviation in each)
