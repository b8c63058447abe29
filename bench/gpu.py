"""Encoding, inversion and training on a GPU: one table, in under eight minutes.

    python -m bench.gpu                       ViT-B-32 and ViT-L-14 on the GPU
    python -m bench.gpu --device cpu --tiny   the same code in seconds, for tests

Weights and inputs are random: times do not depend on them. Inputs are on the device already, so
decoding and transfers are not part of the times. Compilation itself is not timed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modalgap.encode import load_model
from modalgap.invert import METHODS
from modalgap.invert.base import InversionContext
from modalgap.invert.optimise import Descender
from modalgap.losses import LOSSES, Features

LIMIT = 8 * 60  # seconds; what would start later is left out, and said
SENTENCE = "a photo of a dog that runs on a beach in the evening"


@dataclass(frozen=True)
class Size:
    """How much is timed.

    Attributes:
        models: architectures of open_clip.
        batch: images or texts in a forward pass.
        pairs: pairs in a training step.
        queries: items that are inverted at the same time.
        steps: steps of an inversion.
        rounds: repetitions; the fastest counts.
    """

    models: tuple[str, ...] = ("ViT-B-32", "ViT-L-14")
    batch: int = 256
    pairs: int = 128
    queries: int = 64
    steps: int = 10
    rounds: int = 5


TINY = Size(models=("ViT-S-32-alt",), batch=4, pairs=4, queries=2, steps=2, rounds=1)


def main() -> int:
    """Print the table; 2 if there is no such device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    try:
        device = torch.device(given.device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        print(f"{given.device}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    size = TINY if given.tiny else Size()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}\n")
    print(f"{'model':<14}{'what':<34}{'precision':<16}{'per second':>12}{'memory, GB':>12}")
    started = time.monotonic()
    left = 0
    for model in size.models:
        for what, precision, work, count in cases(model, device, size):
            if time.monotonic() - started > LIMIT:
                left += 1
                continue
            rate, memory = measured(work, device, size.rounds, count)
            print(f"{model:<14}{what:<34}{precision:<16}{rate:>12,.1f}{memory:>12.2f}", flush=True)
    if left:
        print(f"\n{left} cases left out: more than {LIMIT / 60:g} minutes")
    print(f"\n{time.monotonic() - started:.0f} s")
    return 0


Case = tuple[str, str, Callable[[], object], int]  # what, precision, work, items per call


def cases(model: str, device: torch.device, size: Size) -> Iterator[Case]:
    """The cases of one model."""
    encoder: Any = load_model(f"open_clip:{model}/random")
    encoder.to(device)
    side = encoder.model.visual.image_size
    side = side if isinstance(side, int) else side[0]
    images = torch.randn(size.batch, 3, side, side, device=device)
    tokens = encoder.tokenize([SENTENCE] * size.batch)
    tokens = type(tokens)(tokens.ids.to(device), tokens.lengths, tokens.cut)
    compiled = torch.compile(encoder.model.visual)
    kinds = [("fp32", None, False), ("bf16", torch.bfloat16, False)]
    kinds += [("bf16, compiled", torch.bfloat16, True)] if device.type == "cuda" else []
    for name, dtype, fast in kinds:
        tower = compiled if fast else encoder.encode_media

        yield "encode images", name, partial(_encode, tower, images, dtype), size.batch
        if not fast:
            work = partial(_encode, encoder.encode_text, tokens, dtype)
            yield "encode texts", name, work, size.batch
    for method in ("oti", "ovi"):
        for precision in ("fp32", "bf16"):
            descender = _descender(encoder, device, method, precision, size.steps)
            targets = normalize(torch.randn(size.queries, encoder.dim, device=device), dim=1)
            names = [str(i) for i in range(size.queries)]
            yield (
                f"{method.upper()}, steps of {size.queries} items",
                precision,
                partial(descender, names, targets, _ignore),
                size.steps,
            )
    yield from _training(encoder, images[: size.pairs], tokens.ids[: size.pairs], device)


def _encode(work: Callable[[Any], Tensor], given: Any, dtype: torch.dtype | None) -> None:
    device = given.device if isinstance(given, Tensor) else given.ids.device
    enabled = dtype is not None
    with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=enabled):
        work(given)


def _ignore(_steps: int) -> None:
    """Advance nothing."""


def _training(encoder: Any, images: Tensor, ids: Tensor, device: torch.device) -> Iterator[Case]:
    """Steps of InfoNCE with AdamW."""
    model = encoder.model.train().requires_grad_()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6)
    kinds = [("fp32", None, model), ("bf16", torch.bfloat16, model)]
    if device.type == "cuda":
        kinds.append(("bf16, compiled", torch.bfloat16, torch.compile(model)))

    def step(dtype: Any, towers: Any) -> None:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            image, text, scale = towers(images, ids)[:3]
        found = Features(image=image.float(), text=text.float(), scale=scale.float())
        LOSSES["infonce"](found).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()

    for name, dtype, towers in kinds:
        yield "train, pairs", name, partial(step, dtype, towers), len(images)


def _descender(
    encoder: Any, device: torch.device, method: str, precision: str, steps: int
) -> Descender:
    modality, into = ("image", "text") if method == "oti" else ("text", "image")
    context = InversionContext(
        encoder=encoder,
        device=device,
        dim=encoder.dim,
        modality=modality,
        into=into,
        precision=precision,
    )
    found = METHODS[method].prepare(context, {"steps": steps})
    assert isinstance(found, Descender)
    return found


def measured(
    work: Callable[[], object], device: torch.device, rounds: int, count: int
) -> tuple[float, float]:
    """Items per second of the fastest round, and the largest memory in GB (0 on the CPU)."""
    work()  # compiles, and allocates memory
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    fastest = float("inf")
    for _ in range(rounds):
        if cuda:
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        work()
        if cuda:
            torch.cuda.synchronize(device)
        fastest = min(fastest, time.perf_counter() - start)
    return count / fastest, torch.cuda.max_memory_allocated(device) / 1e9 if cuda else 0.0


if __name__ == "__main__":
    sys.exit(main())
