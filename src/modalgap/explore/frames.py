"""Frame: every number that the page shows at one step. Nothing is drawn here.

The key numbers are values of ``modalgap.measure``, ``modalgap.evaluate`` and ``modalgap.search`` of
the shown rows after the step; ranks and neighbours follow the same order of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from modalgap.close.scores import ScoreScaler
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.evaluate.base import Floats, Ints
from modalgap.evaluate.ranking import ranks
from modalgap.explore.keys import Key, keys
from modalgap.explore.maps import Map, Points, points
from modalgap.explore.scene import Scene
from modalgap.explore.steps import STANDARDISED, Step, closed
from modalgap.measure.neighbours import first
from modalgap.views import Cosines, cosines

NEAREST = 6  # neighbours of an item in each modality, and items of its mixed list
HUBS = 10  # nearest items of each query that count for hubs


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
    points: Points
    keys: list[Key]
    cosines: Cosines | None
    near: dict[tuple[int, int], Near]
    ranks: dict[tuple[int, int], Ints]
    matched: dict[tuple[int, int], Floats]
    mixed: list[Ints]
    typical: list[Floats]
    hubs: list[Ints]


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
    sides = data.sides
    rows = [side.unit() for side in sides]
    near, hubs = _neighbours(rows)
    return Frame(
        step=step,
        points=points(maps, rows),
        keys=keys(data, seed, standardised=step.closer == STANDARDISED),
        cosines=_cosines(data, seed),
        near=near,
        ranks=match_ranks(scene, rows),
        matched=_match_cosines(scene, rows),
        mixed=_mixed(sides, near, standardised=step.closer == STANDARDISED),
        typical=[_to_mean(side) for side in rows],
        hubs=hubs,
    )


def match_ranks(scene: Scene, rows: Sequence[Tensor]) -> dict[tuple[int, int], Ints]:
    """Places of two modalities to the rank (n,) of the nearest match of each query; 0: none."""
    found = {}
    for (a, b), relevant in scene.matches.items():
        ranked = ranks(rows[a], rows[b], relevant)
        found[a, b] = np.zeros(len(rows[a]), np.int64)
        found[a, b][ranked.queries] = ranked.first
    return found


def _match_cosines(scene: Scene, rows: Sequence[Tensor]) -> dict[tuple[int, int], Floats]:
    """Places of two modalities to the cosine (n,) of the nearest match; nan: none."""
    found = {}
    for (a, b), relevant in scene.matches.items():
        asked, items = (torch.from_numpy(each) for each in (relevant.queries, relevant.items))
        every = (rows[a][asked] * rows[b][items]).sum(1).double().numpy()
        some = np.flatnonzero(relevant.counts)
        found[a, b] = np.full(len(rows[a]), np.nan)
        found[a, b][some] = np.maximum.reduceat(every, relevant.starts[some])
    return found


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
            items, cosine = first(queries, gallery, min(HUBS, len(gallery) - (a == b)))
            near[a, b] = Near(items[:, :NEAREST].numpy(), cosine[:, :NEAREST].double().numpy())
            if a != b or len(rows) == 1:
                hubs[b] += np.bincount(items.reshape(-1).numpy(), minlength=len(gallery))
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
