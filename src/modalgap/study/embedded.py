"""The embedded data of studies: pairs of small models that are trained on MAD.

A study whose paper uses a large pretrained model runs on these by default: they need no download
and a minute of training, and studies share them. A file of real features replaces them: ``planned``
and ``pairs`` accept both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modalgap.checks import Several, several
from modalgap.data.mad import Mad
from modalgap.embeddings import Pair
from modalgap.embeddings.store import load
from modalgap.encode import load_model
from modalgap.errors import InputError, OptionError, quoted
from modalgap.study.judge import classified, embed, mad_of
from modalgap.study.plan import Work
from modalgap.train import Config, load_config
from modalgap.train.captions import captions_of

CAPTIONS = {"short": "object_attribute_1", "full": "object_attribute_5"}
TITLES = {
    "short": "MAD, short captions",
    "full": "MAD, full captions",
    "untrained": "MAD, untrained",
}
SETTINGS = ("steps=450", "watch.measure=150", "watch.tensorboard=false")


def models(*names: str, settings: Sequence[str] = ()) -> dict[str, Config]:
    """Configurations of embedded models.

    Args:
        names: "short" (captions of the digit and one attribute), "full" (captions of the digit and
            all five attributes), "untrained" (before training).
        settings: training settings of the caller, which take precedence.
    """
    result = {}
    for name in names:
        captions = CAPTIONS.get(name, CAPTIONS["full"])
        own = ["steps=0"] if name == "untrained" else []
        result[name] = load_config("mad", [*SETTINGS, f"data.captions={captions}", *own, *settings])
    return result


def planned(file: str | Path, *names: str) -> tuple[dict[str, Any], dict[str, Config]]:
    """Settings and models of a plan: for a file, or for embedded models if the file is "".

    Args:
        file: embeddings of images and texts, or "".
        names: the embedded models that are used without a file, see ``models``.
    """
    if not file:
        return {"embedded": list(names)}, models(*names)
    return {"pair": str(file), "fingerprint": paired(file).fingerprint}, {}


def paired(file: str | Path) -> Pair:
    """The pair in a file.

    Raises:
        InputError: the file has one modality, or more than two.
    """
    found = load(file)
    if not isinstance(found, Pair):
        raise InputError(f"{file}: must hold two modalities")
    return found


def files(name: str, paths: Several[str | Path], *, empty: bool = True) -> list[str]:
    """The files of an option that accepts several.

    Args:
        name: the name of the option.
        paths: one file or a list of files; "" for none.
        empty: whether an empty list means none.

    Raises:
        OptionError: not paths, an empty string in a list, or an empty list.
    """
    if isinstance(paths, str) and not paths:
        return []
    found = several(name, paths, least=0 if empty else 1)
    for each in found:
        if not isinstance(each, str | Path) or not str(each):
            raise OptionError(f"{name} must be the path of a file, or several; got {quoted(each)}")
    return [str(each) for each in found]


def stem(file: str | Path, *taken: str) -> str:
    """The name of a file in tables: without its folder and extension.

    Raises:
        InputError: it is one of ``taken``, the names of other rows.
    """
    found = Path(file).stem
    if found in taken:
        raise InputError(
            f"{file}: must not have the name of another row, {quoted(found)}; rename the file"
        )
    return found


def pairs(work: Work) -> dict[str, Pair]:
    """The pairs of a plan made by ``planned``: title to pair.

    Embedded pairs are images of held-out digits with their captions; their factors are the object
    and the five attributes.
    """
    if "pair" in work.settings:
        file = work.settings["pair"]
        return {stem(file): paired(file)}
    mad = mad_of(work.runs)
    return {TITLES[name]: held_out(work, name, mad) for name in work.settings["embedded"]}


def held_out(work: Work, name: str, mad: Mad | None = None) -> Pair:
    """Images of held-out digits and their captions, encoded by an embedded model."""
    run = work.runs[name]
    return embed(run, mad or mad_of(work.runs), captions_of(run.config.data.captions))


def classes(work: Work, name: str = "full") -> Mapping[str, Pair]:
    """Factor to the images of held-out digits, the prompts of its values, and the labels.

    The factors are those that the model's captions name: "object", and attributes.
    """
    run = work.runs[name]
    captions = captions_of(run.config.data.captions)
    return classified(held_out(work, name), load_model(run.spec), captions)
