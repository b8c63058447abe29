"""Inversion as a whole: what comes out, what is refused, and what is kept on the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from invert.cases import QUICK, pick, same, side, some
from safetensors import safe_open

import modalgap as mg
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder
from modalgap.errors import (
    FileError,
    InputError,
    OptionError,
    OutputError,
)
from modalgap.invert import (
    METHODS,
    Inverted,
    gap_shift,
    invert,
    oti,
    ovi,
    read,
)
from modalgap.invert.inputs import known_features
from modalgap.work import on

OWN = {"method", "seed", "precision", "tokens", "optimiser", "steps", "lr", "weight_decay", "std"}


OWN |= {"wanted", "keep", "loss"}


# what comes out -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_what_comes_out(method: str, pair: Pair, model: Encoder, tmp_path: Path) -> None:
    native = side(pair, method)
    output = tmp_path / "o.safetensors"
    found = invert(pair, method, model, output, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["o.safetensors"]
    features = found.features
    assert (native.modality, features.modality) == (
        ("image", "text") if method == "oti" else ("text", "image")
    )
    assert features.names == native.names
    assert set(native.factors) <= set(features.factors)
    for name, values in native.factors.items():
        assert np.array_equal(features.factors[name], values)
    more = set(features.factors) - set(native.factors)
    assert more == (set() if method == "oti" else {"row", "image"})
    told = features.provenance
    assert told["inverted_from"] == native.modality
    assert told["model"] == model.spec
    assert told["weights_hash"] == model.provenance["weights_hash"]
    assert told["data_fingerprint"] == native.provenance["data_fingerprint"]
    settings = json.loads(told["inversion"])
    assert set(settings) == (OWN | {"template"} if method == "oti" else OWN)
    assert set(METHODS[method].options) <= set(settings)
    assert (settings["method"], settings["optimiser"], settings["steps"]) == (method, "lbfgs", 6)

    there = mg.load_embeddings(output)
    assert torch.equal(there.unit(), features.unit())
    assert there.names == features.names
    assert there.provenance == told
    assert isinstance(mg.load_embeddings(output), Embeddings)
    again = read(output)
    same(again, found)
    assert again.features.provenance == told
    assert "mean cosine" in repr(again)

    ours = features.unit().double().numpy()
    theirs = native.unit().double().numpy()
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found.cosines.numpy(), (ours * theirs).sum(1), atol=1e-6)
    assert found.losses is not None
    assert found.vectors is not None
    assert found.steps is not None
    assert found.losses.shape == (native.n, 7)
    assert found.vectors.shape == (native.n, 1, 32)
    assert found.steps.tolist() == [6] * native.n
    assert bool((found.losses[:, 1:] <= found.losses[:, :-1]).all())
    assert bool((found.losses[:, -1] < found.losses[:, 0]).all())
    torch.testing.assert_close(found.losses[:, -1], 1 - found.cosines, rtol=0, atol=1e-6)


def test_the_method_is_that_of_the_modality(pair: Pair, model: Encoder) -> None:
    same(invert(pair.image, model=model, steps=1), oti(pair, model, steps=1))
    same(invert(pair.text, model=model, steps=1), ovi(pair, model, steps=1))
    same(mg.invert(pair, model=model, steps=1), oti(pair, model, steps=1))


def test_a_run_in_memory_leaves_nothing(
    pair: Pair, model: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = oti(pair, model, **QUICK)
    assert list(tmp_path.iterdir()) == []
    same(read(made.save(tmp_path / "a.safetensors")), made)
    with pytest.raises(OutputError, match="exists"):
        made.save(tmp_path / "a.safetensors")
    with pytest.raises(OutputError, match="must end in"):
        made.save(tmp_path / "a.npz")


def test_files_that_hold_no_inversion(pair: Pair, model: Encoder, tmp_path: Path) -> None:
    native = mg.save(pair.image, tmp_path / "native.safetensors")
    with pytest.raises(FileError, match="holds no inversion"):
        read(native)
    (tmp_path / "junk.safetensors").write_bytes(b"junk" * 100)
    for path in (tmp_path / "junk.safetensors", tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(FileError):
            read(path)
    made = oti(pair, model, steps=1)
    wrong = Inverted(made.features, made.cosines[1:], made.vectors)
    with pytest.raises(FileError, match="cosines must match 24 rows"):
        read(wrong.save(tmp_path / "wrong.safetensors"))


# an item's own result -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_places_and_batches_are_of_no_account(method: str, pair: Pair, model: Encoder) -> None:
    native = side(pair, method)
    whole = invert(native, method, model, steps=8)
    order = np.random.default_rng(3).permutation(native.n).tolist()
    turned = invert(pick(native, order), method, model, steps=8, batch_size=5)
    torch.testing.assert_close(
        turned.features.unit(), whole.features.unit()[order], rtol=0, atol=1e-4
    )
    torch.testing.assert_close(turned.cosines, whole.cosines[order], rtol=0, atol=1e-4)
    other = invert(native, method, model, steps=8, seed=1)
    assert float((other.features.unit() - whole.features.unit()).abs().max()) > 1e-3


def test_processes_give_the_same(pair: Pair, spec: str, tmp_path: Path) -> None:
    one = oti(pair, spec, tmp_path / "1.safetensors", steps=5, batch_size=5)
    two = oti(pair, spec, tmp_path / "2.safetensors", steps=5, batch_size=5, jobs=2)
    same(one, two, within=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.safetensors", "2.safetensors"]


def test_the_executor_gives_the_same_bits(pair: Pair, spec: str, tmp_path: Path) -> None:
    """Batches are as large as in one process, unlike those of jobs."""
    whole = tmp_path / "1.safetensors"
    oti(pair, spec, whole, steps=5, batch_size=5)
    with on("processes:2"):
        oti(pair, spec, tmp_path / "2.safetensors", steps=5, batch_size=5)
        with pytest.raises(OptionError, match="jobs: must be 1"):
            oti(pair, spec, tmp_path / "3.safetensors", steps=5, jobs=2)
    assert (tmp_path / "2.safetensors").read_bytes() == whole.read_bytes()


def test_names_that_are_there_twice(model: Encoder) -> None:
    rows = np.random.default_rng(0).normal(size=(4, 16))
    twice = rows[[0, 1, 0, 2]]
    names = ["a", "b", "a", "c"]
    found = oti(Embeddings(twice, names=names), model, **QUICK)
    torch.testing.assert_close(found.features.unit()[0], found.features.unit()[2])
    with pytest.raises(InputError, match=r"different for different rows.*'a' occurs 2 times"):
        oti(Embeddings(rows, names=names), model, **QUICK)
    nameless = oti(Embeddings(rows), model, **QUICK)
    same_as = oti(Embeddings(rows, names=["0", "1", "2", "3"]), model, **QUICK)
    assert torch.equal(nameless.features.unit(), same_as.features.unit())


# whatever the rows --------------------------------------------------------------------------------


@given(n=st.integers(2, 9), seed=st.integers(0, 2**32), steps=st.integers(0, 3), data=st.data())
@settings(max_examples=8)
def test_whatever_the_rows(
    n: int, seed: int, steps: int, data: st.DataObject, short: Encoder
) -> None:
    method = data.draw(st.sampled_from(["oti", "ovi"]))
    optimiser = data.draw(st.sampled_from(["adamw", "lbfgs"]))
    names = data.draw(st.lists(st.text(max_size=5), min_size=n, max_size=n, unique=True))
    native = some(n, "image" if method == "oti" else "text", seed=seed, names=names)
    found = invert(native, method, short, optimiser=optimiser, steps=steps)
    fine(found, native)
    assert found.losses is not None
    assert found.losses.shape == (n, steps + 1)


@given(
    n=st.integers(2, 9),
    d=st.integers(2, 20),
    m=st.integers(2, 30),
    seed=st.integers(0, 2**32),
    method=st.sampled_from(["caption_mixture", "ridge_map", "gap_shift"]),
    modality=st.sampled_from(["image", "text"]),
)
@settings(max_examples=20)
def test_whatever_the_rows_of_closed_forms(
    n: int, d: int, m: int, seed: int, method: str, modality: str
) -> None:
    native = some(n, modality, d, seed)
    held = Pair(some(m, "image", d, seed + 1), some(m, "text", d, seed + 2))
    options = {"k": 2} if method == "caption_mixture" else {}
    fine(invert(native, method, bank=held, **options), native)


def fine(found: Inverted, native: Embeddings) -> None:
    rows = found.features.unit()
    assert rows.shape == (native.n, native.dim)
    assert bool(rows.isfinite().all())
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(native.n), rtol=0, atol=1e-5)
    assert bool((found.cosines.abs() <= 1 + 1e-6).all())
    assert found.features.names == native.names
    assert found.features.modality != native.modality


@pytest.mark.parametrize("name", ["label", "row"])
def test_the_pair_knows_best(name: str) -> None:
    """A factor of the same name, of something else, must not take the place of the matches."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((12, 4)).astype(np.float32)
    stale = {name: (np.arange(12) * 7) % 5}
    if name == "label":
        classes = random.standard_normal((3, 4)).astype(np.float32)
        pair = Pair(Embeddings(rows, "image", factors=stale), classes, labels=np.arange(12) % 3)
        found, right = gap_shift(pair, bank=Pair(rows, rows)), np.arange(12) % 3
        assert found.features.factors["label"].tolist() == right.tolist()
        return
    pair = Pair(rows, Embeddings(rows, "text", factors=stale))
    found = known_features(pair, pair.text, rows, None)
    assert found.factors["row"].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("pseudo_tokens", torch.full((4, 1, 8), torch.nan), "must be finite"),
        ("pseudo_tokens", torch.zeros(4, 0, 8), "must match 4 rows"),
        ("pseudo_tokens", torch.zeros(4, 1, 8, dtype=torch.float16), "must be float32"),
        ("cosines", torch.tensor([1, 1, 1, 1]), "must be float32"),
    ],
)
def test_files_that_hold_other_numbers(
    key: str, value: torch.Tensor, said: str, tmp_path: Path
) -> None:
    rows = np.eye(4, dtype=np.float32)
    features = Embeddings(rows, "text", provenance={"inverted_from": "image"})
    path = Inverted(features, torch.ones(4), torch.ones(4, 1, 8)).save(tmp_path / "x.safetensors")
    with safe_open(path, framework="pt") as file:
        told, held = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path.write_bytes(safetensors.torch.save(held | {key: value}, told))
    with pytest.raises(FileError, match=f"{key} {said}"):
        read(path)
