"""Models trained on emoji, and their features of new things and of a new style.

A thing is one emoji, whatever its style. A new thing or style has no image in the training data.
The caption of an image is the name of the thing in Unicode. The data set is made by ``modalgap data
emoji`` from packages that the user fetches (docs/emoji.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.nn import functional

from modalgap.checks import distinct, one_of, several
from modalgap.data import Source, read
from modalgap.data.find import check_exists
from modalgap.embeddings import Pair
from modalgap.encode import Options
from modalgap.encode import run as encode
from modalgap.errors import InputError
from modalgap.evaluate.base import Ints, Scores
from modalgap.study.plan import Work
from modalgap.study.training import training_settings
from modalgap.train import Config, Run, load_config

EMOJI, TRAIN = "emoji", "train"
BOTH = ("ViT", "CNN")
MODELS = {"ViT": "emoji_vit", "CNN": "emoji_cnn"}
SPLITS = {"test": "new things", "style": "new style", "test_style": "both new"}
SAMPLE = 3000  # training images that maps and scales are fitted on
FETCH = (
    "npm install @iconify-json/noto @iconify-json/twemoji @iconify-json/openmoji"
    " @iconify-json/fluent-emoji-flat",
    "modalgap data emoji . -o data/emoji",
)
NEEDS = "the data set emoji: see the commands on its page"
OWN = ("data.source", "data.split", "data.root", "model.architecture")
NEW = (
    "a thing is one emoji in any style; new things and the new style have no image in the training"
    " data; the caption of an image is the name of the thing"
)
NOTE = "intervals: 95 %, bootstrap over things: all images of a thing are drawn together"


def check_there(root: str | None = None) -> None:
    """Check that the data set is there.

    Raises:
        MissingData: it is not.
    """
    for split in (TRAIN, "test"):
        check_exists(EMOJI, split, root)


def planned(
    root: str | Path | None,
    models: Sequence[str] = ("ViT",),
    train: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Config]]:
    """Settings and models of a plan.

    Args:
        root: folder that holds the data set ``emoji``; None for the usual one.
        models: names in ``MODELS``.
        train: training settings of the caller.

    Raises:
        MissingData: the data set is not there.
        OptionError: an unknown model; a training setting that does not exist, or that the study
            sets itself.
    """
    place = None if root is None else str(root)
    chosen = several("models", models, least=1)
    for name in chosen:
        one_of("models", name, tuple(MODELS))
    distinct("models", chosen)
    check_there(place)
    own = [] if place is None else [f"data.root={json.dumps(place, ensure_ascii=False)}"]
    settings = training_settings(train, OWN, base=MODELS["ViT"])
    configs = {
        name: load_config(MODELS[name], [*own, "watch.tensorboard=false", *settings])
        for name in chosen
    }
    return {"root": place, "models": chosen}, configs


def read_split(
    split: str, *, root: str | None = None, limit: int | None = None, seed: int = 0
) -> Source:
    """Images and captions of a split."""
    return read(EMOJI, split=split, root=root, limit=limit, seed=seed)


def source(work: Work, split: str) -> Source:
    """Images and captions of a split, of the plan made by ``planned``."""
    return read_split(split, root=work.settings["root"])


def encoded(run: Run, found: Source) -> Pair:
    """Images and captions encoded by a model, in memory; a caption is one row."""
    made = encode(found, run.spec, options=Options(batch_size=256, workers=0)).data
    if not isinstance(made, Pair):
        raise InputError(f"{found.name}: must hold images and captions")
    return made


def sample(work: Work, run: Run) -> Pair:
    """Some training images with their captions, to fit maps and scales on."""
    return encoded(run, read_split(TRAIN, root=work.settings["root"], limit=SAMPLE))


def zero_shot(pair: Pair, fitted: Pair, factor: str, without: Sequence[str] = ()) -> Scores:
    """Whether the nearest class is the right one, for each image; one cluster per caption.

    Args:
        pair: the images, with the factor.
        fitted: captions with the factor; the text of a class is the mean of the captions with this
            value.
        factor: the factor.
        without: values that are left out, with their images.
    """
    known, own = codes(fitted.text.factors[factor], pair.image.factors[factor])
    values = np.array([*fitted.text.factors[factor], *pair.image.factors[factor]], dtype=str)
    out = np.isin(values, without)
    texts = fitted.text.unit()
    classes = np.unique(known[~out[: len(known)]])
    rows = torch.stack([texts[torch.from_numpy(known == each)].mean(0) for each in classes])
    index = np.flatnonzero(~out[len(known) :])
    images = pair.image.unit()[torch.from_numpy(index)]
    found = (images @ functional.normalize(rows, dim=1).T).argmax(1).numpy()
    right = (classes[found] == own[index]).astype(np.float64)
    return Scores(right, pair.clusters[0][index])


def codes(*columns: ArrayLike) -> list[Ints]:
    """The values of several columns as numbers that are equal where the values are."""
    every = [np.asarray(each, dtype=str) for each in columns]
    _, found = np.unique(np.concatenate(every), return_inverse=True)
    return np.split(found, np.cumsum([len(each) for each in every])[:-1])
