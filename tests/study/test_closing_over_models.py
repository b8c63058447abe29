"""Closing over models: against the studies of one model, and over a folder of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modalgap as mg
from modalgap.errors import FileError, InputError, OptionError
from modalgap.result import Value
from modalgap.study import closing_over_models, fairness_shift, robustness_shift, zero_shot_shift
from modalgap.study.across_models.closing import better

FAIR = {"race": ["a", "b"] * 30}


def labelled(seed: int, *, fair: bool = False) -> mg.Pair:
    random = np.random.default_rng(seed)
    labels = np.arange(60) % 4
    prompts = random.normal(size=(6, 16)) + 0.7
    images = prompts[labels] + 1.2 * random.normal(size=(60, 16)) - 1.0
    kinds = {"kind": ["face"] * 4 + ["crime"] * 2} if fair else {}
    about = {"model": f"hf:m{seed}", "data": "faces" if fair else "things"}
    return mg.Pair(
        mg.Embeddings(images, "image", factors=FAIR if fair else {}, provenance=about),
        mg.Embeddings(prompts, "text", factors=kinds, provenance=about),
        labels=labels,
    )


def features(folder: Path, *pairs: mg.Pair) -> Path:
    """A folder with features of a zoo."""
    (folder / "embeddings").mkdir(parents=True)
    for i, pair in enumerate(pairs):
        mg.save(pair, folder / "embeddings" / f"m--d--{i:012x}.safetensors")
    return folder


def test_numbers_are_those_of_the_studies_of_one_model(tmp_path: Path) -> None:
    pair = labelled(1, fair=True)
    captions = mg.Pair(*np.random.default_rng(0).normal(size=(2, 30, 16)))
    folder = features(tmp_path / "z", labelled(0), pair, captions)
    (folder / "embeddings" / "m--d--00000000000f.safetensors.parts").mkdir()
    table = closing_over_models(tmp_path / "out", zoo=folder)
    assert list(table.rows) == [
        "hf:m0 | things", "hf:m1 | faces", "share of models that improve (things)",
        "share of models that improve (faces)",
    ]  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Gain in top-1" in page
    assert "Gain in top-1: digits" not in page
    file = str(mg.save(pair, tmp_path / "one.safetensors"))
    row = table.rows["hf:m1 | faces"]
    one = zero_shot_shift(tmp_path / "a", classes=[file]).rows["one"]
    for name in ("score", "best", "gain", "gap", "best_gap", "best_shift"):
        assert row[name].value == one[name].value
    assert row["gain"].interval == one["gain"].interval
    two = robustness_shift(tmp_path / "b", pair=file, alphas=(0, 1, 2)).rows
    assert row["rob_0.022"].value == two["one: σ² = 0.022"]["rob"].value
    assert row["rob_0.022_beyond"].value == two["one: σ² = 0.022"]["rob_beyond"].value
    three = fairness_shift(tmp_path / "c", classes=file).rows["one, all"]
    assert row["harm"].value == three["δ = 0"].value
    assert row["harm_wider"].value == three["δ = -0.2"].value
    assert "harm" not in table.rows["hf:m0 | things"]


def test_shares_of_models_that_improve() -> None:
    def row(**values: float) -> dict[str, Value]:
        names = ("gain", "paper_gain", "gap", "best_gap", "best_shift", "accuracy", "accuracy_open")
        return {name: Value(values.get(name, 0.5)) for name in names}

    found = better(
        [row(gain=0.1, best_gap=0.9), row(gain=-0.1, accuracy=0.49), row(gain=-0.2, best_shift=0)]
    )
    assert found["gain"].value == pytest.approx(1 / 3)
    assert found["paper_gain"].value == 1
    assert found["best_gap"].value == pytest.approx(1 / 3)
    assert found["best_shift"].value == pytest.approx(2 / 3)
    assert found["accuracy"].value == pytest.approx(2 / 3)
    assert "rob_0.022" not in found
    low = [{"word_drop_open": Value(0.2), "word_drop": Value(0.1), **row()}]
    assert better(low)["word_drop"].value == 1


def test_what_cannot_be_studied(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="must have features of a zoo"):
        closing_over_models(tmp_path / "o", zoo=tmp_path)
    captions = mg.Pair(*np.random.default_rng(0).normal(size=(2, 30, 16)))
    with pytest.raises(InputError, match="data set with classes and 20 images"):
        closing_over_models(tmp_path / "o", zoo=features(tmp_path / "z", captions))
    with pytest.raises(OptionError, match="seed"):
        closing_over_models(tmp_path / "o", seed=-1)
