"""The cone effect against the plain way: float64, and an n × n matrix of cosines per layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.clock import Row, seconds
from modalgap.simulate import cone_effect
from modalgap.simulate.wide_networks import ACTIVATIONS

Rows = NDArray[Any]
N, D, LAYERS, SLOPE = 1024, 512, 25, 0.01


def cone() -> list[Row]:
    """Seven activations, 25 layers."""
    # the error function of numpy's world is in scipy; gelu's tanh form costs the plain way less
    phi: dict[str, Callable[[Rows], Rows]] = {
        "relu": lambda z: np.maximum(z, 0),
        "leaky_relu": lambda z: np.where(z > 0, z, SLOPE * z),
        "tanh": np.tanh,
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "gelu": lambda z: z / 2 * (1 + np.tanh(0.7978845608 * (z + 0.044715 * z**3))),
        "linear": lambda z: z,
    }

    def plain() -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for name in ACTIVATIONS:
            random = np.random.default_rng(0)

            def line(h: Rows, random: np.random.Generator = random) -> Rows:
                weights = random.normal(0, D**-0.5, (D, D))
                return h @ weights.T + random.normal(0, D**-0.5, D)

            h, found[name] = random.standard_normal((N, D)), []
            for _ in range(LAYERS):
                h = np.maximum(line(h), line(h)) if name == "maxout" else phi[name](line(h))
                unit = h / np.linalg.norm(h, axis=1, keepdims=True)
                found[name].append(float((unit @ unit.T).mean()))
        return found

    def ours() -> dict[str, list[float]]:
        table = cone_effect(N, D, layers=LAYERS, architectures=ACTIVATIONS)
        return {name: table.rows[name]["cosine"].details["y"] for name in ACTIVATIONS}

    slow, fast = seconds(plain, ours, rounds=3)
    apart = abs(plain()["relu"][0] - ours()["relu"][1])
    return [
        Row(
            f"cone effect, faster than float64 and n x n cosines ({fast:.1f} s)",
            f"{slow / fast:.1f} x",
            ">= 2 x",
            slow / fast >= 2,
        ),
        Row("  its seconds", f"{fast:.1f} s", "< 10 s", fast < 10),
        Row("  the two agree on ReLU's first layer", f"{apart:.0e}", "< 2e-3", apart < 2e-3),
    ]
