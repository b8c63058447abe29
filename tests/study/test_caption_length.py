"""The study caption_length on a small untrained model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

import modalgap as mg
from modalgap import errors
from modalgap.study import caption_length, embedded, judge
from modalgap.study.caption_length.caption_length import cut
from modalgap.train import read_run
from modalgap.train.captions import captions_of

CAPTIONS = [
    "a red dog runs. It is old.",
    "a blue cat",
    "two-red-birds",
    "a small house by a lake",
]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """A file with captions as names, and the model that made it."""
    (tmp_path / "configs").mkdir()
    tiny.add_configs(tmp_path / "configs")
    encoder = tiny.encoder("short")
    rows = np.random.default_rng(0).normal(size=(len(CAPTIONS), encoder.dim))
    image, text = mg.Embeddings(rows), mg.Embeddings(rows + 1, "text", names=CAPTIONS)
    return str(mg.save(mg.Pair(image, text), tmp_path / "pair.safetensors")), encoder.spec


def test_cutting() -> None:
    assert [cut(each, 2) for each in CAPTIONS] == ["a red", "a blue", "two-red", "a small"]
    assert [cut(each, 0) for each in CAPTIONS] == CAPTIONS
    assert cut(CAPTIONS[0], 1, "sentences") == "a red dog runs."
    assert cut(CAPTIONS[1], 9) == CAPTIONS[1]
    assert "".join(cut(CAPTIONS[3], 99)) == CAPTIONS[3]


def test_the_gap_of_cut_captions(pair: tuple[str, str], tmp_path: Path) -> None:
    path, spec = pair
    table = caption_length(tmp_path / "out", pair=path, model=spec, lengths=[1, 3, 50])
    assert list(table.rows) == ["first 1", "first 3", "whole"]  # no caption has 50 words
    assert [round(each.value, 2) for each in table.column("cut")] == [1.0, 0.5, 0.0]
    encoder = tiny.encoder("short")
    texts = encoder.encode_text(encoder.tokenize([cut(each, 1) for each in CAPTIONS])).detach()
    found = mg.load(path)
    closer = mg.Pair(found.image, mg.Embeddings(texts, "text"))
    expected = mg.measure(closer, ["rmg", "l2m"])
    assert table.rows["first 1"]["rmg"].value == pytest.approx(expected["rmg"].value, rel=1e-4)
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_the_embedded_data_with_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("steps=2", "batch=32", "data.limit=200", "watch.measure=0", "watch.tensorboard=false")
    monkeypatch.setattr(embedded, "SETTINGS", few)
    monkeypatch.setattr(judge, "IMAGES", 1)
    table = caption_length(tmp_path / "out", lengths=[1, 4], models=tmp_path / "models")
    assert list(table.rows) == ["first 1", "first 4", "whole"]
    assert table.rows["whole"]["length"].value == 6  # the digit and five attributes
    assert table.rows["first 1"]["cut"].value == 1
    (folder,) = (tmp_path / "models").glob("[!.]*")
    run = read_run(folder)
    pair = judge.embed(run, judge.mad_of({"full": run}), captions_of(run.config.data.captions))
    expected = mg.measure(pair, ["rmg"])["rmg"].value
    assert table.rows["whole"]["rmg"].value == pytest.approx(expected, rel=1e-4)


def test_without_a_file_a_model_is_trained() -> None:
    plan = caption_length.planned({})
    assert plan.models == embedded.models("full")
    assert plan.settings["embedded"] == ["full"]


def test_refusals(pair: tuple[str, str], tmp_path: Path) -> None:
    path, spec = pair
    with pytest.raises(errors.OptionError, match="model must come with pair"):
        caption_length(tmp_path / "out", model=spec)
    with pytest.raises(errors.OptionError, match="model must name the model that made"):
        caption_length(tmp_path / "out", pair=path)
    with pytest.raises(errors.OptionError, match="unit must be one of words, sentences"):
        caption_length(tmp_path / "out", pair=path, model=spec, unit="letters")
    x = np.random.default_rng(0).normal(size=(5, 8))
    plain = str(mg.save(mg.Pair(x, x + 1), tmp_path / "plain.safetensors"))
    with pytest.raises(errors.InputError, match="captions as names of texts"):
        caption_length(tmp_path / "out", pair=plain, model=spec)
