"""Optional libraries: if one is missing, the error says what to install."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from modalgap.errors import InputError, ModalgapError

TRAIN = ("yaml", "lightning_fabric", "open_clip", "torchvision", "cv2")  # of training on MAD


def import_extra(name: str, extra: str, what: str, kind: type[ModalgapError] = InputError) -> Any:
    """Import a module of an extra, or one of this package that imports such modules.

    Args:
        name: the name of the module.
        extra: the extra that installs it.
        what: what needs it, for the error.
        kind: the class of the error.

    Raises:
        ModalgapError: an error of class ``kind``: the module is not installed, or cannot be
            imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = (error.name or name).partition(".")[0]
        if missing == "modalgap":
            raise
        why = "" if isinstance(error, ModuleNotFoundError) else f" ({str(error)[:120]})"
        raise kind(f"{_missing(what, missing, extra)}{why}") from error


def require(extra: str, what: str, *names: str) -> None:
    """Raise an error if a module of an extra is missing, before the work starts. Imports nothing.

    Raises:
        InputError: one is not installed.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise InputError(_missing(what, name, extra))


def _missing(what: str, name: str, extra: str) -> str:
    return f"{what} needs {name}: pip install 'modalgap[{extra}]'"
