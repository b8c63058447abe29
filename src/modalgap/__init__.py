"""Measure, explain and close the modality gap of CLIP-like embeddings.

    >>> import modalgap as mg
    >>> pair = mg.load("embeddings.npz")
    >>> print(mg.measure(pair))
    >>> mg.report(pair, "report.html")

Verbs are packages that can be called: ``mg.measure(pair)`` runs every measure that applies and
``mg.measure.rmg(images, texts)`` runs one. Importing this module loads neither torch nor
matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from modalgap import errors
from modalgap._version import __version__
from modalgap.errors import ModalgapError, quoted

if TYPE_CHECKING:
    from modalgap import data, losses
    from modalgap._face import (
        close,
        encode,
        evaluate,
        explore,
        invert,
        measure,
        report,
        search,
        simulate,
        study,
        train,
        zoo,
    )
    from modalgap.advise.compare import compare
    from modalgap.advise.preflight import preflight
    from modalgap.embeddings import Embeddings, Modalities, Pair
    from modalgap.embeddings.saving import save
    from modalgap.embeddings.store import load, load_embeddings
    from modalgap.result import Result

_HOMES = {
    "Embeddings": "embeddings",
    "Modalities": "embeddings",
    "Pair": "embeddings",
    "load": "embeddings.store",
    "load_embeddings": "embeddings.store",
    "save": "embeddings.saving",
    "close": "",
    "compare": "advise",
    "data": "",
    "encode": "",
    "evaluate": "",
    "explore": "",
    "invert": "",
    "losses": "",
    "measure": "",
    "preflight": "advise",
    "report": "",
    "search": "",
    "simulate": "",
    "study": "",
    "train": "",
    "zoo": "",
    "Result": "result",
}

__all__ = [
    "Embeddings",
    "ModalgapError",
    "Modalities",
    "Pair",
    "Result",
    "__version__",
    "close",
    "compare",
    "data",
    "encode",
    "errors",
    "evaluate",
    "explore",
    "invert",
    "load",
    "load_embeddings",
    "losses",
    "measure",
    "preflight",
    "report",
    "save",
    "search",
    "simulate",
    "study",
    "train",
    "zoo",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {quoted(__name__)} has no attribute {quoted(name)}")
    if home == "":  # a verb: the package itself, which is callable
        return importlib.import_module(f"{__name__}.{name}")
    result = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = result
    return result


def __dir__() -> list[str]:
    return list(__all__)
