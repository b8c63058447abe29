"""modalgap explain."""

from __future__ import annotations

import difflib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data, options
from modalgap.cli.catalogue import SINGULAR, card, methods, plain
from modalgap.errors import MOST, OptionError, quoted

if TYPE_CHECKING:
    from modalgap.method import Method


Kind = StrEnum("Kind", [(name, name) for name in SINGULAR])  # type: ignore[misc]


def explain(
    name: Annotated[
        str, typer.Argument(help=f"Name of a method of any kind: {', '.join(SINGULAR)}.")
    ],
    kind: Annotated[
        Kind | None,
        typer.Option(
            "--kind",
            help="Kind of the method, if several kinds have a method of this name.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, options.json("method/1")] = False,
) -> None:
    """Explain a method: purpose, definition, equation, source, file and options."""
    method = _found(name, kind)
    if json:
        data.print_json("method/1", described(method))
    else:
        _print(method)


def described(method: Method) -> dict[str, Any]:
    """All facts about a method; plain JSON types."""
    from modalgap.method import definition, option_notes

    return {
        "kind": method.kind,
        "name": method.name,
        "card": {key: value for key, value in card(method).items() if key != "options"},
        "definition": definition(method),
        "file": _file(method),
        "source": method.card.source,
        "options": plain(dict(method.options)),
        "options_text": option_notes(method),
    }


def _found(name: str, kind: Kind | None) -> Method:
    """The method with this name, of this kind if ``kind`` is not None."""
    from modalgap.measure.names import measure_of

    kinds = list(SINGULAR) if kind is None else [kind.value]
    known = {each: methods(SINGULAR[each]) for each in kinds}
    fitting = [each for each in kinds if name in known[each]]
    if len(fitting) > 1:
        said = " and a ".join(fitting)
        commands = " or ".join(f"'modalgap explain {name} --kind {each}'" for each in fitting)
        raise OptionError(f"{name} is a {said}; type {commands}")
    if fitting:
        return known[fitting[0]][name]
    behind = measure_of(name) if "measure" in kinds else None
    if behind is not None:  # "cone_image", as results name it
        return behind
    if "task" in kinds:
        fitting = tasks_of(name)
        if len(fitting) == 1:  # "image_to_text_r1", as tables of evaluate name it
            data.note(f"{name} is a number of the task {fitting[0]}")
            return known["task"][fitting[0]]
        if fitting:
            commands = " or ".join(f"'modalgap explain {task}'" for task in fitting)
            raise OptionError(f"{name} is a number of several tasks; type {commands}")
    every = {each for which in known.values() for each in which}
    if kind is None and not difflib.get_close_matches(name[:MOST], every, n=1):
        raise OptionError(
            f"unknown method {quoted(name)}; 'modalgap list KIND' lists those that exist, KIND one"
            f" of {', '.join(SINGULAR.values())}; numbers of evaluate are named TASK.NUMBER:"
            " 'modalgap explain TASK' explains them"
        )
    raise OptionError.unknown("method" if kind is None else kind.value, name, every)


def tasks_of(number: str) -> list[str]:
    """The tasks with a number of this name: "retrieval.image_to_text_r1", or without its task.

    Of the numbers without their task, those are known that represent the task in a leaderboard,
    with any modalities, cut-offs and endings.
    """
    tasks = methods("tasks")
    first = number.partition(".")[0]
    if first in tasks:
        return [first]
    return [
        name for name, task in tasks.items()
        if any(re.fullmatch(_pattern(form), number) for form in task.card.main)
    ]  # fmt: skip


def _pattern(form: str) -> str:
    """A regular expression for the names that "{0}_to_{1}_r1" stands for."""

    def part(found: re.Match[str]) -> str:
        text = found[0]
        return r"[^\W_]+" if text[0] == "{" else r"[\d.]+" if text[0].isdigit() else re.escape(text)

    names = re.sub(r"[{]\d[}]|\d+(\.\d+)?|.", part, form)
    return names + r"(_\w+)?" if "{" in form else names


def _file(method: Method) -> str:
    """The file of a method inside the package: "modalgap/measure/rmg.py"."""
    return f"{method.body.__module__.replace('.', '/')}.py"


def _print(method: Method) -> None:
    from rich.console import Console

    about = described(method)
    told = about["card"]
    console = Console(highlight=False, soft_wrap=True)

    def line(head: str, text: object) -> None:
        if text not in ("", None, [], False):
            said = ", ".join(map(str, text)) if isinstance(text, list) else str(text)
            console.print(f"{head:<14}{said}", markup=False)

    line(method.kind, method.name)
    line("title", told.pop("title"))
    told.pop("name")
    told.pop("equation", None)  # LaTeX: the definition below says it in plain text
    for head in ("question", "idea", "source"):
        line(head, told.pop(head, ""))
    for head, text in told.items():
        line(head.replace("_", " "), text)
    line("file", about["file"])
    for head, text in (
        ("Definition", about["definition"]),
        ("Options", _options(about)),
        ("Python", f"help(modalgap.{method.body.__module__.split('.')[1]}.{method.name})"),
    ):
        if text:
            console.print(f"\n[bold]{head}[/bold]")
            console.print(text, markup=False)


def _options(about: dict[str, Any]) -> str:
    lines = [f"{name} = {value!r}" for name, value in about["options"].items()]
    notes = [about["options_text"]] if lines and about["options_text"] else []
    return "\n".join([*lines, *notes])
