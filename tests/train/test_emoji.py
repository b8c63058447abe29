"""Training on emoji: words of its captions, held-out things, and what the model then encodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from layouts.emoji import emoji
from trained import VIT, config

from modalgap.data import read
from modalgap.embeddings import Pair
from modalgap.encode import encode
from modalgap.errors import OptionError
from modalgap.train import load_config, train
from modalgap.train.config import ready


def small(folder: Path, **data: Any) -> dict[str, Any]:
    source = {"source": "emoji", "root": str(folder), "split": "train", "held_out": 0.3, **data}
    return config(data=source, batch=8, steps=2, workers=0)


def test_it_trains_and_encodes(tmp_path: Path) -> None:
    emoji(tmp_path / "emoji", things=30)
    run = train(small(tmp_path, held_out_by="thing"), tmp_path / "run")
    assert run.steps == 2
    assert '"thing7"' in (run.model / "tokenizer.json").read_text()
    pair = encode(read("emoji", root=tmp_path, split="test"), run.spec, workers=0)
    assert isinstance(pair, Pair)
    assert {"style", "object", "skin_tone"} <= set(pair.image.factors)
    assert "style" not in pair.text.factors
    assert pair.text.n == 15  # a caption of two pictures is encoded once
    by_path = small(tmp_path, source=str(tmp_path / "emoji"), root=None, held_out_by="style",
                    text_column="caption_object")  # fmt: skip
    train(by_path, tmp_path / "other")


def test_a_factor_that_is_not_there(tmp_path: Path) -> None:
    emoji(tmp_path / "emoji", things=30)
    with pytest.raises(OptionError, match=r"data\.held_out_by 'thong'.*did you mean 'thing'"):
        train(small(tmp_path, held_out_by="thong"), tmp_path / "run")
    with pytest.raises(OptionError, match="held_out_by: does not apply to mad"):
        train(config(data={"held_out_by": "thing"}), tmp_path / "mad")


@pytest.mark.parametrize("name", [name for name in ready() if name.startswith("emoji")])
def test_configurations(name: str) -> None:
    made = load_config(name)
    assert (made.data.source, made.data.held_out_by) == ("emoji", "thing")
    assert VIT is not made.model.architecture
