"""The verb: run a study by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modalgap.method import pick
from modalgap.result import Table
from modalgap.study.base import Study
from modalgap.study.registry import STUDIES


def study(
    method: str | Study,
    output: str | Path,
    *,
    jobs: int | None = None,
    models: str | Path | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Table:
    """Run a study, or reuse its finished result, and write its files.

    Args:
        method: the name of a study, see ``STUDIES``, or a ``Study``.
        output: folder for ``study.json``, ``table.csv``, ``table.md``, ``report.html``, the figure
            as PNG and SVG, and trained models.
        jobs: models trained at the same time; by default one per processor.
        models: folder of trained models that several studies share, so that each model is trained
            once; by default the folder ``runs`` of this study.
        overwrite: discard results and models with other settings and start over.
        **options: options of the study.

    Returns:
        The table, with verdicts on the published results.

    Raises:
        OptionError: an unknown study or option, or a value outside its range.
        InputError: the folder has a result with other settings, and ``overwrite`` is false.
        ModalgapError: the study could not finish; finished models are reused by the next call.
    """
    chosen = pick(method, STUDIES, Study, "method")
    return chosen(output, jobs=jobs, models=models, overwrite=overwrite, **options)
