"""Mixed search: one index of images, texts and documents of both; does the right one come first?

Each item i is stored once, as its image, its text, or the two fused (their mean, a unit row again),
drawn by ``shares``. Query q asks for item q and nothing else. A document that holds the query
itself would be found for nothing, so item q is stored for query q in a form that does not: as text
for image queries, as image for text queries, unless images have a second caption, which then
stands in the text and fused forms. All other items stay as drawn. Numbers: NDCG@10 (the ideal is
over all documents, not over those retrieved) and R@1, by text and by image queries (and by both
fused, with two captions), at 1:1:1 and over the ratios from all texts to all images; and split and
merge, where each form is searched alone and lists merge by reciprocal rank (Cormack et al. 2009).
Source: MixBench (arXiv 2507.19054), whose public code takes the ideal from the retrieved only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap import checks
from modalgap.embeddings import Pair
from modalgap.errors import OptionError, quoted
from modalgap.evaluate.base import Floats, Ints, Outcome, Scores, Task, TaskCard
from modalgap.evaluate.ranks import TIE
from modalgap.linalg import blocks
from modalgap.modality import several
from modalgap.progress import progress

IMAGE, TEXT, FUSED = 0, 1, 2
RATIOS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

CARD = TaskCard(
    name="mixed",
    title="Mixed-modality search",
    question="In one index of images and texts, does the right item come first whatever it is?",
    idea="NDCG@10 of queries for one item among images, texts and fused documents.",
    source="MixBench, arXiv 2507.19054",
    needs="pairs",
    main=("{1}_ndcg10", "{0}_ndcg10"),
)


def _mixed(
    pair: Pair,
    *,
    shares: Sequence[float] = (1, 1, 1),
    ratios: Sequence[float] = RATIOS,
    k: int = 10,
    cap: int = 10_000,
    seed: int = 0,
) -> Outcome:
    """Options.

    ``shares``: of images, texts and fused documents. ``ratios``: shares of images in indexes of
    images and texts, for the curve. ``k``: NDCG is of the first k. ``cap``: items. ``seed``: of who
    is stored as what.
    """
    parts = _shares(shares)
    checks.distinct("ratios", [f"{100 * ratio:.0f}" for ratio in _ratios(ratios)])
    ratios = _ratios(ratios)
    checks.whole("k", k, 1)
    checks.whole("cap", cap, 2)
    checks.whole("seed", seed, 0)
    checks.needs(pair.labels is None, "class prompts are no documents: it needs captions")
    forms = _Forms.of(pair, checks.sample(pair.image.n, cap, seed))
    random = np.random.default_rng(seed)
    order = random.permutation(forms.n)
    stored = np.empty(forms.n, np.int64)
    stored[order] = np.searchsorted(np.cumsum(parts), (np.arange(forms.n) + 0.5) / forms.n)
    scores: dict[str, Scores] = {}
    first, second = pair.image.modality, pair.text.modality
    for name, queries, own in forms.asking(first, second):
        found = forms.ranked(queries, own, stored, name)
        scores[f"{name}_ndcg{k}"] = Scores(_gain(found, k), np.arange(forms.n))
        scores[f"{name}_r1"] = Scores((found <= 1).astype(np.float64), np.arange(forms.n))
        if np.isin(forms.own_form(stored, own), stored).all():  # nobody is alone in a list
            merged = forms.merged(queries, own, stored)
            scores[f"{name}_ndcg{k}_rrf"] = Scores(_gain(merged, k), np.arange(forms.n))
        for ratio in ratios:
            kinds = np.full(forms.n, TEXT)
            kinds[order[: round(ratio * forms.n)]] = IMAGE
            at = forms.ranked(queries, own, kinds, f"{name}, {ratio:.0%} {several(first)}")
            key = f"{name}_ndcg{k}_{round(100 * ratio)}pct_{several(first)}"
            scores[key] = Scores(_gain(at, k), np.arange(forms.n))
    return Outcome(
        scores,
        {
            "stored": {
                name: int((stored == form).sum())
                for name, form in ((first, IMAGE), (second, TEXT), ("fused", FUSED))
            },
            "second_caption": forms.second,
        },
    )


class _Forms:
    """Every item in every form: image, text to store, text to ask with.

    Args:
        image, text, ask: (n, d) unit rows.
        second: whether the text that is stored is another than the one that asks.
    """

    def __init__(self, image: Tensor, text: Tensor, ask: Tensor, *, second: bool) -> None:
        self.n, self.second = len(image), second
        self.ask = ask
        self.documents = torch.stack([image, text, fuse(image, text)])

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
        ask = torch.from_numpy(texts[first[kept]])
        stored = torch.from_numpy(texts[first[kept] + int(several)])
        image = pair.image.take(chosen[torch.from_numpy(kept)])
        asking = pair.text.take(ask)
        return cls(image, pair.text.take(stored) if several else asking, asking, second=several)

    def asking(self, first: str, second: str) -> list[tuple[str, Tensor, tuple[int, ...]]]:
        """Name, queries (n, d), and the forms in which item q may be stored for query q."""
        image = self.documents[IMAGE]
        any_form = (IMAGE, TEXT, FUSED)
        found: list[tuple[str, Tensor, tuple[int, ...]]] = [
            (second, self.ask, any_form if self.second else (IMAGE,)),
            (first, image, (TEXT,)),
        ]
        if self.second:
            found.append(("fused", fuse(image, self.ask), (TEXT,)))
        return found

    def own_form(self, stored: Ints, allowed: tuple[int, ...]) -> Ints:
        """(n,) the form of item q for query q."""
        return np.where(np.isin(stored, allowed), stored, allowed[0])

    def gallery(self, stored: Ints) -> Tensor:
        """(n, d) the items as they are stored."""
        return self.documents[torch.from_numpy(stored), torch.arange(self.n)]

    def ranked(self, queries: Tensor, allowed: tuple[int, ...], stored: Ints, what: str) -> Ints:
        """(n,) rank of item q for query q."""
        above, _ = self._above(queries, allowed, stored, what, split=False)
        return above + 1

    def merged(self, queries: Tensor, allowed: tuple[int, ...], stored: Ints) -> Floats:
        """The same when each form is searched alone and lists merge by 1 / (60 + rank).

        Of the documents of one rank in their lists half, on average, come first.
        """
        _, above = self._above(queries, allowed, stored, "split and merge", split=True)
        own = self.own_form(stored, allowed)
        rank = np.take_along_axis(above, own[:, None], 1)[:, 0] + 1.0  # in its own list
        found: Floats = rank.astype(np.float64)
        for form in (IMAGE, TEXT, FUSED):
            size = (stored == form).sum() - (stored == form)  # without item q
            other = own != form
            before = np.minimum(size, rank - 1) + 0.5 * (size >= rank)
            found[other] += before[other]
        return found

    def _above(
        self, queries: Tensor, allowed: tuple[int, ...], stored: Ints, what: str, *, split: bool
    ) -> tuple[Ints, Ints]:
        """How many documents score at least as high as item q: of all (n,), of each form (n, 3)."""
        gallery = self.gallery(stored)
        own = self.gallery(self.own_form(stored, allowed))
        every = np.zeros(self.n, np.int64)
        of_form = np.zeros((self.n, 3), np.int64)
        masks = [torch.from_numpy(stored == form).float() for form in (IMAGE, TEXT, FUSED)]
        with progress(f"mixed search, {what}", self.n) as advance:
            for a, b in blocks(self.n, self.n):
                scores = queries[a:b] @ gallery.T
                limit = (queries[a:b] * own[a:b]).sum(1)
                scores[torch.arange(b - a), torch.arange(a, b)] = -torch.inf
                higher = torch.ge(scores, limit[:, None] - TIE).float()
                every[a:b] = higher.sum(1).long().numpy()
                if split:
                    for form, mask in enumerate(masks):
                        of_form[a:b, form] = (higher @ mask).long().numpy()
                advance(b - a)
        return every, of_form


def fuse(image: Tensor, text: Tensor) -> Tensor:
    """Unit rows half way between."""
    return torch.nn.functional.normalize(image + text, dim=1)


def _gain(ranked: NDArray[np.float64] | Ints, k: int) -> Floats:
    """NDCG@k of one relevant document at these ranks; its ideal is 1."""
    found: Floats = np.where(ranked <= k, 1 / np.log2(ranked + 1.0), 0.0)
    return found


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
