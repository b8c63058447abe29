"""Packages that are verbs: ``mg.measure`` is a folder of measures and may be called.

The import system binds a sub-package to its parent as soon as anything imports it, so a function of
the same name would be there or not depending on the order of imports. A callable package is always
both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


def callable_package(name: str, verb: Callable[..., Any]) -> None:
    """Let the package ``name`` be called as ``verb``; its signature is the verb's."""
    module = sys.modules[name]
    module.__class__ = _Verb
    module.__dict__["__wrapped__"] = verb
