"""What must hold of every closer that fits a map, and so of one added tomorrow; and bad input."""

from __future__ import annotations

import functools
import json
import math
import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.cases import Floats, two_cones, unit

import modalgap as mg
from modalgap import errors
from modalgap.close import CLOSERS, AffineMap, Step, Transductive, close, fit
from modalgap.close import base as base_module
from modalgap.close import statistics as statistics_module
from modalgap.embeddings import Embeddings, Moments, Pair, moments, pair_moments
from modalgap.embeddings.formats import files
from modalgap.embeddings.rows import CHUNK

with warnings.catch_warnings():  # a doc string of POT's warns when it is first compiled
    warnings.simplefilter("ignore")
    import ot  # noqa: F401

N, D = 80, 12
MAPS = [name for name, closer in CLOSERS.items() if closer.fit is not None]
ON_DATA = [name for name in MAPS if not CLOSERS[name].card.needed("weights")]
NO_MAPS = [name for name in CLOSERS if name not in MAPS]
OPTIONS: dict[str, dict[str, Any]] = {"isoclip": {"top": 2, "bottom": 1}}
SIGNS = {name for name in MAPS if "free sign" in CLOSERS[name].card.traits}
ROLES = ("image", "text")

Shown = dict[str, NDArray[np.float32]]


@functools.cache
def arrays(n: int = N, d: int = D, each: int = 1) -> tuple[Floats, Floats]:
    return two_cones(n, d, seed=4, of=np.arange(n).repeat(each))


@functools.cache
def pair(n: int = N, d: int = D) -> Pair:
    image, text = arrays(n, d)
    told = {"model": "ViT-B/16", "weights_hash": "aa", "data": "none"}
    return Pair(
        Embeddings(image, "image", [f"{i}.png" for i in range(n)], {"i": np.arange(n)}, told),
        Embeddings(text, "text", provenance=told),
    )


def weights(d: int = D) -> dict[str, Floats]:
    """Projections of isoclip, to the width of everything here."""
    random = np.random.default_rng(5)
    return {"image": random.normal(size=(d, d + 8)), "text": random.normal(size=(d, d + 3))}


def made(name: str, data: Any = None, **options: Any) -> AffineMap:
    """A closer fitted on data, by default on ``pair()``; or on weights where it needs those."""
    data = pair() if data is None else data
    if name not in ON_DATA:
        data = weights()
    return fit(data, name, **(OPTIONS.get(name, {}) | options))


@functools.cache
def plain(name: str) -> AffineMap:
    return made(name)


def shown(map_: AffineMap, data: Pair | None = None) -> Shown:
    """Closed rows of both roles."""
    data = pair() if data is None else data
    return {side.modality: map_(side.unit(), side.modality) for side in data.sides}


def same(found: Shown, expected: Shown, near: float = 1e-6, *, signs: bool = False) -> None:
    assert found.keys() == expected.keys()
    if signs:
        found, expected = (
            {"all": np.concatenate([*each.values()]) @ np.concatenate([*each.values()]).T}
            for each in (found, expected)
        )
    for role, rows in expected.items():
        np.testing.assert_allclose(found[role], rows, atol=near, rtol=0)


def is_unit(rows: Any) -> None:
    rows = np.asarray(rows, np.float64)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=-1), 1, atol=1e-5)


def refused(words: str, kind: type[errors.ModalgapError] = errors.InputError) -> Any:
    return pytest.raises(kind, match=words)


# fitting and applying ------------------------------------------------------------------------


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


def shown_in(data: Pair) -> Shown:
    return {side.modality: side.unit().numpy() for side in data.sides}


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


# hypothesis ----------------------------------------------------------------------------------


def judge(data: Any, name: str, **options: Any) -> Pair | None:
    """Close a pair: unit rows, or None for a refusal in one line."""
    try:
        closed = at_once(data, name, **options)
    except errors.ModalgapError as error:
        line = str(error)
    else:
        for side in closed.sides:
            is_unit(side.unit())
        return closed
    assert len(line) > 10
    assert "\n" not in line
    return None


def at_once(data: Any, name: str, **options: Any) -> Pair:
    """What ``close`` gives, whether a map or not; of isoclip its map applied."""
    if name not in ON_DATA and name in MAPS:
        closed: Pair = made(name, **options).apply(data)
        return closed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Transductive)
        return close(data, name, **options)


SMALL = {"transport": {"reg": 0}}  # its Laplacian takes seconds


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


# what a map is fitted from -------------------------------------------------------------------

READS = {name: CLOSERS[name].card.reads for name in ON_DATA}
FROM_MEANS = {name for name, reads in READS.items() if reads in ("nothing", "means")}
SUMS = ("nothing", "means", "variances", "covariances")
FROM_MOMENTS = {name for name, reads in READS.items() if reads in SUMS}


@pytest.mark.parametrize("name", ON_DATA)
def test_fit_from_moments(name: str) -> None:
    stream = [Pair(*(rows[a:b] for rows in arrays())) for a, b in ((0, 31), (31, 33), (33, N))]
    first, *others = (pair_moments(part, scatter=True) for part in stream)
    merged = functools.reduce(lambda a, b: a.merge(b), others, first)
    by_role = {side.modality: moments(side, scatter=True) for side in pair().sides}
    for data in (pair_moments(pair(), scatter=True), merged, by_role):
        if name not in FROM_MOMENTS:
            with pytest.raises(errors.NotApplicable, match=f"^{name}: it needs (matched )?rows"):
                fit(data, name)
            continue
        found = fit(data, name)
        same(shown(found), shown(plain(name)), 1e-5, signs=name in SIGNS)
        assert found.fitted_on == {"image": {}, "text": {}}
        found.apply(pair())  # nothing is known of its model


@pytest.mark.parametrize("name", ON_DATA)
def test_fit_from_published_means(name: str) -> None:
    means = {side.modality: side.unit().double().numpy().mean(0) for side in pair().sides}
    forms: tuple[Mapping[str, Any], ...] = (
        means,
        {role: mean.tolist() for role, mean in means.items()},
        {role: torch.from_numpy(mean) for role, mean in means.items()},
        {"image": means["image"], "text": pair().text},  # rows for one of them
    )
    for data in forms:
        if name == "pca_text" and data is forms[-1]:
            same(shown(fit(data, name)), shown(plain(name)), 1e-5)  # it asks no more of images
            continue
        if name not in FROM_MEANS:
            with pytest.raises(
                errors.NotApplicable, match=f"^{name}: it needs (the |matched |rows)"
            ):
                fit(data, name)
            continue
        same(shown(fit(data, name)), shown(plain(name)), 1e-5)


def test_weights_are_not_data() -> None:
    with refused("isoclip needs projection weights: a mapping"):
        fit(pair(), "isoclip")
    with refused("isoclip needs projection weights: a mapping"):
        fit(pair_moments(pair(), scatter=True), "isoclip")
    with refused(r"image: must be weights \(d, p\) of finite numbers"):
        fit({"image": np.ones(3), "text": np.ones(3)}, "isoclip")
    with refused("projection weights: .* found image$", errors.NotApplicable):
        fit({"image": np.eye(3)}, "isoclip", top=0, bottom=0)
    with refused("both must project to the same width; got 4 and 3"):
        fit({"image": np.eye(4), "text": np.eye(3)}, "isoclip", top=0, bottom=0)
    with refused(r"top \+ bottom must be below the rank, 3; got 2 \+ 1", errors.OptionError):
        fit({"image": np.eye(3), "text": np.eye(3)}, "isoclip", top=2, bottom=1)
    with refused(r"must be below the rank, 12; got 150 \+ 50", errors.OptionError):
        fit(weights(), "isoclip")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            {"image": np.ones(3), "text": np.ones(3) / 3},
            "image: the mean of unit rows is at most 1",
        ),
        ({"image": np.full(3, np.nan), "text": np.zeros(3)}, r"image: must be a mean \(d,\)"),
        ({"image": np.zeros((2, 2, 2)), "text": np.zeros(3)}, r"a mean \(d,\) .* got shape \(2, 2"),
        ({"image": 0.5, "text": 0.5}, r"a mean \(d,\) of finite numbers; got shape \(\)"),
        ({"image": [], "text": []}, r"a mean \(d,\) of finite numbers; got shape \(0,\)"),
        ({"image": ["a", "b"], "text": np.zeros(2)}, "image: must be numbers; got"),
        ({"image": None, "text": np.zeros(2)}, "image: must be a mean"),
        ({"image": np.zeros(3), "text": np.zeros(4)}, "the same width; got .*3.*4"),
        ({"image": np.eye(3), "text": np.eye(4)}, "the same width; got .*3.*4"),
        ({"image": np.full((3, 3), np.nan), "text": np.eye(3)}, "image: .* row 0 holds nan"),
        ({1: np.zeros(3)}, "data must be a Pair, .*a mapping"),
        ({"": np.zeros(3)}, "roles must be names"),
        ({}, "at least one"),
    ],
    ids=str,
)
def test_means_that_are_none(data: Any, words: str) -> None:
    with refused(words):
        fit(data, "center")


@pytest.mark.parametrize("name", ON_DATA)
def test_one_role_or_three(name: str) -> None:
    side = pair().image
    three = {"image": arrays()[0], "text": arrays()[1], "query": arrays()[1][::-1]}
    for data in (side, {"image": arrays()[0]}, three):
        if "any role" in CLOSERS[name].card.traits:
            map_ = fit(data, name)
            np.testing.assert_allclose(map_(side.unit(), "image"), shown(plain(name))["image"])
            continue
        with refused(f"^{name}: it (moves two|needs matched)", errors.NotApplicable):
            fit(data, name)


def test_three_roles_of_centring() -> None:
    random = np.random.default_rng(0)
    roles = {
        "query text": random.normal(size=(20, 5)) + 2,
        "stored text": random.normal(size=(70, 5)) - 1,
        "stored image": random.normal(size=(30, 5)) * [1, 2, 3, 4, 5],
    }
    map_ = fit(roles, "center")
    for role, rows in roles.items():
        np.testing.assert_allclose(
            map_(rows, role), unit(unit(rows) - unit(rows).mean(0)), atol=1e-6
        )
        again = map_.apply(Embeddings(rows, role))
        np.testing.assert_allclose(again.unit(), map_(rows, role), atol=1e-6)
        lone = fit(Embeddings(rows, role), "center")
        np.testing.assert_allclose(lone(rows, role), map_(rows, role))
    toward = fit(roles, "standardize", to="stored text")
    assert toward.roles["stored text"] == ()
    assert set(toward.fitted_on) == set(roles)


@pytest.mark.parametrize("name", ON_DATA)
def test_names_and_order_of_roles_do_not_matter(name: str) -> None:
    image, text = arrays()
    heard = made(name, Pair(Embeddings(image, "image"), Embeddings(text, "audio")))
    same({"image": heard.image(image), "text": heard(text, "audio")}, shown(plain(name)))
    if not CLOSERS[name].card.needed("pairs"):
        same(shown(fit({"text": text, "image": image}, name)), shown(plain(name)))
        same(shown(fit({"image": image, "text": text}, name)), shown(plain(name)))


def test_covariances_of_many_rows_are_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (base_module, statistics_module):
        monkeypatch.setattr(module, "CAP", 60)
    whole = Pair(*arrays(4500, 5))
    assert fit(whole, "procrustes").facts["pairs"] == 60
    assert fit(whole, "realign").facts["rows_behind_re_centring"] == 60
    rows = whole.image.unit().double().numpy()
    sampled = statistics_module.Statistics("image", whole.image)
    sampled.read(squares=False, keep=60, seed=0)
    assert sampled.rows_behind_covariance == 60
    where = [int(np.flatnonzero((rows == row).all(1))[0]) for row in sampled.sample.numpy()]
    assert where == sorted(set(where))
    assert where[-1] > 4096 > 2048 > where[0]
    np.testing.assert_allclose(sampled.covariance, np.cov(rows[where].T), atol=1e-9)
    np.testing.assert_allclose(sampled.mean, rows.mean(0), atol=1e-6)  # of all rows
    for name in ("procrustes", "ridge", "cca"):
        first, again, other = (fit(whole, name, seed=seed) for seed in (3, 3, 4))
        assert first.fingerprint == again.fingerprint != other.fingerprint


# composing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAPS)
def test_one_map_after_another(name: str) -> None:
    first = plain(name)
    once = first.apply(pair())
    for after in ("none", "center", "whiten", "pca_text", "procrustes", "realign"):
        second = fit(once, after)
        both = first.then(second)
        twice = second.apply(once)
        near = 1e-4 if after in ("whiten", "center") else 1e-5
        same(shown(both), shown_in(twice), near)
        same(shown_in(both.apply(pair())), shown_in(twice), near)
        assert both.method == f"{name} > {after}"
        assert both.fitted_on == first.fitted_on
        closed = both.apply(pair()).image.provenance["closed"]
        assert closed == f"{name} > {after} {both.fingerprint[:12]}"
        assert twice.image.provenance["closed"] == (
            f"{name} {first.fingerprint[:12]} > {after} {second.fingerprint[:12]}"
        )
        if name != after:
            assert both.options == {"first": first.options, "then": second.options}
            assert both.facts == {"first": first.facts, "then": second.facts}


def test_what_is_not_unit_is_made_so_between_two_maps() -> None:
    long = AffineMap(
        dims={"image": 2}, roles={"image": (Step(np.diag([3.0, 1.0]), unit=False),)}, method="long"
    )
    after = AffineMap(
        dims={"image": 2}, roles={"image": (Step(offset=np.array([0.5, 0.0])),)}, method="after"
    )
    rows = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_allclose(long.image(rows), unit(rows) * [3, 1], atol=1e-6)
    expected = unit(unit(unit(rows) * [3, 1]) + np.array([0.5, 0]))
    np.testing.assert_allclose(long.then(after).image(rows), expected, atol=1e-6)
    np.testing.assert_allclose(after.image(long.image(rows)), expected, atol=1e-6)
    found = long.inverse(long.image(rows), "image")
    np.testing.assert_allclose(found, unit(rows), atol=1e-6)


def test_maps_that_do_not_follow() -> None:
    half = plain("pca_text")
    with refused("then: the second map must take 'image' of 6 columns; found 12"):
        half.then(plain("center"))
    only = fit(pair().image, "center")
    with refused("then: .* 'text' of 12 columns; found no such role"):
        plain("center").then(only)
    assert set(only.then(plain("center")).roles) == {"image"}


INVERTIBLE = {name for name in MAPS if "invertible" in CLOSERS[name].card.traits}


@pytest.mark.parametrize("name", [name for name in MAPS if name != "ridge"])
def test_inverse(name: str) -> None:
    map_ = plain(name)
    assert map_.invertible == (name in INVERTIBLE)
    for role, side in zip(ROLES, pair().sides, strict=True):
        steps = map_.roles[role]
        if name in INVERTIBLE or steps == ():
            closed = map_(side.unit(), role)
            np.testing.assert_allclose(map_.inverse(closed, role), side.unit(), atol=2e-4)
            np.testing.assert_allclose(map_.inverse(7 * closed, role), side.unit(), atol=2e-4)
            np.testing.assert_allclose(map_.inverse(closed[:1], role), side.unit(0, 1), atol=2e-4)
            continue
        with refused(f"{name}: this map cannot be inverted for {role}s", errors.NotApplicable):
            map_.inverse(shown(map_)[role], role)


def test_inverse_of_what_no_map_makes() -> None:
    away = fit(pair(), "shift", length=6.0)  # two unit rows may give one
    assert not away.invertible
    with refused("shift: this map cannot be inverted for images", errors.NotApplicable):
        away.inverse(away.image(pair().image.unit()), "image")
    with refused("image: must have 12 columns; got 5"):
        plain("center").inverse(np.ones((3, 5)), "image")
    with refused("unknown role of this map 'txt'; did you mean 'text'", errors.OptionError):
        plain("center").inverse(np.ones((3, D)), "txt")


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(2, 9), st.floats(0, 0.95), st.booleans())
def test_inverse_of_any_map_with_a_short_offset(
    seed: int, d: int, length: float, diagonal: bool
) -> None:
    random = np.random.default_rng(seed)
    matrix = random.uniform(0.3, 2, d) if diagonal else random.normal(size=(d, d)) + 3 * np.eye(d)
    b = random.normal(size=d)
    b *= length / np.linalg.norm(b)  # x + b is never zero: then A b is the offset
    offset = matrix * b if diagonal else matrix @ b
    map_ = AffineMap(dims={"r": d}, roles={"r": (Step(matrix, offset),)}, method="any")
    if not map_.invertible:
        return
    rows = unit(random.normal(size=(20, d)))
    condition = 1.0 if diagonal else float(np.linalg.cond(matrix))
    np.testing.assert_allclose(
        map_.inverse(map_(rows, "r"), "r"), rows, atol=1e-5 * max(1, condition) / (1 - length) ** 2
    )


# documents of both ---------------------------------------------------------------------------


@given(st.floats(0, 1))
@example(0.5)
@example(1.0)
@example(0.0)
def test_fuse_is_the_formula_of_gr_clip(weight: float) -> None:
    image, text = arrays()
    x, y = unit(image), unit(text)
    means = weight * x.mean(0) + (1 - weight) * y.mean(0)
    expected = unit(weight * x + (1 - weight) * y - means)
    np.testing.assert_allclose(plain("center").fuse(image, text, weight), expected, atol=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_fuse_of_one_side_alone(name: str) -> None:
    image, text = arrays()
    found, map_ = shown(plain(name)), plain(name)
    np.testing.assert_allclose(map_.fuse(image, text, 1), found["image"], atol=1e-6)
    np.testing.assert_allclose(map_.fuse(image, text, 0), found["text"], atol=1e-6)
    is_unit(map_.fuse(image, text))
    one = map_.fuse(image[:1], text[:1], 0.3)
    np.testing.assert_allclose(one, map_.fuse(image, text, 0.3)[:1], atol=1e-6)


def test_fuse_is_refused() -> None:
    image, text = arrays()
    for weight in (-0.1, 1.1, math.nan, None, "1", True):
        with refused("weight must be a number", errors.OptionError):
            plain("center").fuse(image, text, weight)  # type: ignore[arg-type]
    with refused("one shape after closing.*found .80, 12. and .79, 12."):
        plain("center").fuse(image, text[:-1])
    with refused("text: must have 12 columns; found 11"):
        plain("center").fuse(image, text[:, :-1])
    with refused("unknown role of this map 'text'", errors.OptionError):
        fit(pair().image, "center").fuse(image, text)
    with refused("the mixed documents: closing maps row", errors.NotApplicable):
        plain("none").fuse(image, -image)


# rows and data that do not fit ---------------------------------------------------------------


@pytest.mark.parametrize("name", MAPS)
def test_rows_that_do_not_fit(name: str) -> None:
    map_ = plain(name)
    good = arrays()[0]
    bad: dict[str, Any] = {
        "image: must have 12 columns, as this map was fitted; found 11": good[:, :-1],
        "image: must have 12 columns, as this map was fitted; found 3": [1.0, 2.0, 3.0],
        "image: every row must be finite and not zero; row 2 holds only zeros": put(good, 2, 0),
        "image: every row .* row 79 holds nan or infinity": put(good, 79, np.nan),
        "image: every row .* row 0 holds nan or infinity": put(good, 0, np.inf),
        "image: needs at least one row; got none": good[:0],
        "image: must hold float16, float32 or float64; got int64": good.astype(int),
        "image: must hold float16, float32 or float64; got complex128": good.astype(complex),
        "image: must have 2 dimensions": good[None],
        "image: must be an array of numbers": [["a", "b"]],
    }
    for words, rows in bad.items():
        with refused(words):
            map_.image(rows)
    for role in ("txt", "", None, 3):
        said = "unknown role of this map" if isinstance(role, str) else "role must be a string"
        with refused(said, errors.OptionError):
            map_(good, role)  # type: ignore[arg-type]


def put(rows: Floats, row: int, value: float) -> Floats:
    changed = rows.copy()
    changed[row] = value
    return changed


def test_a_row_far_into_a_file_is_named() -> None:
    map_ = fit(Pair(*arrays(4500, 8)), "center")
    rows = arrays(2 * CHUNK + 1, 8)[0]
    for row in (CHUNK - 1, CHUNK, 2 * CHUNK):
        with refused(f"row {row} holds only zeros"):
            map_.image(put(rows, row, 0))


@pytest.mark.parametrize("name", MAPS)
def test_data_that_does_not_fit(name: str) -> None:
    map_ = plain(name)
    narrow = Pair(*(rows[:, :7] for rows in arrays()))
    with refused("image: must have 12 columns, as the map was fitted; found 7"):
        map_.apply(narrow)
    with refused("unknown role of this map 'audio'", errors.OptionError):
        map_.apply(Pair(arrays()[0], Embeddings(arrays()[1], "audio")))
    with refused("unknown role of this map 'texts'; did you mean 'text'", errors.OptionError):
        map_.apply(Embeddings(arrays()[1], "texts"))
    for wrong in (arrays()[0], None, {"image": arrays()[0]}):
        with refused("data must be a Pair or Embeddings; got"):
            map_.apply(wrong)  # type: ignore[arg-type]


def of(side: Embeddings, **told: str) -> Embeddings:
    """The same rows with other provenance."""
    return Embeddings(side.unit(), side.modality, provenance=told)


@pytest.mark.parametrize("name", ON_DATA)
def test_vectors_of_another_model(name: str) -> None:
    map_ = plain(name)
    for role, side in zip(ROLES, pair().sides, strict=True):
        assert map_.fitted_on[role]["model"] == "ViT-B/16"
        assert map_.fitted_on[role]["n"] == str(N)
        assert map_.fitted_on[role]["fingerprint"] == side.fingerprint
        closed = map_.apply(side)
        for told in ({}, {"model": "ViT-B/16"}, {"weights_hash": "aa"}, {"data": "elsewhere"}):
            np.testing.assert_allclose(
                map_.apply(of(side, **told)).unit(), closed.unit(), atol=1e-6
            )
        for key, ours in (("model", "ViT-B/16"), ("weights_hash", "aa")):
            other = of(side, **{key: "bb"})
            with refused(f"the {key} that this map was fitted on, '{ours}'; found 'bb' .*--force"):
                map_.apply(other)
            forced = map_.apply(other, force=True)
            np.testing.assert_allclose(forced.unit(), closed.unit(), atol=1e-6)
            with refused("--force"):
                map_.apply(Pair(of(pair().image, **{key: "bb"}), pair().text))


def test_a_map_of_an_unknown_model_takes_any() -> None:
    map_ = fit(Pair(*arrays()), "center")
    map_.apply(pair())
    map_.apply(of(pair().image, model="any", weights_hash="any"))


def test_a_long_name_is_cut() -> None:
    map_ = fit(of(pair().image, model="m" * 500), "center")
    with pytest.raises(errors.InputError) as caught:
        map_.apply(of(pair().image, model="n" * 500))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ON_DATA)
def test_closing_twice(name: str) -> None:
    map_ = plain(name)
    closed = map_.apply(pair())
    if closed.dim == D:
        for again in (closed, *closed.sides):
            with refused(f"is closed already, by '{name} .*--force"):
                map_.apply(again)
        forced = map_.apply(closed, force=True)
        mark = f"{name} {map_.fingerprint[:12]}"
        assert forced.text.provenance["closed"] == f"{mark} > {mark}"
    second = fit(closed, "center")  # another, fitted on closed rows, takes closed rows only
    second.apply(closed)
    with refused(f"closed '{name} .*found none|must have"):
        second.apply(pair())


def test_closed_rows_stay_closed_in_a_file(tmp_path: Path) -> None:
    closed = plain("center").apply(pair())
    kept = mg.load(mg.save(closed, tmp_path / "closed.npz"))
    with refused("is closed already, by 'center"):
        plain("center").apply(kept)
    fit(closed, "whiten").apply(kept)


# closers that are no maps --------------------------------------------------------------------


@pytest.mark.parametrize("name", NO_MAPS)
def test_what_is_no_map_is_not_fitted(name: str) -> None:
    assert CLOSERS[name].transductive
    with refused(
        f"{name} is transductive.* no map to fit; use modalgap.close.pair, '{name}'",
        errors.OptionError,
    ):
        fit(pair(), name)


@pytest.mark.parametrize("name", NO_MAPS)
def test_closing_by_what_is_no_map(name: str) -> None:
    image, text = np.random.default_rng(0).normal(size=(2, 24, 5)) + 2
    told = {"model": "m"}
    several = Pair(
        Embeddings(image[:12], "image", list("abcdefghijkl"), {"o": np.arange(12)}, told),
        Embeddings(text, "text", provenance=told | {"closed": "before"}),
        np.arange(24) // 2,
    )
    with pytest.warns(Transductive, match=f"{name} is transductive: it moves these rows"):
        closed = close(several, name, **SMALL.get(name, {}))
    for side in closed.sides:
        is_unit(side.unit())
    assert closed.image.names == several.image.names
    assert list(closed.image.factors) == ["o"]
    np.testing.assert_array_equal(closed.text_to_image, several.text_to_image)
    assert closed.image.provenance == told | {"closed": name}
    assert closed.text.provenance == told | {"closed": f"before > {name}"}
    if closed.dim == 5:
        with refused("is closed already"):
            fit(Pair(image, text), "center").apply(closed)


# options -------------------------------------------------------------------------------------

NUMBERS = [math.nan, math.inf, -math.inf, "1", True, [1.0]]
SEEDS = [-1, 0.5, "0", None, True]
WRONG: dict[str, dict[str, list[Any]]] = {
    "none": {},
    "center": {},
    "project": {
        "alpha": [*NUMBERS, None],
        "retrieved": ["both", "", 3, ["image"]],
        "explained_variance": [*NUMBERS, 0, -0.1, 1.01, None],
    },
    "shift": {"alpha": NUMBERS, "side": ["left", "Image", None, 3], "length": NUMBERS},
    "standardize": {"to": ["both", "", 3, ["text"]]},
    "realign": {},
    "whiten": {"shrinkage": [*NUMBERS, -0.1, 1.1]},
    "drop_dims": {"k": [0, -1, 2.0, "2", None, True, D, D + 100]},
    "pca_text": {"k": [0, -1, 2.0, "2", True]},
    "procrustes": {"seed": SEEDS},
    "cca": {
        "dims": [0, -1, 2.0, "2", True],
        "power": [*NUMBERS, -0.1, None],
        "shrinkage": [*NUMBERS, -0.1, 1.1],
        "seed": SEEDS,
    },
    "ridge": {"penalty": [*NUMBERS, 0, -1.0, None], "seed": SEEDS},
    "isoclip": {
        "top": [-1, 2.0, "2", None, True, D, 10**30],
        "bottom": [-1, 2.0, "2", None, True, D, 10**30],
    },
    "noise": {
        "variance": [*NUMBERS, -0.1, None],
        "side": ["left", "audio", 3],
        "seed": SEEDS,
    },
    "transport": {"reg": [*NUMBERS, -0.1, None], "iterations": [0, -1, 2.0, "2", None, True]},
    "spectral": {"k": [0, -1, 2.0, "2", None, True]},
}


def test_every_option_has_wrong_values() -> None:
    found = {name: set(closer.options) for name, closer in CLOSERS.items()}
    assert {name: set(values) for name, values in WRONG.items()} == found


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, options in WRONG.items() for option in options]
)
def test_wrong_values_of_options(name: str, option: str) -> None:
    for value in WRONG[name][option]:
        with pytest.raises(errors.OptionError, match=rf"{option}\b.*; got ") as caught:
            at_once(pair(), name, **{option: value})
        assert "\n" not in str(caught.value)


JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-3, 30)
    | st.floats(-1e6, 1e6)
    | st.sampled_from([math.nan, math.inf, "image", "text", "both", b"1", (), {}, 1j, object()])
    | st.text(max_size=4)
)
OF_DATA = [
    (name, option)
    for name, closer in CLOSERS.items()
    for option in closer.options
    if name not in ("isoclip", "transport")
]


@settings(max_examples=200)
@given(st.sampled_from(OF_DATA), JUNK)
def test_any_value_of_any_option(which: tuple[str, str], value: Any) -> None:
    name, option = which
    assume(not (which == ("shift", "alpha") and value is None))
    assume(not (which == ("cca", "power") and isinstance(value, float) and value > 50))
    judge(pair(), name, **{option: value})


@pytest.mark.parametrize("name", MAPS)
def test_a_map_holds_all_its_options(name: str) -> None:
    map_ = plain(name)
    assert map_.method == name
    assert map_.options == {**CLOSERS[name].options, **OPTIONS.get(name, {})}
    json.dumps([map_.options, map_.facts, map_.fitted_on], allow_nan=False)


def test_moments_keep_their_type() -> None:
    assert isinstance(moments(pair().image), Moments)
    only = fit({"image": moments(pair().image)}, "center")
    np.testing.assert_allclose(only.image(arrays()[0]), shown(plain("center"))["image"], atol=1e-6)
