"""Pages made from cards: tables to choose by, an entry per measure, models and data sets."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, get_args

from modalgap.card import Card
from modalgap.close import CLOSERS, CORRECTIONS
from modalgap.data import DATASETS
from modalgap.data.dataset import Task
from modalgap.encode import ENCODERS
from modalgap.evaluate import TASKS
from modalgap.invert import BACKBONES, METHODS
from modalgap.losses import LOSSES
from modalgap.measure import MEASURES, Measure
from modalgap.train import ready

BETTER = {"lower": "lower", "higher": "higher", "neither": "—"}


def write_pages(folder: Path) -> None:
    """Write what choosing.md, measures.md, closers.md and the others include."""
    folder.mkdir(exist_ok=True)
    (folder / "choosing.inc.md").write_text("\n".join(_choosing()) + "\n", encoding="utf-8")
    (folder / "measures.inc.md").write_text("\n".join(_measures()) + "\n", encoding="utf-8")
    (folder / "models.inc.md").write_text("\n".join(_models()) + "\n", encoding="utf-8")
    (folder / "closers.inc.md").write_text("\n".join(_closers()) + "\n", encoding="utf-8")
    (folder / "tasks.inc.md").write_text("\n".join(_tasks()) + "\n", encoding="utf-8")
    (folder / "losses.inc.md").write_text("\n".join(_losses()) + "\n", encoding="utf-8")
    (folder / "inversions.inc.md").write_text("\n".join(_inversions()) + "\n", encoding="utf-8")
    (folder / "backbones.inc.md").write_text("\n".join(_backbones()) + "\n", encoding="utf-8")
    (folder / "configs.inc.md").write_text("\n".join(_configs()) + "\n", encoding="utf-8")
    (folder / "data.inc.md").write_text("\n".join(_data()) + "\n", encoding="utf-8")


def _choosing() -> list[str]:
    lines = ["| Question | Measure | Better | Range | Needs |", "|---|---|---|---|---|"]
    for measure in MEASURES.values():
        card = measure.card
        lines.append(
            f"| {card.question} | [{_names(measure)}](measures.md#{card.name.replace('_', '-')}) "
            f"| {BETTER[card.direction]} | {_range(card)} | {', '.join(card.needs) or '—'} |"
        )
    return lines


def _measures() -> list[str]:
    lines: list[str] = []
    for measure in MEASURES.values():
        card = measure.card
        options = ", ".join(f"`{name}={value!r}`" for name, value in measure.options.items())
        lines += [
            f"## {card.name}",
            "",
            f"**{card.title}** ({_names(measure)}). {card.idea}",
            "",
            f"$${card.equation}$$",
            "",
            f"- Source: {card.source}",
            f"- Range: {_range(card)}; better: {BETTER[card.direction]}",
            f"- 95 % interval: {card.interval}",
            f"- Options: {options or 'none'}",
            *_said(measure),
            "",
        ]
    return lines


def _closers() -> list[str]:
    lines = ["| Closer | Take it for | Beware | Moves | Needs |", "|---|---|---|---|---|"]
    for closer in CLOSERS.values():
        card = closer.card
        moves = f"{card.moves}; no map" if card.transductive else card.moves
        lines.append(
            f"| [`{card.name}`](#{card.name.replace('_', '-')}) | {card.take_it} | {card.beware}"
            f" | {moves} | {card.needs} |"
        )
    lines += ["", "## Each closer", ""]
    for closer in CLOSERS.values():
        lines += _entry(closer)
    lines += ["## Corrections of scores", ""]
    for rule in CORRECTIONS.values():
        lines += _entry(rule)
    return lines


def _entry(method: Any) -> list[str]:
    """A closer, a correction or a loss."""
    card = method.card
    options = ", ".join(f"`{name}={value!r}`" for name, value in method.options.items())
    return [
        f"### {card.name}",
        "",
        f"**{card.title}.** {card.idea}",
        "",
        f"$${card.equation}$$",
        "",
        f"Source: {card.source}. Options: {options or 'none'}.",
        "",
    ]


def _tasks() -> list[str]:
    lines = ["| Task | Question | Needs | Options |", "|---|---|---|---|"]
    for task in TASKS.values():
        card = task.card
        options = ", ".join(f"`{name}={value!r}`" for name, value in task.options.items())
        lines.append(f"| `{card.name}` | {card.question} | {card.needs} | {options or '—'} |")
    return lines


def _inversions() -> list[str]:
    lines = ["| Way | Takes | Take it for | Beware | Needs |", "|---|---|---|---|---|"]
    for method in METHODS.values():
        card = method.card
        takes = {"media": "images", "text": "texts", "either": "either"}[card.takes]
        lines.append(
            f"| [`{card.name}`](#{card.name.replace('_', '-')}) | {takes} | {card.take_it}"
            f" | {card.beware} | {card.needs} |"
        )
    lines.append("")
    for method in METHODS.values():
        lines += _entry(method)
    return lines


def _backbones() -> list[str]:
    lines = ["| Backbone | pseudo-tokens (OTI) | pseudo-patches (OVI) |", "|---|---|---|"]
    return [*lines, *(f"| {each.title} | 1 | {each.patches} |" for each in BACKBONES)]


def _losses() -> list[str]:
    lines = ["| Loss | Take it for | Beware | Needs |", "|---|---|---|---|"]
    for loss in LOSSES.values():
        card = loss.card
        lines.append(
            f"| [`{card.name}`](#{card.name.replace('_', '-')}) | {card.take_it} | {card.beware}"
            f" | {', '.join(card.needs) or '—'} |"
        )
    lines.append("")
    for loss in LOSSES.values():
        lines += _entry(loss)
    return lines


def _configs() -> list[str]:
    lines = ["| Configuration | What it trains |", "|---|---|"]
    for name, path in ready().items():
        text = path.read_text(encoding="utf-8").splitlines()
        about = " ".join(line.removeprefix("#").strip() for line in text if line.startswith("#"))
        lines.append(f"| `{name}` | {about} |")
    return lines


def _models() -> list[str]:
    lines = ["| `--model` | which models |", "|---|---|"]
    for name, library in ENCODERS.items():
        for i, form in enumerate(library.forms):
            lines.append(f"| `{name}:{form}` | {library.models if i == 0 else ''} |")
    return lines


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


def _said(measure: Measure) -> list[str]:
    """What the docstring of the measure's file says of its relations and its limits."""
    text = sys.modules[measure.compute.__module__].__doc__ or ""
    flat = " ".join(text.split())
    found = []
    for head, title in (("Relations", "Relations"), ("Fails when", "Fails when")):
        match = re.search(rf"{head}: (.*?)(?= (?:Equations?|Source|Relations|Fails when):|$)", flat)
        if match:
            found.append(f"- {title}: {match.group(1)}")
    return found


def _names(measure: Measure) -> str:
    names = measure.names(("image", "text"))
    return ", ".join(f"`{name}`" for name in names)


def _range(card: Card) -> str:
    low = "−∞" if card.low is None else f"{card.low:g}"
    high = "∞" if card.high is None else f"{card.high:g}"
    return f"{low} … {high}{card.unit}"
