"""Fixtures of the tests of cli."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from cli.close_cases import pair
from cli.invert_cases import DIGITS, ODD
from invert.cases import bank, looks, pick, small_model, some
from layouts.drawing import draw
from torch.nn.functional import normalize

import modalgap as mg
from modalgap.close import fit
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import load_model


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return small_model(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def files(spec: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of features of the model, good ones and bad ones."""
    folder = tmp_path_factory.mktemp("files")
    tiny.add_configs(tmp_path_factory.mktemp("configs"))
    encoder = load_model(spec)
    pair = looks(encoder)
    image, text = pair.image, pair.text
    told = image.provenance
    prompts = normalize(encoder.encode_text(encoder.tokenize(list(DIGITS))), dim=1)
    rows = image.unit()
    made: dict[str, Pair | Embeddings] = {
        "pair": pair,
        "images": image,
        "texts": text,
        "captions": Pair(pick(image, range(12)), text, np.arange(12).repeat(2)),
        "prompts": Embeddings(prompts, "text", DIGITS, provenance=told),
        "other": Embeddings(rows, provenance={"weights_hash": "ab" * 16, "model": "x:y"}),
        "narrow": Embeddings(rows[:, :8]),
        "twice": Embeddings(rows[:3], names=["a", "b", "a"]),
        "said twice": Embeddings(rows[[0, 1, 0]], names=["a", "b", "a"]),
        "inverted": Embeddings(rows, "text", provenance={"inverted_from": "image"}),
        "odd": Embeddings(rows, names=image.names, factors={ODD: image.factors["object"]}),
        "bank": bank(),
        "narrow bank": bank(dim=8),
        "few": some(4, "text"),
    }
    for name, data in made.items():
        mg.save(data, folder / f"{name}.safetensors")
    broken = rows.numpy().copy()
    broken[3, 2] = np.nan
    np.save(folder / "nan.npy", broken)
    (folder / "junk.safetensors").write_bytes(b"junk" * 99)
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def photos(place: Path) -> Path:
    for i in range(5):
        draw(place / "photos" / f"{i}.png", i)
    return place / "photos"


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    return mg.save(pair(), tmp_path / "pair.npz")


@pytest.fixture
def map_(tmp_path: Path, npz: Path) -> Path:
    path: Path = fit(mg.load(npz), "center").save(tmp_path / "map.safetensors")
    return path
