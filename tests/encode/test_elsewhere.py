"""Encoding in other processes writes the same bytes, and says what cannot be sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from encode.cases import Numbered, folder_of
from encode.transformers_cases import Made

from modalgap.data.source import Source
from modalgap.encode import load_model, run
from modalgap.encode.options import Options
from modalgap.errors import InputError, OptionError
from modalgap.work import on

OPTIONS = Options(batch_size=4)


@pytest.fixture(scope="module")
def model(make: Callable[[str], Made]) -> str:
    return f"hf:{make('clip').folder}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("pictures") / "some", 13)


def test_the_same_bytes(folder: Path, model: str, tmp_path: Path) -> None:
    """What cannot be read is skipped alike; a strict run ends with one line."""
    (folder / "005.png").write_bytes(b"not an image")
    (folder / "007.txt").write_text("one caption\n\n")
    here = run(folder, model, tmp_path / "here.safetensors", OPTIONS)
    with on("processes:2"):
        there = run(folder, model, tmp_path / "there.safetensors", OPTIONS)
        strict = Options(batch_size=4, strict=True)
        with pytest.raises(InputError, match=r"^005.*\n*$"):
            run(folder, model, tmp_path / "strict.safetensors", strict)
    assert not (tmp_path / "strict.safetensors").exists()
    assert (tmp_path / "here.safetensors").read_bytes() == (
        tmp_path / "there.safetensors"
    ).read_bytes()
    assert there.skipped == here.skipped
    assert any(name.startswith("005") for name, _ in here.skipped)
    assert there.data.fingerprint == here.data.fingerprint


def test_a_model_without_a_name_is_refused(model: str) -> None:
    source = Source(name="numbers", media=Numbered([1, 2, 3]), texts=["a", "b", "c"])
    with on("processes:2"), pytest.raises(OptionError, match="model: must be a name"):
        run(source, load_model(model), None, OPTIONS)
