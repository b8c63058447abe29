"""Build dataclasses from plain mappings; check every key and every type."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from modalgap.checks import value_of
from modalgap.errors import InputError, OptionError, quoted


def make(kind: type[Any], values: object, where: str) -> Any:
    """Build the dataclass ``kind`` from a mapping; ``where`` is the section, with a dot.

    Raises:
        OptionError: an unknown key, or a value of a wrong type.
    """
    section = where.rstrip(".")
    if not isinstance(values, Mapping):
        raise OptionError(f"{section}: must hold keys and values; got {quoted(values)}")
    types = typing.get_type_hints(kind)
    known = [each.name for each in fields(kind)]
    made = {}
    for key, value in values.items():
        if key not in known:
            raise OptionError.unknown(f"key of {section or 'the configuration'}", str(key), known)
        if dataclasses.is_dataclass(types[key]):
            made[key] = make(types[key], {} if value is None else value, f"{where}{key}.")
        else:
            made[key] = _fitting(types[key], value, f"{where}{key}")
    return kind(**made)


def _fitting(wanted: Any, value: Any, name: str) -> Any:
    """``value``, if the field takes its type; YAML reads 1e-3 as a string."""
    options = typing.get_args(wanted) if typing.get_origin(wanted) not in (list, dict) else ()
    options = options or (wanted,)
    plain = [typing.get_origin(each) or each for each in options]
    if isinstance(value, str) and str not in plain and (float in plain or int in plain):
        value = value_of(value)
    if list in plain and isinstance(value, str):
        value = [value]
    if list in plain and isinstance(value, list):
        (inner,) = typing.get_args(options[plain.index(list)])
        return [_fitting(inner, each, name) for each in value]
    if isinstance(value, bool) and bool not in plain:
        value_kind: type = bool
    elif isinstance(value, int) and float in plain and int not in plain and bool not in plain:
        if abs(value) > 2**1000:
            raise OptionError(f"{name}: must fit into a float; got a larger number")
        return float(value)
    elif any(each is type(value) for each in plain):
        if isinstance(value, Mapping):
            return _plain_mapping(value, name)
        return value
    else:
        value_kind = type(value)
    type_names = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}
    type_names |= {list: "a list", dict: "a mapping", type(None): "null"}
    rule = " or ".join(type_names.get(each, str(each)) for each in plain)
    shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
    raise OptionError(
        f"{name}: must be {rule}; got {shown} ({type_names.get(value_kind, value_kind)})"
    )


def _plain_mapping(value: Mapping[Any, Any], name: str) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: must hold plain values ({error})") from error
    return result
