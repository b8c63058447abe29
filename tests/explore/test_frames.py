"""Scenes and frames: every number is that of the plain definition, or of the verb that it names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import modalgap as mg
from modalgap.errors import NotApplicable, OptionError
from modalgap.explore.density import add, densities, shades
from modalgap.explore.frames import NEAREST, Frame, frame, scales
from modalgap.explore.maps import maps
from modalgap.explore.plots import BINS, SHADES
from modalgap.explore.scene import Scene
from modalgap.explore.steps import CHOICES, Step, check, closed, steps

Array = NDArray[np.float64]


def made(kind: str, n: int = 40, dim: int = 8) -> Any:
    """Data of every kind, with a gap."""
    random = np.random.default_rng(3)
    content = random.normal(size=(n, dim))
    image, text = content + 0.5 * random.normal(size=(2, n, dim))
    image[:, 0] += 3
    text[:, 1] += 3
    if kind == "rows":
        return mg.Pair(image, text)
    if kind == "captions":
        owner = np.repeat(np.arange(n // 2), 2)
        return mg.Pair(image[: n // 2], text, text_to_image=owner)
    if kind == "labels":
        return mg.Pair(image, text[:5], labels=np.arange(n) % 5)
    if kind == "pairs":
        two = np.concatenate([np.stack([np.arange(n), np.arange(n)], 1), [[0, 1], [2, 3]]])
        return mg.Pair(image, text, pairs=two)
    if kind == "one":
        return mg.Embeddings(image)
    third = content + random.normal(size=(n, dim))
    third[:, 2] += 3
    return mg.Modalities({"image": image, "text": text, "audio": third})


KINDS = ("rows", "captions", "labels", "pairs", "one", "many")
PLAIN_AND_CLOSED = [
    *((kind, Step("none")) for kind in KINDS),
    *((kind, Step("center")) for kind in KINDS if kind != "one"),  # one modality has no gap
]


def frame_of(data: Any, step: Step) -> tuple[Scene, Frame, list[Array]]:
    scene = Scene.of(data, 1000, 0)
    after = closed(scene, step)
    sides = (after,) if isinstance(after, mg.Embeddings) else after.sides
    rows = [side.unit().double().numpy() for side in sides]
    return scene, frame(scene, maps([s.unit() for s in scene.sides]), step), rows


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_has_finite_numbers_of_the_right_shape(kind: str) -> None:
    data = made(kind)
    scene = Scene.of(data, 1000, 0)
    projections = maps([side.unit() for side in scene.sides])
    for step in steps(scene):
        found = frame(scene, projections, step)
        assert found.keys, step
        for sides in found.points.values():
            assert [each.shape for each in sides] == [(side.n, 2) for side in scene.sides]
            assert all(np.isfinite(each).all() for each in sides)
        assert len(found.hubs) == len(found.typical) == len(scene.sides)


@pytest.mark.parametrize(("kind", "step"), PLAIN_AND_CLOSED)
def test_neighbours_are_the_nearest(kind: str, step: Step) -> None:
    _, found, rows = frame_of(made(kind), step)
    for (a, b), near in found.near.items():
        scores = rows[a] @ rows[b].T
        if a == b:
            np.fill_diagonal(scores, -np.inf)
        best = -np.sort(-scores, axis=1)[:, : near.items.shape[1]]
        np.testing.assert_allclose(near.cosines, best, atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(scores, near.items, 1), best, atol=1e-6)


@pytest.mark.parametrize("kind", ["rows", "captions", "labels", "pairs", "many"])
def test_ranks_count_the_items_that_are_nearer(kind: str) -> None:
    scene, found, rows = frame_of(
        made(kind), Step("shift", 0.5) if kind != "many" else Step("center")
    )
    for (a, b), ranks in found.ranks.items():
        relevant = scene.matches[a, b]
        for query in range(len(ranks)):
            own = relevant.items[relevant.starts[query] : relevant.starts[query + 1]]
            scores = rows[b] @ rows[a][query]
            expected = 0 if not len(own) else 1 + int((scores > scores[own].max() + 1e-9).sum())
            assert ranks[query] == expected
            if len(own):
                assert found.matched[a, b][query] == pytest.approx(scores[own].max(), abs=1e-6)


@pytest.mark.parametrize("standardised", [False, True])
def test_the_mixed_list_is_one_list_of_all_modalities(standardised: bool) -> None:
    data = made("rows")
    scene, found, rows = frame_of(data, Step("zscore" if standardised else "none"))
    every = np.concatenate(rows)
    owner = np.repeat([0, 1], [len(each) for each in rows])
    for a in (0, 1):
        scores = rows[a] @ every.T
        if standardised:
            mean, deviation = np.array(scales(scene.sides[a], scene.sides)).T[:, owner]
            scores = (scores - mean) / deviation
        scores[np.arange(len(rows[a])), np.arange(len(rows[a])) + a * len(rows[0])] = -np.inf
        order = np.argsort(-scores, axis=1)[:, :NEAREST]
        np.testing.assert_array_equal(found.mixed[a], owner[order])


def test_key_numbers_are_those_of_the_verbs(coco: NDArray[np.float32]) -> None:
    pair = mg.Pair(coco[0][:200], coco[1][:200])
    for step in (Step("none"), Step("shift", 0.75), Step("standardize")):
        _, found, _ = frame_of(pair, step)
        after = pair if not step.moves else mg.close(pair, step.closer, **step.options)
        results = {
            "measure": mg.measure(after),
            "evaluate": mg.evaluate(after),
            "search": mg.search(after.image, after, "mixed"),
        }
        assert {key.verb for key in found.keys} == set(results)
        for key in found.keys:
            value = results[key.verb][key.name]
            assert (key.value, key.interval) == (value.value, value.interval)


def test_standardised_scores_change_the_numbers_of_search_only() -> None:
    data = made("rows")
    plain, scaled = frame_of(data, Step("none"))[1], frame_of(data, Step("zscore"))[1]
    result = mg.search(data.image, data, "mixed")
    for before, after in zip(plain.keys, scaled.keys, strict=True):
        if before.verb == "search":
            assert after.value == result[f"{before.name}_zscore"].value
        else:
            assert before == after


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_keeps_matches(kind: str) -> None:
    data = made(kind)
    scene = Scene.of(data, 12, 0)
    assert not scene.complete
    assert all(side.n <= 12 for side in scene.sides)
    whole = (data,) if isinstance(data, mg.Embeddings) else data.sides
    for side, rows, all_rows in zip(scene.sides, scene.rows, whole, strict=True):
        assert torch.equal(side.unit(), all_rows.unit()[torch.from_numpy(rows)])
    full = Scene.of(data, 1000, 0)
    for (a, b), relevant in scene.matches.items():
        there = full.matches[a, b]
        for query in range(scene.sides[a].n):
            own = relevant.items[relevant.starts[query] : relevant.starts[query + 1]]
            row = scene.rows[a][query]
            known = there.items[there.starts[row] : there.starts[row + 1]]
            assert set(scene.rows[b][own]) == set(known) & set(scene.rows[b])


def test_the_first_axis_of_the_map_is_the_gap() -> None:
    data = made("rows")
    projections = maps([side.unit() for side in data.sides])
    gap = projections[0]
    x, y = (gap(side.unit())[:, 0].mean() for side in data.sides)
    assert float(y - x) == pytest.approx(mg.measure(data, only="l2m")["l2m"].value, abs=1e-6)
    for each in projections:
        np.testing.assert_allclose(each.axes.T @ each.axes, np.eye(2), atol=1e-9)


def test_densities_count_every_row_once_at_each_step() -> None:
    data = made("rows", n=50)
    scene = Scene.of(data, 20, 0)
    projections = maps([side.unit() for side in scene.sides])
    chosen = [Step("none"), Step("shift", 1.0), Step("center")]
    limits = {each.name: [-1.0, 1.0, -1.0, 1.0] for each in projections}
    found = densities(scene, projections, chosen, limits)
    for step, counts in zip(chosen, found, strict=True):
        map_of = None if not step.moves else mg.close.fit(scene.shown, step.closer, **step.options)
        for each in projections:
            for side, own in zip(data.sides, counts[each.name], strict=True):
                assert own.sum() == 50
                rows = side.unit()
                if map_of is not None:
                    rows = torch.from_numpy(map_of(rows, side.modality))
                again = np.zeros((BINS, BINS), np.int64)
                add(again, each, rows, limits[each.name])
                np.testing.assert_array_equal(own, again)
    x = maps([side.unit() for side in data.sides])[0]
    grid = np.zeros((BINS, BINS), np.int64)
    add(grid, x, data.image.unit()[:1], [-1, 1, -1, 1])
    column, row = (float(each) for each in ((x(data.image.unit()[:1])[0] + 1) / 2 * BINS).floor())
    assert grid[int(row), int(column)] == 1


def test_shades_are_ordered_and_empty_cells_are_empty() -> None:
    counts = np.array([[0, 1], [10, 1000]])
    found = shades(counts)
    assert found[0] == 0
    assert 0 < found[1] < found[2] < found[3] == SHADES - 1


def test_steps_that_the_page_does_not_offer_are_refused() -> None:
    scene = Scene.of(made("rows"), 100, 0)
    for step in (
        Step("whiten"),
        Step("shift", 9.0),
        Step("shift", float("nan")),
        Step("center", 1.0),
    ):
        with pytest.raises(OptionError):
            check(scene, step)
    many = Scene.of(made("many"), 100, 0)
    with pytest.raises(OptionError, match="shift"):
        check(many, Step("shift", 1.0))


def test_without_a_gap_closers_do_not_apply() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 6))
    scene = Scene.of(mg.Pair(rows, rows), 100, 0)
    with pytest.raises(NotApplicable, match="no gap"):
        closed(scene, Step("shift", 1.0))
    assert [each.name for each in maps([side.unit() for side in scene.sides])] == ["pca", "dims"]


def test_choices_are_known_closers() -> None:
    for name, choice in CHOICES.items():
        assert name in ("none", "zscore") or name in mg.close.CLOSERS
        if choice.strength:
            assert choice.strength in mg.close.CLOSERS[name].options
            assert choice.strengths[0] == 0
            assert list(choice.strengths) == sorted(choice.strengths)
