"""What must hold of every closer that fits a map, and so of one added tomorrow; and bad input."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from close.cases import (
    MAPS,
    NO_MAPS,
    ON_DATA,
    ROLES,
    SMALL,
    D,
    N,
    arrays,
    at_once,
    is_unit,
    judge,
    made,
    pair,
    plain,
    refused,
    same,
    shown,
    shown_in,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.cases import unit

import modalgap as mg
from modalgap import errors, files
from modalgap.close import CLOSERS, close, fit
from modalgap.embeddings import Embeddings, Pair

# fitting and applying -----------------------------------------------------------------------------


def test_maps_and_others() -> None:
    assert set(MAPS) | set(NO_MAPS) == set(CLOSERS)
    assert NO_MAPS == ["noise", "transport", "spectral"]
    assert set(MAPS) - set(ON_DATA) == {"isoclip"}


def shards(folder: Path, whole: Pair, suffix: str) -> Pair:
    """The same rows in three files a modality, or three of both; left on the disk."""
    n, each = whole.image.n, whole.text.n // whole.image.n
    cuts = [0, 3, n // 2 + 1, n]
    if suffix == ".npy":
        found = {}
        for side in whole.sides:
            times = each if side.modality == "text" else 1
            found[side.modality] = [folder / f"{side.modality}_{i}.npy" for i in range(3)]
            for path, (a, b) in zip(found[side.modality], pairwise(cuts), strict=True):
                np.save(path, side.rows.read(a * times, b * times).numpy())
        return mg.load(image=found["image"], text=found["text"])
    paths = []
    for i, (a, b) in enumerate(pairwise(cuts)):
        sides = (
            Embeddings(side.rows.read(a * k, b * k), side.modality)
            for side, k in zip(whole.sides, (1, each), strict=True)
        )
        match = None if each == 1 else np.arange((b - a) * each) // each
        paths.append(mg.save(Pair(*sides, match), folder / f"part_{i}{suffix}"))
    return mg.load(paths)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files stay on the disk, as large ones do."""
    monkeypatch.setattr(files, "SMALL", 0)


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_fit_on_shards_is_fit_on_rows(tmp_path: Path, suffix: str) -> None:
    whole = Pair(*arrays(4500, 8))  # several chunks
    apart = shards(tmp_path, whole, suffix)
    assert not any(side.rows.in_memory for side in apart.sides)
    for name in ON_DATA:
        found, expected = made(name, apart), made(name, whole)
        assert found.fingerprint == expected.fingerprint, name
        assert found.facts == expected.facts
        assert found.fitted_on == expected.fitted_on


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_fit_on_shards_of_captions(tmp_path: Path, suffix: str) -> None:
    image, text = arrays(500, 8, 5)
    whole = Pair(image, text, np.arange(2500) // 5)
    apart = shards(tmp_path, whole, suffix)
    for name in ON_DATA:
        assert made(name, apart).fingerprint == made(name, whole).fingerprint, name


@pytest.mark.parametrize("name", ON_DATA)
def test_scale_dtype_and_form_of_rows_do_not_matter(name: str) -> None:
    image, text = (unit(rows) for rows in arrays())
    scale = np.random.default_rng(0).choice([1e-25, 1e-3, 7.0, 1e20], (N, 1))
    expected = shown(plain(name))
    for change in (
        lambda rows: rows * scale,
        lambda rows: torch.tensor(rows, dtype=torch.float64, requires_grad=True),
        lambda rows: rows.astype(">f8"),
        lambda rows: np.repeat(rows, 2, axis=0)[::2],
        lambda rows: rows.tolist(),
    ):
        same(shown(made(name, Pair(change(image), change(text)))), expected, 1e-4)
        map_ = plain(name)
        same({"image": map_.image(change(image)), "text": map_.text(change(text))}, expected, 2e-6)


@pytest.mark.parametrize("name", MAPS)
def test_parts_close_as_the_whole(name: str) -> None:
    whole, map_ = shown(plain(name)), plain(name)
    cut = N // 3
    for role, side in zip(ROLES, pair().sides, strict=True):
        rows = side.rows.read(0, N)
        halves = np.concatenate([map_(rows[:cut], role), map_(rows[cut:], role)])
        np.testing.assert_allclose(halves, whole[role], atol=1e-6)
        one = map_(rows[7], role)
        assert one.shape == (map_.width(role),)
        np.testing.assert_allclose(one, whole[role][7], atol=1e-6)
        np.testing.assert_allclose(map_(rows[7:8], role), whole[role][7:8], atol=1e-6)
    parts = [Pair(pair().image.unit(a, b), pair().text.unit(a, b)) for a, b in ((0, cut), (cut, N))]
    found = {
        role: np.concatenate([shown_in(map_.apply(part))[role] for part in parts]) for role in ROLES
    }
    same(found, whole)


@pytest.mark.parametrize("name", MAPS)
def test_a_map_applied_is_a_map_called(name: str) -> None:
    map_ = plain(name)
    image, text = arrays()
    closed = map_.apply(pair())
    same(shown_in(closed), {"image": map_.image(image), "text": map_.text(text)})
    alone = map_.apply(pair().text)
    assert isinstance(alone, Embeddings)
    np.testing.assert_array_equal(alone.unit(), closed.text.unit())
    same(shown_in(close(pair(), name)) if name in ON_DATA else shown_in(closed), shown_in(closed))
    for rows in shown(map_).values():
        assert rows.dtype == np.float32
        is_unit(rows)
    assert [map_.width(role) for role in ROLES] == [side.dim for side in closed.sides]
    assert repr(map_).startswith(f"AffineMap({name}: image {D} → {closed.dim}, text {D}")


@pytest.mark.parametrize("name", MAPS)
def test_closing_leaves_everything_but_the_rows(name: str) -> None:
    labels = np.arange(N) % 7
    labelled = Pair(
        pair().image, Embeddings(arrays()[1][:7], "text", list("abcdefg")), None, labels
    )
    closed = plain(name).apply(labelled)
    assert closed.image.names == pair().image.names
    assert closed.text.names == tuple("abcdefg")
    np.testing.assert_array_equal(closed.image.factors["i"], np.arange(N))
    np.testing.assert_array_equal(closed.labels, labels)
    told = closed.image.provenance
    assert told == pair().image.provenance | {"closed": f"{name} {plain(name).fingerprint[:12]}"}
    captioned = Pair(pair().image, pair().text, np.arange(N)[::-1])
    np.testing.assert_array_equal(
        plain(name).apply(captioned).text_to_image, captioned.text_to_image
    )


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("name", MAPS)
def test_files_are_closed_as_they_are_read(tmp_path: Path, name: str) -> None:
    whole = Pair(*arrays(4500, D))
    path = mg.save(whole, tmp_path / "pair.npz")
    map_ = made(name, whole)
    lazy, there = map_.apply(mg.load(path)), map_.apply(whole)
    for found, expected in zip(lazy.sides, there.sides, strict=True):
        assert not found.rows.in_memory
        assert (found.n, found.dim) == (expected.n, expected.dim)
        np.testing.assert_allclose(found.unit(), expected.unit(), atol=1e-6)
        np.testing.assert_allclose(found.unit(2040, 2060), expected.unit(2040, 2060), atol=1e-6)
        for index in ([4499, 0, 7], list(range(30, 60))):
            np.testing.assert_allclose(found.take(index), expected.take(index), atol=1e-6)
        is_unit(torch.cat([rows for _, rows in found.chunks(999)]))
        assert found.were_unit
    kept = mg.load(mg.save(lazy, tmp_path / "closed.safetensors"))
    same(shown_in(kept), shown_in(there))
    assert kept.image.provenance == there.image.provenance
    with refused("must not be a file that these embeddings", errors.OutputError):
        mg.save(lazy, path, overwrite=True)


@pytest.mark.usefixtures("on_disk")
def test_files_closed_twice_over_are_read_through_both(tmp_path: Path) -> None:
    path = mg.save(Pair(*arrays()), tmp_path / "pair.npz")
    once = made("center", mg.load(path)).apply(mg.load(path))
    twice = made("whiten", once).apply(once)
    assert not twice.image.rows.in_memory
    whole = made("center", Pair(*arrays())).apply(Pair(*arrays()))
    same(shown_in(twice), shown_in(close(whole, "whiten")), 1e-5)


# hypothesis ---------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(
    st.sampled_from([name for name in CLOSERS if name not in ("isoclip", "transport")]),
    st.integers(2, 20),
    st.integers(1, 9),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 1e-6, 0.1, 3.0]),
)
def test_unit_rows_or_a_refusal(name: str, n: int, d: int, seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(2, 1, d))
    image, text = centres + spread * random.normal(size=(2, n, d))
    closed = judge(Pair(image, text), name)
    if closed is not None and name in MAPS:
        map_ = fit(Pair(image, text), name)
        same({"image": map_.image(image), "text": map_.text(text)}, shown_in(closed), 1e-3)


def constant_column() -> Pair:
    image, text = (unit(rows) for rows in arrays())
    image[:, 3], text[:, 3] = 0, 0
    return Pair(image, text)


EDGES: dict[str, Callable[[], Pair]] = {
    "two rows": lambda: Pair(np.eye(3)[:2], np.eye(3)[1:]),
    "two rows, one column": lambda: Pair([[1.0], [-2.0]], [[0.5], [3.0]]),
    "one column": lambda: Pair([[1.0], [-2.0]] * 9, [[0.5], [3.0], [-1.0]] * 6),
    "few rows": lambda: Pair(*arrays(5, 40)),
    "constant column": constant_column,
    "identical rows": lambda: Pair(np.ones((20, 4)), np.ones((20, 4))),
    "one direction, many lengths": lambda: Pair(
        np.outer(np.geomspace(0.1, 7, 20), [1.0, 2, 3]), np.outer(np.arange(1, 21), [3.0, 2, 2])
    ),
    "opposite points": lambda: Pair(np.ones((20, 4)), -np.ones((20, 4))),
    "images all one": lambda: Pair(np.ones((20, 4)), arrays(20, 4)[1]),
    "texts all one": lambda: Pair(arrays(20, 4)[0], np.ones((20, 4))),
    "zero gap": lambda: Pair(arrays()[0], Embeddings(arrays()[0], "text")),
    "the same rows in another order": lambda: Pair(arrays()[0], arrays()[0][::-1]),
    "a gap of rounding": lambda: Pair(arrays()[0], arrays()[0] * (1 + 1e-7)),
    "axes and their opposites": lambda: Pair(
        np.concatenate([np.eye(3), -np.eye(3)]), np.concatenate([-np.eye(3), np.eye(3)])
    ),
    "one class prompt repeated": lambda: Pair(
        arrays()[0], np.ones((3, D)), labels=np.zeros(N, int)
    ),
    "captions of one image": lambda: Pair(*arrays(), text_to_image=np.full(N, 3)),
    "captions of two images": lambda: Pair(*arrays(), text_to_image=np.arange(N) % 2),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", [name for name in CLOSERS if name != "isoclip"])
def test_edges(name: str, edge: str) -> None:
    judge(EDGES[edge](), name, **SMALL.get(name, {}))


@pytest.mark.parametrize(
    ("edge", "name", "words"),
    [
        ("zero gap", "shift", "there is no gap"),
        ("zero gap", "project", "there is no gap"),
        ("images all one", "whiten", "all rows of the images are the same"),
        ("texts all one", "whiten", "all rows of the texts are the same"),
        ("one direction, many lengths", "whiten", "all rows of the images are the same"),
        ("one direction, many lengths", "standardize", "all rows of the images are the same"),
        ("one direction, many lengths", "center", "closing maps row"),
        ("images all one", "standardize", "all rows of the images are the same"),
        ("texts all one", "realign", "all rows of the texts are the same"),
        ("texts all one", "ridge", "all rows of the texts are the same"),
        ("images all one", "cca", "all rows of the images are the same"),
        ("texts all one", "procrustes", "uncorrelated"),
        ("images all one", "center", "closing maps row 0 to zero"),
        ("two rows", "cca", "at least 3 matched pairs; there are 2"),
        ("captions of two images", "cca", "at least 3 matched pairs; there are 2"),
        ("opposite points", "spectral", "on average dissimilar"),
        ("identical rows", "spectral", "one direction only"),
    ],
)
def test_what_is_not_there_is_said(edge: str, name: str, words: str) -> None:
    with pytest.raises(errors.NotApplicable, match=words) as caught:
        at_once(EDGES[edge](), name)
    assert str(caught.value).startswith(f"{name}: ") or "closing maps row" in words


def test_zero_gap_is_no_trouble_to_those_that_need_none() -> None:
    data = EDGES["zero gap"]()
    for name in ("none", "center", "standardize", "whiten", "realign", "procrustes"):
        closed = close(data, name)
        np.testing.assert_allclose(closed.image.unit(), closed.text.unit(), atol=1e-5)


def test_fewer_rows_than_columns() -> None:
    few = EDGES["few rows"]()
    with refused("5 image rows in 40 columns is singular; use a shrink", errors.NotApplicable):
        fit(few, "whiten", shrinkage=0)
    with refused("is singular; use a shrinkage above 0", errors.NotApplicable):
        fit(few, "cca", shrinkage=0)
    assert fit(few, "cca").facts["dims"] == 4
    assert fit(few, "pca_text").facts == {"directions": 5, "rank_of_texts": 5}
    assert fit(few, "procrustes").facts["rank"] == 4


def test_a_column_that_never_changes_becomes_zero() -> None:
    map_ = fit(constant_column(), "standardize")
    assert map_.facts["constant_columns"] == {"image": 1, "text": 1}
    assert (map_.image(arrays()[0])[:, 3] == 0).all()
    image, text = (unit(rows) for rows in arrays())
    image[:, 3] = np.random.default_rng(0).normal(size=N) * 1e-8  # what rounding leaves
    rounded = fit(Pair(image, text), "standardize")
    assert rounded.facts["constant_columns"] == {"image": 1, "text": 0}
    assert (rounded.image(image)[:, 3] == 0).all()
    toward = fit(constant_column(), "standardize", to="image")
    assert (toward.text(arrays()[1])[:, 3] == 0).all()


def test_a_row_equal_to_the_mean() -> None:
    mean = np.eye(4)[0]
    map_ = fit({"image": mean, "text": 0.3 * mean}, "center")
    rows = np.eye(4) + 0.0
    with refused(r"image: closing maps row 0 to zero \(length 0", errors.NotApplicable):
        map_.image(rows)
    with refused("image: closing maps row 2 to zero", errors.NotApplicable):
        map_.image(rows[[1, 2, 0, 3]])
    with refused("maps row 0 to zero", errors.NotApplicable):
        map_.image(5 * mean)
    is_unit(map_.text(rows))
    halfway = fit({"image": mean, "text": -mean}, "shift")
    with refused("to zero", errors.NotApplicable):
        halfway.image(rows)
    with refused("the mixed documents: closing maps row", errors.NotApplicable):
        map_.fuse(rows[:1], 0.3 * rows[:1], 1.0)
