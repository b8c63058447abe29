"""The cases: speed against the plain way or the floor, memory against a budget."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import modalgap as mg
from bench.busy import busy_machine, startup
from bench.clock import Row, peak_growth, seconds
from bench.closing import fits, leaderboard, maps, recall, within
from bench.encoding import encode_captions, encode_images
from bench.exploring import explorer
from bench.inverting import inverting
from bench.mad import mad_shapes
from bench.scaling import spans
from bench.searching import mixed
from bench.shards import shards
from bench.simulating import cone, rise
from bench.training import training

N, M, D = 5_000, 25_000, 512
MB = 2**20
FIRST = [
    "l2m",
    "l2i",
    "rmg",
    "matched_cosine",
    "cone",
    "per_dimension_gap",
    "gap_concentration",
    "moad_image",
]
SECOND = [
    "frechet",
    "distribution_gap",
    "centroid_share",
    "trace_ratio",
    "effective_rank",
    "principal_angles",
    "leakage_image",
    "leakage_text",
]
NEIGHBOURS = ["itr", "tir", "tmr", "imr", "nas", "hubness"]


def rows(n: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(n, D) float32 rows in a cone, of norms near but not equal to 1."""
    random = np.random.default_rng(seed)
    found = random.standard_normal((n, D), np.float32) / np.float32(D**0.5)
    found += random.standard_normal(D).astype(np.float32) / np.float32(D**0.5)
    return found


def captioned() -> mg.Pair:
    """5,000 images with an object and two attributes, five captions each."""
    random = np.random.default_rng(2)
    factors = {name: random.integers(0, 10, N) for name in ("object", "color", "size")}
    image = mg.Embeddings(rows(N, 0), "image", factors=factors)
    return mg.Pair(image, mg.Embeddings(rows(M, 1), "text"), np.repeat(np.arange(N), M // N))


def first_moments() -> list[Row]:
    """Measures of first moments against the direct evaluation of rmg alone."""
    pair = captioned()
    x, y = pair.image.unit(), pair.text.unit()
    of = torch.from_numpy(pair.text_to_image)

    def inside(u: Tensor) -> float:
        total = sum(
            float((1 - u[a : a + 1024] @ u.T).sum(dtype=torch.float64))
            for a in range(0, len(u), 1024)
        )
        return total / 2 / (len(u) * (len(u) - 1))

    def direct() -> float:
        matched = float((1 - (x[of] * y).sum(1)).mean(dtype=torch.float64)) / 2
        return matched / (matched + (inside(x) + inside(y)) / 2)

    def ours() -> mg.Result:
        return mg.measure(mg.Pair(pair.image, pair.text, pair.text_to_image), only=FIRST)

    memory = peak_growth(ours)  # first, while no freed memory hides it
    difference = abs(direct() - ours()["rmg"].value)
    slow, fast = seconds(direct, ours, rounds=3)
    return [
        Row(
            f"first moments, faster than direct rmg ({fast * 1e3:.0f} ms)",
            f"{slow / fast:.0f} x",
            ">= 50 x",
            slow / fast >= 50,
        ),
        Row("  the two agree on rmg", f"{difference:.0e}", "< 1e-6", difference < 1e-6),
        Row("  extra memory", f"{memory / MB:.0f} MB", "< 256 MB", memory < 256 * MB),
    ]


def second_moments() -> list[Row]:
    """Measures of second moments against the products and decompositions they cannot avoid."""
    pair = captioned()
    x, y = pair.image.unit(), pair.text.unit()

    def floor() -> None:
        found = []
        for side in (x, y):
            scatter = torch.zeros(D, D, dtype=torch.float64)
            for a in range(0, len(side), 2048):
                scatter += side[a : a + 2048].T @ side[a : a + 2048]
            found.append(torch.linalg.eigh(scatter))
        torch.linalg.svdvals(found[0].eigenvectors.T @ found[1].eigenvectors)

    def ours() -> mg.Result:
        return mg.measure(pair, only=SECOND)

    bare, whole = seconds(floor, ours)
    return [
        Row(
            f"second moments, over their floor ({whole * 1e3:.0f} ms)",
            f"{whole / bare:.2f} x",
            "<= 2 x",
            whole <= 2 * bare,
        )
    ]


def linear() -> list[Row]:
    """Ten times the rows."""
    small, large = (
        mg.Pair(mg.Embeddings(rows(n, 0)), mg.Embeddings(rows(n, 1), "text"))
        for n in (20_000, 200_000)
    )
    kinds = [name for name in FIRST + SECOND if name != "moad_image"]
    few, many = seconds(
        lambda: mg.measure(small, only=kinds), lambda: mg.measure(large, only=kinds), rounds=3
    )
    return [
        Row("moments of ten times the rows", f"{many / few:.1f} x", "<= 12 x", many <= 12 * few)
    ]


def streaming() -> list[Row]:
    """A million float16 pairs on disk against numpy that only reads and sums them."""
    n = 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("image.npy", "text.npy")]
        for seed, path in enumerate(paths):
            out = np.lib.format.open_memmap(path, "w+", np.float16, (n, D))
            block = rows(50_000, seed).astype(np.float16)
            for a in range(0, n, len(block)):
                out[a : a + len(block)] = np.roll(block, a // len(block), axis=1)
            out.flush()
            del out

        def plain() -> None:
            for path in paths:
                values = np.load(path, mmap_mode="r")
                total = np.zeros(D)
                for a in range(0, n, 2048):
                    total += values[a : a + 2048].sum(0, dtype=np.float64)

        plain()  # both find the files in the page cache
        start = time.perf_counter()
        plain()
        bare = time.perf_counter() - start
        ours, memory = map(float, _alone("bench.streaming", *map(str, paths)).split())
    return [
        Row(
            f"streaming 1,000,000 float16 pairs ({ours:.1f} s), of numpy's speed",
            f"{bare / ours:.2f} x",
            ">= 0.5 x",
            bare >= 0.5 * ours,
        ),
        Row(
            "  resident memory, torch included",
            f"{memory / MB:.0f} MB",
            "< 1500 MB",
            memory < 1500 * MB,
        ),
    ]


def neighbours() -> list[Row]:
    """Neighbour-based measures against the bare chunked products and top-k."""
    pair = captioned()
    x, y = pair.image.unit(), pair.text.unit()

    def bare_sweep(u: Tensor, v: Tensor) -> None:
        for a in range(0, len(u), 512):
            (u[a : a + 512] @ v.T).topk(10, dim=1)

    def floor() -> None:
        bare_sweep(x, y)
        bare_sweep(x, x)
        bare_sweep(y, y)

    def ours() -> mg.Result:
        return mg.measure(pair, only=NEIGHBOURS)

    memory = peak_growth(ours)
    bare, whole = seconds(floor, ours, rounds=3)
    return [
        Row(
            f"neighbours, over bare products and top-k ({whole:.1f} s)",
            f"{whole / bare:.2f} x",
            "<= 2 x",
            whole <= 2 * bare,
        ),
        Row(
            "  extra memory (one n x m matrix: 477 MB)",
            f"{memory / MB:.0f} MB",
            "< 300 MB",
            memory < 300 * MB,
        ),
    ]


def _alone(module: str, *arguments: str) -> str:
    """What a module prints when run in a process of its own, so that memory is its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


CASES: dict[str, Callable[[], Iterable[Row]]] = {
    "first": first_moments,
    "second": second_moments,
    "linear": linear,
    "streaming": streaming,
    "spans": spans,
    "shards": shards,
    "neighbours": neighbours,
    "fits": fits,
    "maps": maps,
    "within": within,
    "recall": recall,
    "mixed": mixed,
    "compare": leaderboard,
    "captions": encode_captions,
    "images": encode_images,
    "mad": mad_shapes,
    "training": training,
    "inverting": inverting,
    "cone": cone,
    "rise": rise,
    "explorer": explorer,
    "startup": startup,
    "busy": busy_machine,
}
