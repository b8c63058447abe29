"""Plan: estimate the time and bytes of a verb at other sizes, from a small sample of the data.

The verb runs on two samples of different size on this machine. The time of a pass grows with the
number of rows n, the time of exact ranks with n²; workers share both. Measures that use a fixed
number of rows take the same time at every n. ``docs/scale.md`` compares plans with runs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from modalgap import checks
from modalgap.arguments import checked
from modalgap.close.verb import fit
from modalgap.embeddings import Embeddings, Modalities, Pair, moments, pair_moments
from modalgap.embeddings.shard_files import part_of, save_shards, texts_per_item
from modalgap.embeddings.streaming import SPAN
from modalgap.errors import InputError, OptionError
from modalgap.evaluate.verb import evaluate
from modalgap.measure.registry import MEASURES
from modalgap.measure.verb import measure

Data = Pair | Embeddings | Modalities
LEAST = 2_000  # items of the smaller sample: the time of fewer is mostly overhead
PATIENCE = 3.0  # seconds; the larger sample grows until it takes this long
SIZES = (10**6, 10**7, 10**8, 10**9, 10**10)
ROUNDS = 3  # runs of each sample


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of a verb on n items: ``fixed + linear · n + quadratic · n²`` with one worker.

    Attributes:
        fixed: seconds that do not depend on n, and that workers do not share.
        linear: seconds per item.
        quadratic: seconds per pair of items.
        read: bytes to read per item, all modalities.
        written: bytes to write per item.
        sample: number of items of the larger sample.
        memory: resident bytes of a worker at most, torch included: this process after the samples,
            and for exact ranks a whole span of the gallery. It does not grow with n. 0: unknown.
    """

    fixed: float
    linear: float
    quadratic: float
    read: int
    written: int
    sample: int
    memory: int = 0

    def seconds(self, items: int, workers: int = 1, bandwidth: float | None = None) -> float:
        """Estimated seconds, without the start of the workers.

        Args:
            items: number of items n.
            workers: number of processes, each as fast as this one. Each computes whole spans.
            bandwidth: bytes per second that all workers together can read and write. None: no
                limit; each worker reads as fast as this process.
        """
        spans = -(-items // SPAN)
        share = min(items, -(-spans // workers) * SPAN)  # items of the worker with most of them
        cells = spans**2  # of queries and gallery
        shared = self.linear * share + self.quadratic * items**2 * -(-cells // workers) / cells
        if bandwidth is not None:
            shared = max(shared, items * (self.read + self.written) / bandwidth)
        return self.fixed + shared

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dict(vars(self))


@checked
def plan(data: Data, /, verb: str = "measure", **options: Any) -> Cost:
    """Estimate the cost of a verb from a sample of the data.

    Args:
        data: at least 4,000 items, which match in order.
        verb: "measure"; "close", fit and apply; or "evaluate", exact ranks in both directions.
        **options: options of the verb, such as ``only``.

    Raises:
        InputError: too few items, or matches in another order.
        OptionError: an unknown verb or option.
    """
    checks.one_of("verb", verb, tuple(VERBS))
    each = texts_per_item(data)
    n = data.sides[0].n
    if n < 2 * LEAST:
        raise InputError(f"data: must have at least {2 * LEAST:,} items for a plan; found {n:,}")

    def head(items: int) -> Data:
        return part_of(data, (0, items), each)

    fixed, linear, quadratic, sample = VERBS[verb](head, n, options)
    row = [side.dim * side.rows.dtype.itemsize for side in data.sides]
    of_item = [1, each] if isinstance(data, Pair) and data.labels is None else [1] * len(row)
    if isinstance(data, Pair) and data.labels is not None:
        of_item = [1, 0]
    read = sum(a * b for a, b in zip(row, of_item, strict=True))
    written = sum(4 * side.dim * b for side, b in zip(data.sides, of_item, strict=True))
    return Cost(
        fixed=max(fixed, 0.0),
        linear=max(linear, 0.0),
        quadratic=max(quadratic, 0.0),
        read=read * (2 if verb == "close" else 1),
        written=written if verb == "close" else 0,
        sample=sample,
        memory=_memory(4 * SPAN * data.sides[0].dim if verb == "evaluate" else 0),
    )


Terms = tuple[float, float, float, int]  # fixed, linear, quadratic, items of the larger sample
Head = Callable[[int], Data]


def _measure(head: Head, n: int, options: Mapping[str, Any]) -> Terms:
    only = options.get("only")
    wanted = list(MEASURES) if only is None else [only] if isinstance(only, str) else list(only)
    scatter = any(each.scatter for name, each in MEASURES.items() if name in wanted)

    def one_pass(items: int) -> float:
        some = head(items)
        if isinstance(some, Pair):
            return _timed(lambda: pair_moments(some, scatter=scatter))
        return sum(_timed(partial(moments, each, scatter=scatter)) for each in some.sides)

    linear, large = _per_item(one_pass, n)
    small = min(n, 20_000)  # enough for the pairwise measures, which use 10,000 rows
    whole = _timed(lambda: measure(head(small), **options), rounds=1)
    return whole - linear * small, linear, 0.0, large


def _close(head: Head, n: int, options: Mapping[str, Any]) -> Terms:
    if unknown := sorted(set(options) - {"method"}):
        raise OptionError(f"{unknown[0]}: the plan of close has no such option; it has: method")
    method = str(options.get("method", "center"))

    def run(items: int) -> float:
        some: Any = head(items)
        with tempfile.TemporaryDirectory(prefix="modalgap-") as folder:

            def work() -> None:
                save_shards(fit(some, method).apply(some), Path(folder) / "o", overwrite=True)

            return _timed(work)

    linear, large = _per_item(run, n)
    return 0.0, linear, 0.0, large


def _evaluate(head: Head, n: int, options: Mapping[str, Any]) -> Terms:
    used = {"only": "retrieval", **options}
    large = min(n, 16_000)
    small = large // 2

    def run(items: int) -> float:
        some: Any = head(items)
        return _timed(lambda: evaluate(some, **used), rounds=2)

    one, two = run(small), run(large)
    quadratic = (two / large - one / small) / (large - small)
    return 0.0, two / large - quadratic * large, quadratic, large


VERBS: Mapping[str, Callable[[Head, int, Mapping[str, Any]], Terms]] = {
    "measure": _measure,
    "close": _close,
    "evaluate": _evaluate,
}


def _per_item(run: Callable[[int], float], n: int) -> tuple[float, int]:
    """Seconds per item, from two samples whose difference is large enough to be timed."""
    small = LEAST
    before = run(small)
    large = min(n, 10 * small)
    after = run(large)
    while large < n and after < PATIENCE:
        large = min(n, 4 * large)
        after = run(large)
    return (after - before) / (large - small), large


def _memory(more: int) -> int:
    """Resident bytes of this process at their highest, and ``more``; 0 if the system hides them."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + more


def _timed(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of the shortest run: other programs slow the others down."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)
