"""Size: growth with the number of rows, what spans cost, what workers bring.

``python -m bench.scaling FOLDER ROWS`` makes the data of the large case (20,000,000 pairs of 256
float16 numbers, 20 GB) and prints seconds and memory for 10^5 to ROWS pairs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import modalgap as mg
from bench.clock import Row, resident_peak
from modalgap.embeddings import streaming
from modalgap.embeddings.moments import GROUPS
from modalgap.embeddings.rows import MemoryRows
from modalgap.work import Processes, on

WIDTH, SHARD = 256, 1_000_000
ONLY = ["l2m", "rmg", "matched_cosine", "cone", "per_dimension_gap", "gap_concentration"]


def shards(folder: Path, rows: int, ending: str = "safetensors", size: int = SHARD) -> list[Path]:
    """Files of ``size`` pairs that do not match; what is there already is used."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    block = torch.from_numpy(random.standard_normal((2 * size, WIDTH), np.float32)).half()
    made = []
    for i in range(-(-rows // size)):
        path = folder / f"part-{i:05d}.{ending}"
        n = min(size, rows - i * size)
        if not path.exists():
            some = [MemoryRows(block[k : k + n].roll(i, 1)) for k in (0, size)]
            mg.save(mg.Pair(mg.Embeddings(some[0]), mg.Embeddings(some[1], "text")), path)
        made.append(path)
    return made


def read(paths: list[Path]) -> tuple[float, float]:
    """Seconds to open files and to measure them."""
    start = time.perf_counter()
    pair = mg.load(paths)
    opened = time.perf_counter()
    mg.measure(pair, only=ONLY)
    return opened - start, time.perf_counter() - opened


def apart(*arguments: str) -> list[float]:
    """The numbers that this file prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.scaling", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return [float(each) for each in done.stdout.split()]


def spans() -> list[Row]:
    """One pass by spans against one pass without, and two workers against one."""
    with tempfile.TemporaryDirectory() as folder:
        paths = shards(Path(folder), 4_000_000, size=500_000)
        cost = _cost_of_spans(paths[:4])
        alone, both = (_workers(paths, count) for count in (1, 2))
    return [
        Row("2,000,000 pairs by spans, against one pass", f"{cost:.2f} x", "<= 1.05 x",
            cost <= 1.05),
        Row("  4,000,000 pairs by two workers of one thread, against one",
            f"{alone / both:.2f} x", ">= 1.7 x", alone >= 1.7 * both),
    ]  # fmt: skip


def _cost_of_spans(paths: list[Path]) -> float:
    """Shortest time of many by spans, over that of one span: single times differ by a fifth."""
    times: dict[int, list[float]] = {GROUPS * 4096: [], 10**12: []}
    read(paths)  # into the page cache
    for _ in range(20):
        for size in times:
            streaming.SPAN = size
            pair = mg.load(paths)
            start = time.perf_counter()
            streaming.pair_moments(pair)
            times[size].append(time.perf_counter() - start)
    streaming.SPAN = GROUPS * 4096
    spans, whole = map(min, times.values())
    return spans / whole


def _workers(paths: list[Path], count: int) -> float:
    """Seconds of a pass with scatter by processes that have started."""
    with on(Processes(count=count, option="processes", threads=1, fresh=True)):
        few = mg.load(paths[:1])
        streaming.pair_moments(few, scatter=True)  # starts them
        found = []
        for _ in range(3):
            start = time.perf_counter()
            streaming.pair_moments(mg.load(paths), scatter=True)
            found.append(time.perf_counter() - start)
    return float(np.median(found))


def main(arguments: list[str]) -> None:
    """Seconds and memory of one reading; or the large case."""
    if arguments[:1] == ["read"]:
        start, work = read([Path(each) for each in arguments[1:]])
        print(start, work, resident_peak())
        return
    if len(arguments) != 2:
        raise SystemExit("usage: python -m bench.scaling FOLDER ROWS")
    folder, rows = Path(arguments[0]), int(float(arguments[1]))
    paths = shards(folder, rows)
    few = shards(folder / "few", 100_000, size=100_000)
    print(f"{'pairs':>12}{'seconds':>10}{'us / pair':>11}{'resident':>12}")
    for files, n in [(few, 100_000), *((paths[: n // SHARD], n) for n in _sizes(rows))]:
        start, work, memory = apart("read", *map(str, files))
        print(f"{n:>12,}{start + work:>10.2f}{work / n * 1e6:>11.2f}{memory / 1e6:>9.0f} MB")


def _sizes(rows: int) -> list[int]:
    return [n for n in (SHARD, 5 * SHARD, 10 * SHARD, 20 * SHARD) if n <= rows]


if __name__ == "__main__":
    main(sys.argv[1:])
