"""Training on parts of captions: the plan, and the numbers of a small run."""

from __future__ import annotations

from pathlib import Path

import pytest

from modalgap.errors import MissingData, OptionError
from modalgap.evaluate import evaluate
from modalgap.study import Plan, embedded
from modalgap.study.judge import embed, mad_of
from modalgap.study.schrodi2025.caption_parts import FULL, PARTS_OF, _row, caption_parts
from modalgap.train import load_config, train


def test_the_models_differ_only_in_their_captions() -> None:
    found: Plan = caption_parts.planned({})
    plans = {name: config.plan() for name, config in found.models.items()}
    assert list(plans) == list(PARTS_OF)
    transforms = [plan["data"].pop("transforms") for plan in plans.values()]
    assert transforms == [[], ["half"], ["quarter"], ["word_dropout:0.5"]]
    assert all(plan == plans["whole"] for plan in plans.values())
    assert found.models["whole"].plan() == embedded.models("full")["full"].plan()


def test_numbers_of_a_run(tmp_path: Path) -> None:
    few = ["data.limit=60", "batch=32", "steps=4", "watch.measure=2", "watch.every=1"]
    config = load_config("mad", [*few, "data.transforms=[half]"])
    made = train(config, tmp_path / "run")
    pair = embed(made, mad_of({"half": made}), FULL)
    row = _row(pair, made)
    assert row["image_to_text_r1"].value == evaluate(pair, "retrieval")[
        "retrieval.image_to_text_r1"].value  # fmt: skip
    steps, losses = row["loss"].details["x"], row["loss"].details["y"]
    assert steps == [1, 2, 3, 4]
    assert row["loss"].value == losses[-1]
    assert row["l2m"].details["x"] == [0, 2, 4]


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODALGAP_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="emoji: needs"):
        caption_parts(tmp_path / "s", emoji=True)
    with pytest.raises(OptionError, match="emoji must be True or False; got 'yes'"):
        caption_parts(tmp_path / "s", emoji="yes")
