"""Moments of embeddings on a Spark cluster: each task reads one span of items and sums it.

    spark-submit examples/cluster/spark_moments.py 's3://bucket/embeddings/*.parquet'

The workers need modalgap and access to the files. The result is that of
``modalgap.embeddings.pair_moments`` in one process, to the last bit on processors of one kind.
"""

import io
import sys
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

import modalgap as mg
from modalgap.embeddings import MatchMoments, Moments, PairMoments, pair_moments
from modalgap.embeddings.shard_files import part_of
from modalgap.embeddings.streaming import SPAN
from modalgap.work import spans_of

FIELDS = ("counts", "sums", "scatter"), ("counts", "distance", "squared")


def to_bytes(moments: PairMoments) -> bytes:
    """The sums as the bytes of an .npz file."""
    sides = {"image": moments.image, "text": moments.text}
    arrays = {
        f"{name}.{key}": getattr(each, key) for name, each in sides.items() for key in FIELDS[0]
    }
    arrays |= {f"matches.{key}": getattr(moments.matches, key) for key in FIELDS[1]}
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def from_bytes(content: bytes) -> PairMoments:
    """The inverse of ``to_bytes``."""
    with np.load(io.BytesIO(content)) as arrays:
        image, text = (
            Moments(*(arrays[f"{name}.{key}"] for key in FIELDS[0])) for name in ("image", "text")
        )
        matches = MatchMoments(*(arrays[f"matches.{key}"] for key in FIELDS[1]))
    return PairMoments(image, text, matches)


def sums_of(path: str) -> Any:
    """The function of a Spark task, from spans to their sums. Items must match in order."""

    def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        pair = mg.load(path)
        for batch in batches:
            for start, stop in zip(*(batch.column(i).to_pylist() for i in (0, 1)), strict=True):
                some: Any = part_of(pair, (start, stop), pair.captions_per_image or 1)
                content = to_bytes(pair_moments(some, scatter=True))
                yield pa.RecordBatch.from_pydict({"start": [start], "sums": [content]})

    return sums


def main(path: str) -> None:
    """Sum on the cluster, join the sums in order, and print the length of the gap."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    spans = spans_of(mg.load(path).image.n, SPAN)
    table = spark.createDataFrame(spans, "start long, stop long").repartition(len(spans))
    rows = table.mapInArrow(sums_of(path), "start long, sums binary").collect()
    parts = [from_bytes(bytes(row.sums)) for row in sorted(rows, key=lambda row: row.start)]
    total = reduce(PairMoments.merge, parts)
    print(f"{total.image.n:,} items, gap {np.linalg.norm(total.image.mean - total.text.mean):.4f}")


if __name__ == "__main__":
    main(sys.argv[1])
