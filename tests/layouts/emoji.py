"""Layout of emoji: Parquet files with the columns that ``modalgap data emoji`` writes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from modalgap.data.emoji.rows import CAPTIONS, FACTORS
from modalgap.data.emoji.store import file_of
from modalgap.data.emoji.things import SPLITS


def emoji(folder: Path, things: int = 2) -> None:
    """In each split some things, in one of two styles; their pictures are noise."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i, split in enumerate(SPLITS):
        rows = []
        for thing in range(things):
            file = io.BytesIO()
            pixels = random.integers(0, 256, (12, 12, 3), np.uint8)
            Image.fromarray(pixels).save(file, "PNG")
            style = f"style{thing % 2 + 2 * (i // 2)}"
            key = f"{style}/thing{thing // 2}"
            row = {name: f"{name} thing{thing // 2}" for name in (*CAPTIONS, *FACTORS)}
            image = {"bytes": file.getvalue(), "path": f"{key}.png"}
            rows.append({"image": image, **row, "key": key, "style": style})
        pq.write_table(pa.Table.from_pylist(rows), folder / file_of(split))


BUILD = {"emoji": emoji}
