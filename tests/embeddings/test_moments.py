"""Moments: the sums are right, merge, stream, and keep their digits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.cases import two_cones, unit

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import GROUPS, Embeddings, Pair, PairMoments, moments, pair_moments
from modalgap.embeddings.moments import class_sums
from modalgap.embeddings.rows import CHUNK, FileRows, ShardedRows, torch_dtype

Array = NDArray[Any]


def group_sums(rows: Array, groups: Array, count: int) -> Array:
    """(count + 1, d), row by row."""
    sums = np.zeros((count + 1, rows.shape[1]))
    for row, group in zip(rows, groups, strict=True):
        sums[group] += row
    return sums


def check(found: PairMoments, pair: Pair, image: Array, text: Array) -> None:
    """Everything in ``found`` against sums taken row by row."""
    x, y = unit(image), unit(text)
    count = min(GROUPS, len(x))
    own = np.arange(len(x)) % count
    i, j = (index.numpy() for index in pair.matches)
    text_groups = np.full(len(y), -1) if pair.labels is not None else own[i][np.argsort(j)]
    for side, rows, groups in ((found.image, x, own), (found.text, y, text_groups)):
        assert side.counts == pytest.approx(
            group_sums(np.ones((len(rows), 1)), groups, count)[:, 0]
        )
        np.testing.assert_allclose(side.sums, group_sums(rows, groups, count), atol=2e-5)
        np.testing.assert_allclose(side.mean, rows.mean(0), atol=1e-7)
        assert side.n == len(rows)
        if side.scatter is not None:
            np.testing.assert_allclose(side.covariance, np.cov(rows.T), atol=1e-6)
            np.testing.assert_array_equal(side.scatter, side.scatter.T)
    distance = np.linalg.norm(x[i] - y[j], axis=1)
    per_pair = np.stack([np.ones_like(distance), distance, distance**2], axis=1)
    expected = group_sums(per_pair, own[i], count).T
    matches = found.matches
    for values, want in zip(
        (matches.counts, matches.distance, matches.squared), expected, strict=True
    ):
        np.testing.assert_allclose(values, want, rtol=1e-6, atol=1e-6)


def pair_of(kind: str, n: int, d: int = 6) -> tuple[Pair, Array, Array]:
    random = np.random.default_rng(n)
    of = None
    if kind == "captions":
        of = np.arange(n).repeat(3)
    if kind == "uneven":
        of = random.permutation(np.arange(n).repeat(random.integers(1, 8, n)))
    image, text = two_cones(n, d, seed=n, of=of)
    if kind == "labels":
        labels = random.integers(0, 4, n)
        return (
            Pair(image, text[:4].copy() if n >= 4 else text, labels=labels % min(n, 4)),
            image,
            (text[:4]),
        )
    return Pair(image, text, text_to_image=of), image, text


@pytest.mark.parametrize("n", [2, 60, 61, 62, 2000, 4500])
@pytest.mark.parametrize("kind", ["rows", "captions", "uneven", "labels"])
def test_against_sums_row_by_row(kind: str, n: int) -> None:
    pair, image, text = pair_of(kind, n)
    check(pair_moments(pair, scatter=True), pair, image, text)


@pytest.mark.parametrize("captions", [1, 5, 40, 2500])
def test_in_order_and_scattered_agree(captions: int) -> None:
    n = 4300 if captions < 40 else 3
    of = np.arange(n).repeat(captions)
    image, text = two_cones(n, 4, of=of)
    aligned = Pair(image, text, text_to_image=of)
    assert aligned.captions_per_image == captions
    shuffle = np.random.default_rng(0).permutation(len(of))
    scattered = Pair(image, text[shuffle], text_to_image=of[shuffle])
    assert scattered.captions_per_image is None
    first, second = pair_moments(aligned, scatter=True), pair_moments(scattered, scatter=True)
    for a, b in ((first.image, second.image), (first.text, second.text)):
        np.testing.assert_array_equal(a.counts, b.counts)
        np.testing.assert_allclose(a.sums, b.sums, atol=2e-5 * captions)
        np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-6)
    np.testing.assert_allclose(first.matches.squared, second.matches.squared, rtol=1e-6)
    np.testing.assert_allclose(first.matches.distance, second.matches.distance, rtol=1e-6)
    np.testing.assert_array_equal(first.matches.counts, second.matches.counts)


def test_images_without_captions() -> None:
    image, text = two_cones(70, 5, of=np.array([3, 3, 69, 8]))
    pair = Pair(image, text, text_to_image=[3, 3, 69, 8])
    check(pair_moments(pair, scatter=True), pair, image, text)


def test_one_modality() -> None:
    image, _ = two_cones(5000, 7)
    found = moments(Embeddings(image), scatter=True)
    paired = pair_moments(Pair(image, image[::-1])).image
    np.testing.assert_allclose(found.sums, paired.sums, atol=1e-9)
    np.testing.assert_allclose(found.covariance, np.cov(unit(image).T), atol=1e-6)
    assert moments(Embeddings(image)).scatter is None
    with pytest.raises(errors.InputError, match="scatter"):
        _ = moments(Embeddings(image)).covariance


def test_leaving_a_group_out() -> None:
    image, text = two_cones(150, 5)
    pair = Pair(image, text)
    found = pair_moments(pair)
    counts, sums = found.image.leave_one_group_out()
    x, distance = unit(image), np.linalg.norm(unit(image) - unit(text), axis=1)
    group = np.arange(150) % GROUPS
    assert len(counts) == GROUPS + 1
    pairs, total, squared = found.matches.leave_one_group_out()
    for g in range(-1, GROUPS):
        kept = group != g
        assert counts[g + 1] == kept.sum() == pairs[g + 1]
        np.testing.assert_allclose(sums[g + 1], x[kept].sum(0), atol=1e-5)
        assert total[g + 1] == pytest.approx(distance[kept].sum(), rel=1e-6)
        assert squared[g + 1] == pytest.approx((distance[kept] ** 2).sum(), rel=1e-6)


def test_class_prompts_are_never_left_out() -> None:
    pair, _, text = pair_of("labels", 100)
    counts, sums = pair_moments(pair).text.leave_one_group_out()
    assert set(counts) == {4.0}
    np.testing.assert_allclose(sums, np.tile(unit(text).sum(0), (len(sums), 1)), atol=1e-6)


# merging -------------------------------------------------------------------------------------


@given(st.lists(st.integers(2, 150), min_size=2, max_size=5), st.integers(1, 4))
def test_merged_shards_equal_the_whole(sizes: list[int], captions: int) -> None:
    total = sum(sizes)
    of = np.arange(total).repeat(captions)
    image, text = two_cones(total, 3, seed=total, of=of)
    merged: PairMoments | None = None
    start = 0
    for size in sizes:
        rows = slice(start * captions, (start + size) * captions)
        shard = Pair(image[start : start + size], text[rows], np.arange(size).repeat(captions))
        part = pair_moments(shard, scatter=True)
        merged = part if merged is None else merged.merge(part)
        start += size
    assert merged is not None
    whole = pair_moments(Pair(image, text, of), scatter=True)
    for a, b in ((merged.image, whole.image), (merged.text, whole.text)):
        assert a.n == b.n
        np.testing.assert_allclose(a.mean, b.mean, atol=1e-7)
        np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-6)
    for name in ("counts", "distance", "squared"):
        together = getattr(merged.matches, name).sum()
        assert together == pytest.approx(getattr(whole.matches, name).sum(), rel=1e-6)


def test_merging_whole_rounds_of_groups_keeps_the_groups() -> None:
    image, text = two_cones(GROUPS * 5, 4)
    cut = GROUPS * 2
    parts = [pair_moments(Pair(image[s], text[s])) for s in (slice(cut), slice(cut, None))]
    merged, whole = parts[0].merge(parts[1]), pair_moments(Pair(image, text))
    np.testing.assert_allclose(merged.image.sums, whole.image.sums, atol=1e-6)
    np.testing.assert_allclose(merged.matches.squared, whole.matches.squared, rtol=1e-6)


def test_merging_without_one_scatter_has_none() -> None:
    image, _ = two_cones(80, 4)
    with_one, without = (moments(Embeddings(image), scatter=s) for s in (True, False))
    assert with_one.merge(without).scatter is None
    assert with_one.merge(with_one).n == 160


# streaming -----------------------------------------------------------------------------------


def file_rows(path: Path, values: Array, offset: int = 0) -> FileRows:
    with path.open("wb") as file:
        file.write(b"\0" * offset)
        values.tofile(file)
    dtype = torch_dtype(values.dtype)
    assert dtype is not None
    return FileRows(path, offset, values.dtype, values.shape, dtype)


@pytest.fixture(params=["<f2", ">f4", "<f4", ">f8"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("matched", ["rows", "captions", "uneven", "labels"])
def test_streaming_equals_memory(tmp_path: Path, kind: str, matched: str) -> None:
    pair, image, text = pair_of(matched, 2600)
    image, text = image.astype(kind), text.astype(kind)
    streamed, held = (
        pair_moments(
            Pair(*rows, text_to_image=pair.text_to_image, labels=pair.labels), scatter=True
        )
        for rows in (
            (
                Embeddings(file_rows(tmp_path / "image", image, 128), "image"),
                Embeddings(file_rows(tmp_path / "text", text, 3), "text"),
            ),
            (image, text),
        )
    )
    same(streamed, held)


@pytest.mark.parametrize("cuts", [(1,), (CHUNK - 1, CHUNK, CHUNK + 1), (5, 1300, 2599)])
@pytest.mark.parametrize("matched", ["rows", "uneven"])
def test_shards_equal_the_whole(tmp_path: Path, cuts: tuple[int, ...], matched: str) -> None:
    pair, image, text = pair_of(matched, CHUNK + 100)
    parts = tuple(
        file_rows(tmp_path / str(i), part) for i, part in enumerate(np.split(image, cuts))
    )
    sharded = Embeddings(ShardedRows(parts), "image")
    found = pair_moments(Pair(sharded, text, pair.text_to_image), scatter=True)
    same(found, pair_moments(pair, scatter=True))
    assert sharded.fingerprint == pair.image.fingerprint


def same(found: PairMoments, expected: PairMoments) -> None:
    for a, b in ((found.image, expected.image), (found.text, expected.text)):
        np.testing.assert_array_equal(a.counts, b.counts)
        np.testing.assert_array_equal(a.sums, b.sums)
        np.testing.assert_array_equal(a.scatter, b.scatter)
    np.testing.assert_array_equal(found.matches.distance, expected.matches.distance)
    np.testing.assert_array_equal(found.matches.squared, expected.matches.squared)


def test_each_side_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, text = two_cones(5000, 4, of=np.arange(5000).repeat(2))
    sides = [
        Embeddings(file_rows(tmp_path / name, rows), name)
        for name, rows in (("image", image), ("text", text))
    ]
    pair = Pair(*sides, text_to_image=np.arange(5000).repeat(2))
    read: dict[str, list[tuple[int, int]]] = {"image": [], "text": []}
    plain = FileRows.read

    def watched(self: FileRows, start: int, stop: int) -> torch.Tensor:
        read[self.path.name].append((start, stop))
        return plain(self, start, stop)

    monkeypatch.setattr(FileRows, "read", watched)
    found = mg.measure(pair, only=["l2m", "l2i", "rmg", "cone", "frechet", "effective_rank"])
    assert found.pair["were_unit"] == {"image": False, "text": False}
    for name, n in (("image", 5000), ("text", 10_000)):
        assert spans(read[name]) == n  # each row once, in order; norms and fingerprint included


def spans(read: list[tuple[int, int]]) -> int:
    end = 0
    for start, stop in read:
        assert start == end
        end = stop
    return end


def test_a_bad_row_is_named_while_streaming(tmp_path: Path) -> None:
    image, text = two_cones(5000, 4)
    text[4321] = 0
    side = Embeddings(file_rows(tmp_path / "text", text), "text", source="text.npy")
    with pytest.raises(errors.InputError, match=r"text\.npy: .*row 4321 holds only zeros"):
        mg.measure(Pair(image, side), only="l2m")


# digits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [1e-2, 1e-3, 1e-4])
def test_a_mean_large_against_the_spread(spread: float) -> None:
    random = np.random.default_rng(0)
    centre = random.normal(size=16)
    centre /= np.linalg.norm(centre)
    rows = (centre + spread * random.normal(size=(20_000, 16))).astype(np.float32)
    found = moments(Embeddings(rows), scatter=True)
    held = Embeddings(rows).unit().double().numpy()  # the rows as float32 unit rows hold them
    expected = np.cov(held.T)
    assert np.abs(found.covariance - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(found.mean - unit(rows).mean(0)).max() < 6e-8  # one float32 rounding


def test_near_matches_keep_their_digits() -> None:
    random = np.random.default_rng(0)
    image = random.normal(size=(500, 32))
    text = image + 1e-4 * random.normal(size=(500, 32))
    found = pair_moments(Pair(image, text)).matches
    distance = np.linalg.norm(unit(image) - unit(text), axis=1)
    assert found.squared.sum() == pytest.approx((distance**2).sum(), rel=1e-3)
    assert found.distance.sum() == pytest.approx(distance.sum(), rel=1e-3)
    same_rows = pair_moments(Pair(image, image)).matches
    assert same_rows.distance.sum() == 0.0


def test_long_sums_do_not_drift() -> None:
    random = np.random.default_rng(0)
    rows = (random.normal(size=(120_000, 4)) + np.eye(4)[0] * 100).astype(np.float32)
    assert moments(Embeddings(rows)).mean == pytest.approx(unit(rows).mean(0), abs=6e-8)


# classes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "groups"), [(3, 1), (3, 61), (400, 61)])
def test_class_sums(classes: int, groups: int) -> None:
    image, _ = two_cones(2500, 4)
    codes = np.random.default_rng(0).integers(0, classes, 2500)
    counts, sums = class_sums(Embeddings(image), torch.from_numpy(codes), classes, groups)
    assert counts.shape == (groups, classes)
    cell = np.arange(2500) % groups * classes + codes
    expected = group_sums(unit(image), cell, groups * classes)[:-1]
    np.testing.assert_allclose(sums.reshape(-1, 4), expected, rtol=2e-6, atol=1e-5)
    np.testing.assert_array_equal(counts.ravel(), np.bincount(cell, minlength=groups * classes))


def test_chunks_of_any_size_agree() -> None:
    image, _ = two_cones(500, 4)
    side = Embeddings(image)

    def joined(chunks: Iterator[tuple[int, torch.Tensor]]) -> torch.Tensor:
        return torch.cat([rows for _, rows in chunks])

    for size in (1, 7, 499, 500, 501):
        assert torch.equal(joined(side.chunks(size)), side.unit())


def test_moments_of_different_widths_do_not_merge() -> None:
    random = np.random.default_rng(0)
    wide, narrow = (moments(Embeddings(random.normal(size=(20, d)))) for d in (6, 1))
    with pytest.raises(errors.InputError, match="same width"):
        wide.merge(narrow)
