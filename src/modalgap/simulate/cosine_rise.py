"""One random ReLU layer raises the cosine of two inputs; the wider it is, the more often.

Two inputs u and v with ‖u‖ = r‖v‖ pass through h ↦ relu(W h + b). The simulation counts the share
of draws of W and b in which their cosine rises, for cosines below and above the threshold
(½(r + 1/r))⁻¹, below which the theorem holds. The entries of (W u + b, W v + b) are independent
Gaussian pairs, so these are drawn instead of W: the distribution is the same, whatever the
dimension of the inputs.
Source: Liang et al. 2022, theorem 1.
Expected: below the threshold the share of layers that do not raise the cosine falls with the width.
The threshold is sufficient, not necessary: for r > 1 a wide layer raises larger cosines too, up to
``limit``.
"""

from __future__ import annotations

import math

import torch

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, distinct, fits, several, whole
from modalgap.errors import OptionError
from modalgap.measure.intervals import wilson
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.trace import traced

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.2, 1.4, 1.6, 1.8)
SHOWN = (0.5, 0.8, 0.95, 1.1)  # fractions of the threshold with a column of their own
MAIN = 0.95
CARD = Card(
    name="cosine_rise",
    title="One random layer raises a cosine",
    idea="Share of random ReLU layers that raise the cosine of two inputs, by width and cosine.",
    equation=r"\Pr\big[\cos(\mathrm{relu}(Wu+b), \mathrm{relu}(Wv+b)) > \cos(u, v)\big],"
    r"\quad \cos(u, v) < \big(\tfrac12(r + \tfrac1r)\big)^{-1},\ \lVert u\rVert=r\lVert v\rVert",
    source="Liang et al. 2022, theorem 1",
    question="How often does one random layer raise the cosine of two inputs?",
    traits=("random",),
)


@checked
def _cosine_rise(
    dims: Several[int] = (16, 64, 256, 1024),
    *,
    ratios: Several[float] = (1.0, 2.0, 4.0),
    norm: float = 1.0,
    bias: bool = True,
    draws: int = 2000,
    seed: int = 0,
) -> Table:
    """Count how often one random ReLU layer raises the cosine of two inputs.

    Args:
        dims: widths of the layer h ↦ relu(W h + b); W, b ~ N(0, 1/width).
        ratios: ratios r of the norm of the longer input u to that of the shorter input v, each at
            least 1.
        norm: norm of the shorter input v. The larger it is, the smaller is the effect of the bias.
        bias: whether the layer has a bias.
        draws: layers drawn for each width.
        seed: seed of the draws.

    Returns:
        A row for each width and ratio: ``share`` at .95 of the threshold, with the curve over
        cosine/threshold; the share at other fractions, with Wilson's interval; ``threshold``; and
        ``limit``: the cosine/threshold up to which a layer of infinite width raises the cosine.

    Raises:
        OptionError: an option outside its range, or sizes that do not fit in memory.
    """
    widths = several("dims", dims)
    for width in widths:
        whole("dims", width, 2, 2**31)
    distinct("dims", [str(each) for each in widths])
    rs = [float(each) if isinstance(each, int) else each for each in several("ratios", ratios)]
    for r in rs:
        at_least("ratios", r, 1, 1e6)
    distinct("ratios", [f"{each:g}" for each in rs])
    for name, values in (("dims", widths), ("ratios", rs)):
        if not values:
            raise OptionError(f"{name} must have at least one value; got an empty list")
    at_least("norm", norm, 1e-6, 1e6)
    whole("draws", draws, 1, 2**31)
    whole("seed", seed, 0)
    fits("dims, draws", 6 * 8.0 * max(widths) * draws)
    rows: dict[str, dict[str, Value]] = {}
    with progress("random layers", len(widths) * len(rs)) as advance:
        for width in widths:
            random = torch.Generator().manual_seed(seed)
            pair = torch.randn(2, draws, width, generator=random, dtype=torch.float64)
            for r in rs:
                rows[f"d={width}, r={r:g}"] = _row(pair, r, norm, float(bias))
                advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="layer",
        rows=rows,
        heads={
            "threshold": "threshold",
            **{_name(each): f"share at {each:g} of the threshold" for each in SHOWN},
            "limit": "limit / threshold, infinite width",
        },
        settings={"dims": widths, "ratios": rs, "norm": norm, "bias": bias, "draws": draws,
                  "seed": seed},
        notes=[
            f"share: of {draws:,} layers, those that raise the cosine; ‖v‖ = {norm:g}",
            "threshold: (½(r + 1/r))⁻¹; intervals: 95 %, Wilson",
        ],
    )  # fmt: skip


cosine_rise = Simulation(CARD, _cosine_rise)


def _name(fraction: float) -> str:
    return "share" if fraction == MAIN else f"share_{round(100 * fraction):03d}"


def _row(pair: torch.Tensor, r: float, norm: float, bias: float) -> dict[str, Value]:
    """The shares of one width and ratio; ``pair`` (2, draws, d) of N(0, 1)."""
    threshold = 2 / (r + 1 / r)
    draws = pair.shape[1]
    curve = {}
    for fraction in FRACTIONS:
        cosine = fraction * threshold
        if cosine < 1 - 1e-12:
            after = _after(pair, r, norm, bias, cosine)
            curve[fraction] = int((after > cosine).sum())
    row = {"threshold": Value(threshold)}
    for fraction in SHOWN:
        if fraction in curve:
            share = curve[fraction] / draws
            interval = wilson(share, draws)
            if fraction == MAIN:
                shares = [count / draws for count in curve.values()]
                row["share"] = traced(share, curve, shares, interval)
            else:
                row[_name(fraction)] = Value(share, interval)
    row["limit"] = Value(_limit(r, norm, bias) / threshold)
    return row


def _after(pair: torch.Tensor, r: float, norm: float, bias: float, cosine: float) -> torch.Tensor:
    """(draws,) cosines after the layer; the scale 1/√d of W and b does not change them."""
    own, other, both = _products(r, norm, bias, cosine)
    first = own**0.5 * pair[0]
    # the part of the second entry that the first one does not determine
    rest = max(0.0, other - both * both / own) ** 0.5
    second = (both / own * first).add_(pair[1], alpha=rest).relu_()
    first.relu_()
    lengths = first.norm(dim=1) * second.norm(dim=1)
    # where an output is 0, there is no cosine: it counts as not risen
    return torch.where(lengths > 0, (first * second).sum(1) / lengths, -torch.ones_like(lengths))


def _products(r: float, norm: float, bias: float, cosine: float) -> tuple[float, float, float]:
    """‖u‖², ‖v‖² and u·v, each with the bias added: d times the covariance of the entries."""
    square = norm * norm
    return r * r * square + bias, square + bias, r * square * cosine + bias


def _limit(r: float, norm: float, bias: float) -> float:
    """The largest cosine that an infinitely wide layer raises: the arc-cosine kernel meets it."""
    low, high = 0.0, 1.0
    for _ in range(60):
        cosine = (low + high) / 2
        own, other, both = _products(r, norm, bias, cosine)
        angle = math.acos(min(1.0, both / math.sqrt(own * other)))
        after = (math.sin(angle) + math.cos(angle) * (math.pi - angle)) / math.pi
        low, high = (cosine, high) if after > cosine else (low, cosine)
    return low
