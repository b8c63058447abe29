"""Table: values in rows and columns, as a study returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from modalgap.arguments import checked
from modalgap.columns import Column, Columns
from modalgap.errors import OptionError, quoted
from modalgap.result.answer import Answer, versions
from modalgap.result.value import Value, reading
from modalgap.tabular import as_columns, as_csv, as_html, as_markdown
from modalgap.verdicts import summary


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
    versions: Mapping[str, str] = field(default_factory=versions)

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
