"""Packages that are verbs: ``mg.measure`` is a folder of measures and may be called.

The import system binds a sub-package to its parent when it is first imported, so whether the name
is a function or a package would depend on the order of imports. A callable package is always both.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


def callable_package(name: str, verb: Callable[..., Any]) -> None:
    """Let the package ``name`` be called as ``verb``; ``help`` shows the verb's arguments."""
    module = sys.modules[name]
    module.__class__ = _Verb
    module.__dict__["__wrapped__"] = verb
    call = f"{name}{readable(inspect.signature(verb))}"
    module.__doc__ = f"{module.__doc__}\n{call}\n\n{inspect.getdoc(verb)}\n"


class _Bare(str):
    """An annotation that is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def readable(signature: inspect.Signature) -> inspect.Signature:
    """The same signature, with annotations shown as in the source code."""

    def bare(annotation: Any) -> Any:
        return _Bare(annotation) if isinstance(annotation, str) else annotation

    return signature.replace(
        parameters=[
            each.replace(annotation=bare(each.annotation)) for each in signature.parameters.values()
        ],
        return_annotation=bare(signature.return_annotation),
    )
