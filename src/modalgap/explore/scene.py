"""Scene: the modalities that a page shows, and which of their rows are shown.

A page shows all rows of small data, and a seeded sample of larger data. Everything on the page is
computed from the shown rows, so that ``modalgap.measure`` and ``modalgap.evaluate`` give the same
numbers for them; only the density behind the map is of all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np

from modalgap.checks import sample
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.embeddings.pick import pick, pick_images
from modalgap.evaluate.base import Ints
from modalgap.evaluate.ranks import Relevant

FEWEST = 2  # rows that embeddings must have


@dataclass(frozen=True, eq=False)
class Scene:
    """What one view of the page shows.

    Attributes:
        name: "image and text"; for choosing one of several views.
        whole: the data as given.
        shown: the rows that are shown; ``whole`` itself if they are all.
        rows: for each modality, the rows of ``whole`` that are shown.
    """

    name: str
    whole: Pair | Embeddings | Modalities
    shown: Pair | Embeddings | Modalities
    rows: tuple[Ints, ...]

    @classmethod
    def of(cls, data: Pair | Embeddings | Modalities, points: int, seed: int) -> Scene:
        """A view of at most ``points`` rows per modality.

        Args:
            data: the data.
            points: largest number of rows of a modality. Of captions and class prompts, images are
                drawn, and the texts that match them are shown too.
            seed: of the sample.
        """
        if isinstance(data, Embeddings):
            index = sample(data.n, points, seed).numpy()
            shown = data if len(index) == data.n else pick(data, index)
            return cls(data.modality, data, shown, (index,))
        names = [side.modality for side in data.sides]
        name = " and ".join(names) if len(names) == 2 else "all"
        whole = tuple(np.arange(side.n) for side in data.sides)
        if all(side.n <= points for side in data.sides):
            return cls(name, data, data, whole)
        if isinstance(data, Pair):
            return cls(name, data, *_of_pair(data, points, seed))
        return cls(name, data, *_of_items(data, points, seed))

    @property
    def sides(self) -> tuple[Embeddings, ...]:
        """The shown rows of each modality."""
        return self.shown.sides

    @property
    def totals(self) -> tuple[int, ...]:
        """Number of rows of each modality before the sample was drawn."""
        return tuple(side.n for side in self.whole.sides)

    @property
    def complete(self) -> bool:
        """Whether all rows are shown."""
        return self.shown is self.whole

    @cached_property
    def matches(self) -> Mapping[tuple[int, int], Relevant]:
        """Places of two modalities (query, item) to the rows that match each query."""
        found = {}
        sides = self.sides
        for a, b in permutations(range(len(sides)), 2):
            pair = self._pair(min(a, b), max(a, b))
            if pair is None:
                continue
            low, high = (each.numpy() for each in pair.matches)
            queries, items = (low, high) if a < b else (high, low)
            found[a, b] = Relevant.of(queries, items, sides[a].n)
        return found

    def _pair(self, a: int, b: int) -> Pair | None:
        """The pair of two modalities; None if they have no matches."""
        if isinstance(self.shown, Pair):
            return self.shown
        assert isinstance(self.shown, Modalities)  # noqa: S101 - one modality has no pairs
        names = list(self.shown)
        return self.shown.matched.get((names[a], names[b]))


def _of_pair(pair: Pair, points: int, seed: int) -> tuple[Pair, tuple[Ints, Ints]]:
    """A sample of images with their texts, so that neither modality has more than ``points``.

    Images without a text are left out, and all class prompts are kept. At least two images are
    shown, whatever number of texts they have.
    """
    known = np.arange(pair.image.n)
    if pair.labels is None:  # an image without a text has no place in a sample of matches
        known = np.unique(pair.matches[0].numpy())
    most = min(points, len(known))
    while True:
        chosen = known[sample(len(known), most, seed).numpy()]
        texts = _texts_of(pair, chosen)
        if pair.labels is not None or len(texts) <= points or most <= FEWEST:
            return pick_images(pair, chosen), (chosen, texts)
        most = max(FEWEST, min(most - 1, most * points // len(texts)))


def _texts_of(pair: Pair, images: Ints) -> Ints:
    """The texts that ``pick_images`` keeps."""
    if pair.labels is not None:
        return np.arange(pair.text.n)
    if pair.pairs is not None:
        return np.unique(pair.pairs[np.isin(pair.pairs[:, 0], images), 1])
    if pair.text_to_image is not None:
        return np.flatnonzero(np.isin(pair.text_to_image, images))
    return images


def _of_items(data: Modalities, points: int, seed: int) -> tuple[Modalities, tuple[Ints, ...]]:
    """A sample of the items that have all modalities."""
    tuples = data.tuples
    chosen = tuples[sample(len(tuples), points, seed).numpy()]
    rows = tuple(np.unique(chosen[:, place]) for place in range(len(data.sides)))
    sides = [pick(side, index) for side, index in zip(data.sides, rows, strict=True)]
    names = list(data)
    matches = {}
    for (a, b), pair in data.matched.items():
        own = [rows[names.index(each)] for each in (a, b)]
        low, high = (each.numpy() for each in pair.matches)
        kept = np.isin(low, own[0]) & np.isin(high, own[1])
        if kept.any():
            low, high = (np.searchsorted(o, e[kept]) for o, e in zip(own, (low, high), strict=True))
            matches[a, b] = np.stack([low, high], 1)
    return Modalities(sides, matches), rows
