"""The report of three or more modalities: a matrix per measure, who answers whom, one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modalgap.measure.names import GROUPS, modalities, modalities_of
from modalgap.measure.registry import MEASURES
from modalgap.modality import article, listed, plural
from modalgap.report import table
from modalgap.report.draw import PICTURES
from modalgap.report.sections import (
    Block,
    Cell,
    Facts,
    Json,
    Matrices,
    Matrix,
    Reasons,
    Section,
    Text,
    Topics,
    shown,
)
from modalgap.result import Result, Value
from modalgap.views import Views

KEY = ("rmg", "l2m", "matched_cosine", "gram_volume")  # the matrices to see first
SAMPLE = "Points show a sample of the items, drawn with seed {seed}. Numbers are of all rows."
NUMBERS = (
    "Rows and columns are modalities. A measure of two modalities has one cell for each two; a"
    " measure of one modality has one row. In a matrix with a cell on both sides, the row is the"
    " modality that is measured. Descriptions say image for the modality of the row and text for"
    " that of the column. Darker cells are larger within their matrix."
)
ANSWERS = (
    "One index holds all modalities; every row asks, and is left out itself. Each row of a matrix"
    " is the modality of the query, each column that of the results; “fair” is the share of the"
    " modality in the index, which results would have if modality played no role."
)


def sections(result: Result, answers: Result, seen: Views, seed: int = 0) -> list[Section]:
    """The sections of a report.

    Args:
        result: of ``measure``, for three or more modalities.
        answers: of ``evaluate`` with the task "answers".
        seen: the coordinates of the picture.
        seed: of the sample behind the picture.
    """
    drawn = [shown(each.drawing(seen)) for each in PICTURES.values() if each.applies(seen)]
    found = [
        Section(
            head="Summary",
            id="words",
            blocks=[Topics(topics=_words(result, answers), beside=drawn)],
        )
    ]
    first = [each for name in KEY if (each := _matrix(name, result)) is not None]
    if first:
        found.append(
            Section(
                head="The gap of every two",
                id="pairs",
                blocks=[Matrices(groups=[("", first)])],
            )
        )
    whom = Text(paragraphs=[ANSWERS], muted=True)
    found.append(
        Section(
            head="Who answers whom",
            id="answers",
            blocks=[whom, Matrices(groups=[("", _answers(answers))])],
        )
    )
    numbers: list[Block] = [
        Text(paragraphs=[NUMBERS, SAMPLE.format(seed=seed)], muted=True),
        Matrices(groups=_groups(result)),
    ]
    if skipped := table.skipped(result):
        numbers.append(Reasons(head="Not measured", reasons=skipped))
    found.append(Section(head="All numbers", id="numbers", blocks=numbers))
    origin = [
        Facts(facts=table.provenance(result.pair, result.versions)),
        Json(label="The measures as JSON", text=table.as_json(result)),
        Json(label="Who answers whom, as JSON", text=table.as_json(answers)),
    ]
    found.append(Section(head="Data and versions", id="origin", blocks=origin))
    return found


def _words(result: Result, answers: Result) -> list[tuple[str, list[str]]]:
    """What stands out, by topic."""
    names = modalities(result)
    found: list[tuple[str, list[str]]] = []
    gaps = {
        modalities_of(name, names): value.value
        for name, value in result.items()
        if name.startswith("rmg.")
    }
    if len(gaps) > 1:
        far, near = max(gaps, key=gaps.__getitem__), min(gaps, key=gaps.__getitem__)
        found.append(
            (
                "Size of the gap",
                [
                    f"The relative modality gap is largest between {listed([*map(plural, far)])}"
                    f" ({gaps[far]:.2f}) and smallest between {listed([*map(plural, near)])}"
                    f" ({gaps[near]:.2f}); 0.5 means that matched items are as far apart as"
                    " unrelated items of one modality."
                ],
            )
        )
    fair = next(iter(answers.values())).details["fair"]
    said = []
    for query, row in answers.matrix("answers.top1").items():
        other, value = max(row.items(), key=lambda each: each[1].value - fair[query][each[0]])
        share = fair[query][other]
        if value.value > 1.5 * share:
            said.append(
                f"For {article(query)} query, {value.value:.0%} of the first results are"
                f" {plural(other)}; the fair share is {share:.0%}."
            )
    if not said:
        said = ["The first results of every modality are close to their fair shares."]
    found.append(("Search in one index", said))
    about = result.pair
    lost = [f"{count:,} {plural(name)}" for name, count in about["incomplete"].items() if count]
    items = f"{about['items']:,} items have all {len(names)} modalities."
    rest = f" Rows of items that lack a modality: {listed(lost)}." if lost else ""
    found.append(("Items", [items + rest]))
    return found


def _groups(result: Result) -> list[tuple[str, list[Matrix]]]:
    """The matrix of every measure, by question."""
    found: dict[str, list[Matrix]] = {group: [] for group in (*GROUPS, table.OTHERS)}
    for name, measure in MEASURES.items():
        matrix = _matrix(name, result)
        if matrix is not None:
            group = measure.card.group
            found[group if group in GROUPS else table.OTHERS].append(matrix)
    return [(group, members) for group, members in found.items() if members]


def _matrix(measure: str, result: Result) -> Matrix | None:
    """One measure; None where the result does not have it."""
    names, card = modalities(result), MEASURES[measure].card
    values = {
        modalities_of(name, names): value
        for name, value in result.items()
        if name.partition(".")[0] == measure or name in MEASURES[measure].names(names)
        or (MEASURES[measure].between and name.startswith(f"{measure}_"))
    }  # fmt: skip
    whole = values.pop(tuple(names), None)
    if not values and whole is None:
        return None
    note = card.idea
    if whole is not None:
        note += f" All modalities together: {_number(whole)}."
    rows: dict[str, dict[str, Value]] = {}
    for of, value in values.items():
        rows.setdefault(of[0] if len(of) == 2 else "", {})[of[-1]] = value
    return _coloured(card.title, note, names, rows, {})


def _answers(answers: Result) -> list[Matrix]:
    names = modalities(answers)
    params = next(iter(answers.values())).params
    fair = next(iter(answers.values())).details["fair"]
    titles = {1: "The first result"}
    if params["k"] > 1:
        titles[params["k"]] = f"The first {params['k']} results"
    return [
        _coloured(title, "", names, answers.matrix(f"answers.top{end}"), fair)
        for end, title in titles.items()
    ]


def _coloured(
    title: str,
    note: str,
    names: Sequence[str],
    rows: Mapping[str, Mapping[str, Value]],
    fair: Mapping[str, Mapping[str, float]],
) -> Matrix:
    """A matrix whose cells are coloured from its smallest to its largest value."""
    every = [value.value for row in rows.values() for value in row.values()]
    low, high = (0.0, 1.0) if fair else (min(every), max(every))
    made: list[tuple[str, list[Cell | None]]] = []
    for name, row in rows.items():
        cells: list[Cell | None] = []
        for column in names:
            value = row.get(column)
            if value is None:
                cells.append(None)
                continue
            strength = (value.value - low) / (high - low) if high > low else 0.0
            below = f"fair {fair[name][column]:.0%}" if fair else ""
            shown_as = f"{value.value:.0%}" if fair else _number(value)
            cells.append(Cell(shown_as, _interval(value), below, round(60 * strength)))
        made.append((name, cells))
    return Matrix(title, note, tuple(names), made)


def _number(value: Value) -> str:
    return f"{value.value:.{table.decimals(value.value) - 1}f}".replace("-", "−")


def _interval(value: Value) -> str:
    if value.interval is None:
        return ""
    return " … ".join(f"{end:.4g}" for end in value.interval).replace("-", "−")
