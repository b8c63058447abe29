"""The page and the figure of an inversion curve: cosine and retrieval against steps."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from modalgap.panels import Curves, Part
from modalgap.report.tables import table_figure, table_page
from modalgap.result import Table

NATIVE = "native"


def best_step(table: Table) -> str:
    """The step with the highest mAP, in words."""
    steps = {row: values["map"].value for row, values in table.rows.items() if row != NATIVE}
    best = max(steps, key=lambda row: steps[row])
    native = table.rows[NATIVE]["map"].value
    last = list(steps)[-1]
    ends = table.rows[best]["map"].interval, table.rows[last]["map"].interval
    tie = ends[0] and ends[1] and ends[0][0] <= ends[1][1] and best != last
    return (
        f"The highest mAP is {steps[best]:.3f}, at step {best}. It is {steps[last]:.3f} at the last"
        f" step, {last}, and {native:.3f} for the native queries."
        + (" The intervals of the best and the last step overlap." if tie else "")
        + " If the step is chosen and tested on the same queries, the estimate is too optimistic."
    )


PARTS = (
    Part(
        head="Results per step",
        words=(
            "The cosine between the inverted and the native feature rises with the steps."
            " Retrieval within the modality does not always improve: compare the two figures.",
            best_step,
        ),
        panels=(
            Curves(
                title="Cosine with the inverted feature",
                ys={"cosine": "cosine"},
                level=NATIVE,
                xlabel="step",
                log="x",
                zero=False,
            ),
            Curves(
                title="Retrieval",
                caption="Bars: 95 % intervals. Dotted lines: the native queries.",
                ys={"map": "mAP", "r1": "R@1"},
                level=NATIVE,
                xlabel="step",
                log="x",
                zero=False,
            ),
        ),
    ),
)


def curve_figure(table: Table) -> Figure:
    """Both panels side by side, in the colours of a paper."""
    found = table_figure(table, PARTS)
    assert found is not None  # noqa: S101 - every curve has a cosine
    return found


def curve_page(
    table: Table, path: str | Path, *, title: str | None = None, overwrite: bool = False
) -> Path:
    """Write the page of a curve.

    Args:
        table: the result of ``modalgap.invert.curve``.
        path: the HTML file.
        title: heading of the page.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: the file exists and ``overwrite`` is false, or it cannot be written.
    """
    return table_page(
        table,
        PARTS,
        path,
        title=title or table.name,
        subtitle=str(table.settings.get("model", "")),
        overwrite=overwrite,
    )
