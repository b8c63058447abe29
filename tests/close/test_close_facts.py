"""Every closer against an independent implementation, and the guarantee that ``project`` rests on.

The references take unit rows in float64 and follow the equations of SCIENCE.md, section 3, by
scikit-learn, scipy, POT or plain numpy; none of them calls modalgap.
"""

from __future__ import annotations

import numpy as np
import pytest
from close.closer_cases import (
    EVERY,
    FULL,
    REFERENCES,
    Options,
    canonical,
    case_of,
    closed,
    directions,
    pair_of,
    project,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.covariance import OAS
from sklearn.cross_decomposition import CCA

import modalgap as mg
from modalgap import errors
from modalgap.close import CLOSERS, close, fit
from modalgap.embeddings import Embeddings, Pair

# facts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retrieved", ["image", "text"])
@pytest.mark.parametrize("name", EVERY)
def test_project_reports_what_it_cost(name: str, retrieved: str) -> None:
    case = case_of(name)
    stored, asking = (case.x, case.y) if retrieved == "image" else (case.y, case.x)
    V, gap = directions(stored, 0.9), case.x.mean(0) - case.y.mean(0)
    facts = fit(pair_of(name), "project", retrieved=retrieved).facts
    leakage = np.linalg.norm(V @ gap) / np.linalg.norm(gap)
    assert facts["leakage"] == pytest.approx(leakage, rel=1e-5)
    measured = mg.measure(pair_of(name), only=f"leakage_{retrieved}")[f"leakage_{retrieved}"]
    assert facts["leakage"] == pytest.approx(measured.value, rel=1e-5)
    assert facts["directions"] == len(V)
    assert facts["chance_leakage"] == pytest.approx(np.sqrt(len(V) / stored.shape[1]))
    assert facts["l2m"] == pytest.approx(np.linalg.norm(gap), rel=1e-6)
    image, text = project(case, retrieved=retrieved)
    moved = image if retrieved == "image" else text
    k = min(10, len(stored))
    before, after = (np.argsort(-asking @ rows.T, axis=1)[:, :k] for rows in (stored, moved))
    assert facts["rankings_compared"] == len(asking)
    assert facts["top_1_changed"] == pytest.approx((before[:, 0] != after[:, 0]).mean())
    assert facts[f"top_{k}_changed"] == pytest.approx((before != after).any(1).mean())


def test_shrinkage_is_that_of_scikit_learn() -> None:
    for name in EVERY:
        case, found = case_of(name), fit(pair_of(name), "whiten").facts["shrinkage"]
        for role, rows in (("image", case.x), ("text", case.y)):
            assert found[role] == pytest.approx(OAS().fit(rows).shrinkage_, rel=1e-5)


def test_canonical_correlations() -> None:
    for name in FULL:
        expected, _, _ = canonical(case_of(name), 10, 0.0)
        facts = fit(pair_of(name), "cca", dims=10, shrinkage=0).facts
        np.testing.assert_allclose(facts["correlations"], expected, atol=1e-5)


def test_first_canonical_correlation_by_scikit_learn() -> None:
    x, y = case_of("long").x, case_of("long").y
    u, v = CCA(n_components=1, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = np.corrcoef(u[:, 0], v[:, 0])[0, 1]
    facts = fit(pair_of("long"), "cca", shrinkage=0).facts
    assert facts["correlations"][0] == pytest.approx(expected, abs=1e-5)
    closed_x, closed_y = closed("long", "cca", {"shrinkage": 0, "dims": 1})
    assert (np.abs(closed_x) == 1).all()
    assert (np.abs(closed_y) == 1).all()


def test_facts_of_the_others() -> None:
    case, pair = case_of("uneven captions"), pair_of("uneven captions")
    gap = case.x.mean(0) - case.y.mean(0)
    size = float(np.linalg.norm(gap))
    lengths = fit(pair, "center").facts["length_of_mean"]
    assert lengths["image"] == pytest.approx(np.linalg.norm(case.x.mean(0)), rel=1e-6)
    found = fit(pair, "shift", alpha=0.5).facts
    assert found["l2m"] == pytest.approx(size, rel=1e-6)
    assert found["moved"]["image"].startswith(f"{-size / 4:+.4f} ")
    assert found["moved"]["text"].startswith(f"{size / 4:+.4f} ")
    dropped = fit(pair, "drop_dims", k=3).facts
    assert dropped["columns"] == list(np.argsort(-np.abs(gap))[:3])
    share = (gap[dropped["columns"]] ** 2).sum() / (gap**2).sum()
    assert dropped["share_of_squared_gap"] == pytest.approx(share, rel=1e-6)
    scale = np.sqrt(np.trace(np.cov(case.x.T)) / np.trace(np.cov(case.y.T)))
    assert fit(pair, "realign").facts["scale"] == pytest.approx(scale, rel=1e-5)
    assert fit(pair, "ridge").facts["pairs"] == len(case.first)
    assert fit(pair, "procrustes").facts == {"pairs": len(case.first), "rank": 24}
    assert fit(pair_of("class prompts"), "pca_text").facts == {
        "directions": 12,
        "rank_of_texts": 12,
    }


def hits(pair: Pair) -> int:
    """Texts retrieved by images: how many come first at their own image."""
    scores = pair.image.unit().double() @ pair.text.unit().double().T
    return int((scores.argmax(1).numpy() == np.arange(pair.image.n)).sum())


# real embeddings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [("none", {}, 0.552), ("center", {}, 0.542), ("shift", {}, 0.358)],
    ids=str,
)
def test_recall_on_coco(
    coco: NDArray[np.float32], method: str, options: Options, expected: float
) -> None:
    assert hits(close(Pair(coco[0], coco[1]), method, **options)) == round(500 * expected)


def l2m(pair: Pair) -> float:
    return mg.measure(pair, only="l2m")["l2m"].value


@pytest.mark.parametrize("method", ["center", "shift", "project", "drop_dims", "realign"])
def test_the_gap_of_coco_before_and_after(coco: NDArray[np.float32], method: str) -> None:
    pair = Pair(coco[0], coco[1])
    assert l2m(pair) == pytest.approx(0.8514, abs=5e-5)
    image, text = REFERENCES[method](case_of("coco pairs"))
    expected = np.linalg.norm(image.mean(0) - text.mean(0))
    assert l2m(close(pair, method)) == pytest.approx(expected, abs=1e-5)
    assert expected < {"center": 0.03, "shift": 0.01, "realign": 0.01}.get(method, 0.7)


def test_the_columns_that_hold_the_gap_of_coco(coco: NDArray[np.float32]) -> None:
    map_ = fit(Pair(coco[0], coco[1]), "drop_dims")
    assert map_.facts["columns"] == [442, 362]
    assert (map_.image(coco[0])[:, [442, 362]] == 0).all()


# words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CLOSERS)
def test_cards_and_doc_strings(method: str) -> None:
    closer = CLOSERS[method]
    card = closer.card
    assert closer.name == card.name == method
    for text in (card.title, card.idea, card.equation, card.source, card.use_when, card.fails_when):
        assert text.strip() == text != ""
    assert set(card.needs) <= {"pairs", "weights"}
    assert set(card.roles) <= {"image", "text", "retrieved"}
    assert closer.transductive == (closer.fit is None) == (closer.transform is not None)
    assert card.title in closer.__doc__
    for name in closer.options:
        assert f"``{name}``" in closer.__doc__


def test_unknown_names_come_with_a_hint() -> None:
    pair = pair_of("pairs")
    for verb in (fit, close):
        with pytest.raises(errors.OptionError, match="unknown closer 'centre'; did you mean 'cent"):
            verb(pair, "centre")
        with pytest.raises(errors.OptionError, match="unknown closer 'xyz'; known: cca, center"):
            verb(pair, "xyz")
        with pytest.raises(errors.OptionError, match="of shift 'alhpa'; did you mean 'alpha'"):
            verb(pair, "shift", alhpa=1)
        with pytest.raises(errors.OptionError, match="option of center 'k'; known: none"):
            verb(pair, "center", k=1)
        for wrong in (None, 3, ["center"]):
            with pytest.raises(errors.OptionError, match="method must be a string or a Closer"):
                verb(pair, wrong)


def test_what_is_no_pair_is_not_closed() -> None:
    with pytest.raises(errors.InputError, match="pair must be a Pair or Modalities; got"):
        close(Embeddings(np.eye(3)), "center")  # type: ignore[arg-type]
    for wrong in (None, 3, np.eye(3), [np.eye(3), np.eye(3)]):
        with pytest.raises(errors.InputError, match="data must be a Pair"):
            fit(wrong, "center")


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 12))
def test_centred_means_are_zero_before_the_last_step(seed: int, n: int, d: int) -> None:
    random = np.random.default_rng(seed)
    pair = Pair(random.normal(size=(n, d)), random.normal(size=(n, d)) + 1)
    map_ = fit(pair, "center")
    for side in pair.sides:
        (step,) = map_.roles[side.modality]
        mean = side.unit().double().numpy().mean(0)
        np.testing.assert_allclose(mean + step.offset, 0, atol=1e-7)
