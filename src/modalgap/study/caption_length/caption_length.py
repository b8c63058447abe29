"""The gap against caption length: captions are cut to their first 1, 2, 4, … words.

Images stay as they are in the file. Each caption is cut to its first k words (or sentences) and
encoded again by the same model, so it contains less information about its image. Words are
separated by spaces, underscores or hyphens.
Source: Schrodi et al. 2025, section 5 (information imbalance drives the gap; there by models that
are trained on such captions).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from modalgap import checks
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.embeddings import Embeddings
from modalgap.encode import Encoder, load_model
from modalgap.errors import InputError, OptionError, quoted
from modalgap.evaluate import evaluate
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.embedded import paired, pairs, planned
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Trend

CARD = Card(
    name="caption_length",
    title="The gap against caption length",
    idea="Cuts captions to their first words, encodes them again, and measures the gap to images.",
    source="Schrodi et al. 2025, section 5",
    question="Do shorter captions widen the gap of a trained model?",
)
SPLITS = {"words": r"(?<=\S)(?=[\s_\-])", "sentences": r"(?<=[.!?])(?=\s)"}
MEASURES = ("rmg", "l2m", "matched_cosine", "cone_text")
HEADS = {
    "length": "length",
    "cut": "captions cut",
    "rmg": "RMG",
    "l2m": "distance of means",
    "matched_cosine": "cosine of a match",
    "cone_text": "cone of texts",
    "image_to_text_r1": "image → text R@1",
    "text_to_image_r1": "text → image R@1",
}
BATCH = 256
EMBEDDED = "full"  # captions of the digit and all five attributes


@checked
def plan(
    *,
    pair: str = "",
    model: str = "",
    lengths: checks.Several[int] = (1, 2, 4, 8, 16),
    unit: str = "words",
) -> Plan:
    """Plan the lengths.

    Args:
        pair: file of image features and their captions, with the captions as names of the texts;
            by default the embedded data and their model.
        model: the model that made the file, LIBRARY:MODEL; by default the one in its provenance.
        lengths: numbers of words, or sentences, to keep.
        unit: "words" or "sentences".

    Raises:
        OptionError: no model for the file, or a value outside its range.
        InputError: the captions are not in the file.
    """
    checks.one_of("unit", unit, tuple(SPLITS))
    for length in checks.several("lengths", lengths, least=1):
        checks.whole("lengths", length, 1)
    own = {"unit": unit, "lengths": sorted(checks.several("lengths", lengths, least=1))}
    settings, models = planned(pair, EMBEDDED)
    if not pair:
        if model:
            raise OptionError(
                f"model must come with pair, the file that it made; got only {quoted(model)}"
            )
        return Plan(settings=settings | own, models=models)
    found = paired(pair)
    if found.labels is not None or found.text.names is None:
        raise InputError(f"{pair}: must hold images and captions, the captions as names of texts")
    spec = model or found.text.provenance.get("model", "")
    if not spec:
        raise OptionError(f"model must name the model that made {pair}; its provenance does not")
    return Plan(settings=settings | own | {"model": spec})


def run(work: Work) -> Table:
    """Encode and measure each length."""
    settings = work.settings
    title, pair = next(iter(pairs(work).items()))
    spec = settings["model"] if "model" in settings else work.runs[EMBEDDED].spec
    encoder = load_model(spec)
    if encoder.dim != pair.dim:
        raise InputError(
            f"model: {quoted(spec)} makes features of {encoder.dim} columns; {title} has {pair.dim}"
        )
    captions, unit = list(pair.text.names or ()), settings["unit"]
    longest = max(len(_parts(each, unit)) for each in captions)
    rows = {}
    lengths = [*(length for length in settings["lengths"] if length < longest), 0]
    with progress("caption lengths", len(lengths)) as advance:
        for length in lengths:
            texts = [cut(each, length, unit) for each in captions]
            name = f"first {length}" if length else "whole"
            shorter = sum(a != b for a, b in zip(texts, captions, strict=True))
            text = Embeddings(_features(encoder, texts), pair.text.modality, factors=None)
            closer = pair.over(pair.image, text)
            found = measure(closer, MEASURES)
            scores = evaluate(closer, "retrieval", ks=(1,))
            rows[name] = {
                "length": Value(float(length or longest)),
                "cut": Value(shorter / len(captions)),
                **{each: found[each] for each in MEASURES},
                **{each: scores[f"retrieval.{each}"] for each in list(HEADS)[-2:]},
            }
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="captions",
        rows=rows,
        heads=HEADS,
        settings=settings,
        notes=[
            f"{title}: {len(captions):,} captions encoded by the model that encoded the images",
            f"length: in {unit}; the longest caption has {longest}",
            "captions cut: fraction of the captions that are longer than this",
        ],
    )


def cut(caption: str, length: int, unit: str = "words") -> str:
    """The first ``length`` words or sentences of a caption; all of it for 0."""
    return caption if not length else "".join(_parts(caption, unit)[:length]).strip()


def _parts(caption: str, unit: str) -> list[str]:
    return [part for part in re.split(SPLITS[unit], caption) if part.strip()]


@torch.inference_mode()
def _features(encoder: Encoder, texts: Sequence[str]) -> Tensor:
    """(n, d) unit rows; captions that are equal once cut are encoded once."""
    distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    every = list(distinct)
    found = [
        encoder.encode_text(encoder.tokenize(every[a : a + BATCH])).float()
        for a in range(0, len(every), BATCH)
    ]
    rows = functional.normalize(torch.cat(found), dim=1)
    return rows[[distinct[text] for text in texts]]


PARTS = (
    Part(
        head="The gap",
        words=(
            "Short captions describe many images equally well. A match then has a lower cosine, and"
            " texts have higher cosines with each other.",
        ),
        panels=(
            Curves(title="Relative modality gap", ys={"rmg": "RMG"}, x="length",
                   caption="Against the length of captions; 0 is a closed gap.",
                   xlabel="length of captions", ylabel="RMG", log="x"),
            Curves(title="Cosines", ys={"matched_cosine": "matched pairs", "cone_text": "texts"},
                   x="length", xlabel="length of captions", ylabel="cosine", log="x",
                   caption="Of a match (higher is better) and of two texts (cone)."),
            Curves(title="Retrieval", x="length", xlabel="length of captions", ylabel="R@1",
                   ys={"image_to_text_r1": "image → text", "text_to_image_r1": "text → image"},
                   log="x", caption="Recall at 1; higher is better."),
        ),
    ),
)  # fmt: skip

PUBLISHED = (
    Trend(
        claim="The gap (RMG) falls with the length of captions",
        where="Schrodi et al. 2025, section 5",
        column="rmg",
        direction="falls",
        rows=(*(f"first {length}" for length in (1, 2, 4, 8, 16)), "whole"),
        note="in the paper, models are trained on short captions; here one trained model encodes"
        " them: only the direction is compared",
    ),
)
caption_length = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=2,
    real=(
        "modalgap encode coco -m open_clip:ViT-B-16/openai -o coco.safetensors",
        "modalgap study caption_length -o caption_length --set pair=coco.safetensors",
    ),
    extras=("train", *TRAIN),
)
