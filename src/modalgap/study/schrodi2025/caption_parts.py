"""Parts of captions: models trained on whole, half and quarter captions, and with words dropped.

All models are trained on the same images; shorter captions say less about them. All models are
evaluated on whole captions of held-out images.
Source: Schrodi et al. 2025, figures 7c and 15, appendix.
Expected: whole captions lead to the smallest gap and the best retrieval.
"""

from __future__ import annotations

from collections.abc import Mapping

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.data.mad import Captions
from modalgap.embeddings import Pair
from modalgap.evaluate import evaluate
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Bars, Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.emoji import zoo as emoji_zoo
from modalgap.study.emoji.models import FETCH
from modalgap.study.judge import embed, logged, mad_of
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order, Published
from modalgap.trace import traced
from modalgap.train import Run
from modalgap.train.log import read_log

CARD = Card(
    name="caption_parts",
    title="Training on parts of captions",
    idea="Trains models on whole, half and quarter captions; evaluates them on whole captions.",
    source="Schrodi et al. 2025, figures 7c and 15",
    question="Do captions that say less about their images widen the gap?",
    traits=("random",),
)
PARTS_OF = {
    "whole": "",
    "half": "half",
    "quarter": "quarter",
    "words dropped": "word_dropout:0.5",
}
ON_EMOJI = {
    "whole": "emoji",
    "half": "emoji, half captions",
    "quarter": "emoji, quarter captions",
    "words dropped": "emoji, word dropout",
}
FULL = Captions(attributes=5)
HEADS = {
    "l2m": "distance of means",
    "rmg": "RMG",
    "image_to_text_r1": "image → text R@1",
    "text_to_image_r1": "text → image R@1",
    "loss": "last training loss",
}


@checked
def plan(*, emoji: bool = False) -> Plan:
    """Plan one model for whole captions, and one for each method to shorten them.

    Args:
        emoji: train on the data set emoji, instead of MAD with captions of six words.

    Raises:
        MissingData: the data set emoji is not there.
    """
    if emoji:
        found = emoji_zoo.models(*ON_EMOJI.values())
        models = {name: found[each] for name, each in ON_EMOJI.items()}
    else:
        models = {
            name: embedded.models(
                "full", settings=[f"data.transforms=[{transform}]"] if transform else []
            )["full"]
            for name, transform in PARTS_OF.items()
        }
    return Plan(settings={"data": "emoji" if emoji else "MAD"}, models=models)


def run(work: Work) -> Table:
    """Evaluate each model on whole captions of held-out images."""
    rows = {}
    notes = [
        "every model is evaluated on whole captions of images that it was not trained on",
        "curves: from the training log, with held-out captions that are shortened as in training",
        "loss: of training batches, mean over the last tenth of the steps; one run per row",
        "words dropped: each word is left out with probability 0.5, at every step",
    ]
    mad = None if work.settings["data"] == "emoji" else mad_of(work.runs)
    with progress("measuring", len(work.runs)) as advance:
        for name, trained in work.runs.items():
            pair = emoji_zoo.held_out(trained) if mad is None else embed(trained, mad, FULL)
            rows[name] = _row(pair, trained)
            advance(1)
    notes.insert(
        0, f"{pair.image.n:,} images and {pair.text.n:,} captions of {work.settings['data']}"
    )
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="training captions",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=notes,
    )


def _row(pair: Pair, trained: Run) -> dict[str, Value]:
    found: Mapping[str, Value] = measure(pair, ("l2m", "rmg")).measures
    recall = evaluate(pair, "retrieval", ks=(1,))
    lines = [line for line in read_log(trained.folder) if "loss" in line]
    last = [line["loss"] for line in lines[-max(1, len(lines) // 10) :]]
    loss = sum(last) / len(last)
    return {
        **{
            name: traced(value.value, *logged(trained, name), value.interval)
            for name, value in found.items()
        },
        **{name: recall[f"retrieval.{name}"] for name in tuple(HEADS)[2:4]},
        "loss": traced(
            loss, [float(line["step"]) for line in lines], [line["loss"] for line in lines]
        ),
    }


PARTS = (
    Part(
        head="After training, evaluated on whole captions",
        columns=2,
        panels=(
            Bars(
                title="Gap",
                caption="0 is a closed gap.",
                ys={"rmg": "RMG", "l2m": "distance of means"},
                xlabel="RMG, distance of means",
            ),
            Bars(
                title="Recall at 1",
                caption="Higher is better. Black lines: 95 % intervals.",
                ys={name: HEADS[name] for name in tuple(HEADS)[2:4]},
                xlabel="R@1",
            ),
        ),
    ),
    Part(
        head="During training",
        columns=2,
        words=("Captions are shortened as in training, those of held-out images too.",),
        panels=(
            Curves(
                title="Distance of means",
                caption="On held-out images; 0 is a closed gap.",
                trace="l2m",
                xlabel="step",
                ylabel="distance of means",
            ),
            Curves(
                title="Loss",
                caption="Of training batches. It stays above 0 if a caption describes several"
                " images.",
                trace="loss",
                xlabel="step",
                ylabel="loss",
            ),
        ),
    ),
)
WHERE, OTHER = "Schrodi et al. 2025, figure 7c", "small models: only the direction is compared"


def _published() -> list[Published]:
    found: list[Published] = []
    for part in ("half", "quarter"):
        found += [
            Order(
                claim=f"A model trained on {part} captions has a larger gap than one trained on"
                " whole captions",
                where=WHERE,
                larger=(part, "rmg"),
                smaller=("whole", "rmg"),
                note=OTHER,
            ),
            Order(
                claim=f"A model trained on {part} captions retrieves worse than one trained on"
                " whole captions",
                where=WHERE,
                larger=("whole", "image_to_text_r1"),
                smaller=(part, "image_to_text_r1"),
                note=OTHER,
            ),
        ]
    found.append(
        Order(
            claim="A model trained with dropped words has a larger gap than one trained on whole"
            " captions",
            where="Schrodi et al. 2025, figure 15",
            larger=("words dropped", "rmg"),
            smaller=("whole", "rmg"),
            note="words are dropped here, sentences in the paper; " + OTHER,
        )
    )
    return found


caption_parts = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=4,
    extras=("train", *TRAIN),
    real=(
        *FETCH,
        "modalgap study caption_parts -o caption_parts --set emoji=true",
        *(
            f"modalgap train cc12m_rn50_{part} -o runs/{part} --set data.root=/data"
            for part in ("full", "half", "quarter")
        ),
        "modalgap encode coco -m open_clip:runs/full/model -o full.safetensors --root /data",
        "modalgap measure full.safetensors --only l2m,rmg",
        "modalgap evaluate full.safetensors --only retrieval",
    ),
)
