"""What must hold of every closer that fits a map, and so of one added tomorrow; and bad input."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from close.cases import (
    MAPS,
    ON_DATA,
    ROLES,
    D,
    N,
    arrays,
    made,
    pair,
    plain,
    refused,
    same,
    shown,
    weights,
)
from reference.cases import Floats, unit

import modalgap as mg
from modalgap import errors
from modalgap.close import CLOSERS, fit
from modalgap.close import base as base_module
from modalgap.close import statistics as statistics_module
from modalgap.embeddings import Embeddings, Pair, moments, pair_moments
from modalgap.embeddings.rows import CHUNK

SIGNS = {name for name in MAPS if "free sign" in CLOSERS[name].card.traits}
READS = {name: CLOSERS[name].card.reads for name in ON_DATA}
FROM_MEANS = {name for name, reads in READS.items() if reads in ("nothing", "means")}
SUMS = ("nothing", "means", "variances", "covariances")
FROM_MOMENTS = {name for name, reads in READS.items() if reads in SUMS}


# what a map is fitted from ------------------------------------------------------------------------


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


# rows and data that do not fit --------------------------------------------------------------------


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
