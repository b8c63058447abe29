"""Inversion as a whole: what comes out, what is refused, and what is kept on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import functions
import numpy as np
import pytest
import tiny
import torch
from invert.cases import QUICK, bank, same, some

from modalgap.embeddings import Pair
from modalgap.encode import Encoder
from modalgap.errors import (
    Diverged,
    FileError,
    InputError,
    ModalgapError,
    NotApplicable,
    OptionError,
    OutputError,
)
from modalgap.invert import (
    invert,
    oti,
    ovi,
    read,
)


def labelled(**told: Any) -> Any:
    return some(provenance=told)


def inverted() -> Any:
    return some(modality="text", provenance={"inverted_from": "image"})


REFUSED: list[tuple[str, Any, dict[str, Any], type[ModalgapError], str]] = [
    ("oti", some, {"template": "a photo"}, OptionError, r"template: must hold \{\} .*'a photo'"),
    ("oti", some, {"template": 5}, OptionError, r"template: must hold \{\} .* got 5"),
    ("oti", some, {"template": "x " * 30 + "{}"}, OptionError, "fit into the 20 positions"),
    ("oti", some, {"tokens": 16}, OptionError, "template: .* with 16 .* fit into the 20 positions"),
    ("oti", some, {"tokens": 10_001}, OptionError, "tokens must be .* got 10001"),
    ("oti", some, {"tokens": 0}, OptionError, "tokens must be .* at least 1 .* got 0"),
    ("oti", some, {"tokens": True}, OptionError, "tokens must be an integer .* got True"),
    ("ovi", lambda: some(modality="text"), {"tokens": 17}, OptionError, "at most 16, the patches"),
    ("ovi", lambda: some(modality="text"), {"tokens": 0}, OptionError, "tokens must be an integer"),
    ("oti", lambda: labelled(weights_hash="ab", model="x:y"), {}, InputError, "comes from x:y"),
    ("oti", lambda: some(dim=8), {}, InputError, "must have the width of .* 16; has 8"),
    ("oti", lambda: some(modality="text"), {}, InputError, "oti takes images; .* texts: see ovi"),
    ("ovi", some, {}, InputError, "ovi takes texts; these are images: see oti"),
    ("oti", lambda: some(modality="audio"), {}, InputError, "holds audios; .* image and text"),
    ("ovi", inverted, {}, InputError, "is already inverted, from images"),
    ("oti", some, {"foo": 1}, OptionError, "unknown option of oti 'foo'"),
    ("oti", some, {"step": 1}, OptionError, "did you mean 'steps'"),
    ("ovi", lambda: some(modality="text"), {"template": "{}"}, OptionError, "unknown option of"),
    ("otii", some, {}, OptionError, "unknown inversion 'otii'; did you mean 'oti'"),
    ("oti", some, {"optimiser": "sgd"}, OptionError, "optimiser must be one of adamw, lbfgs"),
    ("oti", some, {"loss": "cosin"}, OptionError, "unknown loss 'cosin'; did you mean 'cosine'"),
    ("oti", some, {"loss": 5}, OptionError, "unknown loss '5'"),
    ("oti", some, {"keep": "first"}, OptionError, "keep must be one of last, best; got 'first'"),
    ("oti", some, {"steps": -1}, OptionError, "steps must be an integer of at least 0 .* got -1"),
    ("oti", some, {"steps": 1.5}, OptionError, "steps must be an integer .* got 1.5"),
    ("oti", some, {"steps": True}, OptionError, "steps must be an integer .* got True"),
    ("oti", some, {"lr": float("nan")}, OptionError, "lr must be a finite number .* got nan"),
    ("oti", some, {"lr": float("inf")}, OptionError, "lr must be a finite number .* got inf"),
    ("oti", some, {"lr": -1}, OptionError, "lr must be a number of at least 0 .* got -1"),
    ("oti", some, {"lr": "fast"}, OptionError, "lr must be a number"),
    ("oti", some, {"std": -1}, OptionError, "std must be a number"),
    ("oti", some, {"weight_decay": -1}, OptionError, "weight_decay must be a number"),
    ("oti", some, {"wanted": 2}, OptionError, "wanted must be .* at most 1; got 2"),
    ("oti", some, {"wanted": float("nan")}, OptionError, "wanted must be"),
    ("oti", some, {"batch_size": 0}, OptionError, "batch_size must be .* at least 1 .* got 0"),
    ("oti", some, {"jobs": 0}, OptionError, "jobs must be .* at least 1 .* got 0"),
    ("oti", some, {"jobs": 2}, OptionError, "model: must be a name, LIBRARY:MODEL"),
    ("oti", some, {"jobs": 2, "device": "cpu,cpu"}, OptionError, "jobs: is for the CPU"),
    ("oti", some, {"seed": -1}, OptionError, "seed must be an integer"),
    ("oti", some, {"device": "tpu9"}, OptionError, "device: cannot use 'tpu9'"),
    ("oti", some, {"device": "meta"}, OptionError, "device: cannot use 'meta'"),
    ("oti", some, {"device": ""}, OptionError, "device: cannot use ''"),
    ("oti", some, {"precision": "fp16", "device": "cpu"}, OptionError, "fp16 needs a GPU"),
    ("oti", some, {"precision": "int8"}, OptionError, "unknown precision 'int8'"),
    ("oti", some, {"model": None}, OptionError, "model: oti needs the model"),
    ("oti", some, {"model": 5}, InputError, "model: must be a string or an Encoder; got int"),
    ("oti", lambda: 5, {}, InputError, "data must be Embeddings, .* or a path; got 5"),
    ("oti", lambda: "nowhere.npz", {}, FileError, "nowhere.npz: no such file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "data", "options", "kind", "said"),
    REFUSED,
    ids=[f"{method}-{said[:30]}" for method, *_, said in REFUSED],
)
def test_refusals(
    method: str,
    data: Any,
    options: dict[str, Any],
    kind: type[ModalgapError],
    said: str,
    short: Encoder,
    tmp_path: Path,
) -> None:
    given = {"model": short, "steps": 1} | options
    with pytest.raises(kind, match=said) as error:
        invert(data(), method, output=tmp_path / "o.safetensors", **given)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


CLOSED: list[tuple[str, Any, dict[str, Any], type[ModalgapError], str]] = [
    ("caption_mixture", lambda: None, {}, InputError, "bank: must hold texts; got nothing"),
    ("caption_mixture", some, {}, InputError, "bank: must hold texts; got images"),
    ("caption_mixture", lambda: some(modality="text"), {"k": 6}, OptionError, "k must be at most"),
    ("caption_mixture", bank, {"k": 0}, OptionError, "k must be an integer of at least 1; got 0"),
    ("caption_mixture", bank, {"temperature": 0}, OptionError, "temperature must be a number"),
    ("caption_mixture", lambda: bank(dim=8), {"k": 1}, InputError, "rows of width 16; got 8"),
    ("ridge_map", lambda: None, {}, InputError, "pairs of images and texts; got nothing"),
    ("ridge_map", lambda: some(modality="text"), {}, InputError, "got texts only"),
    ("ridge_map", lambda: bank(dim=8), {}, InputError, "bank: must have rows of width 16; got 8"),
    ("ridge_map", bank, {"alpha": -1}, OptionError, "alpha must be .* at least 0; got -1"),
    ("ridge_map", bank, {"alpha": float("nan")}, OptionError, "alpha must be"),
    ("ridge_map", bank, {"model": "open_clip:a/b"}, OptionError, "ridge_map takes no model"),
    ("gap_shift", lambda: None, {}, InputError, "pairs of images and texts; got nothing"),
    ("gap_shift", some, {}, InputError, "pairs of images and texts; got images only"),
    ("gap_shift", bank, {"amount": float("inf")}, OptionError, "amount must be a finite number"),
    ("gap_shift", bank, {"steps": 3}, OptionError, "unknown option of gap_shift 'steps'"),
    ("gap_shift", lambda: "nowhere.npz", {}, FileError, "no such file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "held", "options", "kind", "said"),
    CLOSED,
    ids=[f"{method}-{said[:30]}" for method, *_, said in CLOSED],
)
def test_refusals_of_closed_forms(
    method: str,
    held: Any,
    options: dict[str, Any],
    kind: type[ModalgapError],
    said: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(kind, match=said) as error:
        invert(some(), method, output=tmp_path / "o.safetensors", bank=held(), **options)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_towers_that_cannot_be_entered(short: Encoder) -> None:
    plain = functions.encoder()
    with pytest.raises(NotApplicable, match=r"^functions: pseudo-tokens cannot enter"):
        oti(some(dim=8), plain)
    with pytest.raises(NotApplicable, match=r"^functions: pseudo-patches need"):
        ovi(some(modality="text", dim=8), plain)
    with pytest.raises(NotApplicable, match=r"^open_clip:tiny-resnet/random: pseudo-patches need"):
        ovi(some(modality="text"), tiny.encoder("resnet"))
    assert oti(some(), tiny.encoder("resnet"), steps=1).features.n == 5


def test_outputs_that_cannot_be(pair: Pair, model: Encoder, tmp_path: Path) -> None:
    (tmp_path / "there.safetensors").write_bytes(b"precious")
    (tmp_path / "folder.safetensors").mkdir()
    before = sorted(tmp_path.iterdir())
    for name, said in (
        ("o.npz", r"must end in \.safetensors; found \.npz"),
        ("o", "found no extension"),
        ("nowhere/o.safetensors", "must be in a folder that exists"),
        ("there.safetensors", "exists"),
        ("folder.safetensors", "must be a file; found a folder"),
    ):
        with pytest.raises(OutputError, match=said):
            oti(pair, model, tmp_path / name, steps=1)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.safetensors").read_bytes() == b"precious"
    (tmp_path / "o.safetensors.parts").mkdir()
    (tmp_path / "o.safetensors.parts" / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match=r"found thesis\.tex: move it away"):
        oti(pair, model, tmp_path / "o.safetensors", steps=1, overwrite=True)
    assert (tmp_path / "o.safetensors.parts" / "thesis.tex").exists()


def test_overwriting(pair: Pair, model: Encoder, tmp_path: Path) -> None:
    output = tmp_path / "o.safetensors"
    oti(pair, model, output, steps=1)
    made = oti(pair, model, output, steps=2, overwrite=True)
    same(read(output), made)
    assert [path.name for path in tmp_path.iterdir()] == ["o.safetensors"]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ([], {}),
        ("oti", {"output": 5}),
        ("oti", {"optimiser": ["lbfgs"], "steps": None}),
        ("oti", {"loss": ["cosine"]}),
        ("gap_shift", {"model": None, "steps": None, "bank": np.ones((5, 16))}),
        ("caption_mixture", {"model": None, "steps": None, "bank": np.ones((5, 16))}),
    ],
)
def test_arguments_of_wrong_types(method: Any, options: dict[str, Any], short: Encoder) -> None:
    asked = {"model": short, "steps": 1} | options
    with pytest.raises(InputError):
        invert(some(), method, **{name: each for name, each in asked.items() if each is not None})


@pytest.mark.parametrize("kind", ["scalar", "without gradient", "no tensor"])
def test_losses_that_are_none(kind: str, short: Encoder) -> None:
    loss: dict[str, Callable[[Any, Any], Any]] = {
        "scalar": lambda ours, theirs: (ours * theirs).sum(),
        "without gradient": lambda ours, theirs: (ours * theirs).sum(1).detach(),
        "no tensor": lambda *_: "small",
    }
    with pytest.raises(OptionError, match="loss"):
        oti(some(), short, steps=2, loss=loss[kind])


def test_a_loss_that_is_no_number(short: Encoder) -> None:
    with pytest.raises(Diverged):
        oti(some(), short, **QUICK, loss=lambda ours, theirs: (ours * theirs).sum(1) * torch.nan)


def test_a_loss_that_cannot_go_to_processes(pair: Pair, spec: str) -> None:
    with pytest.raises(OptionError, match="loss"):
        oti(pair, spec, steps=1, jobs=2, loss=lambda ours, theirs: 1 - (ours * theirs).sum(1))


def test_a_bank_where_none_is_needed(short: Encoder) -> None:
    with pytest.raises(OptionError, match="bank"):
        oti(some(), short, steps=1, bank=bank())


def test_processes_share_few_items(pair: Pair, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Shared(Exception):  # noqa: N818 - it carries what was seen
        pass

    def seen(*given: Any) -> Any:
        raise Shared(given[4], given[6])

    monkeypatch.setattr("modalgap.invert.run.batches", seen)
    with pytest.raises(Shared) as told:
        oti(pair, spec, steps=1, jobs=2)
    todo, places = told.value.args
    assert len(todo) >= 2
    assert len(places) == 2
