"""Results of three or more modalities as tables in a terminal: one matrix per measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from modalgap.cli.table import begun, cell, left_out
from modalgap.measure.names import measure_of, modalities, modalities_of
from modalgap.modality import legible
from modalgap.result import Result, Value

Cells = dict[str, dict[str, Value]]  # modality of the row to modality of the column to value


def print_matrices(result: Result) -> None:
    """Print a matrix of modalities for each measure, and numbers of all modalities below."""
    console = begun(result)
    names = modalities(result)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    table.add_column("")
    for name in names:
        table.add_column(escape(legible(name)), justify="right", no_wrap=True)
    together: dict[str, Value] = {}
    for measure, values in _by_measure(result).items():
        single, cells = _split(values, names)
        if names in values:
            together[measure] = values[names]
        if not single and not cells:
            continue
        table.add_section()
        if single:
            table.add_row(escape(measure), "", *(cell(single.get(name)) for name in names))
        for i, (row, found) in enumerate(cells.items()):
            head = escape(measure) if i == 0 else ""
            shown = (cell(found[name]) if name in found else "" for name in names)
            table.add_row(head, escape(legible(row)), *shown)
    console.print(table)
    if together:
        below = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        below.add_column("items of all modalities", no_wrap=True)
        below.add_column("value", justify="right", no_wrap=True)
        for measure, value in together.items():
            below.add_row(escape(measure), cell(value))
        console.print(below)
    left_out(console, result)


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
