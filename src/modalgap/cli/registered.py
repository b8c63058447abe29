"""A group of commands made from a registry: one command per method, with the same options for all.

The registry is read when a command of the group is called, so that ``modalgap --help`` stays fast.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli.catalogue import methods
from modalgap.cli.group import Commands
from modalgap.errors import OptionError, quoted

if TYPE_CHECKING:
    from modalgap.method import Method

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="An option of the method, listed above; may be repeated.",
        show_default=False,
    ),
]


def registered(
    name: str, kind: str, about: str, make: Callable[[Method], Callable[..., None]]
) -> typer.Typer:
    """A group with one command for each method of a registry.

    Args:
        name: of the group.
        kind: of the methods, in the plural, as ``modalgap list`` has it.
        about: the help of the group.
        make: gives the function of the command of a method; its docstring is not read.
    """

    class Group(Commands):
        """The commands of the registry."""

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
            """The names in the registry."""
            return list(methods(kind))

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
            """The command of this name."""
            known = methods(kind)
            if cmd_name not in known:
                singular = next(iter(known.values())).kind
                raise OptionError.unknown(singular, cmd_name, known)
            return _command(known[cmd_name], make(known[cmd_name]))

    made = typer.Typer(
        name=name, help=about, cls=Group, rich_markup_mode=None, no_args_is_help=True
    )
    made.callback()(lambda: None)
    return made


def _command(method: Method, work: Callable[..., None]) -> Any:
    from typer.main import get_command

    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    alone.command(method.name, help=described(method), short_help=method.card.idea)(work)
    return get_command(alone)


def described(method: Method) -> str:
    """The help of a command: what the method does, its source, and its options."""
    card = method.card
    said = [f"{card.title}. {card.idea}", f"Source: {card.source}."]
    minutes = getattr(method, "minutes", 0)
    if minutes:
        said.append(f"Takes about {minutes:g} minutes on two cores.")
    lines = option_lines(method)
    if lines:
        said.append("\b\nOptions for --set NAME=VALUE, with their defaults:\n" + "\n".join(lines))
    return "\n\n".join(said)


def option_lines(method: Method) -> list[str]:
    """Each option with its default and what its docstring says."""
    notes = _notes(method.body)
    lines = []
    for name, default in method.options.items():
        lines.append(f"  {name} = {typed(default)}")
        if name in notes:
            lines += textwrap.wrap(notes[name], 70, initial_indent=" " * 6,
                                   subsequent_indent=" " * 6)  # fmt: skip
    return lines


def typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={typed(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ",".join(map(typed, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _notes(rule: Callable[..., Any]) -> dict[str, str]:
    """The entries of ``Args:`` in a docstring, each in one line."""
    text = inspect.getdoc(rule) or ""
    block = text.partition("Args:\n")[2]
    block = re.split(r"\n\S|\n\n", block)[0]
    entries = re.split(r"\n?^ {4}(?=\S)", block, flags=re.M)
    pairs = (" ".join(each.split()).partition(": ") for each in entries if each.strip())
    return {name: note for name, _, note in pairs}


def parse(settings: Sequence[str] | None, method: Method) -> dict[str, Any]:
    """The options of ``--set NAME=VALUE``; ``NAME.KEY=VALUE`` sets one key of a mapping.

    Raises:
        OptionError: not of this form, or an option that the method does not have.
    """
    from modalgap.checks import value_of

    found: dict[str, Any] = {}
    for each in settings or ():
        key, equals, value = each.partition("=")
        if not equals or not key.strip():
            raise OptionError(f"--set: must be NAME=VALUE; got {quoted(each)}")
        name, dot, inner = key.strip().partition(".")
        if dot and name in method.options:
            found.setdefault(name, {})[inner] = value
            continue
        default = method.options.get(key.strip())
        made = value_of(value)
        several = isinstance(default, list | tuple) and not isinstance(made, list)
        found[key.strip()] = [made] if several else made
    method.check_options(found)
    return found
