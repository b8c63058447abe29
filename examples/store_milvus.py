"""Milvus Lite: rows are closed before they are inserted; exact search and two quantised indexes."""

import sys
import tempfile
from pathlib import Path

import numpy as np
from pymilvus import DataType, MilvusClient

import modalgap as mg
from modalgap.embeddings import pick_images

INDEXES = ("FLAT", "IVF_SQ8", "HNSW_SQ")
SEARCH = {"params": {"nprobe": 128}}  # IVF_SQ8 searches all of its lists, not only ten


def recall(pair: mg.Pair) -> dict[str, dict[str, float]]:
    """Fraction of queries whose match is among the first ten rows of a mixed collection."""
    sample, stored = (pick_images(pair, np.arange(start, pair.image.n, 2)) for start in (0, 1))
    maps = {"before": mg.close.fit(sample, "none"), "after": mg.close.fit(sample, "center")}
    shares: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        client = MilvusClient(str(Path(folder) / "vectors.db"))
        for when, map_ in maps.items():  # the sample is not stored
            images, texts = (map_.image(stored.image.unit()), map_.text(stored.text.unit()))
            as_text = np.arange(len(images)) % 2 == 1  # each item is stored once
            rows = np.where(as_text[:, None], texts, images)
            queries = np.where(as_text[:, None], images, texts)  # in the other modality
            schema = client.create_schema()
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=pair.dim)
            client.create_collection("items", schema=schema)
            client.insert("items", [{"id": i, "vector": row} for i, row in enumerate(rows)])
            client.flush("items")  # rows that are not flushed are not indexed

            shares[when] = {}
            for index in INDEXES:
                params = client.prepare_index_params()
                params.add_index("vector", index, metric_type="COSINE")
                client.create_index("items", params)
                client.load_collection("items")  # builds the index
                answers = client.search("items", list(queries), limit=10, search_params=SEARCH)
                hit = [i in [each["id"] for each in answer] for i, answer in enumerate(answers)]
                shares[when][index] = float(np.mean(hit))
                client.release_collection("items")
                client.drop_index("items", "vector")
            client.drop_collection("items")
        client.close()
    return shares


if __name__ == "__main__":
    path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"
    print(recall(mg.load(path)))
