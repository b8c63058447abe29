"""Inversion against the plain loop: every position, every step tokenised, AdamW.

Weights are random: what a pass costs does not depend on them. How fast a search approaches its
target does; the plain loop's final cosine is therefore reached on the same weights.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from bench.clock import Row
from modalgap.encode import load_model
from modalgap.encode.base import Encoder
from modalgap.invert import METHODS
from modalgap.invert.base import InversionContext
from modalgap.invert.optimise import Descender

MODEL = "open_clip:ViT-B-32/random"
QUERIES = 16
STEPS = 4  # of OTI that are timed
SEARCHED = 100  # steps of OVI's plain loop; the paper takes 1,000
GB = 2**30
SENTENCES = ("a cat on a mat", "two dogs run", "a red car in the rain", "people who dance")


def inverting() -> list[Row]:
    """OTI and OVI on ViT-B/32."""
    encoder = load_model(MODEL)
    return [*_oti(encoder), *_ovi(encoder), *_memory()]


def _oti(encoder: Any) -> list[Row]:
    targets = normalize(
        encoder.encode_media(torch.randn(QUERIES, 3, 224, 224, generator=_seeded())), dim=1
    )
    ours = _descender(encoder, "oti", steps=STEPS)
    names = [str(i) for i in range(QUERIES)]
    start = ours.start(names)
    plain, one = _taken(lambda: _plain_oti(encoder, start, targets, STEPS))
    fast, other = _taken(lambda: ours(names, targets, lambda _: None).features)
    apart = float((one - other).abs().max())
    ratio = plain / fast
    return [
        Row(
            f"OTI ViT-B/32, {QUERIES} queries, s a step ({fast / (STEPS + 1):.3f}), plain loop",
            f"{ratio:.1f} x",
            ">= 12 x",
            ratio >= 12,
        ),
        Row("  features of both, furthest apart", f"{apart:.1e}", "<= 1e-4", apart <= 1e-4),
    ]


def _ovi(encoder: Any) -> list[Row]:
    targets = normalize(encoder.encode_text(encoder.tokenize(list(SENTENCES))), dim=1)
    names = list(SENTENCES)
    ours = _descender(encoder, "ovi", optimiser="adamw", steps=SEARCHED)
    start = ours.start(names)
    plain, one = _taken(lambda: _plain_ovi(encoder, start, targets, SEARCHED))
    exact, other = _taken(lambda: ours(names, targets, lambda _: None).features)
    cosine = float((one * targets).sum(1).min())
    apart = float((one - other).abs().max())
    quick = _descender(encoder, "ovi", optimiser="lbfgs", steps=SEARCHED, wanted=cosine)
    found, reached = _taken(lambda: quick(names, targets, lambda _: None).features)
    least = float((reached * targets).sum(1).min())
    return [
        Row(
            f"OVI ViT-B/32, s a step ({exact / (SEARCHED + 1):.3f}), plain loop",
            f"{plain / exact:.2f} x",
            "reported",
            met=True,
        ),
        Row("  features of both, furthest apart", f"{apart:.1e}", "<= 1e-3", apart <= 1e-3),
        Row(
            f"  time to its cosine ({cosine:.3f}; reached {least:.3f}), plain loop",
            f"{plain / found:.1f} x",
            ">= 3 x",
            plain / found >= 3 and least >= cosine - 0.005,
        ),
    ]


def _memory() -> list[Row]:
    rows = []
    for method in ("oti", "ovi"):
        code = (
            "import torch; from bench.inverting import peak; from bench.clock import resident_peak;"
            f" peak({method!r}); print(resident_peak())"
        )
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        peak_bytes = int(said.stdout.split()[-1])
        rows.append(
            Row(
                f"Memory of {method.upper()} ViT-B/32, batch 64, all of the process",
                f"{peak_bytes / GB:.2f} GB",
                "< 4 GB",
                peak_bytes < 4 * GB,
            )
        )
    return rows


def peak(method: str) -> None:
    """Two steps with 64 items at once."""
    encoder = load_model(MODEL)
    descender = _descender(encoder, method, steps=2)
    targets = normalize(torch.randn(64, encoder.dim, generator=_seeded()), dim=1)
    descender([str(i) for i in range(64)], targets, lambda _: None)


def _descender(encoder: Encoder, method: str, **options: Any) -> Descender:
    modality, into = ("image", "text") if method == "oti" else ("text", "image")
    given = InversionContext(
        encoder=encoder,
        device=torch.device("cpu"),
        dim=encoder.dim,
        modality=modality,
        into=into,
    )
    found = METHODS[method].prepare(given, options)
    assert isinstance(found, Descender)
    return found


def _plain_oti(encoder: Any, start: Tensor, targets: Tensor, steps: int) -> Tensor:
    model, tokenizer = encoder.model, encoder.tokenizer
    vectors = start.clone().requires_grad_()
    optimiser = torch.optim.AdamW([vectors], lr=0.02, weight_decay=0.01)

    def features() -> Tensor:
        ids = tokenizer(["a photo of x"] * len(vectors))
        x = model.token_embedding(ids)
        place = int((ids[0] == tokenizer(["x"])[0, 1]).nonzero()[0])
        x = torch.cat([x[:, :place], vectors, x[:, place + 1 :]], 1) + model.positional_embedding
        x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask)) @ model.text_projection
        return normalize(x[torch.arange(len(x)), ids.argmax(1)], dim=1)

    return _search(features, targets, optimiser, steps)


def _plain_ovi(encoder: Any, start: Tensor, targets: Tensor, steps: int) -> Tensor:
    visual = encoder.model.visual
    vectors = start.clone().requires_grad_()
    optimiser = torch.optim.AdamW([vectors], lr=0.02, weight_decay=0.01)
    n = visual.positional_embedding.shape[0] - 1

    def features() -> Tensor:
        patches = vectors[:, torch.arange(n) * vectors.shape[1] // n]
        first = visual.class_embedding.expand(len(vectors), 1, -1)
        x = visual.ln_pre(torch.cat([first, patches], 1) + visual.positional_embedding)
        return normalize(visual._pool(visual.transformer(x))[0] @ visual.proj, dim=1)

    return _search(features, targets, optimiser, steps)


def _search(
    features: Callable[[], Tensor], targets: Tensor, optimiser: torch.optim.Optimizer, steps: int
) -> Tensor:
    for _ in range(steps):
        optimiser.zero_grad()
        (1 - (features() * targets).sum(1)).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return features().detach()


def _taken(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
