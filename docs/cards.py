"""Pages made from cards: tables to choose by, an entry per measure, models and data sets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import reproduce

from modalgap.advise import CHECKS
from modalgap.cli.catalogue import methods
from modalgap.data import DATASETS
from modalgap.data.dataset import Task
from modalgap.encode import ENCODERS
from modalgap.invert import BACKBONES
from modalgap.method import Method, definition
from modalgap.train import ready

BETTER = {"lower": "lower", "higher": "higher", "neither": ""}


def write_pages(folder: Path) -> None:
    """Write what choosing.md, measures.md, closers.md and the others include."""
    folder.mkdir(exist_ok=True)
    pages = {
        "choosing": _table("measures", "measures.md"),
        "measures": _entries("measures", 2),
        "closers": [
            *_table("closers"),
            "",
            "## Each closer",
            "",
            *_entries("closers"),
            "## Corrections of scores",
            "",
            *_entries("corrections"),
        ],
        "tasks": _table("tasks", None),
        "losses": [*_table("losses"), "", *_entries("losses")],
        "inversions": [*_table("inversions"), "", *_entries("inversions")],
        "simulations": _entries("simulations"),
        "studies": [*_table("studies"), "", *_entries("studies")],
        "models": _models(),
        "backbones": _backbones(),
        "configs": _configs(),
        "checks": _checks(),
        "data": _data(),
        "schemas": _schemas(),
        **reproduce.pages(),
    }
    for name, lines in pages.items():
        (folder / f"{name}.inc.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(kind: str, page: str | None = "") -> list[str]:
    """A table to choose by; names link to their entries on ``page``, with None to nothing."""
    columns: dict[str, Callable[[Method], str]] = {
        "Name": lambda method: _name(method, page),
        "What it answers": lambda method: method.card.question,
        "Better": lambda method: BETTER[method.card.direction],
        "Range": _range,
        "Changes": lambda method: "" if method.card.group else _changes(method),
        "Needs": lambda method: method.card.requirements,
        "Use when": lambda method: method.card.use_when,
        "Limits": lambda method: method.card.fails_when,
        "Options": lambda method: _options(method) if page is None else "",
    }
    found = list(methods(kind).values())
    used = {head: text for head, text in columns.items() if any(map(text, found))}
    lines = [f"| {' | '.join(used)} |", f"|{'---|' * len(used)}"]
    for method in found:
        cells = (text(method) or "—" for text in used.values())
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _entries(kind: str, level: int = 3) -> list[str]:
    """A paragraph on each method: what it does, equation, source, options, limits."""
    lines: list[str] = []
    for method in methods(kind).values():
        card = method.card
        names = ", ".join(f"`{name}`" for name in method.names(("image", "text")))
        said = f" ({names})" if names != f"`{card.name}`" else ""
        facts = {
            "Source": card.source,
            "Range": _range(method),
            "Better": BETTER[card.direction],
            "95 % interval": card.interval,
            "Needs": card.requirements,
            "Options": _options(method) or "none",
            "Time": _minutes(method),
            **_said(method),
        }
        lines += [f"{'#' * level} {card.name}", "", f"**{card.title}**{said}. {card.idea}", ""]
        lines += [f"$${card.equation}$$", ""] if card.equation else []
        lines += [*(f"- {head}: {text}" for head, text in facts.items() if text), ""]
        if getattr(method, "real", ()):
            place = f"reproduce.md#{card.name.replace('_', '-')}"
            lines += [f"With the data of the paper: [commands, downloads and time]({place}).", ""]
    return lines


def _backbones() -> list[str]:
    lines = ["| Backbone | pseudo-tokens (OTI) | pseudo-patches (OVI) |", "|---|---|---|"]
    return [*lines, *(f"| {each.title} | 1 | {each.patches} |" for each in BACKBONES)]


def _configs() -> list[str]:
    lines = ["| Configuration | What it trains |", "|---|---|"]
    for name, path in ready().items():
        text = path.read_text(encoding="utf-8").splitlines()
        about = " ".join(line.removeprefix("#").strip() for line in text if line.startswith("#"))
        lines.append(f"| `{name}` | {about} |")
    return lines


def _checks() -> list[str]:
    """Health checks of preflight, their default thresholds and the reasons."""
    lines = ["| Check | Warns | Fails | Why it matters | Reason for the thresholds |"]
    lines.append("|---|---|---|---|---|")
    for rule in CHECKS.values():
        sign = "below" if rule.low_is_bad else "above"
        limits = ("—" if v is None else f"{sign} {v:g}" for v in (rule.warn, rule.fail))
        lines.append(f"| `{rule.name}` | {' | '.join(limits)} | {rule.why} | {rule.reason} |")
    return lines


def _models() -> list[str]:
    lines = ["| `--model` | which models |", "|---|---|"]
    for name, library in ENCODERS.items():
        for i, form in enumerate(library.forms):
            lines.append(f"| `{name}:{form}` | {library.models if i == 0 else ''} |")
    return lines


def _schemas() -> list[str]:
    """Each schema: who prints it, and its keys."""
    lines = []
    for path in sorted((files("modalgap") / "schemas").iterdir(), key=lambda path: path.name):
        schema = json.loads(path.read_text("utf-8"))
        lines += [f"### {path.name.removesuffix('.json')}", ""]
        lines += [f"`{schema['title']}`. {schema['description']}", ""]
        lines += ["| key | type | meaning |", "|---|---|---|"]
        for name, each in schema["properties"].items():
            key = f"`{name}`" if name in schema["required"] else f"`{name}`, optional"
            about = each.get("description", "").replace("|", r"\|")
            lines.append(f"| {key} | {_type(each)} | {about} |")
        lines.append("")
    return lines


def _type(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    kinds = schema.get("type", "object")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _data() -> list[str]:
    lines = ["| Data set | For | Default split |", "|---|---|---|"]
    for task in get_args(Task):
        for dataset in DATASETS.values():
            card = dataset.card
            if card.task == task:
                lines.append(f"| [{card.title}](#{card.name}) | {task} | `{card.splits[0]}` |")
    lines.append("")
    for task in get_args(Task):
        lines += [f"## For {task}", ""]
        for dataset in DATASETS.values():
            card = dataset.card
            if card.task != task:
                continue
            said = ", ".join(f"`{template}`" for template in card.templates)
            lines += [
                f"### {card.name}",
                "",
                f"**{card.title}.** {card.about}",
                "",
                f"- Splits: {', '.join(f'`{split}`' for split in card.splits)}; {card.size}",
                f"- Licence: {card.licence}; from <{card.home}>",
                *([f"- Prompt: {said}"] if said else []),
                f"- {card.citation}",
                "",
                "```text",
                f"{card.folder}/",
                *(f"  {path}" for path in card.layout),
                "```",
                "",
            ]
    return lines


def _said(method: Method) -> dict[str, str]:
    """What the docstring of the method's file says of its relations and its limits."""
    flat = " ".join(definition(method).split())
    found = {}
    for head in ("Relations", "Fails when"):
        match = re.search(rf"{head}: (.*?)(?= (?:Equations?|Source|Relations|Fails when):|$)", flat)
        if match:
            found[head] = match.group(1)
    return found


def _name(method: Method, page: str | None) -> str:
    names = ", ".join(f"`{name}`" for name in method.names(("image", "text")))
    return names if page is None else f"[{names}]({page}#{method.name.replace('_', '-')})"


def _options(method: Method) -> str:
    return ", ".join(f"`{name}={value!r}`" for name, value in method.options.items())


def _minutes(method: Method) -> str:
    minutes = getattr(method, "minutes", 0)
    return f"about {minutes:g} minutes on two cores" if minutes else ""


def _changes(method: Method) -> str:
    said = " and ".join(method.card.roles)
    return f"{said} (transductive)" if getattr(method, "transductive", False) else said


def _range(method: Method) -> str:
    card = method.card
    if not card.interval:
        return ""
    low = "−∞" if card.low is None else f"{card.low:g}"
    high = "∞" if card.high is None else f"{card.high:g}"
    return f"{low} … {high}{card.unit}"
