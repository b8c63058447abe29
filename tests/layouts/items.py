"""Items of several modalities: tiny images and sounds, and MTEB's COCO Modality Equivalence."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

PART = "test-00000-of-00001.parquet"


def png(seed: int) -> bytes:
    """A small image of noise."""
    file = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 255, (10, 12, 3), np.uint8)
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def wav(seed: int, rate: int = 16_000, seconds: float = 0.1) -> bytes:
    """A short sound of noise."""
    file = io.BytesIO()
    values = np.random.default_rng(seed).normal(0, 3000, int(rate * seconds)).astype("<i2")
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(values.tobytes())
    return file.getvalue()


def put(path: Path, content: bytes | str) -> None:
    """A file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def parquet(path: Path, columns: dict[str, tuple[list[Any], str]]) -> None:
    """Parquet as ``datasets`` writes it: name to values and the type of the feature."""
    features: dict[str, Any] = {}
    arrays: dict[str, pa.Array] = {}
    for name, (values, kind) in columns.items():
        features[name] = {"_type": kind} if kind != "Value" else {"dtype": "string", "_type": kind}
        if kind == "Value":
            arrays[name] = pa.array(values)
            continue
        cells = [None if each is None else {"bytes": each, "path": None} for each in values]
        struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        arrays[name] = pa.array(cells, struct)
    table = pa.table(arrays).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def modal_equiv(folder: Path, count: int = 4) -> None:
    """The configs of MTEB: sounds in another order, ids of synthetic speech with their prefix."""
    names = [f"{1000 + i:012d}" for i in range(count)]
    back = list(reversed(range(count)))
    parquet(
        folder / "t2i-corpus" / PART,
        {"id": (names, "Value"), "image": ([png(i) for i in range(count)], "Image")},
    )
    parquet(
        folder / "t2i-queries" / PART,
        {"id": (names, "Value"), "text": ([f"caption {i}" for i in range(count)], "Value")},
    )
    parquet(
        folder / "a2i_h-queries" / PART,
        {
            "id": ([names[i] for i in back], "Value"),
            "audio": ([wav(10 + i) for i in back], "Audio"),
        },
    )
    parquet(
        folder / "a2i_s-queries" / PART,
        {
            "id": ([f"s_{each}" for each in names], "Value"),
            "audio": ([wav(20 + i) for i in range(count)], "Audio"),
        },
    )
    judged = {"query-id": (names, "Value"), "corpus-id": (names, "Value")}
    parquet(folder / "t2i-qrels" / PART, judged)
