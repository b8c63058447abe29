"""Result: named values of one input, with everything that is needed to reproduce them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, overload

from modalgap.arguments import checked
from modalgap.columns import Column, Columns
from modalgap.errors import NotApplicable, OptionError, quoted
from modalgap.result.answer import Answer
from modalgap.result.value import Value, describe, reading
from modalgap.tabular import by_reason, html_table, interval, number

Other = TypeVar("Other")


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
