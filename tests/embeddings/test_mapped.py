"""Matches that stay in their file: the same as in memory."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modalgap as mg
from modalgap import errors, files
from modalgap.embeddings import matching
from modalgap.embeddings.mapped import Mapped, mapped

Array = np.ndarray[Any, Any]
N, M = 6, 12
KINDS = {
    "in order": {"text_to_image": np.repeat(np.arange(N), 2)},
    "text_to_image": {"text_to_image": np.arange(M)[::-1] % N},
    "labels": {"labels": np.arange(N) * 5 % M},
    "pairs": {"pairs": np.array([[0, 0], [0, 3], [1, 3], [4, 11], [5, 0]])},
}


@pytest.fixture
def in_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is small, and row numbers are checked three at a time."""
    monkeypatch.setattr(files, "SMALL", -1)
    monkeypatch.setattr(matching, "BLOCK", 3)


def rows(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, 4)).astype(np.float32)


def pair(kind: str) -> mg.Pair:
    return mg.Pair(rows(N), rows(M, 1), **KINDS[kind])


def held(found: mg.Pair) -> Array:
    return next(
        each for each in (found.text_to_image, found.labels, found.pairs) if each is not None
    )


@pytest.mark.parametrize("kind", KINDS)
class TestFiles:
    def test_small_ones_are_read(self, kind: str, tmp_path: Path) -> None:
        found = mg.load(mg.save(pair(kind), tmp_path / "a.safetensors"))
        assert type(held(found)) is np.ndarray

    @pytest.mark.usefixtures("in_file")
    def test_as_in_memory(self, kind: str, tmp_path: Path) -> None:
        want = pair(kind)
        found = mg.load(mg.save(want, tmp_path / "a.safetensors"))
        assert isinstance(held(found), Mapped)
        assert np.array_equal(held(found), held(want))
        assert found.matched_by == want.matched_by
        assert (
            found.captions_per_image
            == want.captions_per_image
            == (2 if kind == "in order" else None)
        )
        assert found.fingerprint == want.fingerprint
        for name in ("matches", "first_matches", "distinct_matches", "clusters"):
            for one, two in zip(getattr(found, name), getattr(want, name), strict=True):
                assert np.array_equal(one, two), name
        ours, theirs = (mg.measure(each, only=["l2m", "matched_cosine"]) for each in (found, want))
        assert {k: v.value for k, v in ours.items()} == {k: v.value for k, v in theirs.items()}
        mg.save(found, tmp_path / "b.safetensors")
        assert (tmp_path / "a.safetensors").read_bytes() == (
            tmp_path / "b.safetensors"
        ).read_bytes()

    @pytest.mark.usefixtures("in_file")
    def test_pickled_as_a_place_in_the_file(self, kind: str, tmp_path: Path) -> None:
        found = mg.load(mg.save(pair(kind), tmp_path / "a.safetensors"))
        sent = pickle.dumps(held(found))
        again = pickle.loads(sent)  # noqa: S301 - our own
        assert isinstance(again, Mapped)
        assert np.array_equal(again, held(found))
        assert again.dtype == held(found).dtype
        assert pickle.loads(pickle.dumps(again)).tolist() == again.tolist()  # noqa: S301
        with (tmp_path / "a.safetensors").open("ab") as file:
            file.write(b" ")
        with pytest.raises(errors.FileError, match="must not change after it was opened"):
            pickle.loads(sent)  # noqa: S301

    @pytest.mark.usefixtures("in_file")
    def test_shards(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "s").mkdir()
        for i in range(3):
            mg.save(pair(kind), tmp_path / "s" / f"part_{i}.safetensors")
        found = mg.load(tmp_path / "s")
        one = held(pair(kind))
        if kind == "labels":
            want = np.concatenate([one] * 3)
        else:
            shift = np.array([N, M]) if kind == "pairs" else N
            want = np.concatenate([one + i * shift for i in range(3)])
        assert np.array_equal(held(found), want)


@pytest.mark.usefixtures("in_file")
@pytest.mark.parametrize("kind", ["in order", "text_to_image", "pairs"])
@pytest.mark.parametrize("dtype", ["<i8", ">i8", "<i4", "<u8", "u1"])
def test_npy_of_any_width(kind: str, dtype: str, tmp_path: Path) -> None:
    want = pair(kind)
    np.save(tmp_path / "x.npy", want.image.unit().numpy())
    np.save(tmp_path / "y.npy", want.text.unit().numpy())
    np.save(tmp_path / "pairs.npy", held(want).astype(dtype))
    found = mg.load(image=tmp_path / "x.npy", text=tmp_path / "y.npy", pairs=tmp_path / "pairs.npy")
    assert isinstance(held(found), Mapped) == (dtype == "<i8")
    assert held(found).dtype == np.int64
    assert np.array_equal(held(found), held(want))


@pytest.mark.usefixtures("in_file")
class TestRanges:
    @pytest.mark.parametrize("place", [0, 2, 3, 11])
    @pytest.mark.parametrize("wrong", [-1, N, 2**40])
    def test_the_first_wrong_number_is_named(self, place: int, wrong: int, tmp_path: Path) -> None:
        index = np.arange(M) % N
        index[place:] = wrong
        np.save(tmp_path / "pairs.npy", index)
        for name, n in (("x", N), ("y", M)):
            np.save(tmp_path / f"{name}.npy", rows(n))
        with pytest.raises(errors.FileError, match=rf"0 … 5 .*row {place} holds {wrong}$"):
            mg.load(image=tmp_path / "x.npy", text=tmp_path / "y.npy", pairs=tmp_path / "pairs.npy")
        with pytest.raises(errors.InputError, match=f"row {place} holds {wrong}$"):
            mg.Pair(rows(N), rows(M), text_to_image=index)
        both = np.stack([index, np.arange(M)], 1)
        with pytest.raises(errors.InputError, match=f"column 0 .*row {place} holds {wrong}$"):
            mg.Pair(rows(N), rows(M), pairs=both)

    def test_in_order(self) -> None:
        for each in (1, 2, 3, 5):
            for n in (1, 2, 3, 4, 7):
                index = np.repeat(np.arange(n), each)
                assert matching.in_order(index, each)
                for place in range(n * each):
                    other = index.copy()
                    other[place] += 1
                    assert not matching.in_order(other, each)

    def test_sorted_pairs_are_kept_and_others_sorted(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(200):
            k = int(rng.integers(1, 9))
            pairs = rng.integers(0, 3, (k, 2))
            want = np.array(sorted({(a, b) for a, b in pairs.tolist()}))
            for given in (pairs, want, want[::-1], pairs.astype(np.int8), np.asfortranarray(want)):
                found = matching.pairs_of(given, "pairs", 3, 3)
                assert found.dtype == np.int64
                assert found.tolist() == want.tolist()
                assert found.flags.c_contiguous
                assert not np.shares_memory(found, given)

    def test_image_of_each(self) -> None:
        """Against the definition: one image for every text."""
        rng = np.random.default_rng(1)
        seen = set()
        for _ in range(500):
            k, m = (int(each) for each in rng.integers(1, 5, 2))
            pairs = matching.pairs_of(
                np.stack([rng.integers(0, 4, k), rng.integers(0, m, k)], 1), "pairs", 4, m
            )
            of = [pairs[pairs[:, 1] == text, 0].tolist() for text in range(m)]
            one_each = all(len(images) == 1 for images in of)
            found = matching.image_of_each(pairs, m)
            assert (found is not None) == one_each
            if found is not None:
                assert [[image] for image in found.tolist()] == of
            seen.add(one_each)
        assert seen == {True, False}


def test_what_cannot_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 80)
    assert mapped(path, np.dtype("u1"), 8, (3,)).tolist() == [120] * 3
    with pytest.raises(errors.FileError, match="cannot be mapped"):
        mapped(path, np.dtype("<i8"), 8, (100,))
    with pytest.raises(errors.FileError, match="cannot be read"):
        mapped(tmp_path / "none", np.dtype("u1"), 0, (1,))


def test_clusters_are_made_when_a_measure_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pair("text_to_image")

    def never(_: mg.Pair) -> object:
        raise AssertionError("clusters were made")

    monkeypatch.setattr(type(whole), "clusters", property(never))
    in_rows = mg.Pair(rows(30), rows(30, 1))
    assert mg.measure(in_rows, only=["l2m", "rmg"])["l2m"].value > 0
    with pytest.raises(AssertionError, match="clusters were made"):
        mg.measure(in_rows, only=["knn_mixing"])
