"""The embedded zoo: a dozen models trained on MAD, and some on emoji, to compare models.

The models differ in size, data, captions, temperature, loss and length of training. A folder made
by ``modalgap zoo`` replaces them: ``planned`` and ``zoo_of`` accept both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalgap.data.mad import Mad
from modalgap.encode import Encoder, load_model
from modalgap.errors import OptionError
from modalgap.evaluate import evaluate
from modalgap.progress import progress
from modalgap.result import Value
from modalgap.study import embedded
from modalgap.study.emoji import zoo as emoji_zoo
from modalgap.study.emoji.models import EMOJI
from modalgap.study.judge import classified, embed, mad_of
from modalgap.study.plan import Work
from modalgap.train import Config, Run, load_config
from modalgap.train.captions import captions_of
from modalgap.zoo import Zoo
from modalgap.zoo.cell import Settings, numbers
from modalgap.zoo.facts import facts_of
from modalgap.zoo.results import MODELS, RESULTS

PAIRS, OBJECTS, ATTRIBUTES = "MAD", "MAD digits", "MAD attributes"  # data sets of the zoo
TOP1 = "zero_shot.top1"
DIGITS = 1797  # of scikit-learn
# of the pairs of every model; mixed search is computed for studies of closing
SETTINGS = Settings(
    measures=("rmg", "l2m", "matched_cosine", "moad", "score_spread_ratio"),
    tasks=("retrieval", "mixed"),
    closers=("center",),
)
SMALL: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": 28,
            "layers": 2,
            "width": 48,
            "head_width": 24,
            "patch_size": 7,
        },
        "text_cfg": {
            "context_length": 8,
            "hf_tokenizer_name": "words",
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}
FULL = f"data.captions={embedded.CAPTIONS['full']}"
SHORT = f"data.captions={embedded.CAPTIONS['short']}"
SIGLIP = ("losses={siglip: 1.0}", "model.architecture=mad_cnn_siglip")
# name: what differs from the configuration of the embedded models
ZOO: dict[str, tuple[str, ...]] = {
    "digit only": ("data.captions=object_only",),
    "1 attribute": (SHORT,),
    "2 attributes": ("data.captions=object_attribute_2",),
    "3 attributes": ("data.captions=object_attribute_3",),
    "5 attributes": (FULL,),
    "200 digits": (FULL, "data.limit=200", "batch=128"),
    "600 digits": (FULL, "data.limit=600"),
    "150 steps": (FULL, "steps=150", "watch.measure=50"),
    "ViT": (FULL, "model.architecture=mad_vit"),
    "small ViT": (FULL, f"model.architecture={json.dumps(SMALL)}"),
    "frozen τ = 0.2": (FULL, "temperature.mode=frozen", "temperature.initial=0.2"),
    "SigLIP": (FULL, *SIGLIP),
}


def models() -> dict[str, Config]:
    """The configurations; those that other studies use are equal to theirs, and trained once."""
    return {
        name: load_config("mad", [*embedded.SETTINGS, *settings]) for name, settings in ZOO.items()
    }


def planned(folder: str | Path, *, emoji: bool = False) -> tuple[dict[str, Any], dict[str, Config]]:
    """Settings and models of a plan: for the folder of a zoo, or for the embedded zoo if it is "".

    Args:
        folder: the folder, or "".
        emoji: whether the embedded zoo also has the models trained on emoji.

    Raises:
        OptionError: both are given.
        MissingData: the data set emoji is not there.
        FileError: the folder has no results of a zoo.
    """
    if folder and emoji:
        raise OptionError("emoji must not be given with zoo, which replaces the embedded models")
    if not folder:
        found = models() | (emoji_zoo.models() if emoji else {})
        return {"zoo": list(found)}, found
    Zoo.read(folder)  # refused before anything is written
    both = b"".join((Path(folder) / name).read_bytes() for name in (RESULTS, MODELS))
    return {"folder": str(folder), "state": hashlib.sha256(both).hexdigest()[:16]}, {}


def zoo_of(work: Work) -> Zoo:
    """The zoo of a plan made by ``planned``."""
    if "folder" in work.settings:
        return Zoo.read(work.settings["folder"])
    mad = mad_of(work.runs)  # the first model is one of MAD
    values: dict[str, dict[str, dict[str, Value]]] = {}
    facts: dict[str, dict[str, str | float]] = {}
    with progress("measuring", len(work.runs)) as advance:
        for name, run in work.runs.items():
            encoder = load_model(run.spec)
            if run.config.data.source == EMOJI:
                values[name] = emoji_zoo.values_of(run, SETTINGS)
                facts[name] = {**facts_of(encoder), **_training(run, EMOJI, emoji_zoo.trained())}
            else:
                values[name] = _on_mad(run, mad, encoder)
                facts[name] = {**facts_of(encoder), **_training(run, "MAD", DIGITS)}
            advance(1)
    return Zoo(values=values, models=facts)


def _on_mad(run: Run, mad: Mad, encoder: Encoder) -> dict[str, dict[str, Value]]:
    """Data set to numbers of a model, on held-out digits."""
    captions = captions_of(run.config.data.captions)
    pair = embed(run, mad, captions)
    classes = classified(pair, encoder, captions)
    values = {
        PAIRS: dict(numbers(pair, SETTINGS)),
        OBJECTS: dict(evaluate(classes.pop("object"), "zero_shot")),
    }
    if classes:
        found = [evaluate(each, "zero_shot")[TOP1].value for each in classes.values()]
        values[ATTRIBUTES] = {TOP1: Value(sum(found) / len(found))}
    return values


def _training(run: Run, data: str, pairs: int) -> Mapping[str, str | float]:
    """Facts about the training; images drawn in training are the samples that were seen."""
    config = run.config
    return {
        "training_data": data,
        "captions": str(config.data.captions),
        "training_pairs": float(config.data.limit or pairs) / 1e6,
        "samples_seen": run.steps * config.batch / 1e6,
    }
