"""Frame: every number that the page shows at one step. Nothing is drawn here.

The key numbers are values of ``modalgap.measure``, ``modalgap.evaluate`` and ``modalgap.search`` of
the shown rows after the step; ranks and neighbours follow the same order of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from modalgap.close.scores import ScoreScaler
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.evaluate.ranks import ranks
from modalgap.explore.keys import Key, keys
from modalgap.explore.maps import Map
from modalgap.explore.scene import Scene
from modalgap.explore.steps import STANDARDISED, Step, closed
from modalgap.linalg import blocks
from modalgap.views import Cosines, cosines

NEAREST = 6  # neighbours of an item in each modality, and items of its mixed list
HUBS = 10  # an item is counted when it is among so many nearest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Near:
    """The nearest items of one modality for each query; a query itself is left out.

    Attributes:
        items: (n, k) rows, nearest first.
        cosines: (n, k) their cosines.
    """

    items: Ints
    cosines: Floats


@dataclass(frozen=True, eq=False)
class Frame:
    """The page at one step.

    Attributes:
        step: closer and strength.
        points: name of a map to the coordinates (n, 2) of each modality.
        keys: the key numbers, with intervals.
        cosines: histograms of cosines; None if they are not defined.
        near: places of two modalities (query, item) to the nearest items.
        ranks: places of two modalities to the rank (n,) of the nearest match of each query; 0:
            none.
        matched: places of two modalities to the cosine (n,) of the nearest match; nan: none.
        mixed: for each modality, the modality (n, k) of each result of the mixed list. The j-th
            result of a modality is the j-th item of ``near``.
        typical: for each modality, the cosine (n,) of each item to the mean of its modality.
        hubs: for each modality, how often each item (n,) is among the ten nearest of a query of
            another modality, or of its own if there is only one.
    """

    step: Step
    points: dict[str, list[Floats]]
    keys: list[Key]
    cosines: Cosines | None
    near: dict[tuple[int, int], Near]
    ranks: dict[tuple[int, int], Ints] = field(default_factory=dict)
    matched: dict[tuple[int, int], Floats] = field(default_factory=dict)
    mixed: list[Ints] = field(default_factory=list)
    typical: list[Floats] = field(default_factory=list)
    hubs: list[Ints] = field(default_factory=list)


def frame(scene: Scene, maps: Sequence[Map], step: Step, seed: int = 0) -> Frame:
    """Compute one step.

    Args:
        scene: what is shown.
        maps: the projections.
        step: closer and strength.
        seed: of the bootstrap and of samples.

    Raises:
        OptionError: a step that the page does not offer.
        NotApplicable: the closer does not apply to these rows.
    """
    data = closed(scene, step)
    sides = (data,) if isinstance(data, Embeddings) else data.sides
    rows = [side.unit() for side in sides]
    near, hubs = _neighbours(rows)
    found: dict[tuple[int, int], Ints] = {}
    matched: dict[tuple[int, int], Floats] = {}
    for (a, b), relevant in scene.matches.items():
        ranked = ranks(rows[a], rows[b], relevant)
        first = np.zeros(len(rows[a]), np.int64)
        first[ranked.queries] = ranked.first
        found[a, b] = first
        own = np.full(len(rows[a]), np.nan)
        asked, items = (torch.from_numpy(each) for each in (relevant.queries, relevant.items))
        every = (rows[a][asked] * rows[b][items]).sum(1).double().numpy()
        if len(every):
            own[ranked.queries] = np.maximum.reduceat(every, relevant.starts[ranked.queries])
        matched[a, b] = own
    return Frame(
        step=step,
        points={each.name: [each(side).numpy() for side in rows] for each in maps},
        keys=keys(data, seed, standardised=step.closer == STANDARDISED),
        cosines=_cosines(data, seed),
        near=near,
        ranks=found,
        matched=matched,
        mixed=_mixed(sides, near, standardised=step.closer == STANDARDISED),
        typical=[_to_mean(side) for side in rows],
        hubs=hubs,
    )


def _to_mean(rows: Tensor) -> Floats:
    """(n,) cosine of each row to the mean of all rows."""
    found: Floats = (rows.double() @ normalize(rows.double().mean(0), dim=0)).numpy()
    return found


def _cosines(data: Pair | Embeddings | Modalities, seed: int) -> Cosines | None:
    """Histograms; three or more modalities have none."""
    return None if isinstance(data, Modalities) else cosines(data, seed)


def _neighbours(rows: Sequence[Tensor]) -> tuple[dict[tuple[int, int], Near], list[Ints]]:
    """The nearest items of each modality for each query, and how often each item is one."""
    near = {}
    hubs = [np.zeros(len(side), np.int64) for side in rows]
    for a, queries in enumerate(rows):
        for b, gallery in enumerate(rows):
            size = min(HUBS, len(gallery) - (a == b))
            items = np.empty((len(queries), size), np.int64)
            cosine = np.empty((len(queries), size))
            for low, high in blocks(len(queries), len(gallery)):
                block = queries[low:high] @ gallery.T
                if a == b:
                    block[torch.arange(high - low), torch.arange(low, high)] = -torch.inf
                top = block.topk(size, dim=1)
                items[low:high], cosine[low:high] = top.indices.numpy(), top.values.numpy()
            near[a, b] = Near(items[:, :NEAREST], cosine[:, :NEAREST])
            if a != b or len(rows) == 1:
                hubs[b] += np.bincount(items.reshape(-1), minlength=len(gallery))
    return near, hubs


def _mixed(
    sides: Sequence[Embeddings], near: dict[tuple[int, int], Near], *, standardised: bool
) -> list[Ints]:
    """For each modality, the modality (n, k) of each result of one list of all modalities."""
    found = []
    for a, side in enumerate(sides):
        scores = [near[a, b].cosines for b in range(len(sides))]
        if standardised:
            for b, (mean, deviation) in enumerate(scales(side, sides)):
                scores[b] = (scores[b] - mean) / deviation
        owner = np.concatenate([np.full(each.shape, b) for b, each in enumerate(scores)], 1)
        order = np.argsort(-np.concatenate(scores, 1), axis=1, kind="stable")[:, :NEAREST]
        found.append(np.take_along_axis(owner, order, 1))
    return found


def scales(queries: Embeddings, sides: Sequence[Embeddings]) -> list[tuple[float, float]]:
    """Mean and deviation of the scores of each modality, as ``modalgap.search`` standardises.

    Raises:
        NotApplicable: the scores of one do not vary.
    """
    names = [f"document {side.modality}" for side in sides]
    made = ScoreScaler.fit({"query": queries, **dict(zip(names, sides, strict=True))})
    return [made.scale("query", name) for name in names]
