"""Fuzzing guided by coverage: Atheris keeps inputs that reach new code, and damages them further.

An input is the number of the file that is replaced (8 bytes) and its new content.
"""

from __future__ import annotations

import gc
import mmap
import random
import types
import zlib
from pathlib import Path

from reliability.mutate import LONGEST, mutate
from reliability.trial import NUMBER, Cases, Trial

_instrumented: set[int] = set()


def instrument() -> None:
    """Let every function of the package that is loaded report which code it runs."""
    import atheris

    for each in gc.get_objects():
        ours = isinstance(each, types.FunctionType) and str(each.__module__).startswith("modalgap.")
        if ours and id(each) not in _instrumented:
            atheris.instrument_func(each)
            _instrumented.add(id(each))


def batch(cases: Cases, count: int, seed: str, faults: Path, shared: mmap.mmap) -> None:
    """Try inputs that Atheris chooses; the interesting ones stay for the next batch."""
    import atheris

    trial, kept = Trial(cases, faults, shared), cases.folder / "kept"
    if not kept.exists():
        kept.mkdir()
        for i, content in enumerate(trial.contents):
            (kept / f"{i}").write_bytes(NUMBER.pack(i) + content)

    def damage(data: bytes, limit: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if not valid(data):
            number = rng.randrange(len(trial.contents))
            data = NUMBER.pack(number) + trial.contents[number]
        return (data[:8] + mutate(data[8:], rng, trial.contents))[:limit]

    def valid(data: bytes) -> bool:
        return len(data) >= 8 and 0 <= NUMBER.unpack(data[:8])[0] < len(trial.contents)

    def run(data: bytes) -> None:
        if valid(data):
            trial.run(NUMBER.unpack(data[:8])[0], data[8:])

    options = {
        "runs": count,
        "max_len": LONGEST,
        "seed": zlib.crc32(seed.encode()) or 1,
        "rss_limit_mb": 0,  # Trial has its own limits
        "timeout": 3600,
        "artifact_prefix": f"{cases.folder}/",
        "verbosity": 0,
    }
    atheris.Setup(
        ["fuzz", str(kept), *(f"-{key}={value}" for key, value in options.items())],
        run,
        custom_mutator=damage,
    )
    atheris.Fuzz()
