"""Files for the commands of closing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from reference.cases import two_cones

import modalgap as mg
from modalgap.close import fit
from modalgap.embeddings import Embeddings, Pair

N, D = 40, 10


def pair() -> Pair:
    of = np.arange(N).repeat(2)
    image, text = two_cones(N, D, seed=8, of=of)
    told = {"model": "ViT-B/16", "weights_hash": "aa"}
    return Pair(
        Embeddings(image, "image", [f"{i}.png" for i in range(N)], provenance=told),
        Embeddings(text, "text", provenance=told),
        of,
    )


def refused(found: tuple[int, str, str], words: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr."""
    code, out, err = found
    assert (code, out) == (2, "")
    assert err.startswith("modalgap: ")
    assert err.count("\n") == 1
    assert words in err


def rows(path: Path) -> dict[str, Any]:
    found = mg.load(path)
    return {side.modality: side.unit().numpy() for side in found.sides}


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for role in ("image", "text"):
        np.testing.assert_allclose(found[role], expected[role], atol=1e-6)


def expected(method: str = "center", **options: Any) -> dict[str, Any]:
    closed = fit(pair(), method, **options).apply(pair())
    return {side.modality: side.unit().numpy() for side in closed.sides}
