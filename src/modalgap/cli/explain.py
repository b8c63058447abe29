"""modalgap explain."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modalgap.errors import OptionError

if TYPE_CHECKING:
    from modalgap.method import Method


class Kind(StrEnum):
    """What can be explained."""

    measure = "measure"
    closer = "closer"
    task = "task"
    loss = "loss"
    correction = "correction"
    inversion = "inversion"


def explain(
    name: Annotated[
        str, typer.Argument(help="A measure, closer, task, loss, correction or inversion.")
    ],
    kind: Annotated[
        Kind | None,
        typer.Option(
            "--kind",
            help="Kind of method, if several kinds have one of this name.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")
    ] = False,
) -> None:
    """Explain a method: what it does, its definition, equation, source, file and options."""
    method = _found(name, kind)
    if json:
        import json as jsonlib

        typer.echo(jsonlib.dumps(described(method), indent=2, ensure_ascii=False))
    else:
        _print(method)


def described(method: Method) -> dict[str, Any]:
    """All that is known of a method; plain JSON types."""
    import dataclasses

    from modalgap.method import definition, option_notes

    return {
        "kind": method.kind,
        "name": method.name,
        "card": _plain(dataclasses.asdict(method.card)),
        "definition": definition(method),
        "file": _file(method),
        "source": method.card.source,
        "options": _plain(dict(method.options)),
        "options_text": option_notes(method),
    }


def _registries() -> dict[Kind, dict[str, Method]]:
    from modalgap.close import CLOSERS, CORRECTIONS
    from modalgap.evaluate import TASKS
    from modalgap.invert import METHODS
    from modalgap.losses import LOSSES
    from modalgap.measure import MEASURES

    return {
        Kind.measure: {**MEASURES},
        Kind.closer: {**CLOSERS},
        Kind.task: {**TASKS},
        Kind.loss: {**LOSSES},
        Kind.correction: {**CORRECTIONS},
        Kind.inversion: {**METHODS},
    }


def _found(name: str, kind: Kind | None) -> Method:
    """The method of a name, of this kind if one is given."""
    from modalgap.measure.registry import measure_of

    registries = _registries()
    kinds = list(registries) if kind is None else [kind]
    fitting = [each for each in kinds if name in registries[each]]
    if len(fitting) > 1:
        said = " and a ".join(fitting)
        choices = " or ".join(f"--kind {each}" for each in fitting)
        raise OptionError(f"{name} is a {said}; choose with {choices}")
    if fitting:
        return registries[fitting[0]][name]
    alias = {"zeroshot": "zero_shot"}.get(name, name)
    if alias in registries[Kind.task] and Kind.task in kinds:
        return registries[Kind.task][alias]
    behind = measure_of(name) if Kind.measure in kinds else None
    if behind is not None:  # "cone_image", as results name it
        return behind
    known = {each for which in kinds for each in registries[which]}
    raise OptionError.unknown("method" if kind is None else kind.value, name, known)


def _file(method: Method) -> str:
    """The file of a method inside the package: "modalgap/measure/rmg.py"."""
    return f"{method.body.__module__.replace('.', '/')}.py"


def _plain(value: Any) -> Any:
    """JSON types."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | None) else repr(value)


def _print(method: Method) -> None:
    from rich.console import Console

    about = described(method)
    card = about["card"]
    console = Console(highlight=False, soft_wrap=True)

    def line(head: str, text: object) -> None:
        if text not in ("", None, [], False):
            said = ", ".join(map(str, text)) if isinstance(text, list) else str(text)
            console.print(f"{head:<14}{said}", markup=False)

    line(method.kind, method.name)
    line("title", card.pop("title"))
    card.pop("name")
    for head in ("question", "idea", "equation", "source"):
        line(head, card.pop(head, ""))
    for head, text in card.items():
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
