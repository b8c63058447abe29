"""A Parquet table of all rows for tools that are made for millions of points.

Columns: ``id``, ``modality``, ``row``, ``name``, ``x`` and ``y`` (along the gap vector, and the
first component across it; the first two principal components for other data), ``x_closed`` and
``y_closed`` (after centring; empty if centring does not apply), ``match_rank``, ``neighbors`` (a
struct of ``ids`` and ``distances``, the match first), ``image`` (a struct of
``bytes``), and the factors, as ``factor_NAME``.

For example, with Embedding Atlas:
``embedding-atlas t.parquet --x x --y y --text name --image image --neighbors neighbors
--disable-projection``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modalgap import checks
from modalgap.atomic import check_target, replacing
from modalgap.data.media import Media
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import NotApplicable, OutputError
from modalgap.evaluate.base import Ints
from modalgap.explore.frames import match_ranks
from modalgap.explore.maps import Map, maps
from modalgap.explore.scene import Scene
from modalgap.explore.steps import NONE, Step, choices, closed
from modalgap.explore.thumbnails import places, tile
from modalgap.measure.neighbours import first
from modalgap.progress import progress

SAMPLE = 2000  # rows of each modality that maps and centring are fitted to
NEAREST = 8
LARGEST = 200_000  # with more rows in all, neighbours and ranks are left out
ROWS = 4096  # of one group in the file
SIDE = 64  # pixels of a thumbnail


@takes_pair
def write_table(
    data: Pair | Embeddings | Modalities,
    /,
    path: str | Path,
    *,
    media: Mapping[str, Media] | Media | None = None,
    overwrite: bool = False,
    seed: int = 0,
) -> Path:
    """Write a Parquet table of all rows; see the module for its columns.

    Args:
        data: a pair, one modality, or several.
        path: the file, which must end in .parquet.
        media: pictures, as for ``modalgap.explore.explore``.
        overwrite: replace an existing file.
        seed: of the sample to which the map is fitted.

    Returns:
        The path written. Of more than 200,000 rows in all, the file has no neighbours and no ranks.

    Raises:
        OutputError: the file exists, does not end in .parquet, or cannot be written.
    """
    import pyarrow.parquet as pq

    target = Path(path)
    if target.suffix.lower() != ".parquet":
        raise OutputError(f"{target}: must end in .parquet; found {target.suffix or 'nothing'}")
    check_target(target, overwrite=overwrite)
    checks.whole("seed", seed, 0)
    if isinstance(data, Modalities) and len(data) == 2:
        data = data.pair(*data)
    scene = Scene.of(data, max(side.n for side in data.sides), seed)  # all rows, with matches
    sample = Scene.of(data, SAMPLE, seed)
    projection = maps([side.unit() for side in sample.sides])[0]
    many = sum(scene.totals) <= LARGEST
    written: Any = None
    with replacing(target, overwrite=overwrite) as file, progress("rows", sum(scene.totals)) as up:
        for part in _parts(scene, projection, media, neighbours=many):
            if written is None:
                written = pq.ParquetWriter(file, part.schema)
            written.write_table(part)
            up(part.num_rows)
        written.close()
    return target


def _parts(
    scene: Scene,
    projection: Map,
    media: Mapping[str, Media] | Media | None,
    *,
    neighbours: bool,
) -> Iterator[Any]:
    """Groups of rows as Arrow tables of one schema."""
    import pyarrow as pa

    centring = "center" in [each.closer for each in choices(scene)]
    try:
        after = closed(scene, Step("center" if centring else NONE)).sides
    except NotApplicable:  # a row equals the mean of its modality
        after = None
    starts = np.concatenate([[0], np.cumsum([side.n for side in scene.sides])])
    columns_of = _Nearest(scene, starts) if neighbours else None
    factors = sorted({name for side in scene.sides for name in side.factors})
    pictures = media if isinstance(media, Mapping) else {scene.sides[0].modality: media}
    for a, side in enumerate(scene.sides):
        own = pictures.get(side.modality)
        where = None if own is None else places(side, scene.rows[a], own)
        for low in range(0, side.n, ROWS):
            high = min(side.n, low + ROWS)
            count = high - low
            before = side.unit(low, high)
            x, y = projection(before).T.float().numpy()
            later = None if after is None else projection(after[a].unit(low, high)).float()
            names = None if side.names is None else side.names[low:high]
            columns: dict[str, Any] = {
                "id": pa.array(np.arange(low, high) + starts[a], pa.int64()),
                "modality": pa.array([side.modality] * count, pa.string()),
                "row": pa.array(np.arange(low, high), pa.int64()),
                "name": pa.array(names, pa.string()) if names else pa.nulls(count, pa.string()),
                "x": pa.array(x, pa.float32()),
                "y": pa.array(y, pa.float32()),
            }
            for axis, name in enumerate(("x_closed", "y_closed")):
                moved: Any = [None] * count if later is None else later[:, axis].numpy()
                columns[name] = pa.array(moved, pa.float32())
            if columns_of is not None:
                columns |= columns_of(a, low, high)
            if any(each is not None for each in pictures.values()):
                columns["image"] = pa.array(
                    [_picture(own, where, row) for row in range(low, high)],
                    pa.struct([("bytes", pa.binary())]),
                )
            for name in factors:
                values = side.factors.get(name)
                columns[f"factor_{name}"] = (
                    pa.nulls(count, pa.string())
                    if values is None
                    else pa.array([str(each) for each in values[low:high]], pa.string())
                )
            yield pa.table(columns)


class _Nearest:
    """The columns of neighbours, the matches first, and of the rank of the nearest match."""

    def __init__(self, scene: Scene, starts: Ints) -> None:
        sides = [side.unit() for side in scene.sides]
        self._scene, self._starts, self._rows = scene, starts, torch.cat(sides)
        found = first(self._rows, self._rows, min(NEAREST, len(self._rows) - 1))
        self._items, self._cosines = (each.numpy() for each in found)
        self._ranks = match_ranks(scene, sides)

    def __call__(self, a: int, low: int, high: int) -> dict[str, Any]:
        """The columns of rows low … high of a modality."""
        import pyarrow as pa

        ids, distances, ranks = [], [], []
        for row in range(low, high):
            matches = self._matches(a, row)
            own = int(self._starts[a]) + row
            near = dict.fromkeys(matches, 0.0) | dict(
                zip(self._items[own].tolist(), self._cosines[own].tolist(), strict=True)
            )
            if matches:
                exact = self._rows[torch.tensor(matches)] @ self._rows[own]
                near |= dict(zip(matches, exact.tolist(), strict=True))
            listed = list(near)[:NEAREST]
            ids.append(listed)
            distances.append([1 - near[each] for each in listed])
            known = [int(of[row]) for (query, _), of in self._ranks.items() if query == a]
            ranks.append(min((rank for rank in known if rank), default=None))
        pairs = [{"ids": i, "distances": d} for i, d in zip(ids, distances, strict=True)]
        kind = pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float32()))])
        return {"match_rank": pa.array(ranks, pa.int64()), "neighbors": pa.array(pairs, kind)}

    def _matches(self, a: int, row: int) -> list[int]:
        """The matches of a row in all modalities."""
        found: list[int] = []
        for (query, b), relevant in self._scene.matches.items():
            if query == a:
                items = relevant.items[relevant.starts[row] : relevant.starts[row + 1]]
                found += (items + self._starts[b]).tolist()
        return found


def _picture(media: Media | None, where: Any, row: int) -> dict[str, bytes] | None:
    if media is None or where[row] < 0:
        return None
    shown = tile(media, where[row], SIDE)
    if shown is None:
        return None
    file = io.BytesIO()
    shown.save(file, "PNG")
    return {"bytes": file.getvalue()}
