"""Information imbalance: batched training against a plain one, entropy against its closed form."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

import modalgap as mg
from modalgap import errors
from modalgap.result import Table
from modalgap.simulate import information_imbalance
from modalgap.simulate.information_imbalance import (
    _certainty,
    _draw,
    _encoded,
    _fitting,
    _start,
    _World,
)
from modalgap.trace import points

SMALL: dict[str, Any] = {
    "objects": 4, "attributes": 2, "values": 3, "dim": 8, "hidden": 16, "batch": 64, "seeds": 1,
    "learning_rate": 0.01,
}  # fmt: skip


def world(omitted: list[int], *, varied: bool = True) -> _World:
    counts = torch.tensor(omitted)
    return _World(objects=4, attributes=2, values=3, omitted=counts, varied=varied)


def numbers(table: Table) -> dict[str, dict[str, float]]:
    return {
        row: {name: each.value for name, each in values.items()}
        for row, values in table.rows.items()
    }


@pytest.mark.parametrize("hidden", [0, 16])
def test_training_is_that_of_one_plain_model(hidden: int) -> None:
    """Two layers of torch and its cross entropy, for the second of two models."""
    some = world([0, 1])
    draws = [torch.Generator().manual_seed(5)]
    starts = [_start(some, 8, hidden, draws, 2) for _ in range(2)]
    towers = []
    for weights in starts:
        layers: list[nn.Module] = []
        for at in range(0, len(weights), 2):
            layer = nn.Linear(weights[at].shape[2], weights[at].shape[3])
            layer.weight.data = weights[at][1, 0].detach().T.clone()
            layer.bias.data = weights[at + 1][1, 0, 0].detach().clone()
            layers += [layer, nn.ReLU()]
        towers.append(nn.Sequential(*layers[:-1]))
    scale = nn.Parameter(torch.tensor(-math.log(0.07)))
    parameters = [each for tower in towers for each in tower.parameters()]
    optimiser = torch.optim.Adam([*parameters, scale], lr=0.01)
    for _ in range(3):
        items = _draw(some, draws, 64)
        told = []
        for everything in (True, False):
            rows = torch.zeros(64, 4 + 2 * 3)
            for i in range(64):
                rows[i, items.objects[0, i]] = 1
                for a in range(2):
                    if everything or items.named[1, 0, i, a]:
                        rows[i, 4 + 3 * a + items.values[0, i, a]] = 1
            told.append(rows)
        image, text = (normalize(tower(rows), dim=1) for tower, rows in zip(towers, told,
                                                                          strict=True))  # fmt: skip
        logits, own = image @ text.T * scale.exp(), torch.arange(64)
        loss = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    table = information_imbalance(**SMALL | {"hidden": hidden}, steps=3, omitted=[1, 0], seed=5)
    found = table.rows["1"]
    assert found["temperature"].value == pytest.approx(math.exp(-float(scale.detach())), rel=1e-5)
    items = _draw(some, draws, 1024)
    weights = [
        [(p.detach().T if p.ndim == 2 else p.detach()[None])[None, None] for p in each.parameters()]
        for each in towers
    ]
    only = world([1])
    kept = type(items)(items.objects, items.values, items.named[1:])
    image, text = _encoded(weights, kept, only)
    expected = mg.measure(mg.Pair(image[0, 0], text[0, 0]), ["rmg", "l2m"])
    for name in ("rmg", "l2m"):
        assert found[name].value == pytest.approx(expected[name].value, rel=1e-4)


def test_which_images_fit_a_caption() -> None:
    for varied in (True, False):
        some = world([1], varied=varied)
        items = _draw(some, [torch.Generator().manual_seed(1)], 30)
        fit = _fitting(items, 0, 0, slice(0, 30))
        for i in range(30):
            for j in range(30):
                right = items.objects[0, i] == items.objects[0, j]
                for a in range(2):
                    if items.named[0, 0, j, a]:
                        right &= items.values[0, i, a] == items.values[0, j, a]
                assert bool(fit[i, j]) == bool(right)
        assert items.named[0, 0].sum(1).tolist() == [1] * 30
        assert varied == (len(items.named[0, 0].unique(dim=0)) > 1)


def test_entropy_is_that_of_the_measure() -> None:
    random = torch.Generator().manual_seed(0)
    image, text = normalize(torch.randn(2, 20, 4, generator=random), dim=-1)
    scale, fit = torch.tensor(3.0), torch.eye(20, dtype=torch.bool)
    found = _certainty(image, text, scale, fit)
    pair = mg.Pair(image, text)
    expected = mg.measure(pair, ["logit_entropy", "infonce"], temperature=math.exp(-3.0))
    for side in ("image", "text"):
        value = expected[f"logit_entropy_{side}"].value
        assert found[f"entropy_{side}"] == pytest.approx(value, rel=1e-5)
    assert found["predicted_text"] == 0
    assert found["loss"] == pytest.approx(expected["infonce"].value, rel=1e-5)


def test_prediction_without_attributes_is_a_closed_form() -> None:
    """One image and, of 63 others, a binomial number with the same of four objects."""
    table = information_imbalance(**SMALL, steps=1, omitted=[2])
    k = np.arange(64)
    odds = np.array([math.comb(63, each) for each in k]) * 0.25**k * 0.75 ** (63 - k)
    expected = float((odds * np.log1p(k)).sum())
    assert table.rows["2"]["predicted_text"].value == pytest.approx(expected, abs=0.02)


def test_omitted_information_leaves_entropy_gap_and_object_bias() -> None:
    found = numbers(information_imbalance(**SMALL, steps=250))
    assert list(found) == ["0", "1", "2"]
    for row in found.values():
        for side in ("text", "image"):
            over = row[f"entropy_{side}"] - row[f"predicted_{side}"]
            assert -0.02 < over < 0.3
    assert found["1"]["rmg"] > found["0"]["rmg"] + 0.05
    for name in ("moad_image", "moad_text", "entropy_text"):
        values = [row[name] for row in found.values()]
        assert values == sorted(values)
        assert values[-1] > values[0] + 0.2


def test_rows_do_not_depend_on_each_other_and_seeds_are_runs() -> None:
    one = numbers(information_imbalance(**SMALL, steps=5, omitted=[1]))
    all_rows = numbers(information_imbalance(**SMALL, steps=5))
    assert all_rows["1"] == pytest.approx(one["1"], rel=1e-5)
    three = information_imbalance(**SMALL | {"seeds": 3}, steps=5, omitted=[1])
    each = [
        information_imbalance(**SMALL, steps=5, omitted=[1], seed=seed).rows["1"]["rmg"].value
        for seed in range(3)
    ]
    value = three.rows["1"]["rmg"]
    assert value.value == pytest.approx(np.mean(each), rel=1e-5)
    assert value.interval is not None
    half = 4.303 * np.std(each, ddof=1) / 3**0.5  # Student's t, two degrees of freedom
    assert value.interval[1] - value.value == pytest.approx(half, rel=1e-3)


def test_temperature_and_fine_tuning() -> None:
    frozen = information_imbalance(**SMALL, steps=5, omitted=[0], frozen=True, temperature=0.2)
    assert frozen.rows["0"]["temperature"].value == pytest.approx(0.2)
    longer = information_imbalance(**SMALL, steps=8, omitted=[0]).rows["0"]
    tuned = information_imbalance(**SMALL, full_first=5, steps=3, omitted=[0]).rows["0"]
    assert tuned["l2m"].value == pytest.approx(longer["l2m"].value)
    x, y = points(tuned["l2m"])
    assert x == list(range(9))
    assert y[-1] == tuned["l2m"].value
    other = information_imbalance(**SMALL, full_first=5, steps=3, omitted=[2], frozen=True)
    still = information_imbalance(**SMALL, steps=5, omitted=[0])
    taus = [table.column("temperature")[0].value for table in (other, still)]
    assert taus[0] == pytest.approx(taus[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("objects", 1),
        ("attributes", 0),
        ("values", 1),
        ("omitted", [6]),
        ("omitted", [1, 1]),
        ("private", "some"),
        ("dim", 1),
        ("hidden", -1),
        ("temperature", 0.0),
        ("full_first", -1),
        ("steps", 0),
        ("batch", 1),
        ("learning_rate", 0.0),
        ("seeds", 0),
        ("seed", -1),
    ],
)
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        information_imbalance(**{name: value})


def test_sizes_that_do_not_fit_and_a_loss_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.OptionError, match="batch, seeds, hidden, dim: must fit"):
        information_imbalance(dim=2**20, hidden=2**20)
    module = sys.modules["modalgap.simulate.information_imbalance"]
    monkeypatch.setattr(module, "_loss", lambda image, *_: image.sum((-1, -2)) * math.nan)
    with pytest.raises(errors.Diverged, match="NaN or infinite at step 0"):
        information_imbalance(**SMALL, steps=2)
