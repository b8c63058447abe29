"""ImageNet's thousand classes: their WordNet numbers, their names, and CLIP's eighty templates.

Numbers and order come from timm; names and templates from open_clip, which has those of Radford et
al. 2021. Two pairs of classes have the same name: 657 and 744 are both "missile", 836 and 837 both
"sunglasses". The names stay, since published accuracies use them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from modalgap.errors import InputError
from modalgap.extras import import_extra

CLASSES = 1000
FIRST = "n01440764"


@cache
def wnids() -> tuple[str, ...]:
    """The WordNet number of each class, in the order of the classes.

    Raises:
        InputError: timm is not installed.
    """
    result = tuple(_library("timm.data").ImageNetInfo().label_names())
    _check(result, "timm")
    return result


@cache
def names() -> dict[str, str]:
    """Map each WordNet number to its class name in prompts.

    Raises:
        InputError: open_clip or timm is not installed.
    """
    found = _library("open_clip").IMAGENET_CLASSNAMES
    _check(found, "open_clip")
    return dict(zip(wnids(), found, strict=True))


@cache
def templates() -> tuple[str, ...]:
    """The eighty templates with ``{}`` for the class name of CLIP's ImageNet accuracy.

    Raises:
        InputError: open_clip is not installed.
    """
    found = _library("open_clip").OPENAI_IMAGENET_TEMPLATES
    return tuple(str(template("{}")) for template in found)


def _check(found: object, library: str) -> None:
    if not isinstance(found, list | tuple) or len(found) != CLASSES:
        raise InputError(f"{library}: must have {CLASSES} classes of ImageNet; found others")


def _library(name: str) -> Any:
    return import_extra(name, "models", "ImageNet")
