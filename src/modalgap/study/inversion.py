"""Inversion: what crossing over to the other modality buys within one, and what it costs.

A vision transformer is trained on MAD. Held-out looks then ask for looks of other digits of the
same class or attribute, and captions for captions: as they are, inverted by OTI and OVI, and
carried across without a search. Source: Mistretta et al. 2025. Expected there: retrieval within a
modality improves by one to three points of mAP, and zero-shot classification with inverted features
becomes worse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modalgap.arguments import checked
from modalgap.checks import several, whole
from modalgap.data.mad import Mad, build, digits
from modalgap.data.mad import source as looks_of
from modalgap.data.mad.captions import MOST
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, Options, load_model
from modalgap.encode import run as encode
from modalgap.errors import OptionError
from modalgap.evaluate.base import Floats, Ints, Scores
from modalgap.evaluate.ranks import Relevant, ranks
from modalgap.invert import invert
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import check_settings, keep, kept, train_all
from modalgap.study.judge import classified
from modalgap.train import Config, Run, load_config
from modalgap.train.captions import captions_of

SEED = 0  # of the bootstrap
OWN = ("data.captions", "data.source", "data.digits", "seed", "model.architecture")
SETTINGS = ("model.architecture=mad_vit", "steps=1200", "watch.tensorboard=false")
LOOKS = 6  # of each held-out digit
BANK = 3  # of each digit that was trained on: what ways without a search learn from
WAYS: Mapping[str, Mapping[str, Any]] = {
    "native": {},
    "OTI": {"method": "oti"},
    "OTI, L-BFGS": {"method": "oti", "optimiser": "lbfgs"},
    "OTI to cosine .9": {"method": "oti", "wanted": 0.9},
    "OVI": {"method": "ovi"},
    "OVI, AdamW": {"method": "ovi", "optimiser": "adamw"},
    "OVI to cosine .9": {"method": "ovi", "wanted": 0.9},
    "caption mixture": {"method": "caption_mixture"},
    "ridge map": {"method": "ridge_map"},
    "gap shift": {"method": "gap_shift"},
}
HEADS = {
    "cosine": "cosine",
    "map_object": "mAP, digit",
    "map_attributes": "mAP, attributes",
    "zero_shot": "zero-shot, digit",
    "gain_object": "gain of mAP, digit",
    "gain_attributes": "gain of mAP, attributes",
    "gain_zero_shot": "gain of zero-shot",
    "milliseconds": "ms an item",
}


@checked
def inversion(
    output: str | Path,
    *,
    attributes: Sequence[int] = (1, 5),
    source: str | Path | None = None,
    jobs: int | None = None,
    settings: Sequence[str] = (),
    overwrite: bool = False,
) -> Table:
    """Train models, invert held-out looks and captions, and try them within their modality.

    Args:
        output: folder of the runs and of ``study.json``. What is there is not made again.
        attributes: of each model's captions: few leave a wide gap, all leave next to none.
        source: folder of MNIST's files; by default the digits of scikit-learn.
        jobs: models trained at once; by default one for each two processors.
        settings: ``section.key=value`` of training.
        overwrite: discard runs made with other settings and start over.

    Returns:
        A row for each model, modality and way: the mean cosine reached; mAP by digit, and the mean
        of that by each attribute that captions speak of; accuracy of digit prompts; what each gains
        over the native queries; and milliseconds an item took, which depend on the machine.

    Raises:
        OptionError: numbers that nothing has.
        ModalgapError: a run failed; the others are kept.
    """
    counts = several("attributes", attributes)
    for count in counts:
        whole("attributes", count, 1, MOST)
    if len(set(counts)) < len(counts) or not counts:
        raise OptionError(f"attributes: must be different numbers; got {list(counts)}")
    check_settings(settings, OWN)
    folder = Path(output)
    own = [] if source is None else [f"data.digits={source}"]
    configs: dict[str, Config] = {
        f"k{count}": load_config(
            "mad", [f"data.captions=object_attribute_{count}", *own, *SETTINGS, *settings]
        )
        for count in counts
    }
    plan = {
        "attributes": list(counts),
        "looks": LOOKS,
        "bank": BANK,
        "ways": {name: dict(way) for name, way in WAYS.items()},
        "runs": {name: config.plan() for name, config in configs.items()},
    }
    if (found := kept(folder, plan)) is not None:
        return found
    runs = train_all(configs, folder, jobs=jobs, overwrite=overwrite)
    data = next(iter(configs.values())).data
    mad = build(digits(data.digits, held_out=data.held_out, limit=data.limit))
    rows: dict[str, dict[str, Value]] = {}
    with progress("inverting", len(runs) * 2 * len(WAYS)) as advance:
        for name, run in runs.items():
            for row, values in _of_model(run, mad, advance).items():
                rows[f"{name} {row}"] = values
    notes = [
        f"{len(mad.test)} held-out digits of {mad.name}: one look of every other one asks,"
        f" {LOOKS} of each of the rest are searched",
        "intervals: 95 %, over digits; gains are over the native queries, on the same digits",
        "ways without a search learnt from the digits of training",
    ]
    table = Table(
        name="inversion",
        source="Mistretta et al. 2025",
        vary="model and way",
        rows=rows,
        heads=HEADS,
        settings=plan,
        notes=notes,
    )
    keep(table, folder)
    return table


def _of_model(run: Run, mad: Mad, advance: Callable[[int], None]) -> dict[str, dict[str, Value]]:
    captions = captions_of(run.config.data.captions)
    encoder = load_model(run.spec)
    options = Options(batch_size=256, workers=0, keep_repeats=True, overwrite=True)
    held = encode(looks_of(mad, captions, images=LOOKS), run.spec, None, options).data
    bank = encode(looks_of(mad, captions, images=BANK, split="train"), run.spec, None, options).data
    assert isinstance(held, Pair)  # noqa: S101 - the source has both sides
    assert isinstance(bank, Pair)  # noqa: S101
    classes = classified(held, encoder, captions)
    spoken = [name for name in classes if name != "object"]
    prompts = classes["object"].text
    rows = {}
    assert held.image.names is not None  # noqa: S101 - looks have names
    instances = np.array([int(name.partition("/")[0]) for name in held.image.names])
    for side, method in ((held.image, "oti"), (held.text, "ovi")):
        queries, gallery = _asking(side, instances)
        native: dict[str, Scores] = {}
        for name, way in WAYS.items():
            advance(1)
            if way.get("method", method) in {"oti", "ovi"} - {method}:
                continue
            found, cosine, each = _carried(queries, way, encoder, bank)
            scores = _judged(found, gallery, spoken, prompts if side is held.image else None)
            native = native or scores
            rows[f"{side.modality}s, {name}"] = _values(scores, native) | {
                "cosine": cosine,
                "milliseconds": Value(each),
            }
    return rows


def _asking(side: Embeddings, instances: Ints) -> tuple[Embeddings, Embeddings]:
    """One look of every other digit, which asks, and all looks of the rest, which are searched.

    Looks of one digit would find one another by its strokes.
    """
    every, first = np.unique(instances, return_index=True)
    searched = np.isin(instances, every[1::2])
    return _some(side, first[::2]), _some(side, np.flatnonzero(searched))


def _some(side: Embeddings, index: Ints) -> Embeddings:
    return Embeddings(
        side.take(torch.from_numpy(index)),
        side.modality,
        names=[str(i) for i in index],
        factors={name: values[index] for name, values in side.factors.items()},
        provenance=side.provenance,
        source=side.source,
    )


def _carried(
    queries: Embeddings, way: Mapping[str, Any], encoder: Encoder, bank: Pair
) -> tuple[Embeddings, Value, float]:
    """Queries by one way, their cosine with what they were, and milliseconds an item."""
    if not way:
        return queries, Value(1.0), 0.0
    options = dict(way)
    method = options.pop("method")
    needs: dict[str, Any] = {"model": encoder} if method in ("oti", "ovi") else {"bank": bank}
    started = time.perf_counter()
    found = invert(queries, method, **needs, **options)
    taken = time.perf_counter() - started
    cosine = Value(float(found.cosines.mean()), details={"least": float(found.cosines.min())})
    return found.features, cosine, 1000 * taken / queries.n


def _judged(
    queries: Embeddings, gallery: Embeddings, spoken: Sequence[str], prompts: Embeddings | None
) -> dict[str, Scores]:
    x, y = queries.unit(), gallery.unit()
    precision = {}
    for factor in ("object", *spoken):
        _, codes = np.unique(
            np.concatenate([queries.factors[factor], gallery.factors[factor]]), return_inverse=True
        )
        asked, there = codes[: queries.n], codes[queries.n :]
        ranked = ranks(x, y, Relevant.same_class(asked, there, itself=False))
        precision[factor] = np.full(queries.n, np.nan)  # where nothing is relevant
        precision[factor][ranked.queries] = ranked.average_precision()
    each = np.arange(queries.n)
    found = {"map_object": _there(precision["object"])}
    if spoken:
        found["map_attributes"] = _there(np.mean([precision[name] for name in spoken], axis=0))
    if prompts is not None:
        names = np.array(prompts.names or ())
        right = names[(x @ prompts.unit().T).argmax(1).numpy()] == queries.factors["object"]
        found["zero_shot"] = Scores(right.astype(np.float64), each)
    return found


def _there(values: Floats) -> Scores:
    rows = np.flatnonzero(np.isfinite(values))
    return Scores(values[rows], rows)


def _values(scores: Mapping[str, Scores], native: Mapping[str, Scores]) -> dict[str, Value]:
    """Numbers with intervals, and what they gain over the native queries, pairwise."""
    found = {name: Value(each.value, each.interval(SEED)) for name, each in scores.items()}
    for name, each in scores.items():
        if each is not native[name]:
            gain, between = each.minus(native[name], SEED)
            found[f"gain_{name.removeprefix('map_')}"] = Value(gain, between)
    return found
