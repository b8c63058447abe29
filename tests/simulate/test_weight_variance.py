"""Theorem 2 against loops in numpy, the law of total variance, and the expected part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modalgap import errors
from modalgap.simulate import weight_variance


def test_loops_give_the_same_variances() -> None:
    networks, n, dim = 3, 4, 5
    table = weight_variance(n, dim, networks=networks, layers=2, activation="tanh", seed=7)
    random = torch.Generator().manual_seed(7)

    def draw(*shape: int) -> np.ndarray:
        return torch.randn(*shape, generator=random, dtype=torch.float64).numpy()

    inputs = draw(n, dim)
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    rows = [inputs] * networks
    for layer in ("1", "2"):
        weights, biases = draw(networks, dim, dim), draw(networks, 1, dim)
        cosines = []
        for each in rows:
            unit = each / np.linalg.norm(each, axis=1, keepdims=True)
            cosines.append((unit @ unit.T).mean())
        made = [(x @ w.T + b) / dim**0.5 for x, w, b in zip(rows, weights, biases, strict=True)]
        network = data = total = 0.0
        for unit in range(dim):
            values = np.array([each[:, unit] for each in made])
            network += values.mean(1).var()
            data += values.var(1).mean()
            total += values.var()
        row = {name: value.value for name, value in table.rows[layer].items()}
        assert row["cosine"] == pytest.approx(np.mean(cosines))
        assert [row["network"], row["data"], row["total"]] == pytest.approx([network, data, total])
        assert row["share"] == pytest.approx(network / total)
        rows = [np.tanh(each) for each in made]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_the_theorem(activation: str) -> None:
    table = weight_variance(32, 48, networks=100, layers=4, activation=activation)
    for layer, row in table.rows.items():
        assert row["network"].value + row["data"].value == pytest.approx(row["total"].value)
        assert row["share"].value > row["cosine"].value, layer
        assert row["share"].value == pytest.approx(row["limit"].value, abs=0.03)


def test_without_bias_the_part_of_the_networks_is_the_cosine() -> None:
    for row in weight_variance(16, 128, networks=60, layers=3, bias=False).rows.values():
        assert row["share"].value == pytest.approx(row["cosine"].value, abs=0.03)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 1),
        ("dim", 1),
        ("networks", 1),
        ("layers", 0),
        ("activation", "gelu"),
        ("seed", -1),
        ("dim", 10**6),
    ],
)
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        weight_variance(**{name: value})  # type: ignore[arg-type]


def test_features_that_vanish_name_the_layer() -> None:
    with pytest.raises(errors.Diverged, match=r"layer \d+"):
        weight_variance(4, 2, networks=50, layers=50, bias=False)
