"""The loss of a model as its modalities are shifted along the gap.

Both modalities are shifted along the gap, by half each, and normalised; the loss is computed for
every shift and temperature (measure ``loss_landscape``). The loss is the symmetric InfoNCE. The
code of the paper adds the cross-entropy from image to text twice instead. On CLIP ViT-B/16 and 500
COCO pairs, its minima are at the same distances, and its lowest loss at 1/τ = 100 is .5232; that of
the symmetric loss is .5660.
Source: Liang et al. 2022, section 4.2 and figure 3a, c, d.
"""

from __future__ import annotations

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.embeddings import Pair
from modalgap.errors import InputError
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Curves, Part, Reference
from modalgap.result import Table, Value
from modalgap.study import embedded, features
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published, Trend
from modalgap.trace import traced
from modalgap.views import landscape

CARD = Card(
    name="loss_landscape",
    title="The loss against the gap",
    idea="Shifts both modalities along the gap and computes InfoNCE at several temperatures.",
    source="Liang et al. 2022, section 4.2, figure 3",
    question="Is the contrastive loss lowest at the gap that the trained model has?",
    traits=("order",),
)
NAMES = ("full", "short")
SCALES = (100, 50, 30, 20, 10, 1)
OWN = "own τ"  # row at the temperature of the model
HEADS = {
    "scale": "1/τ",
    "lowest_loss": "lowest loss",
    "lowest_distance": "distance of means there",
    "present": "distance of means, no shift",
    "present_loss": "loss, no shift",
}


@checked
def plan(*, pair: str = "", batch: int = 50) -> Plan:
    """Plan the pairs.

    Args:
        pair: file of image features and their captions; by default two small models trained on MAD
            with full and with short captions.
        batch: pairs per batch, in the order of the file.

    Raises:
        OptionError: a value outside its range.
        InputError: the file holds class prompts.
    """
    whole("batch", batch, 2)
    settings, models = embedded.planned(pair, *NAMES)
    if pair and embedded.paired(pair).labels is not None:
        raise InputError(f"{pair}: must hold images and captions, not class prompts")
    return Plan(settings={**settings, "batch": batch}, models=models)


def run(work: Work) -> Table:
    """Shift every pair."""
    rows: dict[str, dict[str, Value]] = {}
    names = work.settings.get("embedded", ["file"])
    found = embedded.pairs(work)
    for name, (title, pair) in zip(names, found.items(), strict=True):
        short = name if "embedded" in work.settings else title
        rows |= _rows(pair, short, name, work.settings["batch"])
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="data, temperature",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            f"symmetric InfoNCE in batches of {work.settings['batch']} pairs, in order; the paper's"
            " code counts the loss from image to text twice instead",
            "distance of means: negative if the shift has exchanged the modalities; shifts are 0.25"
            " apart, so distances at the minimum are on a grid",
            "own τ: at the temperature of the model, if the file has it; the distance in this row"
            " has no sign",
            *(f"{name}: {title}" for name, title in embedded.TITLES.items() if name in names),
        ],
    )


def _rows(pair: Pair, name: str, column: str, batch: int) -> dict[str, dict[str, Value]]:
    """One row per temperature; the curves are in ``column``."""
    options = {"batch": batch, "max_rows": 10_000}
    found = measure(pair, ["loss_landscape", "infonce"], **options)
    land = landscape(found)
    assert land is not None  # noqa: S101 - it was measured
    order = land.gaps.argsort()
    gaps, rows = land.gaps[order], {}
    for scale, losses in zip(land.scales, land.losses[:, order], strict=True):
        lowest = int(losses.argmin())
        now = int(abs(gaps - land.present).argmin())
        rows[f"{name}, 1/τ = {scale:g}"] = {
            "scale": Value(scale),
            "lowest_loss": Value(float(losses[lowest])),
            "lowest_distance": Value(float(gaps[lowest])),
            "present": Value(land.present),
            "present_loss": Value(float(losses[now])),
            column: traced(float(losses[lowest]), gaps.tolist(), losses.tolist()),
        }
    if any("logit_scale" in side.provenance for side in pair.sides):
        value = found["loss_landscape"]
        rows[f"{name}, {OWN}"] = {
            "scale": Value(1 / value.params["temperature"]),
            "lowest_loss": Value(value.details["own_lowest_loss"]),
            "lowest_distance": Value(value.value),
            "present": Value(land.present),
            "present_loss": Value(found["infonce"].value),
        }
    return rows


def _panel(column: str, title: str, match: str = "") -> Curves:
    return Curves(
        title=title,
        caption="One curve per temperature; lower is better. Dashed: the gap without a shift.",
        trace=column,
        match=match,
        xlabel="distance of means (< 0: modalities exchanged)",
        ylabel="InfoNCE",
        limits=(0.0, 5.0),
        references=(Reference(at="present", axis="x", label="no shift"),),
    )


PARTS = (
    Part(
        head="The gap at which the loss is lowest",
        words=(
            "All images are moved along the gap by -δ/2 and all texts by δ/2, and normalised. Only"
            " the gap changes, so the minimum of a curve is the gap at which the loss is lowest."
            " In the paper, at the temperature of CLIP (1/τ = 100), the loss rises as the gap is"
            " closed; at high temperatures the loss is lowest at a small gap.",
            "The temperature that matters is that of the model (rows own τ). Far below it, the"
            " model is more confident than it was trained to be, and a large shift in either"
            " direction lowers the loss only because it makes all cosines more similar.",
        ),
        panels=(
            _panel("file", "Your embeddings"),
            _panel("full", "MAD, full captions", "full"),
            _panel("short", "MAD, short captions", "short"),
        ),
        columns=2,
    ),
)
FIGURE = "Liang et al. 2022, figure 3"
FILE = features.COCO
LOWEST = ((0.5660, 0.8514), (0.6646, 0.6315), (1.0138, 0.6315), (1.4940, 0.3831), (2.4227, 0.1149),
          (3.7374, 0.1149))  # fmt: skip
NEEDS = features.NEEDS
OTHER = "other data and models: only the direction is compared"
PUBLISHED: list[Published] = []
for _scale, (_loss, _distance) in zip(SCALES, LOWEST, strict=True):
    _row = f"{FILE}, 1/τ = {_scale}"
    PUBLISHED += [
        Number(
            claim=f"The lowest symmetric loss at 1/τ = {_scale} is {_loss:g}",
            where=FIGURE,
            against="reference",
            note="an independent computation on these features",
            needs=NEEDS,
            cell=(_row, "lowest_loss"),
            value=_loss,
            tolerance=0.0001,
        ),
        Number(
            claim=f"The loss at 1/τ = {_scale} is lowest at a distance of means of {_distance:g}",
            where=FIGURE,
            against="reference",
            note="an independent computation on these features",
            needs=NEEDS,
            cell=(_row, "lowest_distance"),
            value=_distance,
            tolerance=0.0001,
        ),
    ]
WHY = (
    "these models were trained at a higher temperature (row own τ). At 1/τ = 100 their mistakes are"
    " too confident, and any large shift lowers the loss, as a higher temperature would"
)
PUBLISHED += [
    Order(
        claim="The loss is lowest at a larger gap at 1/τ = 100 than at 1/τ = 1",
        where=FIGURE,
        needs=NEEDS,
        larger=(f"{FILE}, 1/τ = 100", "lowest_distance"),
        smaller=(f"{FILE}, 1/τ = 1", "lowest_distance"),
    ),
    Trend(
        claim="The lowest loss rises with the temperature",
        where=FIGURE,
        needs=NEEDS,
        column="lowest_loss",
        direction="rises",
        rows=[f"{FILE}, 1/τ = {scale}" for scale in SCALES],
    ),
]
for _name in NAMES:
    PUBLISHED += [
        Number(
            claim=f"At its own temperature, the loss is lowest at the gap of the model ({_name})",
            where=FIGURE,
            published="lowest at the gap of the model, within the grid of shifts",
            note=OTHER,
            cell=(f"{_name}, {OWN}", "lowest_distance"),
            value=(f"{_name}, {OWN}", "present"),
            tolerance=0.25,
        ),
        Order(
            claim=f"The loss is lowest at a larger gap at 1/τ = 100 than at 1/τ = 1 ({_name})",
            where=FIGURE,
            note=OTHER,
            why=WHY,
            larger=(f"{_name}, 1/τ = 100", "lowest_distance"),
            smaller=(f"{_name}, 1/τ = 1", "lowest_distance"),
        ),
    ]
PUBLISHED += [
    Number(
        claim="The gap of CLIP ViT-B/32 on 5,000 COCO pairs is 0.8221",
        where=FIGURE,
        needs="pair=liang_coco.safetensors, see the commands on its page",
        cell=("liang_coco, 1/τ = 100", "present"),
        value=0.8221,
        tolerance=0.002,
    )
]
REAL = (
    "modalgap encode coco -m open_clip:ViT-B-32/openai -o liang_coco.safetensors",
    "modalgap study loss_landscape -o loss_landscape --set pair=liang_coco.safetensors",
    *features.FETCH,
    f"modalgap study loss_landscape -o loss_landscape_500 --set pair={FILE}.npy",
)
loss_landscape = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(PUBLISHED),
    minutes=3,
    extras=("train", *TRAIN),
    real=REAL,
)
