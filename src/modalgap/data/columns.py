"""The columns and cells that the user selects: which to read, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from modalgap.errors import OptionError, quoted

Captions = Literal["one", "several"]
NONE = "none"  # as a column name: do not read this column
AUTO = "auto"  # as the factors: every column with few distinct values


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of columns, and how to read the captions in a cell. None detects a value.

    Attributes:
        image: the column of images or of paths to them; "none" reads without images.
        text: the column of captions; "none" reads without captions.
        label: the column of classes; "none" reads without labels.
        factors: columns to read as factors, or ("auto",) for every column with few values.
        captions: "one" reads a cell or a caption file as one caption, "several" as a list, or as
            one caption per line.
        separator: the separator of cells in a text file: one character, or its name.

    Raises:
        OptionError: a value of another type, or an unknown value of ``captions``.
    """

    image: str | None = None
    text: str | None = None
    label: str | None = None
    factors: Sequence[str] = ()
    captions: Captions | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        for name in ("image", "text", "label"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                found = type(value).__name__
                raise OptionError(f"{name}_column: must be a string; got {found}")
        if self.separator is not None and not isinstance(self.separator, str):
            found = type(self.separator).__name__
            raise OptionError(f"separator: must be a string; got {found}")
        factors = self.factors
        if isinstance(factors, str):
            factors = [each.strip() for each in factors.split(",")]
        if not isinstance(factors, Sequence) or not all(isinstance(f, str) for f in factors):
            raise OptionError("factors: must be names of columns, or 'auto'")
        object.__setattr__(self, "factors", tuple(name for name in factors if name))
        if self.captions is not None and self.captions not in get_args(Captions):
            raise OptionError.unknown("captions", str(self.captions)[:100], get_args(Captions))

    @property
    def auto(self) -> bool:
        """Whether every column with few distinct values becomes a factor."""
        return self.factors == (AUTO,)

    def refuse(self, what: str, *readable: str) -> None:
        """Raise an error for an option that a kind of source does not support.

        Args:
            what: the source, for the message.
            readable: the attributes that it supports.

        Raises:
            OptionError: another attribute is set.
        """
        for each in fields(self):
            value: Any = getattr(self, each.name)
            if value in (None, ()) or each.name in readable:
                continue
            columns = ("image", "text", "label")
            option = f"{each.name}-column" if each.name in columns else each.name
            shown = ",".join(value) if isinstance(value, tuple) else value
            raise OptionError(f"--{option}: {what} has none; got {quoted(shown)}")


FIND = Columns()  # default: detect the columns
