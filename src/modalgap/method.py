"""Method: the base of measures, closers, tasks, losses, corrections and inversions.

A method is a card (its description) and a rule (the function that computes it). It is called like a
function, ``help`` shows its definition, and its object is accepted in place of its name.
"""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from modalgap._lazy import readable
from modalgap.card import Card
from modalgap.errors import OptionError, quoted

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    Options = ParamSpec("Options", default=...)
else:
    from typing import ParamSpec

    Options = ParamSpec("Options")


class Method(ABC):
    """A card and a rule; the base of every kind of method.

    Attributes:
        card: its description.
        kind: the word for this kind of method.
    """

    kind: ClassVar[str]
    skip: ClassVar[int] = 1  # parameters of the rule that are not options
    card: Card

    def __post_init__(self) -> None:
        for name, value in (
            ("__doc__", document(self)),
            ("__name__", self.name),
            ("__qualname__", self.name),
            ("__module__", self.body.__module__),
            ("__signature__", self._call_signature()),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        """The method itself: with ``__get__``, ``help`` treats it as a function."""
        return self

    @property
    def name(self) -> str:
        """The name on the card."""
        return self.card.name

    def names(self, modalities: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        """The names under which its numbers appear."""
        return (self.name,)

    @property
    @abstractmethod
    def body(self) -> Callable[..., Any]:
        """The function that computes it."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Options and their defaults."""
        parameters = list(inspect.signature(self.body).parameters.values())[self.skip :]
        return {each.name: each.default for each in parameters}

    def check_options(self, options: Mapping[str, Any], *more: str) -> None:
        """Refuse options that this method does not have.

        Args:
            options: the options of a call.
            more: further names that are allowed.
        """
        for name in options:
            if name not in self.options and name not in more:
                known = [*self.options, *more]
                raise OptionError.unknown(f"option of {self.name}", str(name), known)

    def _call_signature(self) -> inspect.Signature:
        """The signature of a call: the arguments, and the options of this method by name."""
        own = list(inspect.signature(type(self).__call__).parameters.values())[1:]
        arguments = [each for each in own if each.kind not in (each.VAR_POSITIONAL,)]
        rest = [each for each in arguments if each.kind is each.VAR_KEYWORD]
        arguments = [each for each in arguments if each.kind is not each.VAR_KEYWORD]
        taken = {each.name for each in arguments}
        options = list(inspect.signature(self.body).parameters.values())[self.skip :]
        named = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for each in options
            if each.name not in taken
        ]
        return readable(inspect.Signature(arguments + named if rest else arguments))


def document(method: Method) -> str:
    """The text that ``help`` shows: what it does, equation, source, notes and options."""
    card = method.card
    parts = [f"{card.title}. {card.question}".strip(), card.idea]
    if card.equation:
        parts.append(f"Equation (LaTeX): {card.equation}")
    parts.append(f"Source: {card.source}")
    definition_text = definition(method)
    if definition_text:
        parts.append(f"Definition\n----------\n{definition_text}")
    if method.options:
        listed = "\n".join(f"    {name} = {value!r}" for name, value in method.options.items())
        parts.append(f"Options and their defaults:\n{listed}")
    notes = option_notes(method)
    if notes:
        parts.append(notes)
    return "\n\n".join(parts)


def option_notes(method: Method) -> str:
    """The docstring of the rule, which describes its options."""
    return inspect.getdoc(method.body) or ""


def definition(method: Method) -> str:
    """The text at the top of the file that defines the method."""
    module = sys.modules.get(method.body.__module__)
    return inspect.cleandoc(module.__doc__) if module is not None and module.__doc__ else ""


Kind = TypeVar("Kind", bound=Method)


def pick(value: object, known: Mapping[str, Kind], kind: type[Kind], argument: str) -> Kind:
    """The method of a name, or a method object of the user's own.

    Args:
        value: a name or a method.
        known: the registry of the names.
        kind: the class of methods that is accepted.
        argument: the name of the argument, for the error.

    Raises:
        OptionError: an unknown name, or neither a name nor such a method.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise OptionError(
            f"{argument} must be the name of a {kind.kind} or a {kind.__name__};"
            f" got {quoted(value)}"
        )
    if value not in known:
        raise OptionError.unknown(kind.kind, value, known)
    return known[value]


def collect(names: Mapping[str, object], kind: type[Kind]) -> dict[str, Kind]:
    """The registry of a kind: its methods among the names of a module, in the order of imports."""
    found = [each for each in names.values() if isinstance(each, kind)]
    return {each.name: each for each in found}
