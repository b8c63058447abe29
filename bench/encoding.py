"""Encoding: captions against batches of full context, images against the model alone."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.clock import Row
from modalgap.data import Files, Source
from modalgap.data.pixels import decode
from modalgap.encode import Encoder, Options, load_model, run
from modalgap.encode.engine.batches import batches

CAPTIONS, PICTURES, BATCH = 640, 192, 32
LENGTHS = [8, 9, 10, 11, 12, 13, 14, 16, 20]  # words of COCO's captions; 10.5 on average
SHARES = [0.10, 0.20, 0.25, 0.15, 0.10, 0.08, 0.05, 0.04, 0.03]
WORDS = """
a man woman riding wave on top of the surfboard with two dogs sitting next to red bus street in
front building large group people standing around table plate food cat laying bed near window
young boy holding baseball bat
"""


def captions() -> list[str]:
    """Sentences with the lengths of COCO's captions."""
    random = np.random.default_rng(0)
    words = WORDS.split()
    lengths = random.choice(LENGTHS, CAPTIONS, p=SHARES)
    return [f"{' '.join(random.choice(words, n))}." for n in lengths]


def pictures(folder: Path) -> Files:
    """JPEG files of 640 x 480 with the detail of photographs."""
    from skimage import data

    shipped: list[Any] = [getattr(data, name)() for name in ("astronaut", "coffee", "chelsea")]
    names = []
    for i in range(PICTURES):
        image = Image.fromarray(np.roll(shipped[i % 3], 7 * i, axis=1)).resize((640, 480))
        names.append(f"{i}.jpg")
        image.save(folder / names[-1], quality=90)
    return Files.under(folder, names)


def encode_captions() -> list[Row]:
    """Captions per second against the usual loop: fixed batches of 77 tokens."""
    encoder = load_model("open_clip:ViT-B-32/random")
    texts = captions()
    source = Source(name="captions", texts=texts)
    few = texts[: 6 * BATCH]

    def plain() -> None:
        with torch.inference_mode():
            for start in range(0, len(few), BATCH):
                ids = encoder.tokenizer(few[start : start + BATCH])  # type: ignore[attr-defined]
                encoder.model.encode_text(ids)  # type: ignore[attr-defined]

    plain()
    slow, fast = [], []
    for _ in range(3):
        start = time.perf_counter()
        plain()
        slow.append(len(few) / (time.perf_counter() - start))
        start = time.perf_counter()
        run(source, encoder)
        fast.append(len(texts) / (time.perf_counter() - start))
    ratio = sorted(fast)[1] / sorted(slow)[1]
    tokens = float(encoder.tokenize(texts).lengths.float().mean())
    what = f"captions, {tokens:.1f} tokens: times 77-token batches"
    measured = f"{ratio:.1f} x ({sorted(fast)[1]:.0f} a second)"
    return [Row(what, measured, ">= 4 x", ratio >= 4)]


def encode_images() -> list[Row]:
    """Decoding, preprocessing and the model together against what they cannot go below."""
    encoder = load_model("open_clip:ViT-B-32/random")
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        media = pictures(Path(folder))
        source = Source(name="pictures", media=media)
        prepared = [encoder.prepare(decode(media[i])) for i in range(len(media))]
        ratios, starts = [], []
        for _ in range(3):
            model = _model_alone(encoder, torch.stack(prepared))
            start = time.perf_counter()
            for i in range(len(media)):
                encoder.prepare(decode(media[i]))
            decoding = (time.perf_counter() - start) / cores
            start = time.perf_counter()
            next(
                batches(media, encoder.prepare, range(PICTURES), size=1, workers=cores, polite=True)
            )
            starts.append(time.perf_counter() - start)
            start = time.perf_counter()
            run(source, encoder, options=Options(batch_size=BATCH))
            whole = time.perf_counter() - start
            ratios.append((whole / (model + decoding), whole, model, decoding))
    ratio, whole, model, decoding = sorted(ratios)[1]
    parts = f"model {model:.1f} s + decoding {decoding:.1f} s over {cores} cores"
    return [
        Row(f"images, end to end over {parts}", f"{ratio:.2f} x", "<= 1.15 x", ratio <= 1.15),
        Row(
            "  images per second; workers started in",
            f"{PICTURES / whole:.0f}; {sorted(starts)[1]:.2f} s",
            "",
            met=True,
        ),
    ]


def _model_alone(encoder: Encoder, items: torch.Tensor) -> float:
    with torch.inference_mode():
        encoder.encode_media(items[:BATCH])
        start = time.perf_counter()
        for batch in torch.split(items, BATCH):
            encoder.encode_media(batch)
        return time.perf_counter() - start
