"""The verb: measure, and write one HTML file with the summary, the pictures and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import OptionError
from modalgap.evaluate.verb import evaluate
from modalgap.measure.base import Measure
from modalgap.measure.names import measure_of, modalities
from modalgap.measure.verb import measure
from modalgap.modality import dimensions, listed, plural
from modalgap.report import export, many, table
from modalgap.report.draw import PICTURES
from modalgap.report.page import check_page, render_page, write_page
from modalgap.report.sections import (
    Block,
    Facts,
    Json,
    Matches,
    Measures,
    Pictures,
    Reasons,
    Section,
    Text,
    Tiles,
    Topics,
    shown,
)
from modalgap.report.words import summary
from modalgap.result import Result
from modalgap.views import Views, views

SAMPLE = (
    "Points and histograms show a random sample of the rows (seed {seed}). Numbers in the table use"
    " all rows, or the sample that their options state."
)
NUMBERS = (
    "“Better” is the direction that means a smaller gap or better embeddings. If a measure has no"
    " “Better”, neither direction is better. The mark on a bar shows the value within its range."
)
INTERACTIVE = "modalgap explore shows the same embeddings on an interactive page."
POOL = 5_000  # rows per modality in the pool of who answers whom
BESIDE = 2  # pictures beside the summary


@takes_pair
def report(
    data: Pair | Embeddings | Modalities,
    /,
    path: str | Path,
    *,
    result: Result | None = None,
    title: str | None = None,
    figures: str | Path | None = None,
    formats: Sequence[str] = ("svg",),
    overwrite: bool = False,
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write a report of the modality gap as one HTML file that needs no other file.

    Args:
        data: a pair; one modality, for which only some measures apply; or three or more, with a
            matrix per measure and who answers whom. Two arrays are a pair:
            ``modalgap.report(x, y, "report.html")``.
        path: the HTML file.
        result: the result of ``modalgap.measure(data)``; computed here by default.
        title: heading of the page.
        figures: a folder to which the figures are also written.
        formats: formats of these figures: "png", "svg", "pdf".
        overwrite: replace existing files.
        seed: seed of the samples that figures and measures use.
        **options: options of ``modalgap.measure``.

    Returns:
        The path written.

    Raises:
        OutputError: a file exists, does not end in .html, or cannot be written; nothing is written
            then.
        OptionError: an unknown option, or options together with ``result``.
        InputError: the result is of other data.
    """
    if isinstance(data, Modalities) and len(data) == 2:
        data = data.pair(*data)
    target = check_page(path, overwrite=overwrite)  # before work that takes long
    if figures is not None:
        export.plan(PICTURES, figures, formats, overwrite)
    if result is None:
        only = options.get("only")
        if only is not None:
            options["only"] = only = [only] if isinstance(only, str | Measure) else list(only)
        if only is None or any(map(_has_seed, only)):
            options["seed"] = seed
        result = measure(data, **options)
    elif options:
        raise OptionError(
            f"options of measures cannot be combined with result: {', '.join(options)}"
        )
    else:
        export.check_result(result, data)
    seen = views(data, result, seed)
    answers = None
    if isinstance(data, Modalities):
        answers = evaluate(data, only="answers", seed=seed, max_rows=POOL)
    page = render(result, seen, answers, title=title, seed=seed)
    if figures is not None:
        export.save_figures(export.draw_all(seen), figures, formats, overwrite=overwrite)
    return write_page(page, target, overwrite=overwrite)


def _has_seed(measure: str | Measure) -> bool:
    """Whether a measure, or the measure of a name, has the option ``seed``."""
    found = measure if isinstance(measure, Measure) else measure_of(str(measure))
    return found is not None and "seed" in found.options


def render(
    result: Result,
    seen: Views,
    answers: Result | None = None,
    *,
    title: str | None = None,
    seed: int = 0,
) -> str:
    """The page as text; the same for the same arguments.

    Args:
        result: the measures.
        seen: what the pictures show.
        answers: for three or more modalities, who answers whom.
        title: of the page.
        seed: of the sample behind the pictures.
    """
    if answers is None:
        found = sections(result, seen, seed)
    else:
        found = many.sections(result, answers, seen, seed)
    return render_page(
        found,
        title=title or "Modality gap report",
        subtitle=_subtitle(result),
        version=result.versions.get("modalgap", ""),
    )


def sections(result: Result, seen: Views, seed: int = 0) -> list[Section]:
    """The sections of a report; those without content are left out."""
    drawn = [shown(each.drawing(seen)) for each in PICTURES.values() if each.applies(seen)]
    said = summary(result, seen)
    tiles = table.tiles(result)
    found = []
    if tiles:
        found.append(Section(head="", id="tiles", label="Key numbers", blocks=[Tiles(rows=tiles)]))
    if said:
        beside, drawn = drawn[:BESIDE], drawn[BESIDE:]
        found.append(
            Section(head="Summary", id="words", blocks=[Topics(topics=said, beside=beside)])
        )
    if drawn:
        note = Text(paragraphs=[SAMPLE.format(seed=seed)], muted=True)
        found.append(
            Section(head="More figures", id="pictures", blocks=[Pictures(pictures=drawn), note])
        )
    numbers: list[Block] = [
        Text(paragraphs=[NUMBERS], muted=True),
        Measures(groups=table.groups(result)),
    ]
    if skipped := table.skipped(result):
        numbers.append(Reasons(head="Not measured", reasons=skipped))
    found.append(Section(head="All numbers", id="numbers", blocks=numbers))
    if seen.closest and seen.cosines is not None:
        found.append(_matches(seen, seen.cosines.pairs))
    origin = [
        Facts(facts=table.provenance(result.pair, result.versions)),
        Json(label="The result as JSON", text=table.as_json(result)),
        Text(paragraphs=[INTERACTIVE], muted=True),
    ]
    found.append(Section(head="Data and versions", id="origin", blocks=origin))
    return found


def _matches(seen: Views, pairs: int) -> Section:
    note = (
        f"From a sample of {pairs:,} matched pairs. If the data contain wrong matches, they are"
        " most likely among the farthest."
    )
    tables = {"Closest": seen.closest, "Farthest": seen.farthest}
    return Section(
        head="Closest and farthest matches",
        id="matches",
        blocks=[Text(paragraphs=[note], muted=True), Matches(names=seen.names, tables=tables)],
    )


def _subtitle(result: Result) -> str:
    sides = listed(
        [f"{result.pair.get(f'n_{name}'):,} {plural(name)}" for name in modalities(result)]
    )
    return f"{sides} in {dimensions(result.pair['dim'])}"
