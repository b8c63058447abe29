"""Shards of other tools: tar archives, Parquet files, img2dataset's folders."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from modalgap.data import Source, read


def picture(seed: int, form: str = "PNG") -> bytes:
    """A small image of noise as a file."""
    values = np.random.default_rng(seed).integers(0, 255, (9, 11, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, form)
    return file.getvalue()


def tar(
    path: Path, members: Sequence[tuple[str, bytes | str]], form: int = tarfile.PAX_FORMAT
) -> None:
    """An archive of members in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in members:
            content = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def parquet(path: Path, columns: Mapping[str, Any], **options: Any) -> None:
    """A Parquet file of these columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path, **options)


def hub_table(images: Sequence[bytes | None], **columns: Any) -> pa.Table:
    """A table with images as the hub has them."""
    rows = [None if each is None else {"bytes": each, "path": None} for each in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"image": pa.array(rows, kind), **columns})


def with_features(table: pa.Table, features: Mapping[str, Any]) -> pa.Table:
    """The table with the features that ``datasets`` writes into its metadata."""
    text = json.dumps({"info": {"features": features}})
    return table.replace_schema_metadata({"huggingface": text})


CLASSES = {"label": {"names": ["cat", "big_dog"], "_type": "ClassLabel"}}


def downloaded(
    root: Path,
    shards: int = 2,
    per_shard: int = 4,
    *,
    captions: bool = True,
    lost: Sequence[int] = (2,),
) -> None:
    """What img2dataset leaves with its default output; rows in ``lost`` of each shard failed."""
    for shard in range(shards):
        folder = root / f"{shard:05d}"
        folder.mkdir(parents=True)
        rows = []
        for i in range(per_shard):
            key = f"{shard:05d}{i:04d}"
            fine = i not in lost
            row = {
                "url": f"http://host.invalid/{key}",
                "key": key,
                "status": "success" if fine else "failed_to_download",
                "error_message": None if fine else "HTTP Error 404: Not Found",
                "width": 11 if fine else None,
            }
            if captions:
                row["caption"] = f"noise {key}"
            if fine:
                (folder / f"{key}.jpg").write_bytes(picture(10 * shard + i, "JPEG"))
                (folder / f"{key}.json").write_text(json.dumps(row))
                if captions:
                    (folder / f"{key}.txt").write_text(str(row["caption"]))
            rows.append(row)
        pq.write_table(pa.Table.from_pylist(rows), root / f"{shard:05d}.parquet")
        (root / f"{shard:05d}_stats.json").write_text('{"count": 4}')


def names(source: Source) -> list[str]:
    """The names of the images."""
    assert source.media is not None
    return list(source.media.names)


def captions(source: Source) -> list[tuple[str, str]]:
    """(image, caption) of each caption."""
    assert source.texts is not None
    assert source.text_to_image is not None
    owner = np.asarray(source.text_to_image)
    return [(names(source)[i], text) for i, text in zip(owner, source.texts, strict=True)]


def labels(source: Source) -> list[tuple[str, str]]:
    """(image, class) of each image."""
    assert source.texts is not None
    assert source.labels is not None
    return [
        (name, source.texts[i])
        for name, i in zip(names(source), np.asarray(source.labels), strict=True)
    ]


def notes(what: Any, **options: Any) -> str:
    """What the reader says it guessed."""
    return "; ".join(read(what, **options).notes)
