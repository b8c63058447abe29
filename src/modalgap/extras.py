"""Optional libraries: one line says what to install where one is missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from modalgap.errors import InputError, ModalgapError

TRAIN = ("yaml", "lightning_fabric", "open_clip", "torchvision", "cv2")  # of training on MAD


def import_extra(name: str, extra: str, what: str, kind: type[ModalgapError] = InputError) -> Any:
    """Import a module of an extra, or one of this package that imports such modules.

    Args:
        name: of the module.
        extra: that brings it.
        what: needs it, as the error says it.
        kind: of the error.

    Raises:
        ModalgapError: of ``kind``: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = (error.name or name).partition(".")[0]
        if missing == "modalgap":
            raise
        why = "" if isinstance(error, ModuleNotFoundError) else f" ({str(error)[:120]})"
        raise kind(f"{_said(what, missing, extra)}{why}") from error


def require(extra: str, what: str, *names: str) -> None:
    """Refuse before any work where a module of an extra is missing; nothing is imported.

    Raises:
        InputError: one is not installed.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise InputError(_said(what, name, extra))


def _said(what: str, name: str, extra: str) -> str:
    return f"{what} needs {name}: pip install 'modalgap[{extra}]'"
