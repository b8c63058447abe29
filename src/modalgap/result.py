"""Result: what a verb returns, with everything that is needed to reproduce it."""

from __future__ import annotations

import json
import math
import platform
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, ClassVar, Self, TypeVar, overload

from modalgap._version import __version__
from modalgap.arguments import checked
from modalgap.columns import Column, Columns
from modalgap.errors import FileError, InputError, ModalgapError, NotApplicable, OptionError, quoted
from modalgap.tabular import (
    as_columns,
    as_csv,
    as_html,
    as_markdown,
    by_reason,
    html_table,
    interval,
    number,
)
from modalgap.verdicts import summary

Other = TypeVar("Other")


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


@checked
@dataclass(frozen=True)
class Result(Answer, Columns, Mapping[str, Value]):
    """Named values measured on one input. A mapping: ``result["rmg"].value``.

    Table libraries read it with one row per number and the columns name, value, low, high, better
    and unit: ``result.to_frame()``, ``pyarrow.table(result)``, ``duckdb.sql("from result")``.

    Attributes:
        measures: name to value.
        skipped: name to the reason why this measure does not apply.
        pair: rows of each modality (n_image, n_text), dim, fingerprint, matched_by, were_unit,
            provenance of the input.
        versions: versions of modalgap and of the libraries that compute.
    """

    schema: ClassVar[str] = "result/1"
    measures: Mapping[str, Value]
    skipped: Mapping[str, str]
    pair: Mapping[str, Any]
    versions: Mapping[str, str]

    def __getitem__(self, name: str) -> Value:
        if name in self:
            return self.measures[name]
        if isinstance(name, str) and name in self.skipped:
            raise NotApplicable(f"{name} was not measured: {self.skipped[name]}")
        raise OptionError.unknown(
            "measure", name if isinstance(name, str) else quoted(name), self.measures
        )

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.measures

    def __iter__(self) -> Iterator[str]:
        return iter(self.measures)

    def __len__(self) -> int:
        return len(self.measures)

    @overload
    def get(self, name: str, /) -> Value | None: ...
    @overload
    def get(self, name: str, /, default: Other) -> Value | Other: ...
    def get(self, name: str, /, default: object = None) -> object:
        """The value with this name; ``default`` if it was skipped or is unknown."""
        return self.measures[name] if name in self else default

    def matrix(self, name: str) -> dict[str, dict[str, Value]]:
        """One measure over all modalities: ``result.matrix("rmg")["image"]["text"]``.

        Args:
            name: of a measure, or of a number of a task, without modalities: "rmg", "answers.top1",
                "retrieval.r1".

        Returns:
            Modality to modality to value. A measure of two modalities has values above the
            diagonal only, one of one modality on the diagonal. A measure of one modality that needs
            another, such as "leakage", has rows for the modality that is measured.

        Raises:
            OptionError: no number of a modality, or of two, has this name.
        """
        names = list(self.pair.get("were_unit", {}))
        head, _, number = name.partition(".")
        forms = {
            form: (a, b)
            for a in names
            for b in names
            for form in (
                [f"{head}.{a}_to_{b}_{number}"]
                if number
                else [f"{name}_{a}"]
                if a == b
                else [f"{name}.{a}.{b}", f"{name}_{a}.{b}"]
            )
        }
        if len(names) == 2:
            forms[name] = (names[0], names[1])
        found: dict[str, dict[str, Value]] = {}
        for form, (a, b) in forms.items():
            if form in self:
                found.setdefault(a, {})[b] = self.measures[form]
        if not found:
            raise OptionError.unknown("measure of modalities", name, self.measures)
        return found

    def _columns(self) -> dict[str, Column]:
        values = list(self.measures.values())
        ends = [each.interval or (None, None) for each in values]
        return {
            "name": (str, list(self.measures)),
            "value": (float, [each.value for each in values]),
            "low": (float, [low for low, _ in ends]),
            "high": (float, [high for _, high in ends]),
            "better": (str, [each.params.get("better") for each in values]),
            "unit": (str, [each.params.get("unit", "") for each in values]),
        }

    def _repr_html_(self) -> str:
        rows = []
        for name, each in self.measures.items():
            better = str(each.params.get("better", ""))
            unit = str(each.params.get("unit", ""))
            shown = "" if better == "neither" else better
            rows.append([name, number(each.value) + unit, interval(each), shown])
        notes = [
            f"Not computed: {', '.join(names)}: {reason}"
            for reason, names in by_reason(self.skipped).items()
        ]
        return html_table(["number", "value", "95 % interval", "better"], rows, notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "measures": {name: value.to_dict() for name, value in self.measures.items()},
            "skipped": dict(self.skipped),
            "pair": dict(self.pair),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The result that ``to_dict`` wrote.

        Raises:
            FileError: it is not such a dictionary.
        """
        with reading("Result"):
            return cls(
                {name: Value.from_dict(each) for name, each in found["measures"].items()},
                {name: str(reason) for name, reason in found["skipped"].items()},
                dict(found["pair"]),
                {name: str(version) for name, version in found["versions"].items()},
            )

    def __str__(self) -> str:
        width = max((len(name) for name in self.measures), default=0)
        lines = [f"{name:<{width}}  {describe(value)}" for name, value in self.measures.items()]
        if "repeats" in self.pair:
            lines.append(f"note: {self.pair['repeats']['note']}")
        return "\n".join(lines)


@checked
@dataclass(frozen=True, kw_only=True)
class Table(Answer, Columns):
    """Values in rows and columns: the result of a study.

    Table libraries read it with the columns of ``to_csv``: ``table.to_frame()``,
    ``polars.DataFrame(table)``.

    Attributes:
        name: the name of the study.
        source: paper and section that it follows.
        vary: what changes from row to row.
        rows: name of the row to name of the number to its value.
        heads: the numbers that tables show, name to title.
        settings: everything that the numbers depend on.
        notes: remarks for readers.
        verdicts: published results and other expected numbers beside these: claim, where, against,
            published, ours, verdict, note.
        versions: versions of modalgap and of the libraries that compute.
    """

    schema: ClassVar[str] = "table/1"
    name: str
    source: str
    vary: str
    rows: Mapping[str, Mapping[str, Value]]
    heads: Mapping[str, str]
    settings: Mapping[str, Any]
    notes: Sequence[str] = ()
    verdicts: Sequence[Mapping[str, str]] = ()
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def column(self, name: str) -> list[Value]:
        """One number over all rows."""
        return [values[name] for values in self.rows.values()]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "name": self.name,
            "source": self.source,
            "vary": self.vary,
            "rows": {
                row: {name: value.to_dict() for name, value in values.items()}
                for row, values in self.rows.items()
            },
            "heads": dict(self.heads),
            "settings": dict(self.settings),
            "notes": list(self.notes),
            "verdicts": [dict(each) for each in self.verdicts],
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The table that ``to_dict`` wrote.

        Raises:
            FileError: it is not such a dictionary.
        """
        with reading("Table"):
            return cls(
                name=str(found["name"]),
                source=str(found["source"]),
                vary=str(found["vary"]),
                rows={
                    row: {name: Value.from_dict(value) for name, value in values.items()}
                    for row, values in found["rows"].items()
                },
                heads=dict(found["heads"]),
                settings=dict(found["settings"]),
                notes=list(found["notes"]),
                verdicts=[dict(each) for each in found.get("verdicts", ())],
                versions=dict(found["versions"]),
            )

    def _columns(self) -> dict[str, Column]:
        return as_columns(self)

    def to_csv(self) -> str:
        """One line per row: each number with the ends of its interval."""
        return as_csv(self)

    def as_text(self, suffix: str) -> str:
        """The table as the text of a file: ".json", ".csv" or ".md".

        Raises:
            OptionError: another suffix.
        """
        forms = {".json": self.to_json, ".csv": self.to_csv, ".md": self.to_markdown}
        if suffix not in forms:
            raise OptionError(f"a table is written as {', '.join(forms)}; got {quoted(suffix)}")
        return forms[suffix]()

    def to_markdown(self) -> str:
        """The table in Markdown."""
        return as_markdown(self)

    def __str__(self) -> str:
        """The numbers with half the width of their intervals, the notes, and counts of verdicts."""
        from modalgap.terminal import print_numbers, text

        numbers = text(lambda on: print_numbers(on, self))
        return "\n".join([f"{self.name} ({self.source})", numbers, *summary(self.verdicts)])

    def _repr_html_(self) -> str:
        return as_html(self)


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


def describe(value: Value) -> str:
    """A value and its interval for people: "0.851 [0.843, 0.860]"."""
    text = f"{value.value:.4g}"
    if value.interval is not None:
        low, high = value.interval
        text += f"  [{low:.4g}, {high:.4g}]"
    return text


def versions() -> dict[str, str]:
    """Versions of modalgap, Python and the libraries that compute."""
    result = {"modalgap": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "scipy", "scikit-learn"):
        result[name] = metadata.version(name)
    return result
