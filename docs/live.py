"""Writes the live page of the explorer for the documentation: made-up embeddings with a gap."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import modalgap as mg

ANIMALS = ("cat", "dog", "horse", "owl", "fish", "frog", "bee", "fox")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
DIM, COPIES = 32, 4


def write_live(folder: Path) -> None:
    """Write ``live.html``: texts that name an animal and a colour, and four "images" of each."""
    random = np.random.default_rng(0)
    animals, colours = random.normal(size=(2, len(ANIMALS), DIM))
    content = (animals[:, None] + 0.8 * colours[None]).reshape(-1, DIM)
    names = [f"{colour} {animal}" for animal in ANIMALS for colour in COLOURS]
    factors = {
        "animal": [animal for animal in ANIMALS for _ in COLOURS],
        "colour": [colour for _ in ANIMALS for colour in COLOURS],
    }
    texts = content + 0.4 * random.normal(size=content.shape)
    images = content.repeat(COPIES, 0) + 0.8 * random.normal(size=(len(names) * COPIES, DIM))
    images[:, 0] += 8  # the gap
    texts[:, 1] += 8
    pair = mg.Pair(
        mg.Embeddings(
            images,
            names=[f"{name}, image {copy + 1}" for name in names for copy in range(COPIES)],
            factors={name: np.repeat(values, COPIES) for name, values in factors.items()},
        ),
        mg.Embeddings(texts, "text", names=names, factors=factors),
        pairs=np.stack([np.arange(len(images)), np.arange(len(images)) // COPIES], 1),
    )
    folder.mkdir(parents=True, exist_ok=True)
    mg.explore(pair, folder / "live.html", title="Made-up embeddings with a gap", overwrite=True)
