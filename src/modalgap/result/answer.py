"""Answer: the base of what verbs return, which is written as JSON and read again."""

from __future__ import annotations

import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import metadata
from typing import Any, ClassVar, Self

from modalgap._version import __version__
from modalgap.arguments import checked
from modalgap.errors import FileError, InputError, quoted


@checked
class Answer(ABC):
    """The base of what verbs return; it can be written as JSON and read again.

    Attributes:
        schema: the name and the version of its JSON schema.
    """

    schema: ClassVar[str]

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""

    @classmethod
    @abstractmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The answer that ``to_dict`` wrote.

        Raises:
            FileError: it is not such a dictionary.
        """

    def to_json(self, indent: int | None = 2) -> str:
        """One JSON object; standard JSON, without NaN or Infinity.

        Its first key, "schema", names the JSON schema and its version: see docs/json.md.

        Raises:
            InputError: a setting or a parameter is no JSON, such as NaN.
        """
        found = {"schema": self.schema, **self.to_dict()}
        try:
            return json.dumps(found, indent=indent, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(
                f"{type(self).__name__}: must hold only text, finite numbers, lists and mappings to"
                f" be written as JSON ({error})"
            ) from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The answer that ``to_json`` wrote.

        Raises:
            FileError: the text is not JSON, or not what ``to_json`` wrote.
        """
        found = parsed(text, cls.__name__)
        schema = found.get("schema", cls.schema)  # files of earlier versions do not have it
        if schema != cls.schema:
            raise FileError(f"{cls.__name__}: schema must be {cls.schema}; got {quoted(schema)}")
        return cls.from_dict(found)


def parsed(text: str, what: str) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        FileError: the text is not a JSON object.
    """
    try:
        result = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise FileError(f"{what}: must be JSON; {error}") from None
    if not isinstance(result, dict):
        raise FileError(f"{what}: must be a JSON object; got {quoted(result)}")
    return result


def versions() -> dict[str, str]:
    """Versions of modalgap, Python and the libraries that compute."""
    result = {"modalgap": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "scipy", "scikit-learn"):
        result[name] = metadata.version(name)
    return result
