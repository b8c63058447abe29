"""Standardised scores: the three estimates against counting, files, exports and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference.cases import two_cones, unit

import modalgap as mg
from modalgap import errors
from modalgap.close import ScoreScaler, faiss_views
from modalgap.close.scores import estimates
from modalgap.embeddings import Embeddings, Pair, moments

Floats = NDArray[np.float64]
FORMS = ("image", "text", "fused")


def rows_of(pair: Pair) -> dict[str, Floats]:
    x, y = (unit(np.asarray(side.unit().numpy(), np.float64)) for side in pair.sides)
    image, text = (index.numpy() for index in pair.matches)
    return {"image": x, "text": y, "fused": unit(x[image] + y[text])}


def items_of(pair: Pair) -> dict[str, NDArray[np.int64]]:
    image = pair.matches[0].numpy()
    return {"image": np.arange(pair.image.n), "text": pair.clusters[1], "fused": image}


def cones(captions: int = 1, n: int = 60, d: int = 12) -> Pair:
    of = np.repeat(np.arange(n), captions)
    x, y = two_cones(n, d, of=of)
    return Pair(x, y, of)


@pytest.mark.parametrize("captions", [1, 2])
def test_the_closed_form_is_the_mean_and_deviation_of_every_pair(captions: int) -> None:
    pair = cones(captions)
    rows, scaler = rows_of(pair), ScoreScaler.fit(pair)
    for query in FORMS:
        for form in FORMS:
            scores = rows[query] @ rows[form].T
            mean, deviation = scaler.scale(query, form)
            assert mean == pytest.approx(scores.mean(), abs=1e-6)
            assert deviation == pytest.approx(scores.std(), rel=0.03)  # covariances by n - 1


@pytest.mark.parametrize("captions", [1, 2])
@pytest.mark.parametrize("estimate", ["pairs", "best"])
def test_other_estimates_leave_out_what_matches(captions: int, estimate: str) -> None:
    pair = cones(captions)
    rows, items, scaler = rows_of(pair), items_of(pair), ScoreScaler.fit(pair, estimate)
    for query in FORMS:
        for form in FORMS:
            scores = rows[query] @ rows[form].T
            apart = items[query][:, None] != items[form]
            if estimate == "pairs":
                expected = scores[apart].mean(), scores[apart].std()
            else:
                best = np.where(apart, scores, -9).max(1)
                expected = best.mean(), best.std(ddof=1)
            assert scaler.scale(query, form) == pytest.approx(expected, rel=1e-4)


def test_the_values_of_clip(coco: NDArray[np.float32]) -> None:
    """SCIENCE 3b: .1619/.0487 by the closed form, .1616/.0483 by counting."""
    pair = Pair(coco[0], coco[1])
    closed, counted = ScoreScaler.fit(pair), ScoreScaler.fit(pair, "pairs")
    assert closed.scale("text", "image") == pytest.approx((0.1619, 0.0487), abs=1e-4)
    assert counted.scale("text", "image") == pytest.approx((0.1616, 0.0483), abs=1e-4)
    assert counted.scale("image", "image") == pytest.approx((0.532, 0.096), abs=1e-3)
    assert counted.scale("text", "text") == pytest.approx((0.515, 0.110), abs=1e-3)
    for query in ("image", "text"):
        mean, deviation = np.array(closed.scale(query, "fused")) / counted.scale(query, "fused")
        assert mean == pytest.approx(1, abs=0.01)
        assert deviation == pytest.approx(1, abs=0.025)


def test_moments_of_parts_and_published_numbers_give_the_same() -> None:
    pair = cones()
    whole = ScoreScaler.fit(pair, fused=False)
    halves = {}
    numbers = {}
    for side in pair.sides:
        rows = side.unit().numpy()
        parts = [moments(Embeddings(part), scatter=True) for part in (rows[:22], rows[22:])]
        halves[side.modality] = parts[0].merge(parts[1])
        numbers[side.modality] = (rows.mean(0), np.cov(rows.T))
    sides = {side.modality: side for side in pair.sides}
    for data in (halves, numbers, sides):
        scaler = ScoreScaler.fit(data)
        for query in ("image", "text"):
            for form in ("image", "text"):
                assert scaler.scale(query, form) == pytest.approx(whole.scale(query, form), 1e-5)


def test_fused_moments_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = cones(2)
    whole = ScoreScaler.fit(pair)
    monkeypatch.setattr(estimates, "CHUNK", 7)
    parts = ScoreScaler.fit(pair)
    assert parts.scale("text", "fused") == pytest.approx(whole.scale("text", "fused"), rel=1e-5)


def test_scores_become_standardised() -> None:
    pair = cones()
    scaler, rows = ScoreScaler.fit(pair, "pairs"), rows_of(pair)
    scores = rows["text"] @ np.concatenate([rows["image"], rows["fused"]]).T
    found = scaler(scores, "text", ["image"] * 60 + ["fused"] * 60)
    assert found[:, :60] == pytest.approx(scaler(scores[:, :60], "text", "image"))
    apart = ~np.eye(60, dtype=bool)
    for part in (found[:, :60], found[:, 60:]):
        assert (part[apart].mean(), part[apart].std()) == pytest.approx((0, 1), abs=1e-4)
        assert (part.argsort(1) == scores[:, :60].argsort(1)).all() or part is not found[:, :60]
    assert scaler(scores[0, :60], "text", "image") == pytest.approx(found[0, :60])


def test_files(tmp_path: Path) -> None:
    pair = cones()
    scaler = ScoreScaler.fit(pair)
    path = scaler.save(tmp_path / "scales.json")
    back = ScoreScaler.load(path)
    assert (back.scales, back.facts, back.fitted_on) == (
        scaler.scales, scaler.facts, scaler.fitted_on,
    )  # fmt: skip
    found = json.loads(path.read_text())
    assert found["scales"]["text"]["image"]["sd"] == scaler.scale("text", "image")[1]
    with pytest.raises(errors.OutputError, match="exists"):
        scaler.save(path)
    with pytest.raises(errors.OutputError, match=r"must end in \.json; found \.npz"):
        scaler.save(tmp_path / "scales.npz")
    for damage in (
        "", "[]", "{}", "[" * 100_000,
        found | {"version": 9}, found | {"scales": {}}, found | {"scales": 3},
        found | {"scales": {"text": {"image": {"mean": 1}}}},
        found | {"scales": {"text": {"image": {"mean": 0.1, "sd": 0}}}},
    ):  # fmt: skip
        text = damage if isinstance(damage, str) else json.dumps(damage)
        path.write_text(text)
        with pytest.raises(errors.FileError, match=r"scales\.json"):
            ScoreScaler.load(path)
    with pytest.raises(errors.FileError, match="cannot be read"):
        ScoreScaler.load(tmp_path / "none.json")


@pytest.mark.parametrize("query", ["image", "text"])
def test_one_more_column_gives_the_standardised_scores(query: str) -> None:
    pair = cones()
    scaler, rows = ScoreScaler.fit(pair), rows_of(pair)
    wider = scaler.augmented(query)
    assert set(wider.roles) == {*FORMS, "query"}
    asking = wider(rows[query], "query")
    for form in FORMS:
        scores = asking @ wider(rows[form], form).T
        expected = scaler(rows[query] @ rows[form].T, query, form)
        assert scores == pytest.approx(expected, abs=2e-5)


def test_one_faiss_index_gives_the_standardised_ranking() -> None:
    faiss = pytest.importorskip("faiss")
    pair = cones()
    scaler, rows = ScoreScaler.fit(pair), rows_of(pair)
    views = faiss_views(scaler.augmented("text"), faiss.IndexFlatIP(13))
    for form in ("image", "text"):
        views[form].add(rows[form].astype(np.float32))
    scores, found = views["query"].search(rows["text"].astype(np.float32), 5)
    every = np.concatenate([rows["text"] @ rows[form].T for form in ("image", "text")], 1)
    expected = scaler(every, "text", ["image"] * 60 + ["text"] * 60)
    best = np.sort(expected, 1)[:, ::-1][:, :5]
    assert scores == pytest.approx(best, abs=1e-4)
    assert np.take_along_axis(expected, found, 1) == pytest.approx(best, abs=1e-4)


def test_vectors_of_another_kind_are_refused() -> None:
    x, y = two_cones(30, 8)
    provenance = {"model": "a", "weights_hash": "1"}
    pair = Pair(
        Embeddings(x, "image", provenance=provenance), Embeddings(y, "text", provenance=provenance)
    )
    scaler = ScoreScaler.fit(pair)
    scaler.check(pair.image)
    scaler.check(Embeddings(x, "image"))  # nothing is known of it
    other = Embeddings(x, "image", provenance={"model": "b"})
    with pytest.raises(errors.InputError, match="fitted on, model 'a'; found 'b'"):
        scaler.check(other)
    scaler.check(other, force=True)
    closed = mg.close(pair, "center")
    with pytest.raises(errors.InputError, match="fitted on, closed none; found 'center"):
        scaler.check(closed.text)
    ScoreScaler.fit(closed).check(closed.text)
    with pytest.raises(errors.InputError, match=r"must have 8 columns, .* fitted; found 5"):
        scaler.check(Embeddings(x[:, :5], "image"), force=True)


def test_refusals() -> None:
    pair = cones()
    scaler = ScoreScaler.fit(pair)
    with pytest.raises(errors.OptionError, match=r"unknown modality of queries 'txt'.*'text'"):
        scaler([0.1], "txt", "image")
    with pytest.raises(errors.OptionError, match=r"unknown form of documents 'imag'.*'image'"):
        scaler([0.1], "text", "imag")
    with pytest.raises(errors.InputError, match="one form per document, 3 in all; got 2"):
        scaler([0.1, 0.2, 0.3], "text", ["image", "text"])
    with pytest.raises(errors.OptionError, match="estimate must be one of closed, pairs, best"):
        ScoreScaler.fit(pair, "open")
    sides = {side.modality: side for side in pair.sides}
    with pytest.raises(errors.InputError, match="must be a Pair for estimate 'best'"):
        ScoreScaler.fit(sides, "best")
    with pytest.raises(errors.NotApplicable, match="image queries and image documents do not vary"):
        ScoreScaler.fit({"image": (np.ones(4) / 2, np.zeros((4, 4)))})
    for wrong in ((np.ones(4), np.ones(4)), 3, (1,), (np.full(2, np.nan), np.eye(2))):
        with pytest.raises(errors.InputError, match="image: "):
            ScoreScaler.fit({"image": wrong})
    for data in ({}, 3, None):
        with pytest.raises(errors.InputError):
            ScoreScaler.fit(data)  # type: ignore[arg-type]
    two: dict[str, Any] = {
        "image": (np.ones(2), np.eye(2)), "text": (np.ones(3), np.eye(3)),
    }  # fmt: skip
    with pytest.raises(errors.InputError, match="one width"):
        ScoreScaler.fit(two)
    labelled = Pair(pair.image, pair.text.rows.read(0, 3), labels=np.arange(60) % 3)
    assert ScoreScaler.fit(labelled).forms == ("image", "text")
    assert ScoreScaler.fit(labelled, "pairs").forms == ("image", "text")
