"""Means over items of a number of the rows of each item, one row per modality."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from modalgap.card import Card
from modalgap.checks import needs, sample, whole
from modalgap.embeddings import Modalities
from modalgap.measure.intervals import mean_interval
from modalgap.progress import progress
from modalgap.result import Value

CHUNK = 8192  # items at once


def mean_over_items(
    data: Modalities, card: Card, number: Callable[[Tensor], Tensor], max_rows: int, seed: int
) -> Value:
    """The mean over items of a number of their Gram matrix.

    Args:
        data: k modalities.
        card: of the measure; its range cuts the interval.
        number: Gram matrices (t, k, k), float64, of unit rows to (t,).
        max_rows: largest number of items.
        seed: of their choice.

    Raises:
        NotApplicable: fewer than two items have all modalities.
    """
    whole("max_rows", max_rows, 2)
    needs(data.complete >= 2, f"fewer than two items have all of {', '.join(data)}")
    chosen = sample(data.complete, max_rows, seed)
    rows = chosen[:, None].expand(-1, len(data))
    if not data.by_row:
        rows = torch.from_numpy(data.tuples)[chosen]
    found = []
    with progress("items", len(rows)) as advance:
        for start in range(0, len(rows), CHUNK):
            index = rows[start : start + CHUNK]
            taken = [side.take(index[:, i]) for i, side in enumerate(data.sides)]
            unit = torch.stack(taken, 1).double()  # (t, k, d)
            unit = unit / unit.norm(dim=2, keepdim=True)  # float32 rows are unit to 1e-7 only
            found.append(number(unit @ unit.mT))
            advance(len(index))
    values = torch.cat(found).numpy()
    own = next(i for i, name in enumerate(data) if name not in data.fixed)
    clusters = list(data.clusters.values())[own][rows[:, own].numpy()]
    interval = mean_interval(clusters, values, card.low, card.high)
    return Value(float(values.mean()), interval, details={"items": len(rows)})
