"""One pass in spans: the sums of all rows, the same bits from files, shards and other processes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import modalgap as mg
from modalgap import errors, files
from modalgap.close import statistics
from modalgap.embeddings import Modalities, all_moments, moments, pair_moments, streaming
from modalgap.embeddings.moments import GROUPS, PairMoments
from modalgap.work import on, spans_of

N, D = GROUPS * 4096 + 1000, 3  # two spans


def made(seed: int, n: int) -> torch.Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed)).half()


def pair_of(kind: str) -> mg.Pair:
    n = {"captions": N // 5 + 1}.get(kind, N)
    if kind == "rows":
        return mg.Pair(made(0, n), made(1, n))
    if kind == "captions":
        return mg.Pair(made(0, n), made(1, 5 * n), text_to_image=np.arange(5 * n) // 5)
    random = np.random.default_rng(0)
    if kind == "labels":
        return mg.Pair(made(0, n), made(1, 10), labels=random.integers(0, 10, n))
    if kind == "shuffled":
        return mg.Pair(made(0, n), made(1, n), text_to_image=random.permutation(n))
    pairs = np.stack([random.integers(0, n // 3, n) * 3, np.arange(n)], 1)
    return mg.Pair(
        made(0, n), made(1, n), pairs=np.concatenate([pairs, pairs[:9] + np.array([1, 0])])
    )


def arrays(found: PairMoments) -> list[np.ndarray]:
    sides = [each for side in (found.image, found.text) for each in (side.counts, side.sums)]
    scatter = [side.scatter for side in (found.image, found.text) if side.scatter is not None]
    matches = found.matches
    return [*sides, *scatter, matches.counts, matches.distance, matches.squared]


@pytest.mark.parametrize("kind", ["rows", "captions", "labels", "shuffled", "pairs"])
def test_spans_give_the_sums_of_one_pass(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = pair_of(kind)
    by_spans = pair_moments(pair, scatter=True)
    monkeypatch.setattr(streaming, "SPAN", 10**9)
    whole = pair_moments(pair, scatter=True)
    assert len(arrays(by_spans)) == 9
    for one, two in zip(arrays(by_spans), arrays(whole), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-2)
    assert by_spans.image.counts.tolist() == whole.image.counts.tolist()
    np.testing.assert_allclose(by_spans.image.mean, whole.image.mean, atol=1e-9)


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_files_and_shards_give_the_same_bits(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans are of rows: where shards begin and end does not matter."""
    monkeypatch.setattr(files, "SMALL", -1)
    pair = pair_of("rows")
    expected = arrays(pair_moments(pair, scatter=True))
    paths = []
    for i, (a, b) in enumerate([(0, 70_001), (70_001, 70_003), (70_003, N)]):
        some = mg.Pair(pair.image.rows.read(a, b), pair.text.rows.read(a, b))
        paths.append(mg.save(some, tmp_path / f"part-{i}.{ending}"))
    shards = mg.load(paths)
    for one, two in zip(arrays(pair_moments(shards, scatter=True)), expected, strict=True):
        np.testing.assert_array_equal(one, two)
    assert shards.fingerprint == pair.fingerprint
    assert shards.image.norm_range == pair.image.norm_range


def test_processes_give_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SMALL", -1)
    pair = pair_of("shuffled")
    path = mg.save(pair, tmp_path / "a.safetensors")
    only = ["l2m", "rmg", "participation_ratio", "matched_cosine"]
    here = mg.measure(mg.load(path), only=only)
    fitted = mg.close.fit(mg.load(path), "standardize")
    with on("processes:2"):
        there = mg.measure(mg.load(path), only=only)
        other = mg.close.fit(mg.load(path), "standardize")
    assert there.to_json() == here.to_json()
    assert other.fingerprint == fitted.fingerprint


def test_statistics_of_closers(monkeypatch: pytest.MonkeyPatch) -> None:
    side = mg.Embeddings(made(2, N))

    def read() -> statistics.Statistics:
        known = statistics.Statistics("image", side)
        known.read(squares=True, keep=1000, seed=3)
        return known

    by_spans = read()
    monkeypatch.setattr(statistics, "SPAN", 10**9)
    whole = read()
    rows = side.unit().double().numpy()
    np.testing.assert_allclose(by_spans.mean, rows.mean(0), atol=1e-9)
    np.testing.assert_allclose(by_spans.variance, rows.var(0, ddof=1), rtol=1e-6)
    assert torch.equal(by_spans.sample, whole.sample)
    np.testing.assert_allclose(by_spans.mean, whole.mean, atol=1e-12)


@pytest.mark.parametrize("by_row", [True, False])
def test_several_modalities(by_row: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = [mg.Embeddings(made(i, N), name) for i, name in enumerate(("image", "text", "audio"))]
    matches = None if by_row else {("image", "text"): np.random.default_rng(0).permutation(N)}
    data = Modalities(sides, matches)
    by_spans = all_moments(data, scatter=True)
    monkeypatch.setattr(sys.modules["modalgap.embeddings.all_moments"], "SPAN", 10**9)
    whole = all_moments(data, scatter=True)
    for name in data:
        np.testing.assert_allclose(by_spans.sides[name].mean, whole.sides[name].mean, atol=1e-9)
        one, two = by_spans.sides[name].covariance, whole.sides[name].covariance
        np.testing.assert_allclose(one, two, atol=1e-7)
        np.testing.assert_array_equal(by_spans.sides[name].counts, whole.sides[name].counts)
    for two in whole.matches:
        np.testing.assert_allclose(
            by_spans.matches[two].distance, whole.matches[two].distance, rtol=1e-9
        )


def test_spans() -> None:
    assert spans_of(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert spans_of(8, 4) == [(0, 4), (4, 8)]
    assert streaming.SPAN % GROUPS == 0
    assert streaming.SPAN % 4096 == 0
    assert moments(mg.Embeddings(made(0, N))).n == N


def test_more_than_fits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs all rows at once says so, in one line, before it reads them."""
    side = mg.Embeddings(made(0, N), source="a.parquet (image)")
    monkeypatch.setattr(files, "available_memory", lambda: 2**20)
    monkeypatch.setattr("modalgap.embeddings.embeddings.SMALL", 10**6)
    with pytest.raises(errors.FileError, match=r"^a\.parquet .image.: must fit in .*it needs"):
        side.unit()
    assert len(side.unit(0, 1000)) == 1000
