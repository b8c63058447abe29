"""Quantised and rephrased: rounded or reworded texts, before and after closing the gap.

The features of stored texts are rounded to few bins, or replaced by those of the same texts in
another wording. The study counts answers that stay (Rob) and correct answers (top-1) with the open
gap, with the gap closed by ``project``, and, for comparison, by ``center``. By default: digits with
prompts such as "three-whole"; rephrased "whole-three" (order) and "three-regular" (word).
Source: Chowers et al. 2026, figures 9 and 10 (there: 256 to 32 bins, "a photo of" to "photograph
of").
Expected: rounding and rewording change fewer answers once the gap is closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from modalgap import checks
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.close import AffineMap, fit
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, load_model
from modalgap.errors import InputError, OptionError
from modalgap.evaluate import evaluate
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Bars, Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.embedded import classes, paired, planned, stem
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order

EMBEDDED = "short"  # captions: this model has a gap to close
PROMPT = "{}-whole"
REPHRASED = {"order": "whole-{}", "word": "{}-regular"}  # the other order; another usual attribute
BINS = (256, 128, 64, 32, 16, 8, 4)
PAPER = BINS[:4]  # the numbers of bins of the paper
HARDLY = 0.002  # smaller differences of Rob are noise of a few images
OPEN, PROJECT, CENTER = "open", "project", "center"
CARD = Card(
    name="quantised_and_rephrased",
    title="Quantised and rephrased texts",
    idea="Rounds stored texts or changes their wording, before and after closing the gap.",
    source="Chowers et al. 2026, figures 9 and 10",
    question="Does closing the gap make answers robust to rounding and to another wording?",
)


@checked
def plan(
    *,
    pair: str = "",
    other: str = "",
    bins: checks.Several[int] = BINS,
    explained_variance: float = 1.0,
) -> Plan:
    """Plan the changes.

    Args:
        pair: file of images with class prompts, or with captions; by default digits and prompts of
            the embedded model with short captions.
        other: with ``pair``: file of the same images with the same texts in another wording.
        bins: numbers of bins to which the stored numbers are rounded.
        explained_variance: option of ``project``: fraction of the variance of the texts that V, the
            directions that do not move, explains.

    Raises:
        OptionError: a value outside its range, or ``other`` without ``pair``.
        InputError: ``other`` and ``pair`` differ in the number of texts or columns.
    """
    counts = checks.several("bins", bins, least=1)
    for count in counts:
        checks.whole("bins", count, 2, 2**31)
    if not counts or len(set(counts)) < len(counts):
        raise OptionError(f"bins must be different numbers; got {counts}")
    checks.share("explained_variance", explained_variance)
    if other and not pair:
        raise OptionError(
            f"other must come with pair, the file whose texts it rewords; got only {other}"
        )
    settings, models = planned(pair, EMBEDDED)
    own: dict[str, Any] = {"bins": counts, "explained_variance": explained_variance}
    if other:
        first, second = paired(pair), paired(other)
        if (first.text.n, first.dim) != (second.text.n, second.dim):
            raise InputError(
                f"{other}: must hold {first.text.n} texts of {first.dim} columns, those of {pair}"
                f" in another wording; found {second.text.n} of {second.dim}"
            )
        own |= {"other": other, "other_fingerprint": second.fingerprint}
    return Plan(settings=settings | own, models=models)


def run(work: Work) -> Table:
    """Count answers with the open and the closed gap."""
    settings = work.settings
    if "pair" in settings:
        prefix = f"{stem(settings['pair'])}, "
        pair, others = paired(settings["pair"]), {}
        if "other" in settings:
            others = {"order": paired(settings["other"]).text.unit()}
    else:
        prefix = ""
        digits, encoder = classes(work, EMBEDDED)["object"], load_model(work.runs[EMBEDDED].spec)
        pair, others = reworded(digits, encoder)
    text = pair.text.modality
    maps: dict[str, AffineMap | None] = {
        OPEN: None,
        PROJECT: fit(pair, "project", retrieved=text, alpha=1.0,
                     explained_variance=settings["explained_variance"]),
        CENTER: fit(pair, "center"),
    }  # fmt: skip
    rows = {}
    with progress("closing", len(maps)) as advance:
        for method, map_ in maps.items():
            rows[f"{prefix}{method}"] = counted(pair, others, map_, settings["bins"])
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="gap",
        rows=rows,
        heads=_heads(settings["bins"], list(others)),
        settings=settings,
        notes=[
            "answer: the nearest text by cosine; Rob: share of images whose answer stays;"
            " intervals: 95 %, over images",
            "bins: of equal width over the range of all stored numbers",
            *([] if prefix else [f"prompts: {PROMPT!r}; other order: {REPHRASED['order']!r};"
                                 f" other word: {REPHRASED['word']!r}"]),
        ],
    )  # fmt: skip


def _heads(bins: Sequence[int], kinds: Sequence[str]) -> dict[str, str]:
    """Titles of the numbers."""
    both = (("rob", "Rob"), ("accuracy", "top-1"))
    return {
        "gap": "distance of means",
        "accuracy": "top-1",
        **{f"bins_{count}_{name}": f"{title}, {count} bins" for name, title in both
           for count in bins},
        **{f"{kind}_{name}": f"{title}, other {kind}" for name, title in (*both, ("drop", "loss"))
           for kind in kinds},
    }  # fmt: skip


def counted(
    pair: Pair, others: dict[str, Tensor], map_: AffineMap | None, bins: Sequence[int]
) -> dict[str, Value]:
    """The row of a pair after a map.

    Args:
        pair: the pair, open.
        others: kind of rewording to texts (m, d), open.
        map_: the map; None leaves all open. It is not fitted to rewordings.
        bins: numbers of bins.
    """
    text = pair.text.modality
    closed = pair if map_ is None else map_.apply(pair)
    row = {"gap": measure(closed, ["l2m"])["l2m"]}
    found = evaluate(closed, "robustness", retrieved=text, sigmas=(), bins=bins, indexes=())
    row["accuracy"] = found["robustness.flat_accuracy"]
    for count in bins:
        for name in ("rob", "accuracy"):
            row[f"bins_{count}_{name}"] = found[f"robustness.bins_{count}_{name}"]
    for kind, rows in others.items():
        own = Embeddings(rows, text)
        own = own if map_ is None else map_.apply(own)
        found = evaluate(closed, "robustness", retrieved=text, sigmas=(), bins=(), indexes=(),
                         other_text=own)  # fmt: skip
        for name in ("rob", "accuracy"):
            row[f"{kind}_{name}"] = found[f"robustness.template_{name}"]
        row[f"{kind}_drop"] = Value(row["accuracy"].value - row[f"{kind}_accuracy"].value)
    return row


def reworded(digits: Pair, encoder: Encoder) -> tuple[Pair, dict[str, Tensor]]:
    """Digits of MAD with the prompts of one template, and rewordings of the prompts (m, d)."""
    words = list(digits.text.names or ())
    text = Embeddings(_features(encoder, PROMPT, words), digits.text.modality, names=words)
    pair = Pair(digits.image, text, labels=digits.labels)
    return pair, {kind: _features(encoder, form, words) for kind, form in REPHRASED.items()}


@torch.inference_mode()
def _features(encoder: Encoder, form: str, words: Sequence[str]) -> Tensor:
    """(m, d) unit rows of the template with each word."""
    tokens = encoder.tokenize([form.format(word) for word in words])
    return functional.normalize(encoder.encode_text(tokens).float(), dim=1)


def _lost(table: Table) -> str:
    before, after = table.rows.get(OPEN, {}), table.rows.get(PROJECT, {})
    if "order_drop" not in before:
        return "Without a file of reworded texts (option other), only rounding is compared."
    return (
        f"The other order lowers top-1 by {100 * before['order_drop'].value:.1f} percentage points"
        f" with the open gap and by {100 * after['order_drop'].value:.1f} after closing by project;"
        f" the other word by {100 * before['word_drop'].value:.1f} and by"
        f" {100 * after['word_drop'].value:.1f}. A negative number is a gain."
    )


CAPTION = "One curve per kind of closing; higher is better."
PARTS = (
    Part(
        head="Rounded",
        words=(
            "Each image retrieves its nearest stored text, its answer. Rob, the robustness, is the"
            " share of images whose answer stays the same after a change of the texts. The gap is"
            " open, or it is closed by one of two methods: center subtracts the mean of each"
            " modality; project moves the texts by the gap without its part in their principal"
            " directions, so that it changes as few answers as possible.",
            "In this part, the numbers of the stored texts are rounded to bins of equal width."
            " Fewer bins change more answers.",
        ),
        panels=(
            Curves(title="Rounded: answers that stay", xlabel="bins", log="x",
                   ylabel="share of answers that stay (Rob)",
                   zero=False, caption=CAPTION,
                   across={f"bins_{count}_rob": float(count) for count in reversed(BINS)}),
            Curves(title="Rounded: correct answers", xlabel="bins", ylabel="top-1", log="x",
                   zero=False, caption=CAPTION,
                   across={f"bins_{count}_accuracy": float(count) for count in reversed(BINS)}),
        ),
        columns=2,
    ),
    Part(
        head="Rephrased",
        words=("Stored texts are replaced by the same texts in another wording.", _lost),
        panels=(
            Bars(title="Rephrased: answers that stay", caption="Higher is better.",
                 xlabel="share of answers that stay (Rob)",
                 ys={f"{kind}_rob": f"other {kind}" for kind in REPHRASED}),
            Bars(title="Rephrased: correct answers", xlabel="top-1", caption="Higher is better.",
                 ys={"accuracy": "same wording"}
                 | {f"{kind}_accuracy": f"other {kind}" for kind in REPHRASED}),
        ),
        columns=2,
    ),
)  # fmt: skip
NOTE = "other data and models: only the direction is compared; it is not known which of figures 9"
NOTE += " and 10 shows it"
TRAINED = (
    "the model was trained on captions in every order and with every attribute, so rephrasing costs"
    " little"
)
NEEDS = "the embedded digits; run the study without the option pair"
WHERE = "Chowers et al. 2026, figures 9 and 10"
PUBLISHED = (
    *(
        Order(
            claim=f"Closing the gap raises Rob under rounding ({count} bins)",
            where=WHERE,
            larger=(PROJECT, f"bins_{count}_rob"),
            smaller=(OPEN, f"bins_{count}_rob"),
            margin=HARDLY,
            published="the first is larger",
            note=NOTE,
            needs=NEEDS,
            why="among ten prompts, this number of bins changes hardly any answer",
        )
        for count in PAPER
    ),
    *(
        Order(
            claim=f"Closing the gap raises Rob under rephrasing (other {kind})",
            where=WHERE,
            larger=(PROJECT, f"{kind}_rob"),
            smaller=(OPEN, f"{kind}_rob"),
            margin=HARDLY,
            published="the first is larger",
            note=NOTE,
            needs=NEEDS,
            why=TRAINED,
        )
        for kind in REPHRASED
    ),
    *(
        Order(
            claim=f"With the open gap, rephrasing lowers top-1 by more than 0.06 (other {kind})",
            where=WHERE,
            larger=(OPEN, f"{kind}_drop"),
            smaller=0.06,
            note=NOTE,
            needs=NEEDS,
            why=TRAINED,
        )
        for kind in REPHRASED
    ),
    *(
        Order(
            claim="Rephrasing lowers top-1 less with the closed gap than with the open gap"
            f" ({kind})",
            where=WHERE,
            larger=(OPEN, f"{kind}_drop"),
            smaller=(PROJECT, f"{kind}_drop"),
            margin=HARDLY,
            published="the first is larger",
            note=NOTE,
            needs=NEEDS,
            why=TRAINED,
        )
        for kind in REPHRASED
    ),
)
REAL = (
    "modalgap encode cifar10 --model open_clip:ViT-B-16/openai --template 'a photo of a {}.'"
    " -o cifar10.safetensors",
    "modalgap encode cifar10 --model open_clip:ViT-B-16/openai --template 'photograph of a {}.'"
    " -o cifar10_other.safetensors",
    "modalgap study quantised_and_rephrased -o quantised_and_rephrased"
    " --set pair=cifar10.safetensors --set other=cifar10_other.safetensors",
)
quantised_and_rephrased = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=1.5,
    extras=("train", *TRAIN),
    real=REAL,
)
