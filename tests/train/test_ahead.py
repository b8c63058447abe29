"""Batches of MAD made ahead in a thread: the same ones, and nothing is left running."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch

from modalgap.data.mad import Captions, Mad
from modalgap.train.batches import Sampler, ahead
from modalgap.train.mad_batches import MadBatches


def made(monkeypatch: pytest.MonkeyPatch, kept: int) -> tuple[MadBatches, list[str]]:
    """Batches of 8 of noise, and the captions that the tokenizer was asked for."""
    monkeypatch.setattr("modalgap.train.mad_batches.CACHED", kept)
    asked: list[str] = []

    def tokenizer(texts: Any) -> torch.Tensor:
        asked.extend(texts)
        return torch.tensor([[len(text), *map(ord, f"{text:9.9}")] for text in texts])

    images = np.random.default_rng(0).integers(0, 255, (40, 24, 28, 28), np.uint8)
    every = np.arange(40)
    mad = Mad(images, every % 10, every[:32], every[32:], "noise", 0)
    sampler = Sampler(batch=8, seed=3)
    words = Captions(attributes=0)
    return MadBatches(mad, words, None, tokenizer, 28, [0.5] * 3, [0.5] * 3, sampler), asked


@pytest.mark.parametrize("kept", [10, 1000])
def test_batches_are_those_made_one_by_one(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    batches, asked = made(monkeypatch, kept)
    found = list(batches.steps(2, 9))
    once = len(asked)
    assert len(found) == 7
    for step, batch in zip(range(2, 9), found, strict=True):
        alone, _ = made(monkeypatch, 10**6)
        expected = alone._batch_of(step)
        assert torch.equal(batch.images, expected.images)
        assert torch.equal(batch.ids, expected.ids)
    if kept > 100:  # each caption once
        assert once == len(set(asked[:once]))


def test_it_stops_with_its_reader() -> None:
    closed: list[str] = []

    def endless() -> Generator[Any]:
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    steps = ahead(endless())
    assert [next(steps), next(steps)] == [1, 1]
    assert threading.active_count() == before + 1
    steps.close()
    assert len(closed) == 1
    assert threading.active_count() == before


def test_an_error_reaches_the_reader() -> None:
    def broken() -> Generator[Any]:
        yield 1
        raise KeyError("no such digit")

    steps = ahead(broken())
    assert next(steps) == 1
    with pytest.raises(KeyError, match="no such digit"):
        next(steps)
