"""The simulation first_page: its points, its count against plain loops, and its predictions."""

from __future__ import annotations

import numpy as np
import pytest

from modalgap import errors
from modalgap.embeddings.cosine_moments import cosine_moments, mean_and_covariance
from modalgap.evaluate.first_page import shares_of_scales
from modalgap.simulate import first_page
from modalgap.simulate.first_page import SCORES, _points, compared


def test_points_have_the_gap() -> None:
    for gap in (0.0, 0.5, 1.2):
        for pair in _points(gap, 2000, 64, 0.5, 0.5, 1.0, 0):
            x, y = pair.image.unit().numpy(), pair.text.unit().numpy()
            assert np.linalg.norm(x.mean(0) - y.mean(0)) == pytest.approx(gap, abs=0.05)
            unrelated = (x * np.roll(y, 1, axis=0)).sum(1)
            expected = cosine_moments(*(mean_and_covariance([s.unit()]) for s in pair.sides))
            assert unrelated.mean() == pytest.approx(expected[0], abs=0.01)
            assert unrelated.std() == pytest.approx(expected[1], abs=0.01)


def test_raw_counts_are_those_of_plain_loops() -> None:
    """Every item once, in the form that the index drew; the query's own item left out."""
    sample, judged = _points(0.4, 90, 16, 0.5, 0.5, 1.0, 3)
    found = compared(sample, judged, 5, 3)["raw"]["text"]
    n = 90
    order = np.random.default_rng(3).permutation(n)
    stored = np.empty(n, np.int64)
    stored[order] = np.repeat([0, 1, 2], n // 3)
    x, y = judged.image.unit().numpy(), judged.text.unit().numpy()
    both = (x + y) / np.linalg.norm(x + y, axis=1, keepdims=True)
    documents = np.stack([x, y, both])[stored, np.arange(n)]
    counts = np.zeros(3)
    for i in range(n):
        scores = documents @ y[i]
        scores[i] = -np.inf
        counts += np.bincount(stored[np.argsort(-scores)[:5]], minlength=3) / 5
    known = [each / n for each in counts]
    assert [found[f"{form}_counted"] for form in ("image", "text", "fused")] == pytest.approx(known)
    x, y = sample.image.unit(), sample.text.unit()
    forms = [mean_and_covariance([rows]) for rows in (x, y, (x + y) / (x + y).norm(dim=1)[:, None])]
    predicted = shares_of_scales([cosine_moments(forms[1], each) for each in forms], [30] * 3, 5)
    assert found["text_predicted"] == pytest.approx(predicted[1])
    gaps = [
        abs(found[f"{f}_predicted"] - found[f"{f}_counted"]) for f in ("image", "text", "fused")
    ]
    assert found["error_predicted"] == pytest.approx(max(gaps))


def test_the_gap_fills_the_page_with_the_own_modality_unless_scores_are_standardised() -> None:
    table = first_page(n=300, dim=64, gaps=[0, 1])
    texts = {row: values["text_counted"].value for row, values in table.rows.items()}
    assert list(table.rows) == [f"{score}, gap {gap}" for score in SCORES for gap in (0, 1)]
    assert texts["raw, gap 1"] > 0.98 > 0.7 > texts["raw, gap 0"]
    assert texts["centred, gap 1"] == pytest.approx(texts["centred, gap 0"], abs=0.03)
    assert texts["centred, gap 1"] > 0.45
    assert texts["both, gap 1"] == pytest.approx(1 / 3, abs=0.06)
    for values in table.rows.values():
        for kind in ("counted", "predicted", "by_query"):
            total = sum(values[f"{form}_{kind}"].value for form in ("image", "text", "fused"))
            assert total == pytest.approx(1)
    raw = table.rows["standardised, gap 1"]
    assert raw["error_by_query"].value < raw["error_predicted"].value
    assert first_page(n=300, dim=64, gaps=[0, 1]).to_dict() == table.to_dict()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gaps", [-0.1]),
        ("gaps", [1.9]),
        ("gaps", [0.5, 0.5]),
        ("n", 29),
        ("dim", 3),
        ("cone", 1.0),
        ("private", 0.0),
        ("decay", -1.0),
        ("k", 0),
        ("seed", -1),
    ],
)
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        first_page(**{name: value})


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(errors.OptionError, match="n, dim: must fit"):
        first_page(n=100_000, dim=2**16)
