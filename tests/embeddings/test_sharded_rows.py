"""Rows in many parts: the same rows as in one, and no part is touched that is not needed."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from modalgap.embeddings import Embeddings
from modalgap.embeddings.rows import MemoryRows, Rows, ShardedRows

WHOLE = torch.arange(60, dtype=torch.float32).reshape(20, 3)
LENGTHS = {"one": [20], "even": [5] * 4, "ragged": [1, 0, 7, 0, 0, 11, 1], "empty ends": [0, 20, 0]}


def parts(lengths: list[int]) -> ShardedRows:
    return ShardedRows(tuple(MemoryRows(part) for part in torch.split(WHOLE, lengths)))


@dataclass(frozen=True, eq=False)
class Counted:
    """Rows that count how often anything of them is asked for."""

    rows: Rows
    asked: list[str]

    def __getattribute__(self, name: str) -> object:
        if name in ("shape", "dtype", "in_memory", "read", "take"):
            object.__getattribute__(self, "asked").append(name)
            return getattr(object.__getattribute__(self, "rows"), name)
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("name", LENGTHS)
def test_every_span_is_that_of_the_whole(name: str) -> None:
    rows = parts(LENGTHS[name])
    assert rows.shape == (20, 3)
    for start in range(21):
        for stop in range(start, 21):
            assert torch.equal(rows.read(start, stop), WHOLE[start:stop])


@pytest.mark.parametrize("name", LENGTHS)
def test_take_in_any_order(name: str) -> None:
    rows = parts(LENGTHS[name])
    random = np.random.default_rng(0)
    indices: Iterator[list[int]] = iter(
        [[], [0], [19], [19, 0, 19], *(random.integers(0, 20, 30).tolist() for _ in range(20))]
    )
    for index in indices:
        at = torch.tensor(index, dtype=torch.int64)
        assert torch.equal(rows.take(at), WHOLE[at])


@pytest.mark.parametrize("count", [1, 10_000])
def test_a_read_touches_only_the_parts_that_it_needs(count: int) -> None:
    asked: list[str] = []
    part = MemoryRows(torch.ones(10_000 // count, 2))
    rows = ShardedRows(tuple(Counted(part, asked) for _ in range(count)))  # type: ignore[misc]

    def touched(work: object) -> int:
        before = len(asked)
        assert callable(work)
        work()
        return len(asked) - before

    assert touched(lambda: rows.read(4_000, 4_001)) <= 2
    assert touched(lambda: rows.take(torch.tensor([7, 4_000, 7]))) <= 4
    assert touched(lambda: (rows.shape, rows.dtype, rows.in_memory)) == 0


def test_pickled_rows_are_the_same() -> None:
    rows = parts(LENGTHS["ragged"])
    again: ShardedRows = pickle.loads(pickle.dumps(rows))  # noqa: S301 - our own
    assert again.shape == rows.shape
    assert torch.equal(again.read(0, 20), WHOLE)
    assert torch.equal(Embeddings(again).take([3, 19]), Embeddings(rows).take([3, 19]))
