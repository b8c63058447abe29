"""Mixed search: fitting and applying standardised scores, and a search with fractions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import modalgap as mg
from bench.clock import Row, seconds
from bench.closing import unit
from modalgap.close import ScoreScaler
from modalgap.embeddings import pair_moments
from modalgap.evaluate import retrieval
from modalgap.linalg import blocks


def products(queries: Tensor, gallery: Tensor) -> None:
    """The bare chunked product, into one block that is reused."""
    spans = list(blocks(len(queries), len(gallery)))
    out = torch.empty(max(b - a for a, b in spans), len(gallery))
    for a, b in spans:
        torch.mm(queries[a:b], gallery.T, out=out[: b - a])


def mixed() -> list[Row]:
    """5,000 images and 25,000 captions: recall, scales, and one list of both."""
    images = unit(5_000, 0)
    texts = images.repeat_interleave(5, 0) + 2 * unit(25_000, 1)
    texts = torch.nn.functional.normalize(texts, dim=1)
    pair = mg.Pair(images, texts, np.arange(25_000) // 5)
    documents = torch.cat([images, texts])
    scaler = ScoreScaler.fit(pair, fused=False)
    wider = scaler.augmented("image")
    sides = [wider(rows, name) for name, rows in (("image", images), ("text", texts))]
    stored, asking = torch.from_numpy(np.concatenate(sides)), wider(images, "query")
    asks = torch.from_numpy(asking)

    def both_ways() -> None:
        products(images, texts)
        products(texts, images)

    ranked, bare = seconds(lambda: retrieval(pair, ks=(1, 5, 10, 50)), both_ways, rounds=3)
    fitted, passed = seconds(
        lambda: ScoreScaler.fit(pair, fused=False), lambda: pair_moments(pair, scatter=True)
    )
    applied, plain = seconds(
        lambda: products(asks, stored), lambda: products(images, documents), rounds=3
    )
    searched, once = seconds(
        lambda: mg.search(pair.image, pair, "mixed", scaler=scaler),
        lambda: products(images, documents),
        rounds=3,
    )
    return [
        _row("recall@1, 5, 10, 50 both ways, over the bare products", ranked, bare, 1.5),
        _row("zscore, fit: over one pass of means and covariances", fitted, passed, 1.1),
        _row("zscore, applied in the product, over the plain product", applied, plain, 1.1),
        _row("mixed search: raw, zscore, rrf, fractions, over the product", searched, once, 2),
    ]


def _row(what: str, time: float, floor: float, most: float) -> Row:
    ratio = time / floor
    return Row(f"{what} ({time:.2f} s)", f"{ratio:.2f} x", f"<= {most:g} x", ratio <= most)
