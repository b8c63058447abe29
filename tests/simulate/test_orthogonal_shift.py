"""The simulation orthogonal_shift: exact where it must be, plain loops, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modalgap import errors
from modalgap.simulate import orthogonal_shift
from modalgap.simulate.orthogonal_shift import _made

KINDS = ("distance", "product", "cosine")


def test_nothing_changes_once_v_spans_all_items() -> None:
    for alpha in (-3.0, 0.5, 1.0, 10.0):
        row = orthogonal_shift(alpha=alpha, directions=[49]).rows["49"]
        assert row["left"].value < 1e-12
        assert row["moved"].value > 0.5
        for kind in KINDS:
            assert row[f"{kind}_ranking"].value == 0


def test_with_as_many_items_as_dimensions_nothing_is_left() -> None:
    row = orthogonal_shift(40, 20, directions=[20], queries=50).rows["20"]
    assert row["moved"].value < 1e-12
    assert row["leakage"].value == pytest.approx(1)


def test_by_hand() -> None:
    """The raw shift and a truncated one, item by item."""
    items, queries, dim = 8, 30, 12
    stored, asking = (
        each.numpy() for each in _made(items, queries, dim, torch.Generator().manual_seed(2))
    )
    assert np.linalg.norm(stored, axis=1) == pytest.approx(1)
    table = orthogonal_shift(items, dim, queries=queries, directions=[0, 3], seed=2)
    gap = asking.mean(0) - stored.mean(0)
    _, vectors = np.linalg.eigh(np.cov(stored.T))
    for count in (0, 3):
        top = vectors[:, ::-1][:, :count]
        by = gap - top @ (top.T @ gap)
        changed = dict.fromkeys(KINDS, 0)
        orders = dict.fromkeys(KINDS, 0)
        for query in asking:
            for kind in KINDS:
                old, new = [], []
                for item in stored:
                    for rows, scores in ((item, old), (item + by, new)):
                        product = float(query @ rows)
                        scores.append(
                            {
                                "distance": -float(np.sum((query - rows) ** 2)),
                                "product": product,
                                "cosine": product / float(np.linalg.norm(rows)),
                            }[kind]
                        )
                changed[kind] += int(np.argmax(old) != np.argmax(new))
                orders[kind] += int(list(np.argsort(old)) != list(np.argsort(new)))
        row = table.rows[str(count)]
        for kind in KINDS:
            assert row[f"{kind}_top1"].value == pytest.approx(changed[kind] / queries)
            assert row[f"{kind}_ranking"].value == pytest.approx(orders[kind] / queries)
    assert table.rows["0"]["distance_top1"].value > 0


def test_leakage_rises_with_the_directions() -> None:
    rows = orthogonal_shift(20, 64, queries=50, directions=[0, 5, 10, 19]).rows
    leakage = [row["leakage"].value for row in rows.values()]
    assert leakage == sorted(leakage)
    assert leakage[0] == 0
    parts = [row["leakage"].value ** 2 + row["moved"].value ** 2 for row in rows.values()]
    assert parts == pytest.approx([1.0] * 4)


def test_same_seed_same_numbers() -> None:
    one, two = (orthogonal_shift(10, 20, directions=[2], seed=1).to_dict() for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("items", 1), ("dim", 1), ("queries", 0), ("alpha", float("nan")), ("directions", [50]),
        ("directions", []), ("directions", [1, 1]), ("seed", -1), ("queries", 10**12),
    ],
)  # fmt: skip
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        orthogonal_shift(**{name: value})  # type: ignore[arg-type]
