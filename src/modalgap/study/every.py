"""All studies, one after another, with one page and one list of verdicts.

Studies share trained models. If a study fails, the reason is recorded and the next study
runs. Finished studies are reused, so the same call resumes after an interruption.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.atomic import made_folder, replacing
from modalgap.checks import several, whole
from modalgap.errors import MissingData, ModalgapError, OptionError
from modalgap.method import pick
from modalgap.progress import note
from modalgap.result import Table, versions
from modalgap.study.base import FILES, Study
from modalgap.study.outcome import Outcome, counts_by_kind
from modalgap.study.registry import STUDIES
from modalgap.text import markdown_cell
from modalgap.verdicts import ABOUT, NOT_COMPUTED, Verdict, summary

DIGITS = "digits"  # an option for a folder of digits, which replaces part of the embedded data
MODELS = "models"
VERDICTS = "verdicts"
COLUMNS = ("study", "claim", "where", "against", "published", "ours", "verdict", "note")


@checked
def run_all(
    output: str | Path,
    *,
    only: str | Sequence[str] | None = None,
    jobs: int | None = None,
    embedded: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> dict[str, Table]:
    """Run every study, or reuse its finished result, each in a folder of its own.

    Besides the files of each study, it writes ``verdicts.json``, ``verdicts.csv`` and
    ``verdicts.md``, with one row per published result or check, and ``index.html``, which links the
    pages.

    Args:
        output: the folder; each study is in ``output / name``, trained models in
            ``output / "models"``.
        only: names of studies; all by default.
        jobs: models trained at the same time; by default one per processor.
        embedded: refuse options that name files, so that all studies run on embedded data.
        overwrite: discard results and models with other settings and start over; without it, a
            study whose folder has a result with other settings fails.
        **options: options for the studies that have them.

    Returns:
        Name to table, for the studies that finished.

    Raises:
        OptionError: an unknown study, or an option that no study has.
        OutputError: the folder cannot be made, or a file cannot be written.
    """
    found = outcomes(
        output, only=only, jobs=jobs, embedded=embedded, overwrite=overwrite, **options
    )
    return {each.study.name: each.table for each in found if each.table is not None}


@checked
def outcomes(
    output: str | Path,
    *,
    only: str | Sequence[str] | None = None,
    jobs: int | None = None,
    embedded: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> list[Outcome]:
    """Like ``run_all``; returns the outcome of every study, also of those without a table."""
    chosen = _chosen(only)
    _check(chosen, options, embedded=embedded)
    if jobs is not None:
        whole("jobs", jobs, 1, 1024)
    folder = Path(output)
    found = []
    with made_folder(folder):
        for at, study in enumerate(chosen, 1):
            note(f"study {at} of {len(chosen)}: {study.name}, {study.duration}")
            own = {name: value for name, value in options.items() if name in study.options}
            outcome = _outcome(study, folder, own, jobs, overwrite)
            state = ": ".join(filter(None, [outcome.status, outcome.reason]))
            took = f"{outcome.seconds:.0f} seconds"
            note(f"study {at} of {len(chosen)}: {study.name} {state}; {took}")
            found.append(outcome)
        _write(found, folder)
    return found


def _chosen(only: str | Sequence[str] | None) -> list[Study]:
    if only is None:
        return list(STUDIES.values())
    names = dict.fromkeys(several("only", only))
    if not names:
        raise OptionError("only must name at least one study; got none")
    return [pick(name, STUDIES, Study, "only") for name in names]


def _check(chosen: Sequence[Study], options: Mapping[str, Any], *, embedded: bool) -> None:
    """Refuse options that no study has, and files where the data is embedded."""
    known = {name for study in chosen for name in study.options}
    for name in options:
        if name not in known:
            raise OptionError.unknown("option of these studies", name, known)
        if embedded and name in (*FILES, DIGITS):
            raise OptionError(f"{name}: must not be given with embedded, which uses no files")


def _outcome(
    study: Study, folder: Path, options: Mapping[str, Any], jobs: int | None, overwrite: bool
) -> Outcome:
    started = time.monotonic()
    table, reason, ready = None, "", False
    try:
        table = study(
            folder / study.name,
            jobs=jobs,
            models=folder / MODELS,
            overwrite=overwrite,
            **options,
        )
    except ModalgapError as error:
        reason, ready = str(error), isinstance(error, MissingData)
    if table is not None:
        verdicts = list(table.verdicts)
    else:
        nothing = Table(
            name=study.name, source=study.card.source, vary="", rows={}, heads={}, settings={}
        )
        verdicts = [
            {**each.verdict(nothing), "verdict": f"{NOT_COMPUTED}: {reason}"}
            for each in study.published
        ]
    seconds = time.monotonic() - started
    return Outcome(
        study=study, table=table, reason=reason, seconds=seconds, verdicts=verdicts, ready=ready
    )


def _write(found: Sequence[Outcome], folder: Path) -> None:
    """The lists of verdicts, and the page."""
    from modalgap.study.every_page import write_index

    rows = [{"study": outcome.study.name, **each} for outcome in found for each in outcome.verdicts]
    whole_list = {
        "counts": counts_by_kind(rows),
        "studies": [outcome.to_dict() for outcome in found],
        "verdicts": rows,
        "versions": versions(),
    }
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerows([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)])
    for suffix, content in (
        ("json", json.dumps(whole_list, indent=2, ensure_ascii=False)),
        ("csv", text.getvalue()),
        ("md", _markdown(rows)),
    ):
        with replacing(folder / f"{VERDICTS}.{suffix}", overwrite=True) as file:
            file.write(content.encode())
    write_index(found, folder)


def _markdown(rows: Sequence[Verdict]) -> str:
    head = "".join(f"- {line}\n" for line in summary(rows))
    lines = [COLUMNS, ["---"] * len(COLUMNS)]
    lines += [[markdown_cell(row[name]) for name in COLUMNS] for row in rows]
    body = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{ABOUT}\n\n{head}\n{body}"
