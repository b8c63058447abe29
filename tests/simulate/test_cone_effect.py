"""The cone effect against numpy loops, its closed form, and published numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad

from modalgap import errors
from modalgap.simulate import cone_effect
from modalgap.simulate.cone_effect import mean_cosine
from modalgap.simulate.wide_networks import ACTIVATIONS, BLOCKS, Layers, closed_form
from modalgap.trace import points

# STUDIES 2b: ReLU at layers 1 to 5, 10 and 15 or 25, infinite width, 1,024 inputs
BIASED = {1: 0.3199, 2: 0.4964, 3: 0.6092, 4: 0.6883, 5: 0.7483, 10: 0.9502, 15: 0.9980}
UNBIASED = {1: 0.3190, 2: 0.4942, 3: 0.6052, 4: 0.6813, 5: 0.7362, 10: 0.8717, 25: 0.9630}
PHI = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "gelu": lambda z: z / 2 * (1 + np.vectorize(math.erf)(z / 2**0.5)),
    "linear": lambda z: z,
}


@pytest.mark.parametrize(("bias", "stated"), [(True, BIASED), (False, UNBIASED)])
def test_the_closed_form_has_the_stated_numbers(bias: bool, stated: dict[int, float]) -> None:
    found = closed_form("relu", 25, 512, bias=bias)
    assert found is not None
    with_diagonal = {layer: (found[layer - 1] * 1023 + 1) / 1024 for layer in stated}
    assert with_diagonal == pytest.approx(stated, abs=5.1e-5)
    assert closed_form("relu", 1, 512, bias=False) == pytest.approx([1 / math.pi])


def test_arc_cosine_recursion() -> None:
    rho, square, expected = 0.0, 64.0, []
    for _ in range(6):
        r = (square * rho + 1) / (square + 1)
        rho = (math.sqrt(1 - r * r) + r * (math.pi - math.acos(r))) / math.pi
        square = (square + 1) / 2
        expected.append(rho)
    assert closed_form("relu", 6, 64, bias=True) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["leaky_relu", "tanh", "sigmoid", "gelu"])
def test_gaussian_integrals(name: str) -> None:
    """The second layer, whose inputs have a cosine, by adaptive quadrature."""
    phi, dim = PHI[name], 8
    square, both, found = 1.0, 0.0, closed_form(name, 2, dim, bias=True)
    for layer in range(2):
        square, both = square + 1 / dim, both + 1 / dim
        r, scale = both / square, square**0.5

        def density(x: float, y: float) -> float:
            return math.exp(-(x * x + y * y) / 2) / (2 * math.pi)

        def product(y: float, x: float, r: float = r, scale: float = scale) -> float:
            second = scale * (r * x + math.sqrt(1 - r * r) * y)
            return float(phi(scale * x) * phi(second)) * density(x, y)

        def own(y: float, x: float, scale: float = scale) -> float:
            return float(phi(scale * x)) ** 2 * density(x, y)

        both, square = (dblquad(f, -8, 8, -8, 8, epsabs=1e-7)[0] for f in (product, own))
        assert found is not None
        assert found[layer] == pytest.approx(both / square, abs=1e-5)


@pytest.mark.parametrize("name", [*PHI, "maxout"])
@pytest.mark.parametrize("norm", ["none", "before", "after"])
def test_plain_numpy_gives_the_same_layers(name: str, norm: str) -> None:
    random = torch.Generator().manual_seed(3)
    rows = torch.randn(9, 12, generator=random)
    layers = Layers(name, 12, bias=True, norm=norm, tokens=3, random=random)
    again = torch.Generator().manual_seed(3)
    plain = torch.randn(9, 12, generator=again).numpy().astype(float)

    def normed(z: np.ndarray) -> np.ndarray:
        return (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)

    def line(h: np.ndarray) -> np.ndarray:
        weights = torch.randn(12, 12, generator=again).numpy().astype(float)
        z = (h @ weights.T + torch.randn(12, generator=again).numpy()) / 12**0.5
        return normed(z) if norm == "before" else z

    for _ in range(3):
        rows = layers.next(rows)
        first = line(plain)
        plain = np.maximum(first, line(plain)) if name == "maxout" else PHI[name](first)
        plain = normed(plain) if norm == "after" else plain
    assert rows.numpy() == pytest.approx(plain, abs=2e-5)
    unit = plain / np.linalg.norm(plain, axis=1, keepdims=True)
    assert mean_cosine(rows, 3) == pytest.approx((unit @ unit.T).mean(), abs=1e-6)


def test_blocks_by_hand() -> None:
    def norm(h: np.ndarray) -> np.ndarray:
        return (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)

    random, again = (torch.Generator().manual_seed(5) for _ in range(2))
    rows = torch.randn(6, 8, generator=random)
    plain = torch.randn(6, 8, generator=again).numpy().astype(float)
    found = Layers("transformer", 8, bias=True, norm="none", tokens=3, random=random).next(rows)

    def line(h: np.ndarray) -> np.ndarray:
        weights = torch.randn(8, 8, generator=again).numpy().astype(float)
        return (h @ weights.T + torch.randn(8, generator=again).numpy()) / 8**0.5

    query, key, value = (line(norm(plain)) for _ in range(3))
    mixed = np.zeros_like(plain)
    for one in (slice(0, 3), slice(3, 6)):
        chances = np.exp(query[one] @ key[one].T / 8**0.5)
        mixed[one] = chances / chances.sum(1, keepdims=True) @ value[one]
    plain = plain + line(mixed)
    plain = plain + line(np.maximum(line(norm(plain)), 0))
    assert found.numpy() == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_wide_networks_follow_the_closed_form(bias: bool) -> None:
    """Where the spread between networks is small."""
    names = [name for name in (*ACTIVATIONS, "residual") if bias or name != "tanh"]
    table = cone_effect(256, 256, layers=2, architectures=names, bias=bias, repeats=4)
    for name in names:
        for layer in ("layer_1", "layer_2"):
            ours = table.rows[name][layer].value
            limit = table.rows[f"{name}, closed form"][layer].value
            assert ours == pytest.approx(limit, abs=0.025), (name, layer)


def test_published_relu() -> None:
    """The sd between networks is .026 at layers 4 and 5."""
    table = cone_effect(architectures=["relu", "sigmoid", "tanh", "linear"])
    row = table.rows["relu"]
    for layer, value, within in (
        (1, 0.3195, 0.002), (2, 0.4943, 0.03), (3, 0.6069, 0.05), (4, 0.7008, 0.07),
        (5, 0.7541, 0.07), (10, 0.9477, 0.01), (15, 0.9980, 0.001),
    ):  # fmt: skip
        assert row[f"layer_{layer}"].value == pytest.approx(value, abs=within)
    assert table.rows["sigmoid"]["layer_2"].value == pytest.approx(0.99, abs=0.005)
    assert table.rows["tanh"]["layer_25"].value == pytest.approx(0.52, abs=0.08)
    assert table.rows["linear"]["layer_25"].value == pytest.approx(0.045, abs=0.02)


def test_rows_and_curves() -> None:
    table = cone_effect(16, 8, layers=3, tokens=4)
    assert list(table.rows)[:3] == ["relu", "relu, closed form", "leaky_relu"]
    assert "attention, closed form" not in table.rows
    for name in (*ACTIVATIONS, *BLOCKS):
        x, y = points(table.rows[name]["cosine"])
        assert x == [0, 1, 2, 3]
        assert y[-1] == table.rows[name]["cosine"].value == table.rows[name]["layer_3"].value
    assert "within" in table.rows["attention"]
    assert "within" not in table.rows["relu"]
    again = cone_effect(16, 8, layers=3, tokens=4)
    assert again.rows == table.rows
    assert cone_effect(16, 8, layers=3, tokens=4, seed=1).rows != table.rows


def test_normalisation_after_the_activation_removes_the_cone() -> None:
    plain, after = (
        cone_effect(256, 128, layers=1, architectures=["relu"], bias=False, norm=norm).rows["relu"]
        for norm in ("none", "after")
    )
    assert plain["layer_1"].value == pytest.approx(1 / math.pi, abs=0.02)
    assert after["layer_1"].value == pytest.approx(1 / 256, abs=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 1),
        ("dim", 1),
        ("layers", 0),
        ("tokens", 1),
        ("repeats", 0),
        ("seed", -1),
        ("norm", "batch"),
        ("architectures", ["relu", "swish"]),
        ("architectures", ["relu", "relu"]),
        ("architectures", []),
        ("n", 1023),
        ("dim", 2_000_000),
    ],
)
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(errors.OptionError, match=name):
        cone_effect(**{name: value})  # type: ignore[arg-type]


def test_a_network_whose_features_vanish_names_the_layer() -> None:
    with pytest.raises(errors.Diverged, match=r"layer \d+"):
        cone_effect(4, 8, layers=2000, architectures=["relu"], bias=False)
