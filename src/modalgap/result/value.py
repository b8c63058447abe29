"""Value: one number with its interval, and how it was computed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from modalgap.errors import FileError, ModalgapError, NotApplicable


@dataclass(frozen=True)
class Value:
    """One number, with its interval and how it was computed.

    Attributes:
        value: the number.
        interval: its 95 % interval (low, high), or None.
        params: every option that affects it, defaults included.
        details: further numbers about it, plain JSON types.
        source: paper and section that define it.
    """

    value: float
    interval: tuple[float, float] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise NotApplicable("it is undefined for these embeddings (0/0 or beyond float64)")

    def __str__(self) -> str:
        return describe(self)

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; ``details`` and ``source`` only if they are not empty."""
        result: dict[str, Any] = {
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "params": dict(self.params),
        }
        if self.details:
            result["details"] = dict(self.details)
        if self.source:
            result["source"] = self.source
        return result

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Value:
        """The value that ``to_dict`` wrote.

        Raises:
            FileError: it is not such a dictionary.
        """
        with reading("Value"):
            low_high = found["interval"]
            return cls(
                float(found["value"]),
                None if low_high is None else (float(low_high[0]), float(low_high[1])),
                dict(found["params"]),
                dict(found.get("details", {})),
                str(found.get("source", "")),
            )


def describe(value: Value) -> str:
    """A value and its interval for people: "0.851 [0.843, 0.860]"."""
    text = f"{value.value:.4g}"
    if value.interval is not None:
        low, high = value.interval
        text += f"  [{low:.4g}, {high:.4g}]"
    return text


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn errors of reading a dictionary that ``to_dict`` did not write into a FileError."""
    try:
        yield
    except ModalgapError:
        raise
    except KeyError as error:
        raise FileError(f"{what}: must be as to_dict writes it; {error} is missing") from None
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise FileError(f"{what}: must be as to_dict writes it; {error}") from None
