"""Modalities: names, matches, items, tuples, files."""

from __future__ import annotations

from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import modalgap as mg
from modalgap import errors

NAMES = ("image", "text", "audio")
SUFFIXES = (".safetensors", ".npz", ".parquet")


def rows(n: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)


def three(n: int = 12) -> mg.Modalities:
    return mg.Modalities({name: rows(n, seed) for seed, name in enumerate(NAMES)})


def by_item(ids: dict[str, list[int]]) -> mg.Modalities:
    sides = {name: rows(len(each), seed) for seed, (name, each) in enumerate(ids.items())}
    return mg.Modalities(sides, items=ids)


def lacking() -> mg.Modalities:
    """Items 0 … 9; images of all, texts of 0 … 6, audio of 4 … 9 and of one unknown item."""
    ids = {"image": list(range(10)), "text": list(range(7)), "audio": [*range(4, 10), 77]}
    return by_item(ids)


def test_a_mapping_in_order() -> None:
    mods = three()
    assert list(mods) == list(NAMES)
    assert len(mods) == 3
    assert mods["text"].modality == "text"
    assert mods["text"] in mods.values()
    assert "video" not in mods
    assert mods.get("video") is None
    assert "image n=12, text n=12, audio n=12, dim=6, matched by rows" in repr(mods)


def test_embeddings_bring_their_names() -> None:
    mods = mg.Modalities([mg.Embeddings(rows(5), name) for name in ("a", "b")])
    assert list(mods) == ["a", "b"]


def test_row_by_row_is_the_default() -> None:
    mods = three()
    assert mods.by_row
    assert mods.pair("audio", "image").matched_by == "rows"
    assert mods.pair("audio", "image").image is mods["audio"]
    np.testing.assert_array_equal(mods.tuples, np.repeat(np.arange(12)[:, None], 3, 1))
    assert mods.incomplete == dict.fromkeys(NAMES, 0)
    assert [two for two, _ in mods.pairs()] == list(combinations(NAMES, 2))


def test_items_that_lack_a_modality_are_counted() -> None:
    mods = lacking()
    assert mods.incomplete == {"image": 7, "text": 4, "audio": 4}
    np.testing.assert_array_equal(mods.tuples, [[4, 4, 0], [5, 5, 1], [6, 6, 2]])
    pair = mods.pair("text", "audio")
    np.testing.assert_array_equal(pair.pairs, [[4, 0], [5, 1], [6, 2]])
    found = mg.measure(mods, only="l2i")
    assert found.pair["incomplete"] == mods.incomplete
    assert found.pair["items"] == 3


def test_names_are_ids() -> None:
    sides = [
        mg.Embeddings(rows(3), "image", names=["x", "y", "z"]),
        mg.Embeddings(rows(3), "text", names=["z", "x", "y"]),
    ]
    pair = mg.Modalities(sides, items="names").pair("image", "text")
    np.testing.assert_array_equal(np.stack(pair.matches, 1)[:, ::-1], [[0, 2], [1, 0], [2, 1]])


def test_matches_as_files_list_them() -> None:
    sides = {"image": rows(4), "text": rows(8, 1), "class": rows(2, 2), "audio": rows(4, 3)}
    matches = {
        ("text", "image"): np.arange(8) // 2,  # captions
        ("image", "class"): np.arange(4) % 2,  # class prompts
        ("audio", "image"): np.arange(4),
    }
    mods = mg.Modalities(sides, matches)
    kinds = {two: pair.matched_by for two, pair in mods.pairs()}
    assert kinds == {
        ("image", "text"): "text_to_image",
        ("image", "class"): "labels",
        ("image", "audio"): "rows",
    }
    assert mods.fixed == {"class"}
    assert mods.incomplete["class"] == 0
    assert len(mods.tuples) == 8
    np.testing.assert_array_equal(mods.clusters["text"], np.arange(8) // 2)


def test_the_reverse_of_a_pair() -> None:
    mods = lacking()
    forth, back = mods.pair("image", "audio"), mods.pair("audio", "image")
    assert back.image is forth.text
    both = [{tuple(m) for m in np.stack(pair.matches, 1).tolist()} for pair in (forth, back)]
    assert both[0] == {(b, a) for a, b in both[1]}


BAD: dict[str, tuple[Any, str]] = {
    "one": (lambda: mg.Modalities({"image": rows(3)}), "at least two modalities; got 1"),
    "one name": (
        lambda: mg.Modalities([mg.Embeddings(rows(3)), mg.Embeddings(rows(3))]),
        "different names; two are 'image'",
    ),
    "widths": (
        lambda: mg.Modalities({"image": rows(3), "text": rows(3)[:, :4], "audio": rows(3)}),
        "image, text and audio: must have the same width; got 6, 4 and 6",
    ),
    "rows": (
        lambda: mg.Modalities({"image": rows(3), "text": rows(4), "audio": rows(3)}),
        "all need the same number of rows; got 3, 4 and 3",
    ),
    "dot": (
        lambda: mg.Modalities({"a.b": rows(3), "text": rows(3), "audio": rows(3)}),
        "must have no dot, .* got 'a.b'",
    ),
    "another name": (
        lambda: mg.Modalities({"image": mg.Embeddings(rows(3), "audio"), "text": rows(3)}),
        "got 'audio' under 'image'",
    ),
    "both": (
        lambda: mg.Modalities({"image": rows(3), "text": rows(3)}, {}, items="names"),
        "give one or neither",
    ),
    "nothing in common": (
        lambda: by_item({"image": [0, 1], "text": [2, 3]}),
        "image and text: must have items in common; found none",
    ),
    "ids of nobody": (
        lambda: mg.Modalities(
            {"image": rows(2), "text": rows(2)}, items={"image": [0, 1], "txt": [0, 1]}
        ),
        "unknown modality of items 'txt'; did you mean 'text'",
    ),
    "no ids": (
        lambda: mg.Modalities({"image": rows(2), "text": rows(2)}, items={"image": [0, 1]}),
        "'text' has none",
    ),
    "ids of two kinds": (
        lambda: mg.Modalities(
            {"image": rows(2), "text": rows(2)}, items={"image": [0, 1], "text": ["0", "1"]}
        ),
        "integers or strings in every modality; got both",
    ),
    "too few ids": (
        lambda: by_item({"image": [0, 1, 2], "text": [0, 1]}).pair("image", "video"),
        "unknown modality 'video'",
    ),
    "ids of another shape": (
        lambda: mg.Modalities(
            {"image": rows(2), "text": rows(2)}, items={"image": [0], "text": [0, 1]}
        ),
        r"shape \(2,\), one per row; got int64 \(1,\)",
    ),
    "names without names": (
        lambda: mg.Modalities({"image": rows(2), "text": rows(2)}, items="names"),
        "needs names of every row; image has none",
    ),
    "another word": (
        lambda: mg.Modalities({"image": rows(2), "text": rows(2)}, items="rows"),
        "a mapping or 'names'; got 'rows'",
    ),
    "matches of one": (
        lambda: mg.Modalities({"image": rows(2), "text": rows(2)}, {("text", "text"): [0, 1]}),
        "of two modalities; got 'text' twice",
    ),
    "matches twice": (
        lambda: mg.Modalities(
            {"image": rows(2), "text": rows(2)},
            {("text", "image"): [0, 1], ("image", "text"): [[0, 0]]},
        ),
        "in one way only; found two",
    ),
    "matches beyond": (
        lambda: mg.Modalities({"image": rows(2), "text": rows(2)}, {("text", "image"): [0, 2]}),
        r"matches.text.image: must lie in 0 … 1 \(the images\); row 1 holds 2",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_breaks_a_rule(name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(errors.InputError, match=message):
        make()


def test_an_unknown_modality_names_the_nearest() -> None:
    for ask in (
        lambda mods: mods["imgae"],
        lambda mods: mods.pair("text", "imgae"),
        lambda mods: mods.pair("imgae", "text"),
    ):
        with pytest.raises(errors.OptionError, match="'imgae'; did you mean 'image'"):
            ask(three())
    with pytest.raises(errors.InputError, match="two modalities; got 'text' twice"):
        three().pair("text", "text")


def test_fewer_than_two_common_items_are_refused() -> None:
    mods = by_item({"image": [0, 1, 2], "text": [0, 1, 5], "audio": [2, 5, 6]})
    assert [two for two, _ in mods.pairs()] == [("image", "text")]
    with pytest.raises(errors.NotApplicable, match=r"text and audio: .*common; found 1"):
        mods.pair("text", "audio")
    with pytest.raises(errors.NotApplicable, match=r"audio and text: .* found 1"):
        mods.pair("audio", "text")


def test_of_a_pair() -> None:
    pair = mg.Pair(rows(3), rows(6, 1), np.arange(6) // 2)
    mods = mg.Modalities.of(pair)
    assert mods.pair("image", "text") is pair
    assert mods.fingerprint == pair.fingerprint
    assert len(mods.tuples) == 6


ids = st.lists(st.integers(0, 5), min_size=2, max_size=7)


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, ids)))
@settings(deadline=None, max_examples=60)
def test_tuples_are_all_combinations_of_one_item(found: dict[str, list[int]]) -> None:
    found = {name: found[name] for name in NAMES}
    if not any(set(found[a]) & set(found[b]) for a, b in combinations(NAMES, 2)):
        return
    mods = by_item(found)
    expected = [
        list(each)
        for each in product(*(range(len(found[name])) for name in NAMES))
        if len({found[name][row] for name, row in zip(NAMES, each, strict=True)}) == 1
    ]
    edges = {two for two in combinations(NAMES, 2) if set(found[two[0]]) & set(found[two[1]])}
    if len(edges) == 3:  # else two modalities are connected by the third
        np.testing.assert_array_equal(mods.tuples, np.array(expected).reshape(-1, 3))
    for a, b in edges:
        known = {tuple(each) for each in np.stack(mods.matched[a, b].matches, 1).tolist()}
        assert known == {
            (i, j) for i, x in enumerate(found[a]) for j, y in enumerate(found[b]) if x == y
        }
    groups: dict[int, set[int]] = {}
    for name in NAMES:
        for item, cluster in zip(found[name], mods.clusters[name].tolist(), strict=True):
            groups.setdefault(item, set()).add(cluster)
    shared = [item for item in groups if sum(item in found[name] for name in NAMES) > 1]
    assert all(len(groups[item]) == 1 for item in shared)


def test_modalities_without_matches_are_connected_by_another() -> None:
    sides = {"image": rows(3), "text": rows(6, 1), "audio": rows(3, 2)}
    mods = mg.Modalities(
        sides, {("text", "image"): np.arange(6) // 2, ("audio", "image"): [2, 1, 0]}
    )
    np.testing.assert_array_equal(
        mods.tuples, [[0, 0, 2], [0, 1, 2], [1, 2, 1], [1, 3, 1], [2, 4, 0], [2, 5, 0]]
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [three, lacking])
def test_files(make: Any, suffix: str, tmp_path: Path) -> None:
    mods = make()
    path = mg.save(mods, tmp_path / f"a{suffix}")
    found = mg.load(path)
    assert isinstance(found, mg.Modalities)
    assert found.fingerprint == mods.fingerprint
    assert repr(found) == repr(mods)
    for two in permutations(NAMES, 2):
        assert found.pair(*two).fingerprint == mods.pair(*two).fingerprint
    again = mg.save(found, tmp_path / f"b{suffix}")
    assert again.read_bytes() == path.read_bytes()


def test_a_complete_pair_among_incomplete_ones_is_written(tmp_path: Path) -> None:
    mods = by_item({"image": [0, 1, 2], "text": [0, 1, 2], "audio": [1, 2, 3]})
    assert mods.pair("image", "text").matched_by == "rows"
    found = mg.load(mg.save(mods, tmp_path / "a.npz"))
    assert found.pair("image", "text").matched_by == "rows"
    assert found.fingerprint == mods.fingerprint


def test_one_file_per_modality(tmp_path: Path) -> None:
    mods = three()
    paths = [mg.save(side, tmp_path / f"{name}.npz") for name, side in mods.items()]
    assert mg.load(paths).fingerprint == mods.fingerprint
    assert mg.load(paths[:2]).fingerprint == mods.pair("image", "text").fingerprint
    with pytest.raises(errors.FileError, match="same modalities; found image and text"):
        mg.load([*paths, paths[0]])
    with pytest.raises(errors.FileError, match="files of two modalities"):
        mg.load(tmp_path)  # a folder is one set of shards
    captions = mg.Pair(rows(6), mg.Embeddings(rows(12, 1), "text"), np.arange(12) // 2)
    both = mg.save(captions, tmp_path / "pair.npz")
    with pytest.raises(errors.FileError, match=r"pair.npz: must hold no matches.*text.image"):
        mg.load([both, paths[2]])


def test_shards_of_each_modality(tmp_path: Path) -> None:
    mods = three()
    for name, side in mods.items():
        for i in range(2):
            part = mg.Embeddings(side.rows.read(6 * i, 6 * i + 6), name)
            mg.save(part, tmp_path / f"{name}_{i}.npz")
    found = mg.load([str(tmp_path / f"{name}_*.npz") for name in NAMES])
    assert found.fingerprint == mods.fingerprint


def test_what_takes_two_refuses_three(tmp_path: Path) -> None:
    from modalgap.embeddings.store import load_any

    path = mg.save(three(), tmp_path / "a.npz")
    with pytest.raises(errors.FileError, match="one or two modalities here; found 3: image, text"):
        load_any(path)


def test_other_rows() -> None:
    mods = lacking()
    other = mods.over(mg.Embeddings(2 * side.unit(), side.modality) for side in mods.sides)
    assert other.fingerprint != mods.fingerprint
    np.testing.assert_array_equal(other.tuples, mods.tuples)
    with pytest.raises(errors.InputError, match="must be 3 modalities; got 2"):
        mods.over(mods.sides[:2])


@pytest.mark.parametrize("make", [three, lacking])
def test_moments_are_those_of_each_modality(make: Any) -> None:
    from modalgap.embeddings import all_moments, moments

    mods = make()
    found = all_moments(mods, scatter=True)
    for name, side in mods.items():
        alone = moments(side, scatter=True)
        np.testing.assert_allclose(found.sides[name].mean, alone.mean, atol=1e-7)
        np.testing.assert_allclose(found.sides[name].covariance, alone.covariance, atol=1e-6)
    for (a, b), pair in mods.pairs():
        x, y = (side.take(i) for side, i in zip(pair.sides, pair.matches, strict=True))
        apart = torch.linalg.vector_norm(x.double() - y.double(), dim=1)
        sums = found.of(a, b).matches
        assert sums.counts.sum() == len(apart)
        assert sums.distance.sum() == pytest.approx(float(apart.sum()), rel=1e-6)
        assert sums.squared.sum() == pytest.approx(float((apart**2).sum()), rel=1e-6)
