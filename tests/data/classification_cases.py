"""Small copies of the data sets for classification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from layouts import classification as lay

from modalgap.data import DATASETS, Source
from modalgap.data.pixels import decode


def built(name: str, tmp_path: Path, folder: str | None = None) -> Path:
    """The folder of tiny data of that name in ``tmp_path``."""
    place = tmp_path / (folder or DATASETS[name].card.folder)
    lay.BUILD[name](place)
    return place


def items(source: Source) -> list[tuple[bytes, int]]:
    """Pixels and class of each image."""
    assert source.media is not None
    labels = np.asarray(source.labels).tolist()
    found = []
    for i, label in enumerate(labels):
        stored = source.media[i]
        assert not isinstance(stored, str)
        found.append((decode(stored).tobytes(), label))
    return found


def names(source: Source) -> list[str]:
    assert source.media is not None
    return list(source.media.names)


def texts(source: Source) -> list[str]:
    assert source.texts is not None
    return list(source.texts)
