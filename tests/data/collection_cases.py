"""Small copies of the collections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modalgap import errors
from modalgap.data import DATASETS, Source
from modalgap.data.media import Media


def read(name: str, folder: Path, split: str | None = None) -> Source:
    return DATASETS[name].source(folder.parent, split)


def media(source: Source) -> Media:
    assert source.media is not None
    return source.media


def captions(source: Source) -> list[tuple[str, str]]:
    """(image, caption) of each caption."""
    assert source.texts is not None
    owner = np.asarray(source.text_to_image)
    return [(media(source).names[i], t) for i, t in zip(owner, source.texts, strict=True)]


def refusal(name: str, folder: Path, split: str | None = None) -> str:
    """The one line that a damaged data set gives."""
    with pytest.raises(errors.InputError) as caught:
        read(name, folder, split)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(name)
    return said
