"""Models trained on emoji for the embedded zoo, and their numbers on new things.

They differ in size, data, captions and temperature, and are trained for a short time.
"""

from __future__ import annotations

from modalgap.embeddings import Pair
from modalgap.result import Value
from modalgap.study.emoji.models import (
    EMOJI,
    SAMPLE,
    TRAIN,
    check_there,
    encoded,
    read_split,
    zero_shot,
)
from modalgap.train import Config, Run, load_config
from modalgap.zoo.cell import Settings, numbers

SHORT = ("steps=200", "watch.measure=50", "watch.tensorboard=false")
# name: what differs from the configuration emoji_vit with fewer steps
ZOO: dict[str, tuple[str, ...]] = {
    "emoji": (),
    "emoji, half captions": ("data.transforms=[half]",),
    "emoji, quarter captions": ("data.transforms=[quarter]",),
    "emoji, word dropout": ('data.transforms=["word_dropout:0.5"]',),
    "emoji, small": ("model.architecture=emoji_vit_small",),
    "emoji, 2,000 pictures": ("data.limit=2000",),
    "emoji, frozen τ = 0.2": ("temperature.mode=frozen", "temperature.initial=0.2"),
}
CATEGORIES = "emoji categories"  # a data set of the zoo


def models(*names: str) -> dict[str, Config]:
    """Configurations of the models of ``ZOO`` with these names; of all by default.

    Raises:
        MissingData: the data set is not there.
    """
    check_there()
    return {name: load_config("emoji_vit", [*SHORT, *ZOO[name]]) for name in (names or tuple(ZOO))}


def trained() -> int:
    """Number of images in the training data."""
    return len(read_split(TRAIN).media or ())


def held_out(run: Run) -> Pair:
    """Images and captions of new things, encoded by a model."""
    return encoded(run, read_split("test"))


def values_of(run: Run, settings: Settings) -> dict[str, dict[str, Value]]:
    """Data set to numbers of a model: of pairs, and the accuracy of categories."""
    pair = held_out(run)
    fitted = encoded(run, read_split(TRAIN, limit=SAMPLE))
    right = zero_shot(pair, fitted, "category")
    return {
        EMOJI: dict(numbers(pair, settings)),
        CATEGORIES: {"zero_shot.top1": right.number(0)},
    }
