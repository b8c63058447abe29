"""Verbs on a real cluster of two nodes: the same bits as here."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encode.cases import folder_of
from encode.transformers_cases import CASES
from invert.cases import small_model
from patience import in_full
from work.killing_cases import Killing

import modalgap as mg
from modalgap import files
from modalgap.data.source import Source
from modalgap.embeddings import Embeddings, pair_moments, shard_files
from modalgap.embeddings.shard_files import save_shards
from modalgap.encode import run as encode
from modalgap.encode.options import Options
from modalgap.evaluate import ranking
from modalgap.invert import ovi
from modalgap.work import Ray, on

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
N, D = 61 * 4096 + 500, 3  # two spans
ONLY = ["l2m", "rmg", "cone", "matched_cosine", "effective_rank", "leakage", "frechet"]


def made(seed: int, n: int) -> torch.Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed)).half()


@pytest.fixture(autouse=True)
def rows_stay_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SMALL", -1)


def stored(kind: str, folder: Path) -> list[Path]:
    """Files of a pair: one, or shards of different lengths in two formats of file."""
    if kind == "labels":
        labels = np.random.default_rng(0).integers(0, 5, N)
        pair = mg.Pair(made(0, N), made(1, 5), labels=labels)
    elif kind == "captions":
        n = N // 2
        pair = mg.Pair(made(0, n), made(1, 2 * n), text_to_image=np.arange(2 * n) // 2)
    elif kind == "shuffled":
        order = np.random.default_rng(0).permutation(N)
        pair = mg.Pair(made(0, N), made(1, N), text_to_image=order)
    else:
        x, y = made(0, N), made(1, N)
        ends = [0, 100_001, 100_004, N]
        return [
            mg.save(mg.Pair(x[a:b], y[a:b]), folder / f"part-{a}.{kind}")
            for a, b in itertools.pairwise(ends)
        ]
    return [mg.save(pair, folder / f"{kind}.safetensors")]


@pytest.mark.parametrize(
    "kind",
    [
        "parquet",
        "captions",
        *(pytest.param(each, marks=in_full) for each in ("safetensors", "labels", "shuffled")),
    ],
)
def test_moments_and_measures(kind: str, ray: Ray, tmp_path: Path) -> None:
    paths = stored(kind, tmp_path)
    here = mg.measure(mg.load(paths), only=ONLY)
    with on(ray):
        there = mg.measure(mg.load(paths), only=ONLY)
    assert there.to_json() == here.to_json()


@in_full
def test_sums_and_products(ray: Ray, tmp_path: Path) -> None:
    paths = stored("safetensors", tmp_path)
    here = pair_moments(mg.load(paths), scatter=True)
    with on(ray):
        there = pair_moments(mg.load(paths), scatter=True)
    for one, two in ((here.image, there.image), (here.text, there.text)):
        np.testing.assert_array_equal(one.sums, two.sums)
        np.testing.assert_array_equal(one.scatter, two.scatter)


@in_full
def test_relative_paths(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers work in the folder in which the run was started, if their node has it."""
    paths = stored("safetensors", tmp_path)
    here = mg.measure(mg.load(paths), only="l2m")
    monkeypatch.chdir(tmp_path)
    ray.close()  # the next workers start here
    with on(ray):
        there = mg.measure(mg.load([path.name for path in paths]), only="l2m")
    assert there.to_json() == here.to_json()


def test_exact_ranks(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = made(3, 900).float()
    path = mg.save(mg.Pair(noise + made(4, 900) / 3, noise), tmp_path / "a.safetensors")
    whole = mg.evaluate(mg.load(path), only="retrieval")
    monkeypatch.setattr(ranking, "SPAN", 250)
    classes = {"label": np.arange(900) % 40}
    queries, gallery = (Embeddings(made(i, 900), factors=classes) for i in (5, 6))
    found = mg.search(queries, gallery)
    with on(ray):
        by_spans = mg.evaluate(mg.load(path), only="retrieval")
        searched = mg.search(queries, gallery)
    assert by_spans.to_json() == whole.to_json()
    assert searched.to_json() == found.to_json()


def test_closing_into_shards(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_files, "SPAN", 100_000)
    paths = stored("parquet", tmp_path)
    here = mg.close.fit(mg.load(paths), "standardize")
    whole = mg.load(mg.save(here.apply(mg.load(paths)), tmp_path / "closed.safetensors"))
    with on(ray):
        there = mg.close.fit(mg.load(paths), "standardize")
        folder = save_shards(there.apply(mg.load(paths)), tmp_path / "closed")
    assert there.fingerprint == here.fingerprint
    assert len(list(folder.iterdir())) == 3
    assert mg.load(folder).fingerprint == whole.fingerprint


def test_encoding(ray: Ray, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    CASES["clip"].make(folder)
    model, options = f"hf:{folder}", Options(batch_size=4)
    source = folder_of(tmp_path / "pictures", 13)
    encode(source, model, tmp_path / "here.safetensors", options)
    with on(ray):
        encode(source, model, tmp_path / "there.safetensors", options)
    here = (tmp_path / "here.safetensors").read_bytes()
    assert (tmp_path / "there.safetensors").read_bytes() == here


@in_full
def test_an_actor_with_a_model_is_killed(ray: Ray, tmp_path: Path) -> None:
    """The batch is encoded again, by a worker that has loaded the model again."""
    folder = tmp_path / "model"
    folder.mkdir()
    CASES["clip"].make(folder)
    media = Killing(12, 7, tmp_path / "killed")
    source = Source(name="numbers", media=media, texts=[f"image {i}" for i in range(12)])
    with on(ray):
        there = encode(source, f"hf:{folder}", None, Options(batch_size=3))
    assert (tmp_path / "killed").exists()
    here = encode(source, f"hf:{folder}", None, Options(batch_size=3, workers=0))
    assert there.data.fingerprint == here.data.fingerprint


@in_full
def test_inversion(ray: Ray, tmp_path: Path) -> None:
    spec = small_model(tmp_path)
    rows = np.random.default_rng(0).normal(size=(7, 16))
    texts = Embeddings(rows, "text", [f"text {i}" for i in range(7)])
    options: dict[str, Any] = {"steps": 4, "batch_size": 2}
    ovi(texts, spec, tmp_path / "here.safetensors", **options)
    with on(ray):
        ovi(texts, spec, tmp_path / "there.safetensors", **options)
    here = (tmp_path / "here.safetensors").read_bytes()
    assert (tmp_path / "there.safetensors").read_bytes() == here
