"""CATALOGUE: the registries of methods, for ``list``, ``explain`` and the documentation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modalgap.method import Method

# kinds of methods: the plural for ``list``, the singular for ``explain``, and the registry
KINDS: tuple[tuple[str, str, str, str], ...] = (
    ("measures", "measure", "modalgap.measure.registry", "MEASURES"),
    ("closers", "closer", "modalgap.close.registry", "CLOSERS"),
    ("corrections", "correction", "modalgap.close.scores.registry", "CORRECTIONS"),
    ("tasks", "task", "modalgap.evaluate.registry", "TASKS"),
    ("losses", "loss", "modalgap.losses.registry", "LOSSES"),
    ("inversions", "inversion", "modalgap.invert.registry", "METHODS"),
    ("simulations", "simulation", "modalgap.simulate.registry", "SIMULATIONS"),
    ("studies", "study", "modalgap.study.registry", "STUDIES"),
)
CATALOGUE = {plural: (module, name) for plural, _, module, name in KINDS}
SINGULAR = {singular: plural for plural, singular, _, _ in KINDS}
DIRECTIONS = {"lower": "lower", "higher": "higher", "neither": ""}
Column = tuple[str, Callable[["Method"], str]]
# head and text of each column; those that are empty for a whole kind are left out
COLUMNS: tuple[Column, ...] = (
    ("name", lambda method: ", ".join(method.names(("image", "text")))),
    ("what it answers", lambda method: method.card.question),
    ("what it does", lambda method: "" if method.card.question else method.card.idea),
    ("better", lambda method: DIRECTIONS[method.card.direction]),
    ("changes", lambda method: "" if method.card.group else _rows(method)),
    ("needs", lambda method: method.card.requirements),
    ("use when", lambda method: method.card.use_when),
)


def methods(kind: str) -> Mapping[str, Method]:
    """The registry of a kind, by its name in the plural."""
    module, name = CATALOGUE[kind]
    found: Mapping[str, Method] = getattr(import_module(module), name)
    return found


def table(kind: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of the table of a kind."""
    found = list(methods(kind).values())
    columns = [each for each in COLUMNS if any(each[1](method) for method in found)]
    return (
        tuple(head for head, _ in columns),
        [tuple(text(method) for _, text in columns) for method in found],
    )


def card(method: Method) -> dict[str, Any]:
    """The card and the options of a method; plain JSON types."""
    return plain(dataclasses.asdict(method.card) | {"options": dict(method.options)})  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """JSON types."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite and isinstance(value, str | int | float | None) else repr(value)


def _rows(method: Method) -> str:
    said = " and ".join(method.card.roles)
    return f"{said} (transductive)" if getattr(method, "transductive", False) else said
