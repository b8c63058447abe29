"""Writes the gallery and the list of verdicts from the results of ``modalgap study all``.

    python docs/gallery.py RESULTS [FEATURES]

RESULTS is the output folder of ``modalgap study all``. FEATURES is a folder of public features; the
studies that take a file of features are computed on them too. Writes gallery.md, reproduced.md and
the pictures in gallery/, each in light and dark.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from figures import FIGURES, PAPERS, paper_of, shown_in, without_results
from PIL import Image

from modalgap.errors import ModalgapError
from modalgap.report.palette import DARK, LIGHT, Palette, style
from modalgap.report.tables import table_figure
from modalgap.result import Table
from modalgap.study import STUDIES, Study
from modalgap.text import markdown_cell
from modalgap.verdicts import (
    ABOUT,
    AGREES,
    DIFFERS,
    NAMES,
    NOT_COMPUTED,
    PAPER,
    Verdict,
    against,
    by_kind,
    counts,
    missing,
    reason,
    state,
    summary,
)

HERE = Path(__file__).parent
DPI = 110
COLOURS = 96  # of an image; figures have few colours
OTHERS = "Other papers, closed forms, and our own studies"
# features of one data set: option of a study to file
FEATURES = {"pair": "clip_coco500.npy", "untrained": "clip_random_coco500.npy"}
FEATURES_TITLE = "CLIP ViT-B/16, 500 pairs of COCO"
EMBEDDED_TITLE = "embedded"
MOST = 2  # reasons in a row of the index
READY = "ready"  # not computed here: data or weights are missing


@dataclass(frozen=True)
class Made:
    """One result of a study: its table, the folder of its files, and the data that it ran on."""

    study: Study
    table: Table
    folder: Path
    data: str

    @property
    def name(self) -> str:
        """File name of the picture."""
        return self.study.name if self.data == EMBEDDED_TITLE else f"{self.study.name}-features"

    @property
    def paper(self) -> str:
        """Folder of the paper."""
        return folder_of(self.study)


def folder_of(study: Study) -> str:
    """The folder of a study's paper; "" for the others."""
    folder = study.body.__module__.split(".")[2]
    return folder if folder in PAPERS else ""


def results(folder: Path, features: Path | None) -> Iterator[Made]:
    """The finished results, in the order of the registry."""
    for name, study in STUDIES.items():
        file = folder / name / "study.json"
        if file.is_file():
            yield Made(study, judged(study, file), file.parent, EMBEDDED_TITLE)
        else:
            print(f"{name}: no result in {folder}", file=sys.stderr)
        if features is not None and "pair" in study.options:
            yield from computed(study, folder / "features" / name, features)


def judged(study: Study, file: Path) -> Table:
    """The table in a file, with verdicts computed again."""
    table = Table.from_json(file.read_text(encoding="utf-8"))
    verdicts = [each.verdict(table) for each in study.published]
    return Table.from_dict({**table.to_dict(), "verdicts": verdicts})


def computed(study: Study, folder: Path, features: Path) -> Iterator[Made]:
    """The result on public features; nothing if the study cannot use them."""
    options = {
        name: str(features / file) for name, file in FEATURES.items() if name in study.options
    }
    try:
        table = study(folder, **options)
    except ModalgapError as error:
        print(f"{study.name} on features: {error}", file=sys.stderr)
        return
    yield Made(study, table, folder, FEATURES_TITLE)


def draw(made: Made, folder: Path) -> bool:
    """Write both pictures of a result; False if it has none."""
    for palette, end in ((LIGHT, ""), (DARK, "-dark")):
        figure = table_figure(made.table, made.study.parts, made.folder, palette)
        if figure is None:
            return False
        (folder / f"{made.name}{end}.png").write_bytes(_png(figure, palette))
    return True


def _png(figure: object, palette: Palette) -> bytes:
    buffer = io.BytesIO()
    with style("gallery"):
        figure.savefig(buffer, dpi=DPI, facecolor=palette.paper)  # type: ignore[attr-defined]
    few = Image.open(buffer).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    smaller = io.BytesIO()
    few.save(smaller, "PNG", optimize=True)
    return smaller.getvalue()


def gallery(found: list[Made], folder: Path) -> str:
    """The page of pictures; writes them into ``folder``."""
    lines = [
        "# Gallery",
        "",
        "The figures of all [studies](study.md), made by `make gallery`. Each is computed by a"
        " simulation or with small models that the study trains; figures on"
        f" {FEATURES_TITLE} use public features. [Which results are reproduced](reproduced.md)"
        " lists every published result beside ours, and the checks of our implementation.",
        "",
    ]
    for paper, title in (*PAPERS.items(), ("", OTHERS)):
        own = [made for made in found if made.paper == paper]
        lines += [f"## {title}", ""] if own else []
        for made in own:
            lines += _shown(made, folder)
    return "\n".join(lines)


def _shown(made: Made, folder: Path) -> list[str]:
    card = made.study.card
    again = made.data != EMBEDDED_TITLE
    title = f"{card.title}, {made.data}" if again else card.title
    lines = [f"### {title}", ""]
    if not again:
        lines += [f"{card.question or card.idea} ({card.source})", ""]
    if draw(made, folder):
        alt = f"{card.title}: {card.idea}".replace('"', "'")
        for end, which in (("", "only-light"), ("-dark", "only-dark")):
            lines += [
                f"```{{image}} gallery/{made.name}{end}.png",
                f":alt: {alt}",
                f":class: {which}",
                "```",
            ]
        lines.append("")
    said = [_counted(line) for line in summary(made.table.verdicts)] or [
        "no published results to compare with"
    ]
    lines += [f"Verdicts: {'; '.join(said)}.", ""]
    lines += [] if again else ["```sh", f"modalgap study {made.study.name}", "```", ""]
    return lines


def reproduced(found: list[Made]) -> str:
    """The page of verdicts."""
    rows = _rows(found)
    lines = [
        "# Which results are reproduced",
        "",
        "Every result that a [study](study.md) compares with ours; `make gallery` writes this page."
        " The verdict is *agrees*, *differs* with the size of the difference and its reason, or"
        " *ready, needs* with the data or weights that are missing here: the study computes the"
        f" result as soon as it gets them, and its page has the commands. {ABOUT}",
        "",
        *(f"- {_counted(line)}" for line in summary(each for _, each in rows)),
        "",
    ]
    published = [(made, each) for made, each in rows if against(each) == PAPER]
    lines += ["## All figures and tables", "", *_index(published)]
    for paper, title in (*PAPERS.items(), ("", "Other papers")):
        own = [(made, each) for made, each in published if paper_of(each["where"]) == paper]
        if own:
            lines += [f"## {title}", "", *_rows_of(own)]
    for kind in NAMES:
        own = [(made, each) for made, each in rows if against(each) == kind != PAPER]
        if own:
            lines += [f"## Checks of our implementation: {NAMES[kind][0]}", "", *_rows_of(own)]
    return "\n".join(lines)


def _counted(line: str) -> str:
    """Counts of verdicts in the words of this page."""
    return line.replace(NOT_COMPUTED, READY)


def _index(published: list[tuple[Made, Verdict]]) -> list[str]:
    """The table of all figures and tables: one row for each, with its studies and its state."""
    lines = ["| Paper | Figure or table | Shows | Study | State |", "|---|---|---|---|---|"]
    for paper, figures in FIGURES.items():
        name = PAPERS[paper].partition(",")[0]
        for label, figure in figures.items():
            own = [(m, each) for m, each in published if shown_in(each["where"], paper, label)]
            studies = dict.fromkeys(f"`{made.study.name}`" for made, _ in own)
            row = (name, label, figure.shows, ", ".join(studies) or "–",
                   figure.private or state_of([each for _, each in own]))  # fmt: skip
            lines.append(f"| {' | '.join(map(markdown_cell, row))} |")
    return [*lines, ""]


def state_of(verdicts: list[Verdict]) -> str:
    """The state of a figure: the counts of its verdicts, or what it needs to be computed."""
    if not verdicts:
        return "no result"
    found = counts(verdicts)
    words = {AGREES: ("agrees", "agree"), DIFFERS: ("differs", "differ")}
    said = [f"{found[each]} {words[each][found[each] > 1]}" for each in words if found[each]]
    if found[NOT_COMPUTED]:
        needs = "; ".join(reason for reason, _ in missing(verdicts)[:MOST])
        more = "; …" if len(missing(verdicts)) > MOST else ""
        said.append(f"{found[NOT_COMPUTED]} {READY}: {needs}{more}")
    return ", ".join(said)


def _rows_of(own: list[tuple[Made, Verdict]]) -> list[str]:
    """The counts and the table of verdicts of one kind; nothing if there are none."""
    lines = []
    for kind, verdicts in by_kind(each for _, each in own).items():
        head = ("Result", "Where", "Study, data", NAMES[kind][2], "Ours", "Verdict")
        lines += [f"{_counted(line)}.\n" for line in summary(verdicts)]
        lines += [f"| {' | '.join(head)} |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(map(markdown_cell, _row(made, each)))} |" for made, each in own]
    return [*lines, ""] if lines else []


def _rows(found: list[Made]) -> list[tuple[Made, Verdict]]:
    """Each verdict once per data set; one that is computed on no data set, once."""
    rows: list[tuple[Made, Verdict]] = []
    for study in STUDIES.values():
        own = [(m, each) for m in found if m.study is study for each in m.table.verdicts]
        claims = dict.fromkeys((each["claim"], each["where"]) for _, each in own)
        for claim in claims:
            same = [(m, each) for m, each in own if (each["claim"], each["where"]) == claim]
            rows += [(m, each) for m, each in same if state(each) != NOT_COMPUTED] or same[:1]
    return rows


def _row(made: Made, verdict: Verdict) -> tuple[str, ...]:
    note = f" ({verdict['note']})" if verdict["note"] else ""
    missing = state(verdict) == NOT_COMPUTED
    where = f"`{made.study.name}`" + ("" if missing else f", {made.data}")
    return (
        verdict["claim"], verdict["where"], where, verdict["published"], verdict["ours"],
        _ready(verdict) + note,
    )  # fmt: skip


def _ready(verdict: Verdict) -> str:
    """The verdict in the words of this page."""
    why = reason(verdict)
    known = state(verdict) == NOT_COMPUTED and why.startswith("needs")
    return f"{READY}, {why}" if known else verdict["verdict"]


def check(found: list[Made]) -> None:
    """Say which rows of the page are empty: no result of a figure, no reason of a difference."""
    published = [each for made in found for each in made.table.verdicts if against(each) == PAPER]
    for paper, label in without_results(each["where"] for each in published):
        print(f"{PAPERS[paper].partition(',')[0]}, {label}: no result", file=sys.stderr)
    for each in published:
        if state(each) == DIFFERS and ";" not in each["verdict"]:
            print(f"{each['where']}: {each['claim']}: no reason", file=sys.stderr)


def main(results_folder: str, features: str | None = None) -> None:
    """Write both pages and the pictures."""
    found = list(results(Path(results_folder), None if features is None else Path(features)))
    pictures = HERE / "gallery"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    check(found)
    (HERE / "gallery.md").write_text(gallery(found, pictures), encoding="utf-8")
    (HERE / "reproduced.md").write_text(reproduced(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
