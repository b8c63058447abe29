"""Writes src/modalgap/schemas/: the JSON schemas of what commands print with ``--json``.

They are made from the annotations and docstrings of the classes that are printed. ``python
tests/schemas.py`` writes them, and refuses to break a schema without a new version; a test fails
where they are out of date. A reader must ignore keys that it does not know: a new key does not
change the version.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import typer

from modalgap.advise import Advice, Comparison
from modalgap.advise.comparison import Entry
from modalgap.advise.plan import Cost
from modalgap.card import Card
from modalgap.cli.app import app
from modalgap.cli.catalogue import CATALOGUE
from modalgap.data import DataCard
from modalgap.encode import Library
from modalgap.result import Result, Table, Value
from modalgap.zoo import Zoo

FOLDER = Path(__file__).parents[1] / "src" / "modalgap" / "schemas"
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
Schema = dict[str, Any]


class Left(TypedDict):
    """What was left out.

    Attributes:
        name: the name of a file or an item.
        reason: why.
    """

    name: str
    reason: str


class Encoded(TypedDict):
    """What was read, written and left out.

    Attributes:
        source: what was read.
        rule: how images and texts were matched.
        read: kind of input to the number that was read; "factors" are their names.
        items: of more than two modalities: the number of items.
        incomplete: of more than two modalities: modality to the number of items that lack it.
        notes: remarks about the source.
        left_out: files that are missing or not readable.
        not_used: files that are not used.
        further_columns: columns of a table that are not used.
        files: the files that were written.
        encoded: modality to the number of rows.
        complete: of more than two modalities: the number of items that have a row of each.
        skipped: items that have no row.
        listing: the file that lists what was left out, if one was written.
        cut: number of texts that were truncated to the context length of the model.
        joined: what was merged while encoding, one short sentence each.
        resumed: number of rows that an earlier run had encoded.
        seconds: duration, without loading the model.
    """

    source: str
    rule: str
    read: Mapping[str, Any]
    items: NotRequired[int]
    incomplete: NotRequired[Mapping[str, int]]
    notes: list[str]
    left_out: list[Left]
    not_used: list[Left]
    further_columns: NotRequired[list[str]]
    files: list[str]
    encoded: Mapping[str, int]
    complete: NotRequired[int]
    skipped: list[Left]
    listing: str | None
    cut: int
    joined: list[str]
    resumed: int
    seconds: float


class Line(TypedDict):
    """The estimate for one size.

    Attributes:
        items: number of items.
        bytes_read: by all workers together.
        bytes_written: by all workers together.
        seconds: number of workers to the estimated seconds.
    """

    items: int
    bytes_read: int
    bytes_written: int
    seconds: Mapping[str, float]


class Plan(TypedDict):
    """An estimate of time and bytes at other sizes.

    Attributes:
        verb: the command that is estimated: measure, close or evaluate.
        cost: how time and bytes depend on the number of items.
        plan: the estimates, one entry per number of items.
    """

    verb: str
    cost: Cost
    plan: list[Line]


class StudyOutcome(TypedDict):
    """One study.

    Attributes:
        study: its name.
        status: "ok", "needs data" or "failed".
        reason: why there is no result; "" if there is one.
        seconds: duration.
        counts: what verdicts compare with, to a verdict, to its number.
    """

    study: str
    status: str
    reason: str
    seconds: float
    counts: Mapping[str, Mapping[str, int]]


class Studies(TypedDict):
    """The outcome of several studies.

    Attributes:
        studies: one entry per study.
    """

    studies: list[StudyOutcome]


class Inverted(TypedDict):
    """One item that was inverted.

    Attributes:
        name: its name, or its number.
        words: for each pseudo-token the nearest words, each with its cosine.
    """

    name: str
    words: list[list[tuple[str, float]]]


class Words(TypedDict):
    """The nearest words of pseudo-tokens.

    Attributes:
        items: one entry per inverted item.
    """

    items: list[Inverted]


class Explained(TypedDict):
    """One method, such as a measure or a closer.

    Attributes:
        kind: the kind of method.
        name: its name.
        card: its description; the keys are those of modalgap.card.Card.
        definition: the docstring of its file, which defines it.
        file: the file that implements it.
        source: the paper and section that define it.
        options: option to its default.
        options_text: what the options mean.
    """

    kind: str
    name: str
    card: Card
    definition: str
    file: str
    source: str
    options: Mapping[str, Any]
    options_text: str


class Config(TypedDict):
    """One configuration of training.

    Attributes:
        about: what it trains.
        text: the file.
    """

    about: str
    text: str


class Numbered(TypedDict):
    """A number of a candidate.

    Attributes:
        value: the number.
        interval: its 95 % interval (low, high), or null.
        params: every option that affects it, defaults included.
        details: further numbers about it.
        source: paper and section that define it.
        better: "higher", "lower" or "neither".
        difference: the paired difference to no closing; null for no closing itself.
    """

    value: float
    interval: tuple[float, float] | None
    params: Mapping[str, Any]
    details: NotRequired[Mapping[str, Any]]
    source: NotRequired[str]
    better: str
    difference: Value | None


@dataclasses.dataclass(frozen=True)
class Form:
    """How JSON differs from the fields of a class.

    Attributes:
        more: further keys and their types.
        replaced: other types of fields.
        without: fields that are not written.
        optional: fields that may be absent.
    """

    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    replaced: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    without: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


ENTRY = {"numbers": Mapping[str, Numbered]}
FORMS: dict[Any, Form] = {
    Value: Form(optional=("details", "source")),
    Advice: Form(more={"status": str}),
    Entry: Form(more=ENTRY, without=("name", "values", "differences", "better")),
    Card: Form(more={"options": Mapping[str, Any]}, optional=("options",)),
    DataCard: Form(more={"here": list[str]}),
}
LISTED: dict[str, Any] = {
    **dict.fromkeys(CATALOGUE, Mapping[str, Card]),
    "models": Mapping[str, Library],
    "data": Mapping[str, DataCard],
    "configs": Mapping[str, Config],
    "schemas": Mapping[str, Mapping[str, Any]],
}
Entries = TypedDict("Entries", LISTED, total=False)  # type: ignore[misc]
Entries.__doc__ = "The entries of one kind: name to its description."
KINDS: dict[str, Any] = {
    **{each.schema: each for each in (Result, Table, Zoo, Advice, Comparison)},
    "encoded/1": Encoded,
    "list/1": Entries,
    "method/1": Explained,
    "plan/1": Plan,
    "studies/1": Studies,
    "words/1": Words,
}


def schemas() -> dict[str, Schema]:
    """Name of the file to its schema."""
    printed: dict[str, list[str]] = {}
    for command, schema in commands().items():
        printed.setdefault(schema, []).append(f"modalgap {command}")
    made = {}
    for name, kind in KINDS.items():
        defined: dict[str, Schema] = {}
        found = _object(kind, defined)
        about = f"{found.pop('description')} Printed by: {', '.join(printed[name])}."
        found["properties"] = {"schema": {"const": name}, **found["properties"]}
        found["required"] = ["schema", *found.get("required", [])]
        made[f"{name.partition('/')[0]}.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:modalgap:{name}",
            "title": name,
            "description": about,
            **found,
            **({"$defs": dict(sorted(defined.items()))} if defined else {}),
        }
    return made


def commands() -> dict[str, str]:
    """Command to the schema of its ``--json``; of a group of methods, the group."""

    def walk(command: Any, name: str) -> Iterator[tuple[str, str]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield from ((name, each) for each in _declared(command))
            return
        dynamic = [each for each in command.list_commands(None) if each not in inner]
        for each in dynamic[:1]:
            yield from (
                (f"{name} NAME", schema) for schema in _declared(command.get_command(None, each))
            )
        for key, each in inner.items():
            yield from walk(each, f"{name} {key}".strip())

    return dict(walk(typer.main.get_command(app), ""))


def _declared(command: Any) -> list[str]:
    texts = [each.help or "" for each in command.params if "--json" in each.opts]
    return [re.search(r"its schema is (\w+/\d+)\.$", text)[1] for text in texts]  # type: ignore[index]


def _schema(kind: Any, defined: dict[str, Schema]) -> Schema:
    """The schema of values of a type."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or kind is object:
        return {}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if origin in (typing.Union, types.UnionType):
        found = [_schema(each, defined) for each in inner]
        if all(set(each) == {"type"} for each in found):
            return {"type": [each["type"] for each in found]}
        return {"anyOf": found}
    if origin is tuple and inner[-1:] != (...,):
        each_of = [_schema(each, defined) for each in inner]
        return {"type": "array", "prefixItems": each_of, "minItems": len(inner),
                "maxItems": len(inner)}  # fmt: skip
    if origin in (list, tuple, collections.abc.Sequence):
        return {"type": "array", "items": _schema(inner[0], defined)}
    if origin in (dict, collections.abc.Mapping):
        return {"type": "object", "additionalProperties": _schema(inner[1], defined)}
    if kind.__name__ not in defined:
        defined[kind.__name__] = {}  # it may hold itself
        defined[kind.__name__] = _object(kind, defined)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _object(kind: Any, defined: dict[str, Schema]) -> Schema:
    """The schema of a dataclass or a TypedDict."""
    form = FORMS.get(kind, Form())
    hints = typing.get_type_hints(kind)
    optional: Iterable[str] = form.optional
    if dataclasses.is_dataclass(kind):
        hints = {each.name: hints[each.name] for each in dataclasses.fields(kind)}
    else:
        marked = typing.get_type_hints(kind, include_extras=True)
        optional = [
            name for name, each in marked.items()
            if typing.get_origin(each) is NotRequired or not kind.__total__
        ]  # fmt: skip
    hints = {name: each for name, each in hints.items() if name not in form.without}
    hints = {**form.more, **hints, **form.replaced}
    doc = (inspect.getdoc(kind) or "").replace("``", "")
    members = {name: vars(kind).get(name) for name in form.more}
    texts = {name: inspect.getdoc(each) or "" for name, each in members.items() if each is not None}
    texts |= _attributes(doc)
    made = {name: _schema(each, defined) for name, each in hints.items()}
    for name, text in texts.items():
        if name in made and text:
            made[name] = {"description": text, **made[name]}
    return {
        "description": f"{' '.join(doc.split()).partition('. ')[0].removesuffix('.')}.",
        "type": "object",
        "properties": made,
        "required": [name for name in hints if name not in optional],
    }


def _attributes(doc: str) -> dict[str, str]:
    """Attribute to its description."""
    _, _, after = doc.partition("Attributes:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in after.partition("\n\n")[0].splitlines():
        head = re.match(r"    ([\w, ]+): (.*)", line)
        if head is not None:
            names = head[1].split(", ")
            found |= dict.fromkeys(names, head[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def breaks(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Where a reader of the old schema may fail with what the new one allows."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield f"{at}: was {old}, is {new}"
        return
    for key in set(old.get("required", ())) - set(new.get("required", ())):
        yield f"{at}.{key}: is not always there"
    for key, before in old.items():
        if key == "required" or (
            key in ("description", "title", "$id") and isinstance(before, str)
        ):
            continue
        if key not in new:
            yield f"{at}.{key}: is gone"
        else:
            yield from breaks(before, new[key], f"{at}.{key}")


def main() -> int:
    """1 if a schema would break."""
    FOLDER.mkdir(exist_ok=True)
    wrong = []
    for name, new in schemas().items():
        path = FOLDER / name
        old = json.loads(path.read_text("utf-8")) if path.exists() else new
        if old["title"] == new["title"]:
            wrong += [f"{name}{each}" for each in breaks(old, new)]
    if wrong:
        print("a reader of these schemas would break; give them a new version:", *wrong, sep="\n")
        return 1
    for name, new in schemas().items():
        text = json.dumps(new, indent=1, ensure_ascii=False)
        (FOLDER / name).write_text(f"{text}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
