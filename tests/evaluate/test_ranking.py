"""Ranks by spans of queries and gallery are those of one table of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import modalgap as mg
from modalgap import files
from modalgap.evaluate import ranking
from modalgap.evaluate.ranks import Ranks, Relevant
from modalgap.work import on

N, M, D = 211, 173, 6


def made(seed: int, n: int, *, repeats: bool = False) -> torch.Tensor:
    rows = torch.randn(n, D, generator=torch.Generator().manual_seed(seed))
    if repeats:  # equal rows: ties
        rows[n // 2 :] = rows[: n - n // 2].clone()
    return torch.nn.functional.normalize(rows, dim=1)


def some_relevant(seed: int, n: int, m: int, most: int) -> Relevant:
    random = np.random.default_rng(seed)
    pairs = {
        (q, int(i)) for q in range(n) for i in random.integers(0, m, random.integers(0, most + 1))
    }
    found = np.array(sorted(pairs)).reshape(-1, 2)
    return Relevant.of(found[:, 0], found[:, 1], n)


def by_definition(
    x: torch.Tensor, y: torch.Tensor, relevant: Relevant, ignored: Relevant | None, itself: bool
) -> list[list[int]]:
    """Ranks of the relevant items: items that score higher, or as high and are irrelevant."""
    scores = (x @ y.T).numpy()
    found = []
    for q in range(len(x)):
        own = relevant.items[relevant.starts[q] : relevant.starts[q + 1]]
        out = set() if ignored is None else set(ignored.part(q, q + 1).items) - set(own)
        if itself:
            out.add(q)
        others = [i for i in range(len(y)) if i not in out and i not in own]
        ranks = []
        for place, item in enumerate(sorted(own, key=lambda i: -scores[q, i])):
            ranks.append(1 + place + sum(scores[q, i] >= scores[q, item] - 3e-7 for i in others))
        if len(own):
            found.append(ranks)
    return found


def lists(ranks: Ranks) -> list[list[int]]:
    return [ranks.ranks[a:b].tolist() for a, b in zip(ranks.starts, ranks.starts[1:], strict=False)]


@pytest.mark.parametrize("span", [10**6, 100, 37])
@pytest.mark.parametrize("most", [1, 5, 60])
@pytest.mark.parametrize("repeats", [False, True])
def test_spans_do_not_matter(
    span: int, most: int, repeats: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = made(0, N), made(1, M, repeats=repeats)
    relevant, ignored = some_relevant(2, N, M, most), some_relevant(3, N, M, 20)
    monkeypatch.setattr(ranking, "SPAN", span)
    monkeypatch.setattr(ranking, "AT_ONCE", 50)
    for out in (None, ignored):
        found = ranking.ranks(x, y, relevant, ignored=out)
        assert lists(found) == by_definition(x, y, relevant, out, itself=False)
        assert found.queries.tolist() == np.flatnonzero(relevant.counts).tolist()
    one, two = mg.Embeddings(x), mg.Embeddings(y, "text")
    of_embeddings = ranking.ranks(one, two, relevant)
    assert lists(of_embeddings) == by_definition(one.unit(), two.unit(), relevant, None, False)
    expected = (one.unit() @ two.unit().T).argmax(1)
    assert ranking.nearest(one, two).tolist() == expected.tolist()


@pytest.mark.parametrize("span", [10**6, 50])
def test_an_item_does_not_find_itself(span: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "SPAN", span)
    rows = mg.Embeddings(made(4, N, repeats=True))
    codes = np.arange(N) % 5
    relevant = Relevant.same_class(codes, codes, itself=True)
    found = ranking.ranks(rows, rows, relevant, itself=True)
    assert lists(found) == by_definition(rows.unit(), rows.unit(), relevant, None, itself=True)


def test_files_and_processes_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows stay in their file, no more than a span of the gallery is read at once."""
    monkeypatch.setattr(files, "SMALL", -1)
    path = mg.save(mg.Pair(made(5, N), made(5, N) + made(6, N) / 3), tmp_path / "a.safetensors")
    pair = mg.load(path)
    assert not pair.image.rows.in_memory
    whole = mg.evaluate(pair, only="retrieval")
    monkeypatch.setattr(ranking, "SPAN", 40)
    largest = []
    read = type(pair.image.rows).read

    def watched(self: object, start: int, stop: int) -> torch.Tensor:
        largest.append(stop - start)
        return read(self, start, stop)

    monkeypatch.setattr(type(pair.image.rows), "read", watched)
    by_spans = mg.evaluate(mg.load(path), only="retrieval")
    assert by_spans.to_json() == whole.to_json()
    assert max(largest) <= 4096
    with on("processes:2"):
        elsewhere = mg.evaluate(mg.load(path), only="retrieval")
    assert elsewhere.to_json() == whole.to_json()
