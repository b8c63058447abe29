"""Methods as help shows them, read from their source files.

Importing a registry imports torch, which takes longer than all the rest of a help page. Names,
titles and options of methods are therefore read from the source by ``ast``, without running it. A
method that is written in another form than NAME = KIND(CARD, rule) is imported.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

ROOT = Path(__file__).parents[1]
CARD = ("title", "idea", "source")  # what help shows of a card
Found = TypeVar("Found")


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Attributes:
        name: its name.
        default: its default value.
        meaning: what the docstring of the rule says of it, or "".
    """

    name: str
    default: Any
    meaning: str

    @property
    def shown(self) -> str:
        """NAME=DEFAULT, as it is typed after --set."""
        return f"{self.name}={_typed(self.default)}"


@dataclass(frozen=True)
class Description:
    """What help says of a method: title, idea and source of its card, and its options."""

    title: str
    idea: str
    source: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Registry:
    """A dictionary of methods by name.

    Attributes:
        module: the module that holds it, such as "modalgap.close.registry".
        variable: its name there.
    """

    module: str
    variable: str

    def load(self) -> Mapping[str, Any]:
        """The methods themselves; imports all of them."""
        found: Mapping[str, Any] = getattr(importlib.import_module(self.module), self.variable)
        return found

    def names(self) -> list[str]:
        """The names of the methods, in the order of the registry."""
        return list(self._homes() or self.load())

    def describe(self, name: str) -> Description:
        """Title, idea, source and options of a method."""
        said = self._read(name, _card) or _card_of(self.load()[name])
        return Description(**said, options=self.options(name))

    def options(self, name: str) -> tuple[Option, ...]:
        """The options of a method."""
        found = self._read(name, _options)
        return _options_of(self.load()[name]) if found is None else found

    def entries(self) -> dict[str, str]:
        """Names and texts of a registry whose entries are calls with ``name`` and ``about``."""
        found = {}
        for node in ast.walk(_assigned(_tree(self.module))[self.variable]):
            words = _words(node, "name", "about")
            if len(words) == 2:
                found[words["name"]] = words["about"]
        return found

    def _read(self, name: str, reader: Callable[[ast.Module, str], Found]) -> Found | None:
        """What the source says of a method; None where it has another form."""
        home = self._homes().get(name)
        try:
            return None if home is None else reader(_tree(home), name)
        except (StopIteration, ValueError, KeyError):
            return None

    def _homes(self) -> dict[str, str]:
        """The module of each method, which the registry imports in the order of its tables."""
        imported = [
            (alias.name, str(node.module))
            for node in _tree(self.module).body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        return {name: home for name, home in imported if _used(_tree(home), name)}


@cache
def _tree(module: str) -> ast.Module:
    """The source of a module of this package; empty where there is no such file."""
    path = ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except OSError:
        return ast.Module([], [])


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """The values of the names that a module assigns."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _used(tree: ast.Module, name: str) -> list[ast.expr]:
    """The arguments that a method is made from, as in NAME = KIND(CARD, rule)."""
    made = _assigned(tree).get(name)
    return (
        [*made.args, *(each.value for each in made.keywords)] if isinstance(made, ast.Call) else []
    )


def _card(tree: ast.Module, name: str) -> dict[str, str]:
    """Title, idea and source of the card of a method."""
    used, assigned = _used(tree, name), _assigned(tree)
    cards = [*used, *(assigned[each.id] for each in used if _is_name(each, assigned))]
    return next(found for card in cards if len(found := _words(card, *CARD)) == len(CARD))


def _options(tree: ast.Module, name: str) -> tuple[Option, ...]:
    """The options in the signature of the rule of a method."""
    rules = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    rule = next(rules[each.id] for each in _used(tree, name) if _is_name(each, rules))
    said = meanings(ast.get_docstring(rule) or "")
    return tuple(
        Option(each.arg, _evaluated(value, tree), said.get(each.arg, ""))
        for each, value in _defaults(rule.args)
    )


def _evaluated(node: ast.expr, tree: ast.Module) -> Any:
    """A literal, a constant of the module or of one that it imports from, or a tuple of these."""
    if isinstance(node, ast.Tuple):
        found: list[Any] = []
        for each in node.elts:
            if isinstance(each, ast.Starred):
                found += _evaluated(each.value, tree)
            else:
                found.append(_evaluated(each, tree))
        return tuple(found)
    if isinstance(node, ast.Name):
        assigned = _assigned(tree)
        if node.id in assigned:
            return _evaluated(assigned[node.id], tree)
        return _evaluated(node, _tree(_origin(node.id, tree)))
    return ast.literal_eval(node)


def _origin(name: str, tree: ast.Module) -> str:
    """The module from which a module imports a name.

    Raises:
        KeyError: it imports no such name.
    """
    return {
        alias.name: str(node.module)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("modalgap.")
        for alias in node.names
    }[name]


def _defaults(arguments: ast.arguments) -> list[tuple[ast.arg, ast.expr]]:
    """The parameters that have a default, and their defaults."""
    first = len(arguments.args) - len(arguments.defaults)
    only = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [
        *zip(arguments.args[first:], arguments.defaults, strict=True),
        *((each, value) for each, value in only if value is not None),
    ]


def _is_name(node: ast.expr, known: Container[str]) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and node.id in known


def _words(node: ast.AST, *keys: str) -> dict[str, str]:
    """Keyword arguments of a call; empty for anything else."""
    words = {each.arg: each.value for each in node.keywords} if isinstance(node, ast.Call) else {}
    return {key: ast.literal_eval(words[key]) for key in keys if key in words}


def _card_of(method: Any) -> dict[str, str]:
    """Title, idea and source of a method that is imported."""
    return {each: getattr(method.card, each) for each in CARD}


def _options_of(method: Any) -> tuple[Option, ...]:
    """The options of a method that is imported."""
    said = meanings(inspect.getdoc(method.body) or "")
    return tuple(Option(name, value, said.get(name, "")) for name, value in method.options.items())


def meanings(text: str) -> dict[str, str]:
    """What a docstring says of each argument: its section Args, or ``name``: in running text."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", text, re.MULTILINE)
    if section is not None:
        found = re.findall(r"^    (\w+): (.*(?:\n(?: {5,}.*|(?=\n)))*)", section[1], re.MULTILINE)
    else:
        groups = re.findall(rf"({_NAMES}): (.*?)(?=\s{_NAMES}:|\Z)", text, re.DOTALL)
        found = [
            (name, said)
            for names, said in groups
            for name in re.findall(r"\w+", names)
            if name != "and"
        ]
    return {name: " ".join(said.split()).rstrip(";") for name, said in found}


_NAMES = r"``\w+``(?:(?:,|,? and)\s``\w+``)*"  # one name, or several with one meaning


def _typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(_typed, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
