"""Arguments of public functions: NumPy scalars become Python's, wrong types are refused.

``checked`` reads the annotations of a function, so that types are written once, in the signature.
An annotation that it does not know (arrays, ``Any``, protocols) accepts everything; such arguments
are checked where they are used.
"""

from __future__ import annotations

import builtins
import collections.abc
import errno
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, Union

import numpy as np

from modalgap.errors import InputError, ModalgapError, OptionError, quoted

Target = TypeVar("Target", bound=Callable[..., Any])
Rule = tuple[Callable[[Any], bool], str]  # a test, and the words for values that pass it

MOST = 1000  # elements of a list that are checked
_PLAIN: dict[Any, Rule] = {
    None: (lambda value: value is None, "None"),
    bool: (lambda value: isinstance(value, bool), "True or False"),
    int: (lambda value: _whole(value), "an integer"),
    float: (lambda value: isinstance(value, float) or _whole(value), "a number"),
    str: (lambda value: isinstance(value, str), "a string"),
    bytes: (lambda value: isinstance(value, bytes), "bytes"),
    Path: (lambda value: isinstance(value, Path), "a path"),  # see _either for strings
}
_PLAIN[type(None)] = _PLAIN[None]


def _whole(value: object) -> bool:
    """Whether a value is an integer that a float can hold; larger ones cannot be computed with."""
    return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 1024


def checked(target: Target) -> Target:
    """Check the arguments of a function, or of the constructor and public methods of a class.

    Raises:
        OptionError: on a call with an argument of a type that its annotation does not allow.
        InputError: on a call with a path that is too long for any file.
    """
    if not inspect.isclass(target):
        return _function(target)  # type: ignore[return-value]
    for name, member in list(vars(target).items()):
        if name.startswith("_") and name not in ("__init__", "__call__"):
            continue
        if isinstance(member, classmethod | staticmethod):
            setattr(target, name, type(member)(_function(member.__func__)))
        elif inspect.isfunction(member):
            setattr(target, name, _function(member))
    return target


def plain(value: Any) -> Any:
    """A NumPy scalar, or array without dimensions, as a Python value; other values unchanged."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


def _function(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    spread = {
        each.name
        for each in signature.parameters.values()
        if each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    }
    rules: dict[str, Rule] = {}
    ready = False

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        nonlocal ready
        try:
            bound = signature.bind(*args, **options)
        except TypeError:
            return function(*args, **options)  # Python says which argument is missing or too many
        if not ready:
            rules.update(_rules(function, spread))
            ready = True
        for name, value in bound.arguments.items():
            if name in spread:
                continue
            value = bound.arguments[name] = plain(value)
            known = rules.get(name)
            if known is not None and not known[0](value):
                hint = _hint(value, known[1])
                raise OptionError(f"{name} must be {known[1]}; got {described(value)}{hint}")
        for name in spread & set(bound.arguments):
            given = bound.arguments[name]
            bound.arguments[name] = (
                {key: plain(value) for key, value in given.items()}
                if isinstance(given, dict)
                else tuple(map(plain, given))
            )
        try:
            return function(*bound.args, **bound.kwargs)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG or isinstance(error, ModalgapError):
                raise
            raise InputError(f"{quoted(str(error.filename))}: {error.strerror}") from None

    return call


def _hint(value: object, words: str) -> str:
    """What to do with a path, or an array, in place of embeddings."""
    if re.search(r"\b(Pair|Embeddings|Modalities)\b", words) is None:
        return ""
    if isinstance(value, str | Path):
        return ": read files with modalgap.load or modalgap.load_embeddings"
    if isinstance(value, np.ndarray) and "Embeddings" in words:
        return ": make one with modalgap.Embeddings(array, modality)"
    return ""


def described(value: object) -> str:
    """How an error shows a value of a wrong type: the value if it is short, otherwise its type."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return quoted(value)
    text = quoted(value) if isinstance(value, list | tuple | dict | set) else ""
    return text if text and len(text) <= 60 else f"{type(value).__name__}"


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the parameters of a function; ``Any`` if a name is not known here."""
    scope = {**vars(builtins), **getattr(inspect.unwrap(function), "__globals__", {})}
    return {
        name: _evaluated(each.annotation, scope)
        for name, each in inspect.signature(function).parameters.items()
        if each.annotation is not inspect.Parameter.empty
    }


def _rules(function: Callable[..., Any], spread: set[str]) -> dict[str, Rule]:
    """Name to rule, for the annotations that have one."""
    known = {
        name: rule(annotation) for name, annotation in hints(function).items() if name not in spread
    }
    return {name: each for name, each in known.items() if each is not None}


def _evaluated(annotation: Any, scope: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    one = types.SimpleNamespace(__annotations__={"value": annotation})
    try:
        return typing.get_type_hints(one, scope)["value"]
    except (NameError, AttributeError, TypeError):  # names that only type checkers import
        return Any


def rule(annotation: Any) -> Rule | None:
    """The rule of an annotation; None if it accepts everything."""
    if isinstance(annotation, str):
        return None
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if hasattr(origin or annotation, "__value__"):  # an alias, as NumPy's NDArray from Python 3.12
        return rule((origin or annotation).__value__)
    if origin in (Union, types.UnionType):
        return _either([rule(each) for each in inner])
    if origin is typing.Literal:
        return (lambda value: value in inner), f"one of {', '.join(map(str, inner))}"
    if origin is typing.Annotated:
        return rule(inner[0])
    kind = origin or annotation
    if kind is collections.abc.Callable:
        return callable, "a function"
    if not inspect.isclass(kind) or kind in (Any, object) or isinstance(kind, TypeVar):
        return None
    if getattr(kind, "_is_protocol", False):
        return None
    if kind in (dict, collections.abc.Mapping, collections.abc.MutableMapping):
        return _mapping(inner)
    if kind in (collections.abc.Iterable, collections.abc.Sequence, list, tuple):
        return _several(kind, inner)
    name = kind.__name__
    article = "" if name.endswith("s") else "an " if name[0] in "AEIOU" else "a "
    return (lambda value: isinstance(value, kind)), f"{article}{name}"


def _either(rules: list[Rule | None]) -> Rule | None:
    found = [each for each in rules if each is not None]
    if len(found) < len(rules):
        return None
    # one word is enough for a path, which may be written as a string
    names = dict.fromkeys(words for _, words in found)
    if "a path" in names:
        names.pop("a string", None)
    *most, last = names
    words = f"{', '.join(most)} or {last}" if most else last
    path = "a path" in names  # an empty string would be the current folder
    return (
        lambda value: (
            any(test(value) for test, _ in found)
            and not (path and isinstance(value, str) and not value)
        )
    ), words


def _plural(words: str) -> str:
    """Words in the plural: "a string or a Task" is "strings or Tasks"."""
    return re.sub(r"\ban? (\w+)", r"\1s", words)


def _mapping(inner: tuple[Any, ...]) -> Rule:
    key = rule(inner[0]) if inner else None

    def passes(value: Any) -> bool:
        if not isinstance(value, Mapping):
            return False
        return key is None or all(map(key[0], value))

    return passes, "a mapping"


def _several(kind: Any, inner: tuple[Any, ...]) -> Rule:
    """A list of values; a NumPy array is one, a string is not."""
    element = rule(inner[0]) if inner and kind is not tuple else None
    if kind is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        element = rule(inner[0])
    words = "a list" if element is None else f"a list of {_plural(element[1])}"

    def passes(value: Any) -> bool:
        if isinstance(value, str | bytes | Mapping):
            return False
        if isinstance(value, np.ndarray):
            return value.ndim == 1 if element is not None else value.ndim > 0
        wanted = Iterable if kind is collections.abc.Iterable else collections.abc.Sequence
        if not isinstance(value, wanted):
            return False
        if element is None or not isinstance(value, collections.abc.Collection):
            return True
        return all(element[0](plain(each)) for _, each in zip(range(MOST), value, strict=False))

    return passes, words


_LISTS = (
    list,
    tuple,
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
)
_SCALAR = None | bool | int | float | str
_ORDER = (type(None), bool, int, float)  # of the members of a union; then lists, then strings
_NOTHING = object()


def parsed(name: str, text: str, annotation: Any) -> Any:
    """Parse text into a value of the type of an annotation.

    Args:
        name: the name of the option, for the error.
        text: the text. Commas separate the elements of a list: ``1,5``; ``none``, ``true`` and
            ``false`` become None, True and False.
        annotation: a type. ``Any`` and types that cannot be written as text, such as arrays, accept
            numbers, words and lists.

    Raises:
        OptionError: the text is not a value of this type.
    """
    result = _read(text, annotation)
    if result is _NOTHING:
        known = rule(annotation)
        words = "a value of another type" if known is None else known[1]
        raise OptionError(f"{name} must be {words}; got {quoted(text)}")
    return result


def _read(text: str, annotation: Any) -> Any:
    """The value, or ``_NOTHING``."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _read(text, inner[0])
    if origin in (Union, types.UnionType):
        tried = (_read(text, each) for each in sorted(inner, key=_rank))
        return next((each for each in tried if each is not _NOTHING), _NOTHING)
    if origin is typing.Literal:
        return next((each for each in inner if str(each) == text), _NOTHING)
    if annotation in (None, type(None)):
        return None if text.lower() == "none" else _NOTHING
    if annotation is bool:
        return {"true": True, "false": False}.get(text.lower(), _NOTHING)
    if annotation in (int, float):
        try:
            return _NOTHING if "_" in text else annotation(text)
        except ValueError:
            return _NOTHING
    if annotation is str:
        return text
    if (origin or annotation) in _LISTS:
        return _list(text, inner)
    if origin is collections.abc.Callable or _subclass(annotation, Mapping):
        return _NOTHING
    return _read(text, list[Any] if "," in text else _SCALAR)


def mapped(annotation: Any) -> Any:
    """The type of the values of a mapping; None if the annotation is not a mapping."""
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return next((found for each in inner if (found := mapped(each)) is not None), None)
    if not _subclass(annotation, Mapping):
        return None
    return inner[1] if len(inner) == 2 else Any


def _list(text: str, inner: tuple[Any, ...]) -> Any:
    if not text:
        return _NOTHING
    element = inner[0] if inner else Any
    found = [_read(each.strip(), element) for each in text.split(",") if each.strip()]
    return _NOTHING if any(each is _NOTHING for each in found) else found


def _subclass(annotation: Any, kind: type) -> bool:
    """Whether an annotation is a subclass of ``kind``, or a generic type of one."""
    found = typing.get_origin(annotation) or annotation
    return isinstance(found, type) and issubclass(found, kind)


def _rank(annotation: Any) -> int:
    """The order in which members of a union are tried: the narrowest first, a string last."""
    if annotation in _ORDER:
        return _ORDER.index(annotation)
    return len(_ORDER) + (annotation is str)
