"""Items of several modalities: tiny images and sounds, COCO Modality Equivalence, MixBench."""

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


def mixbench(folder: Path) -> None:
    """The files of MixBench2026 with the judgements of MixBench25, in another order.

    Documents 0 and 3 are texts, 1 and 4 images, 2 and 5 both. Query i is for document 5 - i; no id
    is that of a document. Queries of OVEN have images; the other files have a column of nulls.
    """
    for number, subset in enumerate(("MSCOCO", "Google_WIT", "VisualNews", "OVEN")):
        place = folder / subset
        texts = [None if i % 3 == 1 else f"{subset} text {'a' * i}" for i in range(6)]
        images = [None if i % 3 == 0 else png(100 * number + i) for i in range(6)]
        parquet(
            place / "mixed_corpus.parquet",
            {
                "id": ([f"d{i}" for i in range(6)], "Value"),
                "text": (texts, "Value"),
                "image": (images, "Image"),
            },
        )
        asked = [png(100 * number + 10 + i) if subset == "OVEN" else None for i in range(6)]
        parquet(
            place / "queries.parquet",
            {
                "id": ([f"q{i}" for i in range(6)], "Value"),
                "text": ([f"{subset} query {'b' * i}" for i in range(6)], "Value"),
                "image": (asked, "Image"),
            },
        )
        judged = "".join(f"q{i}\td{5 - i}\t1\n" for i in reversed(range(6)))
        put(place / "qrels" / "qrels.tsv", f"query_id\tcorpus_id\tscore\n{judged}")
