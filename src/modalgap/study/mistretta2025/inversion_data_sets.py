"""Inversion on many data sets: native and inverted queries, per model and data set.

Images of a class set are queries for images of the same class, and first captions are queries for
the other captions of their image. The queries are native, or inverted by OTI and OVI. Inverted
images are also classified by class prompts.
Source: Mistretta et al. 2025, tables 1, 2, 3 and 4; the numbers of single data sets are those that
arXiv 2603.16100, table 3, reports for this method.
Expected: the mAP rises by one to three points on average, but falls on RParis, EuroSAT and
Aircraft; the accuracy by prompts falls; a model fine-tuned at τ = 1 loses mAP.
The code of the paper counts R for mAP@R before the query is removed, which is one too many for CUB
and SOP; here R is the number of relevant items in the gallery.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.store import load_any, load_embeddings
from modalgap.errors import InputError
from modalgap.evaluate.base import Scores
from modalgap.extras import TRAIN
from modalgap.invert import invert
from modalgap.panels import Bars, Part, Reference
from modalgap.progress import progress
from modalgap.result import Result, Table, Value
from modalgap.search import query_side, search
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.mistretta2025.published_numbers import REAL, SETS, published
from modalgap.study.mistretta2025.retrieval import (
    PROTOCOL,
    SEED,
    classified_right,
    encoder_of,
    ranked,
    split_pair,
    with_gains,
)
from modalgap.study.plan import Plan, Work

NATIVE, GALLERY = ".native.safetensors", ".gallery.safetensors"
METRICS = ("map", "map_at_r", "r_precision", "r1")
HEADS = {
    "map": "mAP, native",
    "inverted": "mAP, inverted",
    "gain": "gain of mAP",
    "top1": "top-1, native",
    "inverted_top1": "top-1, inverted",
    "gain_top1": "gain of top-1",
    "map_at_r": "mAP@R, native",
    "inverted_map_at_r": "mAP@R, inverted",
    "r_precision": "R-precision, native",
    "inverted_r_precision": "R-precision, inverted",
}
TITLES = {"short": "short captions", "full": "full captions"}
JUDGED = ("easy", "hard", "junk")
CARD = Card(
    name="inversion_data_sets",
    title="Inversion on many data sets",
    idea="Compares native and inverted queries per model and data set, by mAP and top-1.",
    source="Mistretta et al. 2025, tables 1, 2, 3 and 4",
    question="On which data does inversion help?",
    traits=("random",),
)


@checked
def plan(*, inverted: str | Path = "", steps: int = 150, seed: int = 0) -> Plan:
    """Plan the comparison.

    Args:
        inverted: folder of files NAME.safetensors that ``modalgap invert`` wrote, each next to the
            native features, NAME.native.safetensors. If the gallery is another split, it is in
            NAME.gallery.safetensors. By default the study trains two small models on MAD, whose
            factors are the data sets, and inverts held-out images by OTI.
        steps: steps of OTI on MAD.
        seed: seed of its noise.

    Raises:
        InputError: the folder has no such files.
        OptionError: a value outside its range.
    """
    whole("steps", steps, 1)
    whole("seed", seed, 0)
    if not inverted:
        settings, models = embedded.planned("", *TITLES)
        return Plan(settings={**settings, "steps": steps, "seed": seed}, models=models)
    folder = Path(inverted)
    names = sorted(
        name
        for path in folder.glob(f"*{NATIVE}")
        if (folder / f"{(name := path.name.removesuffix(NATIVE))}.safetensors").is_file()
    )
    if not names:
        raise InputError(
            f"inverted must be a folder of files NAME.safetensors with NAME{NATIVE} next to them,"
            f" made by modalgap invert; {folder} has none"
        )
    prints = {}
    for name in names:
        queries, native, gallery = _read(folder, name)
        prints[name] = [each.fingerprint for each in (queries, native, gallery)]
    return Plan(settings={"inverted": str(inverted), "fingerprints": prints})


def _read(folder: Path, name: str) -> tuple[Embeddings, Embeddings | Pair, Embeddings | Pair]:
    """Inverted queries, native features, and the gallery, which may be the native features."""
    path = folder / f"{name}.safetensors"
    queries = load_embeddings(path)
    if "inverted_from" not in queries.provenance:
        raise InputError(f"{path}: must be written by modalgap invert; it holds no inversion")
    native = _two(folder / f"{name}{NATIVE}")
    other = folder / f"{name}{GALLERY}"
    return queries, native, _two(other) if other.is_file() else native


def _two(path: Path) -> Embeddings | Pair:
    found = load_any(path)
    if not isinstance(found, Embeddings | Pair):
        raise InputError(f"{path}: must hold one or two modalities")
    return found


def run(work: Work) -> Table:
    """Search with native and with inverted queries, on every data set."""
    real = "inverted" in work.settings
    rows = _of_files(work) if real else _of_mad(work)
    notes = [
        "gain: inverted minus native, on the same queries; intervals: 95 %, bootstrap",
        "mAP@R and R-precision: R is the number of relevant items in the gallery",
    ]
    if real:
        notes.insert(0, "protocol: medium if the queries have judgements; first_caption for texts;"
                     " split if there is a separate gallery; otherwise self_removed")  # fmt: skip
    else:
        notes.insert(0, f"every factor of MAD is used as a data set: {PROTOCOL}; OTI: "
                     f"{work.settings['steps']} steps of AdamW, one token")  # fmt: skip
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="model and data set",
        rows=rows,
        heads={name: head for name, head in HEADS.items() if any(name in r for r in rows.values())},
        settings=work.settings,
        notes=notes,
    )


def _of_mad(work: Work) -> dict[str, dict[str, Value]]:
    rows: dict[str, dict[str, Value]] = {}
    with progress("inverting", len(TITLES)) as advance:
        for model, title in TITLES.items():
            sets = embedded.classes(work, model)
            queries, gallery = split_pair(sets["object"])
            options = {name: work.settings[name] for name in ("steps", "seed")}
            made = invert(queries, "oti", encoder_of(work, model), **options).features
            for factor, pair in sets.items():
                before, after = (
                    _scores(each, gallery, pair.text, factor) for each in (queries, made)
                )
                name = "digit" if factor == "object" else factor
                rows[f"MAD, {title}: {name}"] = _joined(before, after)
            means = [values for name, values in rows.items() if title in name]
            rows[f"MAD, {title}: mean"] = _mean(means)
            advance(1)
    return rows


def _scores(
    queries: Embeddings, gallery: Embeddings, prompts: Embeddings, factor: str
) -> dict[str, Scores]:
    found = ranked(queries, gallery, factor)
    right = classified_right(queries, prompts, factor).astype(np.float64)
    return {
        "map": Scores(found.average_precision(), found.queries),
        "map_at_r": Scores(found.average_precision_at_r(), found.queries),
        "r_precision": Scores(found.precision_at_r(), found.queries),
        "top1": Scores(right, np.arange(queries.n)),
    }


def _joined(before: Mapping[str, Scores], after: Mapping[str, Scores]) -> dict[str, Value]:
    own, other = with_gains(before, before), with_gains(after, before)
    return {
        "map": own["map"],
        "inverted": other["map"],
        "gain": other["gain_map"],
        "top1": own["top1"],
        "inverted_top1": other["top1"],
        "gain_top1": other["gain_top1"],
        **{name: own[name] for name in ("map_at_r", "r_precision")},
        **{f"inverted_{name}": other[name] for name in ("map_at_r", "r_precision")},
    }


def _of_files(work: Work) -> dict[str, dict[str, Value]]:
    folder = Path(work.settings["inverted"])
    rows: dict[str, dict[str, Value]] = {}
    names = list(work.settings["fingerprints"])
    with progress("searching", len(names)) as advance:
        for name in names:
            rows[name] = _row(*_read(folder, name))
            advance(1)
    for group, sets in SETS.items():
        for model in dict.fromkeys(name.partition("-")[0] for name in names):
            own = [f"{model}-{each}" for each in sets]
            if all(each in rows for each in own):
                rows[f"{model}, mean of {group}"] = _mean([rows[each] for each in own])
    return rows


def _row(
    queries: Embeddings, native: Embeddings | Pair, gallery: Embeddings | Pair
) -> dict[str, Value]:
    texts = queries.provenance["inverted_from"] == "text"
    if texts:
        protocol = "first_caption"
    elif set(JUDGED) <= set(queries.factors):
        protocol = "medium"
    else:
        protocol = "self_removed" if gallery is native else "split"
    own = query_side(native, protocol) if isinstance(native, Pair) else native
    before = search(own, gallery, protocol, seed=SEED)
    after = search(queries, gallery, protocol, seed=SEED)
    result = {
        "map": before["map"],
        "inverted": after["map"],
        "gain": Value(after["map"].value - before["map"].value),
    }
    for name in ("map_at_r", "r_precision"):
        if name in before:
            result |= {name: before[name], f"inverted_{name}": after[name]}
    if not texts and isinstance(native, Pair) and native.labels is not None:
        top = [_top1(each, native) for each in (own, queries)]
        result |= {
            "top1": top[0]["top1"],
            "inverted_top1": top[1]["top1"],
            "gain_top1": Value(top[1]["top1"].value - top[0]["top1"].value),
        }
    return result


def _top1(queries: Embeddings, native: Pair) -> Result:
    return search(queries, native, "zero_shot", seed=SEED)


def _mean(rows: list[dict[str, Value]]) -> dict[str, Value]:
    """The mean of each number over data sets that all have it."""
    return {
        name: Value(float(np.mean([row[name].value for row in rows])))
        for name in HEADS
        if all(name in row for row in rows)
    }


PARTS = (
    Part(
        head="Native and inverted queries",
        columns=2,
        words=(
            "Native features are computed by the model directly. Inverted queries are features of"
            " the other modality. Above 0, inverted queries retrieve better than native ones, or"
            " are classified better. The gallery and the class prompts are native.",
        ),
        panels=(
            Bars(
                title="Gain of mAP",
                caption="Search within a modality. Black lines: 95 % intervals.",
                ys={"gain": "gain"},
                xlabel="gain of mAP",
                references=(Reference(at=0, axis="x"),),
            ),
            Bars(
                title="Gain of top-1",
                caption="Classification of images by prompts. Black lines: 95 % intervals.",
                ys={"gain_top1": "gain"},
                xlabel="gain of top-1",
                references=(Reference(at=0, axis="x"),),
            ),
        ),
    ),
)
inversion_data_sets = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=published(),
    minutes=2,
    extras=("train", *TRAIN),
    real=REAL,
)
