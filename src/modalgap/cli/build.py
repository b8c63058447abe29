"""Commands made from registries: one command per method, and help that lists its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any

import typer
from typer.core import TyperCommand

from modalgap.cli import options
from modalgap.cli.catalogue import CATALOGUE
from modalgap.cli.describe import Option, Registry
from modalgap.cli.group import Commands, group
from modalgap.errors import OptionError

CLOSERS = Registry(*CATALOGUE["closers"])
INVERSIONS = Registry(*CATALOGUE["inversions"])
MEASURES = Registry(*CATALOGUE["measures"])
TASKS = Registry(*CATALOGUE["tasks"])
SIMULATIONS = Registry(*CATALOGUE["simulations"])
STUDIES = Registry(*CATALOGUE["studies"])
PROTOCOLS = Registry("modalgap.search.registry", "PROTOCOLS")
SPELT_OUT = ("seed",)  # options of methods that commands have as an option of their own


def methods(
    name: str,
    about: str,
    registry: Registry,
    run: Callable[..., None],
    *,
    several: str = "methods",
    one: str = "",
    of_methods: tuple[str, ...] = (),
) -> typer.Typer:
    """A group with one command for each method of a registry.

    Args:
        name: of the group.
        about: its help.
        registry: of the methods.
        several: what the methods are called in the help.
        one: what a method is called in messages; by default "method of NAME".
        of_methods: options of the command that are passed to the method; the help of a method
            without such an option does not show it.
        run: what a command does; its first parameter is the name of the method, the others are
            the arguments and options of the command.
    """

    class Methods(Commands):
        def list_commands(self, ctx: Any) -> list[str]:
            return [*registry.names(), *super().list_commands(ctx)]

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if cmd_name in self.commands or cmd_name not in registry.names():
                return super().get_command(ctx, cmd_name)
            return _command(cmd_name, registry, run, of_methods)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            if not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
                kind = one or f"method of {_verb(ctx)}"
                raise OptionError.unknown(kind, args[0], self.list_commands(ctx))
            return super().resolve_command(ctx, args)

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            with formatter.section(several.capitalize()):
                formatter.write_dl(
                    [(each, registry.describe(each).idea) for each in registry.names()]
                )
            if self.commands:
                super().format_commands(ctx, formatter)

    made = group(name, about, cls=Methods, no_args_is_help=True)
    made.callback()(lambda: None)  # without it, typer refuses a group that has no other commands
    return made


def _verb(ctx: Any) -> str:
    """The command without the name of the program, which may have spaces: python -m modalgap."""
    names = []
    while ctx is not None and ctx.parent is not None:
        names.append(ctx.info_name)
        ctx = ctx.parent
    return " ".join(reversed(names))


def with_options(*registries: Registry) -> type[TyperCommand]:
    """The class of a command that runs many methods: its help lists all their options."""

    class Command(TyperCommand):
        def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
            owners: dict[str, list[str]] = {}
            for registry in registries:
                for name in registry.names():
                    for option in registry.options(name):
                        owners.setdefault(option.name, []).append(name)
            _section(
                formatter,
                "Options for --set NAME=VALUE, and the methods that have them",
                {name: ", ".join(each) for name, each in owners.items() if name not in SPELT_OUT},
            )

    return Command


def with_entries(title: str, registry: Registry) -> type[TyperCommand]:
    """The class of a command whose help lists the entries of a registry."""

    class Command(TyperCommand):
        def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
            _section(formatter, title, registry.entries())

    return Command


def _command(
    name: str, registry: Registry, run: Callable[..., None], of_methods: tuple[str, ...]
) -> Any:
    """The command of one method."""
    about = registry.describe(name)

    class Command(TyperCommand):
        def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
            own = [each for each in about.options if each.name not in SPELT_OUT]
            title = f"Options of {name} for --set NAME=VALUE, and their defaults"
            _section(formatter, title, {each.shown: _meaning(each) for each in own})

    names = {each.name for each in about.options}
    one = typer.Typer(add_completion=False, rich_markup_mode=None)
    one.command(name, help=f"{about.title}. {about.idea} Source: {about.source}.", cls=Command)(
        _bound(run, name)
    )
    made: Any = typer.main.get_command(one)
    for parameter in made.params:
        if parameter.name in of_methods and parameter.name not in names:
            parameter.hidden = True  # it is still read, so that the error names the method
    return made


def _meaning(option: Option) -> str:
    """The meaning as a sentence: a symbol or a value at its start keeps its form."""
    text = option.meaning.replace("``", "")
    first = text.partition(" ")[0]
    word = first.isascii() and first.isalpha() and (len(first) > 1 or first == "a")
    return text[:1].upper() + text[1:] if word else text


def _section(formatter: Any, title: str, rows: Mapping[str, str]) -> None:
    """A section of a help page; nothing where there are no rows."""
    if rows:
        with formatter.section(title):
            formatter.write_dl(list(rows.items()))


def _bound(run: Callable[..., None], method: str) -> Callable[..., None]:
    """``run`` with a fixed method as its first argument."""
    signature = inspect.signature(run, eval_str=True)
    _, *parameters = signature.parameters.values()

    def command(**given: Any) -> None:
        run(method, **given)

    return signed(command, parameters)


def spread(run: Callable[..., None]) -> Callable[..., None]:
    """A command in which the fields of parameters that are dataclasses are options of their own.

    Arguments and options that several commands share are written once, in one dataclass.
    """
    signature = inspect.signature(run, eval_str=True)
    kinds: dict[str, Callable[..., Any]] = {
        name: each.annotation
        for name, each in signature.parameters.items()
        if isinstance(each.annotation, type) and is_dataclass(each.annotation)
    }
    groups = {
        name: (kind, inspect.signature(kind, eval_str=True).parameters)
        for name, kind in kinds.items()
    }

    def command(*method: str, **given: Any) -> None:
        made = {
            name: kind(**{field: given.pop(field) for field in fields})
            for name, (kind, fields) in groups.items()
        }
        run(*method, **made, **given)

    command.__doc__, command.__name__ = run.__doc__, run.__name__
    parameters: list[inspect.Parameter] = []
    for name, each in signature.parameters.items():
        parameters += groups[name][1].values() if name in groups else [each]
    return signed(command, sorted(parameters, key=lambda each: each.default is not each.empty))


def placed(run: Callable[..., None]) -> Callable[..., None]:
    """A command with the option ``--on``: it runs in a block ``on(WHERE)``."""
    signature = inspect.signature(run, eval_str=True)

    def command(*method: str, on: str = "here", **given: Any) -> None:
        from modalgap.work import on as block

        with block(on):
            run(*method, **given)

    command.__doc__, command.__name__ = run.__doc__, run.__name__
    option = inspect.Parameter(
        "on", inspect.Parameter.KEYWORD_ONLY, default="here", annotation=options.On
    )
    return signed(command, [*signature.parameters.values(), option])


def signed(
    command: Callable[..., None], parameters: Iterable[inspect.Parameter]
) -> Callable[..., None]:
    """A function that typer sees with other parameters than its own."""
    found = list(parameters)
    command.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in found}
    return command
