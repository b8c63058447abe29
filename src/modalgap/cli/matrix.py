"""Results of three or more modalities as tables in a terminal: one matrix per measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape

from modalgap.cli.table import begun, left_out
from modalgap.measure.names import measure_of, modalities, modalities_of
from modalgap.modality import legible
from modalgap.result import Result, Value
from modalgap.terminal import Row, measured, print_columns

Cells = dict[str, dict[str, Value]]  # modality of the row to modality of the column to value


def print_matrices(result: Result) -> None:
    """Print a matrix of modalities for each measure, and numbers of all modalities below."""
    on = begun(result)
    names = modalities(result)
    rows: list[Row] = []
    together: list[Row] = []
    for measure, values in _by_measure(result).items():
        single, cells = _split(values, names)
        if names in values:
            together.append((escape(measure), measured(values[names])))
        if not single and not cells:
            continue
        rows.append(())
        if single:
            rows.append((escape(measure), "", *(measured(single.get(name)) for name in names)))
        for i, (row, found) in enumerate(cells.items()):
            head = escape(measure) if i == 0 else ""
            shown = (measured(found[name]) if name in found else "" for name in names)
            rows.append((head, escape(legible(row)), *shown))
    print_columns(on, ["measure", "", *(escape(legible(name)) for name in names)], rows, fixed=2)
    if together:
        print_columns(on, ["items of all modalities", "value"], together)
    left_out(on, result)


def _by_measure(result: Result) -> dict[str, dict[tuple[str, ...], Value]]:
    """Measure to the modalities of each of its numbers to the number."""
    every = modalities(result)
    found: dict[str, dict[tuple[str, ...], Value]] = {}
    for name, value in result.items():
        measure = measure_of(name)
        head = name if measure is None else measure.name
        found.setdefault(head, {})[modalities_of(name, every)] = value
    return found


def _split(
    values: Mapping[tuple[str, ...], Value], names: Sequence[str]
) -> tuple[dict[str, Value], Cells]:
    """Numbers of one modality by modality, and those of two as a matrix."""
    single = {of[0]: value for of, value in values.items() if len(of) == 1}
    cells: Cells = {}
    for of, value in values.items():
        if len(of) == 2:
            cells.setdefault(of[0], {})[of[1]] = value
    return single, {name: cells[name] for name in names if name in cells}
