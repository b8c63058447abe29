"""modalgap explain."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.cli import data, options
from modalgap.cli.catalogue import SINGULAR, card, methods, plain
from modalgap.errors import OptionError

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
    every = {each for which in known.values() for each in which}
    raise OptionError.unknown("method" if kind is None else kind.value, name, every)


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
