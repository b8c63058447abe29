"""Simulations against the plain numpy version of the same theory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.clock import Row, seconds
from modalgap.simulate import cone_effect, cosine_rise
from modalgap.simulate.cosine_rise import FRACTIONS
from modalgap.simulate.wide_networks import ACTIVATIONS

Rows = NDArray[Any]
N, D, LAYERS, SLOPE = 1024, 512, 25, 0.01


def cone() -> list[Row]:
    """Seven activations, 25 layers; plain: float64, and an n x n matrix of cosines per layer."""
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


def rise() -> list[Row]:
    """Theorem 1 of Liang et al., d = 256; plain: a weight matrix per draw, one ratio and cosine."""
    width, draws, cosine = 256, 200, 0.95

    def plain() -> float:
        random, raised = np.random.default_rng(0), 0
        u = np.zeros(width)
        v = np.zeros(width)
        u[0], v[0], v[1] = 1.0, cosine, (1 - cosine**2) ** 0.5
        for _ in range(draws):
            weights = random.normal(0, width**-0.5, (width, width))
            bias = random.normal(0, width**-0.5, width)
            a, b = (np.maximum(weights @ x + bias, 0) for x in (u, v))
            raised += a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) > cosine
        return raised / draws

    def ours() -> float:
        return cosine_rise((width,), ratios=(1.0,), draws=draws).rows["d=256, r=1"]["share"].value

    slow, fast = seconds(plain, ours, rounds=5)
    ratio = len(FRACTIONS) * slow / fast
    apart = abs(plain() - ours())
    return [
        Row(
            f"cosine rise, per draw and cosine, faster than weight matrices ({fast * 1e3:.0f} ms)",
            f"{ratio:.0f} x",
            ">= 10 x",
            ratio >= 10,
        ),
        Row("  the two shares differ by", f"{apart:.3f}", "< 0.05", apart < 0.05),
    ]
