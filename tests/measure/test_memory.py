"""No measure ever holds an n × m matrix: every tensor and array that is made is watched."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from reference.cases import two_cones
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import modalgap as mg
from modalgap.embeddings import Embeddings, Pair
from modalgap.measure import MEASURES

N, M = 2500, 5000
BLOCK = 512 * M  # elements
ALWAYS = ["separability", "hubness", "kendall_tau"]  # import what others may use


class Largest(TorchDispatchMode):
    """The largest tensor that any operation makes, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for each in found if isinstance(found, tuple | list) else (found,):
            if isinstance(each, Tensor):
                self.size = max(self.size, each.untyped_storage().nbytes())
        return found


@pytest.fixture(scope="module")
def pair() -> Pair:
    of = np.arange(N).repeat(M // N)
    image, text = two_cones(N, 4, of=of)
    factors = {"object": np.arange(N) % 7, "colour": np.arange(N) % 3}
    return Pair(Embeddings(image, factors=factors), text, text_to_image=of)


@pytest.fixture(scope="module")
def prompts() -> Pair:
    image, text = two_cones(N, 4)
    return Pair(image, text[:M], labels=np.arange(N))


def peaks(pair: Pair, name: str) -> tuple[int, int]:
    """Bytes of the largest tensor, and of all numpy arrays at their peak."""
    few = Pair(pair.image.unit(0, 20), pair.text.unit(0, 20), labels=np.arange(20))
    with Largest():  # imports, also those of the watch itself
        mg.measure(few, only=[*ALWAYS, "prediction_gini"])
    tracemalloc.start()
    try:
        with Largest() as seen:
            mg.measure(pair, only=name)
        return seen.size, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_watch_can_fail() -> None:
    x = torch.randn(N, 4)
    with Largest() as seen:
        (x @ x.T).amax(1)
    assert seen.size == 4 * N * N
    tracemalloc.start()
    y = x.numpy()
    (y @ y.T).max(1)
    assert tracemalloc.get_traced_memory()[1] >= 4 * N * N
    tracemalloc.stop()


@pytest.mark.parametrize(
    "name", [name for name, each in MEASURES.items() if "labels" not in each.card.needs]
)
def test_no_matrix_of_all_by_all(pair: Pair, name: str) -> None:
    name = "moad_image" if name == "moad" else name
    tensor, arrays = peaks(pair, name)
    assert tensor <= 4 * BLOCK
    assert tensor < N * M  # a quarter of the matrix in float32
    assert arrays < N * M


def test_no_matrix_of_images_by_prompts(prompts: Pair) -> None:
    tensor, arrays = peaks(prompts, "prediction_gini")
    assert tensor <= 4 * 512 * N
    assert arrays < N * N
