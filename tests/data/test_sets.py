"""Every named data set, on tiny data in its true layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import classification, collections, emoji, textures

from modalgap.data import DATASETS, Source
from modalgap.data.pixels import decode

BUILD: dict[str, Callable[[Path], None]] = {
    **classification.BUILD,
    **collections.BUILD,
    **emoji.BUILD,
    **textures.BUILD,
}


def test_every_data_set_has_tiny_data() -> None:
    assert set(BUILD) == set(DATASETS)


@pytest.mark.parametrize(
    ("name", "part"), [("dtd", "images"), ("newsgroups", "20news-bydate-test")]
)
def test_unfinished_runs_and_hidden_folders_are_no_classes(
    name: str, part: str, tmp_path: Path
) -> None:
    folder = tmp_path / DATASETS[name].card.folder
    BUILD[name](folder)
    before = DATASETS[name].source(tmp_path, "test")
    for odd in (".git", "o.npz.parts"):
        (folder / part / odd).mkdir()
        (folder / part / odd / "plan.json").write_text("{}")
    assert DATASETS[name].source(tmp_path, "test").texts == before.texts


@pytest.mark.parametrize("name", sorted(BUILD))
def test_reads_its_own_layout(name: str, tmp_path: Path) -> None:
    dataset = DATASETS[name]
    BUILD[name](tmp_path / dataset.card.folder)
    source = dataset.source(tmp_path)
    assert isinstance(source, Source)
    assert source.provenance["data"] == name
    if source.media is not None and source.media.kind == "image":
        assert len(set(source.media.names)) == len(source.media.names)
        for i in range(len(source.media)):
            found = source.media[i]
            assert not isinstance(found, str)
            assert decode(found).mode == "RGB"
