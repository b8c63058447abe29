"""Models trained on emoji, and their features of things and styles that training did not contain.

The data set is made by ``modalgap data emoji`` from packages that the user fetches (docs/emoji.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.data import Source, read
from modalgap.data.find import check_exists
from modalgap.embeddings import Pair
from modalgap.encode import Options
from modalgap.encode import run as encode
from modalgap.errors import InputError
from modalgap.evaluate.base import Ints, Scores
from modalgap.result import Value
from modalgap.study.plan import Work
from modalgap.study.training import training_settings
from modalgap.train import Config, Run, load_config

EMOJI, TRAIN = "emoji", "train"
MODELS = {"ViT": "emoji_vit", "CNN": "emoji_cnn"}
SPLITS = {
    "test": "unseen things",
    "style": "unseen style",
    "test_style": "unseen things and style",
}
SAMPLE = 3000  # training pictures that maps and scales are fitted on
FETCH = (
    "npm install @iconify-json/noto @iconify-json/twemoji @iconify-json/openmoji"
    " @iconify-json/fluent-emoji-flat",
    "modalgap data emoji . -o data/emoji",
)
NEEDS = "the data set emoji: see the commands on its page"
OWN = ("data.source", "data.split", "data.root", "model.architecture")
NOTE = "intervals: 95 %, over things; pictures of a thing are resampled together"


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
        InputError: the data set is not there.
        OptionError: a training setting that does not exist, or that the study sets itself.
    """
    place = None if root is None else str(root)
    for split in (TRAIN, "test"):
        check_exists(EMOJI, split, place)
    own = [] if place is None else [f"data.root={place}"]
    settings = training_settings(train, OWN, base=MODELS["ViT"])
    configs = {
        name: load_config(MODELS[name], [*own, "watch.tensorboard=false", *settings])
        for name in models
    }
    return {"root": place, "models": list(models)}, configs


def source(work: Work, split: str, *, limit: int | None = None, seed: int = 0) -> Source:
    """Pictures and captions of a split."""
    return read(EMOJI, split=split, root=work.settings["root"], limit=limit, seed=seed)


def features(run: Run, found: Source) -> Pair:
    """Pictures and captions encoded by a model, in memory; a caption is one row."""
    made = encode(found, run.spec, options=Options(batch_size=256, workers=0)).data
    if not isinstance(made, Pair):
        raise InputError(f"{found.name}: must hold images and captions")
    return made


def sample(work: Work, run: Run) -> Pair:
    """Some training pictures with their captions, to fit maps and scales on."""
    return features(run, source(work, TRAIN, limit=SAMPLE))


def codes(*columns: Sequence[Any]) -> list[Ints]:
    """The values of several columns as numbers that are equal where the values are."""
    both = np.concatenate([np.asarray(each, dtype=str) for each in columns])
    _, found = np.unique(both, return_inverse=True)
    return np.split(found, np.cumsum([len(each) for each in columns])[:-1])


def valued(scores: Scores, seed: int = 0) -> Value:
    """A number with its interval."""
    return Value(scores.value, scores.interval(seed))


def gained(ours: Scores, theirs: Scores, seed: int = 0) -> Value:
    """A paired difference with its interval."""
    return Value(*ours.minus(theirs, seed))
