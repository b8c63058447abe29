"""Rows in shards: look-up among many, and Parquet against .safetensors and pyarrow alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

import modalgap as mg
from bench.clock import Row, peak_growth, seconds
from modalgap.embeddings import pair_moments
from modalgap.embeddings.rows import MemoryRows, ShardedRows

MB = 2**20
N, D, SHARDS = 400_000, 256, 4


def shards() -> list[Row]:
    """Reads from 1 and 10,000 shards; 400,000 float16 pairs in four shards of both formats."""
    block = MemoryRows(torch.ones(4, 8))
    one, many = ShardedRows((block,)), ShardedRows((block,) * 10_000)
    first, last = many.shape[0] // 2, many.shape[0] // 2 + 4
    single, among = seconds(
        lambda: [one.read(0, 4) for _ in range(1000)],
        lambda: [many.read(first, last) for _ in range(1000)],
    )
    return [
        Row(
            f"a read from one of 10,000 shards ({among * 1e3:.0f} µs), over one of one",
            f"{among / single:.2f} x",
            "<= 2 x",
            among <= 2 * single,
        ),
        *_formats(),
    ]


def _formats() -> list[Row]:
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folders = {suffix: Path(name) / suffix for suffix in ("safetensors", "parquet")}
        for suffix, folder in folders.items():
            folder.mkdir()
            for i in range(SHARDS):
                image, text = (
                    random.standard_normal((N // SHARDS, D), np.float32).astype(np.float16)
                    for _ in range(2)
                )
                mg.save(mg.Pair(image, text), folder / f"x-{i}.{suffix}")

        def moments(suffix: str) -> None:
            pair_moments(mg.load(folders[suffix]))

        def floor() -> None:
            for path in sorted(folders["parquet"].iterdir()):
                file = pq.ParquetFile(path, page_checksum_verification=True)
                for group in range(file.num_row_groups):
                    for column in ("image", "text"):
                        file.read_row_group(group, columns=[column], use_threads=False)

        plain, columns, bare = seconds(
            lambda: moments("safetensors"), lambda: moments("parquet"), floor, rounds=3
        )
        (start,) = seconds(lambda: mg.load(folders["parquet"]))
        memory = peak_growth(lambda: moments("parquet"))
    return [
        Row(
            f"Parquet shards, moments ({columns:.1f} s), over .safetensors",
            f"{columns / plain:.2f} x",
            "<= 2 x",
            columns <= 2 * plain,
        ),
        Row(
            f"  over pyarrow that only decodes ({bare:.1f} s)",
            f"{columns / bare:.2f} x",
            "<= 2 x",
            columns <= 2 * bare,
        ),
        Row("  until they are loaded", f"{start:.2f} s", "< 0.5 s", start < 0.5),
        Row("  extra memory", f"{memory / MB:.0f} MB", "< 256 MB", memory < 256 * MB),
    ]
