"""Data sets of captions, retrieval, attributes and texts: exactly what their files say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data.collection_cases import media, read, refusal
from layouts.drawing import write

from modalgap import data
from modalgap.data.sets._compositions import _thing
from modalgap.errors import OptionError

PAIRS = "compositional-split-natural/test_pairs.txt"
METADATA = "metadata_compositional-split-natural.t7"


def test_mit_states(built: Callable[[str], Path]) -> None:
    folder = built("mit-states")
    source = read("mit-states", folder)
    assert list(media(source).names) == [
        "sliced_apple/1.jpg",
        "ripe_apple/1.jpg",
        "sliced_apple/2.jpg",
    ]
    assert media(source)[2] == (folder / "images/sliced apple/2.jpg").read_bytes()
    assert source.texts == ["sliced apple", "ripe apple", "unseen thing"]
    assert np.asarray(source.labels).tolist() == [0, 1, 0]
    assert source.factors == {
        "attribute": ["sliced", "ripe", "sliced"],
        "object": ["apple", "apple", "apple"],
    }
    assert source.text_factors == {
        "attribute": ["sliced", "ripe", "unseen"],
        "object": ["apple", "apple", "thing"],
    }
    assert source.templates == ("a photo of a {}.",)
    assert source.missing == ()
    train = read("mit-states", folder, "train")
    assert train.texts == ["old ice cream", "unseen thing"]
    assert media(train)[0] == (folder / "images/old ice cream/4.jpg").read_bytes()
    (folder / "images" / "sliced apple").rename(folder / "images" / "sliced_apple")
    source = read("mit-states", folder)  # as everyone renames them
    assert media(source)[2] == (folder / "images/sliced_apple/2.jpg").read_bytes()


def test_ut_zappos(built: Callable[[str], Path]) -> None:
    folder = built("ut-zappos")
    source = read("ut-zappos", folder)
    names = ["Faux.Fur_Boots.Ankle/7153824.72.jpg", "Leather_Boots.Ankle/7153824.73.jpg"]
    assert list(media(source).names) == names
    assert media(source)[1] == (folder / "images" / names[1]).read_bytes()
    assert source.texts == ["faux fur ankle boots", "leather ankle boots", "unseen thing"]
    assert source.factors["attribute"] == ["faux fur", "leather"]
    assert source.text_factors["object"] == ["ankle boots", "ankle boots", "thing"]
    assert read("ut-zappos", folder, "val").factors["object"] == ["sandals"]


def test_names_of_shoes() -> None:
    assert _thing("Shoes.Boat.Shoes") == "boat shoes"
    assert _thing("Shoes.Sneakers.and.Athletic.Shoes") == "sneakers and athletic shoes"
    assert _thing("Boots.Mid-Calf") == "mid-calf boots"
    assert _thing("Slippers") == "slippers"


def test_classes_by_factor(built: Callable[[str], Path]) -> None:
    root = built("mit-states").parent
    source = data.read("mit-states", root=root, label_column="attribute")
    assert source.texts == ["ripe", "sliced"]
    assert np.asarray(source.labels).tolist() == [1, 0, 1]
    assert source.factors["object"] == ["apple", "apple", "apple"]
    assert source.text_factors == {"attribute": ["ripe", "sliced"]}
    assert source.provenance["classes"] == "attribute"
    with pytest.raises(OptionError, match=r"label column of mit-states 'colour'; .*attribute"):
        data.read("mit-states", root=root, label_column="colour")
    with pytest.raises(OptionError, match="--text-column: mit-states has none"):
        data.read("mit-states", root=root, text_column="attribute")


def test_compositions_that_do_not_fit(built: Callable[[str], Path]) -> None:
    folder = built("mit-states")
    metadata = torch.load(folder / METADATA, weights_only=True)
    write(folder / PAIRS, "sliced apple\n")
    torch.save([*metadata, metadata[0]], folder / METADATA)
    source = read("mit-states", folder)
    assert source.texts == ["sliced apple"]
    assert source.missing == (
        ("ripe_apple/1.jpg", "its pair, ripe apple, is not in test_pairs.txt"),
        ("sliced_apple/1.jpg", "occurs twice"),
    )
    torch.save(metadata, folder / METADATA, _use_new_zipfile_serialization=False)  # as in 2018
    assert read("mit-states", folder).texts == ["sliced apple"]
    torch.save([{**metadata[0], "obj": 3}], folder / METADATA)
    assert "must be strings; found 3" in refusal("mit-states", folder)
    torch.save([{"image": "a"}], folder / METADATA)
    assert "must have the field 'attr'" in refusal("mit-states", folder)
    torch.save([Path("a")], folder / METADATA)  # anything but plain values is not loaded
    assert "is malformed" in refusal("mit-states", folder)
    write(folder / PAIRS, "sliced apple\nsliced apple\n")
    assert "'sliced apple' must occur once" in refusal("mit-states", folder)
    write(folder / PAIRS, "sliced red apple\n")
    assert "is malformed" in refusal("mit-states", folder)
