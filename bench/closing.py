"""Closing and judging: fits against reading, maps against bare work, ranks against sorting."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import modalgap as mg
from bench.clock import Row, peak_growth, seconds
from modalgap.close import fit
from modalgap.evaluate import retrieval
from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Relevant

D = 512
MB = 2**20
FITS = ("center", "shift", "standardize", "realign", "project")
COCO = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "clip_coco500.npy"


def unit(n: int, seed: int) -> Tensor:
    """(n, D) unit rows in a cone."""
    random = torch.Generator().manual_seed(seed)
    found = torch.randn(n, D, generator=random) + torch.randn(D, generator=random)
    return torch.nn.functional.normalize(found, dim=1)


def fits() -> list[Row]:
    """Fitting closers to a million float16 pairs on disk against numpy that reads and sums them."""
    n = 1_000_000
    found = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("image.npy", "text.npy")]
        for seed, path in enumerate(paths):
            out = np.lib.format.open_memmap(path, "w+", np.float16, (n, D))
            block = unit(50_000, seed).numpy().astype(np.float16)
            for a in range(0, n, len(block)):
                out[a : a + len(block)] = np.roll(block, a // len(block), axis=1)
            out.flush()
            del out

        def plain() -> float:
            start = time.perf_counter()
            for path in paths:
                values = np.load(path, mmap_mode="r")
                total = np.zeros(D)
                for a in range(0, n, 2048):
                    total += values[a : a + 2048].sum(0, dtype=np.float64)
            return time.perf_counter() - start

        plain()  # both find the files in the page cache
        for method in FITS:
            bare = plain()
            done = subprocess.run(
                [sys.executable, "-c", _FIT, method, *map(str, paths)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            ours = float(done.stdout)
            found.append(
                Row(
                    f"fit {method}, 1,000,000 float16 pairs ({ours:.1f} s), of numpy's speed",
                    f"{bare / ours:.2f} x",
                    ">= 0.5 x",
                    bare >= 0.5 * ours,
                )
            )
    return found


_FIT = """
import sys, time, numpy as np, modalgap as mg
few = np.random.default_rng(0).standard_normal((50, 8))
mg.close.fit(mg.Pair(few, few + 1), sys.argv[1])
start = time.perf_counter()
mg.close.fit(mg.load(image=sys.argv[2], text=sys.argv[3]), sys.argv[1])
print(time.perf_counter() - start)
"""


def maps() -> list[Row]:
    """Applying maps against the bare operation and its normalisation."""
    rows = unit(200_000, 0)
    few = mg.Pair(unit(3000, 1), unit(3000, 2))
    found = []
    for method in ("center", "standardize", "procrustes"):
        map_ = fit(few, method)
        step = map_.roles["text"][0]
        matrix = None if step.matrix is None else torch.from_numpy(step.matrix).float()
        offset = torch.zeros(D) if step.offset is None else torch.from_numpy(step.offset).float()

        def bare(matrix: Tensor | None = matrix, offset: Tensor = offset) -> Tensor:
            moved = rows
            if matrix is not None:
                moved = rows * matrix if matrix.ndim == 1 else rows @ matrix.T
            moved = moved + offset
            length: Tensor = torch.linalg.vector_norm(moved, dim=1, keepdim=True)
            return moved / length

        ours, plain = seconds(lambda map_=map_: map_.text(rows), bare)  # type: ignore[misc]
        found.append(
            Row(
                f"apply {method} to 200,000 rows ({1000 * ours:.0f} ms) over the bare operation",
                f"{ours / plain:.2f} x",
                "<= 1.5 x",
                ours <= 1.5 * plain,
            )
        )
    return found


def within() -> list[Row]:
    """MAP, mAP@R and R-precision of 10,000 queries among 100,000 against the bare product."""
    gallery = unit(100_000, 0)
    queries = gallery[:10_000]
    codes = np.arange(len(gallery)) // 50
    relevant = Relevant.same_class(codes[: len(queries)], codes, itself=True)

    def ours() -> None:
        found = ranks(queries, gallery, relevant, itself=True)
        found.average_precision().mean()
        found.average_precision_at_r().mean()
        found.precision_at_r().mean()

    def bare() -> None:
        out = torch.empty(167, len(gallery))
        for a in range(0, len(queries), 167):
            block = queries[a : a + 167]
            torch.mm(block, gallery.T, out=out[: len(block)])

    our_time, bare_time = seconds(ours, bare, rounds=1)
    memory = peak_growth(ours)
    return [
        Row(
            f"mAP, mAP@R, R-precision, 10,000 x 100,000 ({our_time:.1f} s) over the product",
            f"{our_time / bare_time:.2f} x",
            "<= 3 x",
            our_time <= 3 * bare_time,
        ),
        Row("  their extra memory", f"{memory / MB:.0f} MB", "< 2000 MB", memory < 2000 * MB),
        *_torchmetrics(gallery),
    ]


def _torchmetrics(rows: Tensor) -> list[Row]:
    from torchmetrics.functional.retrieval import retrieval_average_precision

    gallery, queries = rows[:10_000], rows[:1_000]
    codes = np.arange(len(gallery)) // 50
    relevant = Relevant.same_class(codes[: len(queries)], codes, itself=False)
    classes = torch.from_numpy(codes)

    def ours() -> float:
        return float(ranks(queries, gallery, relevant).average_precision().mean())

    def loop() -> float:
        found = [
            float(retrieval_average_precision(gallery @ query, classes == classes[i]))
            for i, query in enumerate(queries)
        ]
        return float(np.mean(found))

    if abs(ours() - loop()) > 1e-5:
        raise AssertionError("torchmetrics gives another number")
    fast, slow = seconds(ours, loop, rounds=3)
    return [
        Row(
            f"mAP, 1,000 x 10,000 ({1000 * fast:.0f} ms): times faster than torchmetrics in a loop",
            f"{slow / fast:.1f} x",
            ">= 10 x",
            slow >= 10 * fast,
        )
    ]


def recall() -> list[Row]:
    """Recall both ways on 5,000 images and 25,000 captions against sorting everything."""
    images = unit(5_000, 0)
    noise = unit(25_000, 1)
    texts = torch.nn.functional.normalize(images.repeat_interleave(5, 0) + 2 * noise, dim=1)
    pair = mg.Pair(images, texts, np.arange(25_000) // 5)
    owner = torch.arange(25_000) // 5
    ks = (1, 5, 10, 50)

    def ours() -> list[float]:
        found = retrieval(pair, ks=ks).scores
        return [
            found[f"{way}_r{k}"].value for way in ("image_to_text", "text_to_image") for k in ks
        ]

    def sorting() -> list[float]:
        scores = images @ texts.T
        first = torch.argsort(scores, dim=1, descending=True)[:, : max(ks)]
        hits = owner[first] == torch.arange(5_000)[:, None]
        found = [float(hits[:, :k].any(1).double().mean()) for k in ks]
        first = torch.argsort(scores.T, dim=1, descending=True)[:, : max(ks)]
        hits = first == owner[:, None]
        return found + [float(hits[:, :k].any(1).double().mean()) for k in ks]

    if not np.allclose(ours(), sorting(), atol=2e-4):
        raise AssertionError("sorting gives other numbers")
    fast, slow = seconds(ours, sorting, rounds=1)
    memory = peak_growth(ours)
    return [
        Row(
            f"recall@1, 5, 10, 50 both ways, 5,000 x 25,000 ({fast:.1f} s): faster than argsort",
            f"{slow / fast:.1f} x",
            ">= 5 x",
            slow >= 5 * fast,
        ),
        Row(
            "  extra memory (one 5,000 x 25,000 matrix is 477 MB)",
            f"{memory / MB:.0f} MB",
            "< 300 MB",
            memory < 300 * MB,
        ),
    ]


def leaderboard() -> list[Row]:
    """Every closer at the default tasks on 500 real pairs."""
    pair = mg.load(COCO)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = mg.compare(pair)
    took = time.perf_counter() - start
    return [
        Row(
            f"compare, {len(done.entries)} ways, the default tasks, 500 COCO pairs",
            f"{took:.0f} s",
            "< 60 s",
            took < 60,
        )
    ]
