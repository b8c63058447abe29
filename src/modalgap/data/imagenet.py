"""ImageNet's thousand classes: their WordNet numbers, their names, and CLIP's eighty sentences.

Numbers and order come from timm; names and sentences from open_clip, which keeps those of Radford
et al. 2021. Two pairs of classes share a name there: 657 and 744 are both "missile", 836 and 837
both "sunglasses". Published accuracies are made with these names, so they stay.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from modalgap.errors import InputError

CLASSES = 1000
FIRST = "n01440764"


@cache
def wnids() -> tuple[str, ...]:
    """The WordNet number of each class, in the order of the classes.

    Raises:
        InputError: timm is not installed.
    """
    try:
        import timm.data
    except ImportError as error:
        raise _missing("timm") from error
    library: Any = timm.data  # typed in part only
    found = tuple(library.ImageNetInfo().label_names())
    _check(found, "timm")
    return found


@cache
def names() -> dict[str, str]:
    """What each WordNet number is called in a prompt.

    Raises:
        InputError: open_clip or timm is not installed.
    """
    try:
        from open_clip import IMAGENET_CLASSNAMES
    except ImportError as error:
        raise _missing("open_clip") from error
    _check(IMAGENET_CLASSNAMES, "open_clip")
    return dict(zip(wnids(), IMAGENET_CLASSNAMES, strict=True))


@cache
def templates() -> tuple[str, ...]:
    """The eighty sentences with ``{}`` for the name that CLIP's ImageNet accuracy is a mean over.

    Raises:
        InputError: open_clip is not installed.
    """
    try:
        from open_clip import OPENAI_IMAGENET_TEMPLATES
    except ImportError as error:
        raise _missing("open_clip") from error
    return tuple(str(template("{}")) for template in OPENAI_IMAGENET_TEMPLATES)


def _check(found: object, library: str) -> None:
    if not isinstance(found, list | tuple) or len(found) != CLASSES:
        raise InputError(f"{library}: must know {CLASSES} classes of ImageNet; it does not")


def _missing(library: str) -> InputError:
    return InputError(
        f"ImageNet's classes need {library}, which is not installed: pip install 'modalgap[models]'"
    )
