"""The gap of trained models, and of the same models before training.

Both modalities are shown in the first two principal components of all rows together, and the gap is
measured by the distance of means. The figure of the paper has t-SNE and UMAP too; these preserve
neighbours, not distances, so they do not show the size of a gap and are not used here.
Source: Liang et al. 2022, figure 1.
"""

from __future__ import annotations

from pathlib import Path

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, distinct
from modalgap.embeddings import Pair
from modalgap.embeddings.store import save
from modalgap.errors import InputError, OptionError
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Bars, Clouds, Part
from modalgap.result import Table, Value
from modalgap.study import embedded, features
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published
from modalgap.views import components

CARD = Card(
    name="trained_and_untrained",
    title="The gap before and after training",
    idea="Measures and shows the gap of a trained model and of the same model untrained.",
    source="Liang et al. 2022, section 1, figure 1",
    question="Does the gap exist before training, and does training close it?",
)
MEASURES = ("l2m", "rmg", "matched_cosine", "cone")
HEADS = {
    "l2m": "distance of means",
    "rmg": "RMG",
    "matched_cosine": "cosine of a match",
    "cone_image": "cone of images",
    "cone_text": "cone of texts",
    "first": "variance in the first component",
}
STATES = ("trained", "untrained")
SHORT = "trained, short captions"  # the third embedded model


@checked
def plan(*, pair: str = "", untrained: str = "", more: Several[str | Path] = ()) -> Plan:
    """Plan the pairs.

    Args:
        pair: file of the features of a trained model; by default a small model trained on MAD.
        untrained: file of the features of the same model untrained; only with ``pair``.
        more: files of other models to measure.

    Raises:
        OptionError: one of ``pair`` and ``untrained`` without the other, or files of the same name.
        InputError: a file holds one modality, or rows of one column.
    """
    if bool(pair) != bool(untrained):
        raise OptionError(
            "pair and untrained must be given together;"
            f" {'untrained' if pair else 'pair'} is missing"
        )
    files = embedded.files("more", more)
    taken = () if pair else (*STATES, SHORT)
    names = [embedded.stem(each, *taken) for each in (pair, untrained, *files) if each]
    distinct("names of files", names)
    settings, models = embedded.planned(pair, "full", "untrained", "short")
    prints = {}
    for file in (*([untrained] if untrained else []), *files):
        prints[file] = embedded.paired(file).fingerprint
    for file in (*([pair] if pair else []), *prints):
        if embedded.paired(file).dim < 2:
            raise InputError(f"{file}: must have rows of at least two columns")
    added = {"untrained": untrained, "more": files, "fingerprints": prints}
    return Plan(settings={**settings, **added}, models=models)


def run(work: Work) -> Table:
    """Measure every pair."""
    settings = work.settings
    if settings["untrained"]:
        files = (settings["pair"], settings["untrained"])
        found = {embedded.stem(file): embedded.paired(file) for file in files}
    else:
        found = dict(zip((*STATES, SHORT), embedded.pairs(work).values(), strict=True))
    for state, pair in zip(STATES, found.values(), strict=False):
        save(pair, work.folder / f"{state}.safetensors", overwrite=True)
    found |= {embedded.stem(file): embedded.paired(file) for file in settings["more"]}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="model",
        rows={name: _row(pair) for name, pair in found.items()},
        heads=HEADS,
        settings=settings,
        notes=[
            "intervals: 95 %, where the measure has one",
            "variance in the first component: of all rows of both modalities together",
            *(
                []
                if settings["untrained"]
                else ["small models trained on MAD; trained: with full captions"]
            ),
        ],
    )


def _row(pair: Pair) -> dict[str, Value]:
    shares = components(pair).shares or (0.0, 0.0)
    return {**measure(pair, MEASURES).measures, "first": Value(shares[0])}


def _clouds(state: str) -> Clouds:
    return Clouds(
        title=f"{state.capitalize()} model",
        caption="The first two principal components. Thin lines connect an image and its text. Two"
        " separate clouds are a gap.",
        file=f"{state}.safetensors",
        components=True,
    )


PARTS = (
    Part(
        head="The gap exists before training",
        words=(
            "The embeddings of each modality are in a narrow cone, and the two cones differ. This"
            " is already so before training, because each network with random weights has its own"
            " cone. Training CLIP moves the cones but does not merge them. The effect of training"
            " depends on the captions: small models on MAD end almost without a gap if captions"
            " name everything that varies in the images, and with a gap if captions omit most of"
            " it.",
        ),
        panels=(
            _clouds("trained"),
            _clouds("untrained"),
            Bars(
                title="The gap",
                caption="Distance between the means of the two modalities; 0 is a closed gap.",
                ys={"l2m": "l2m"},
                xlabel="distance of means",
            ),
        ),
    ),
)
FIGURE = "Liang et al. 2022, figure 1"
GAPS = {
    features.COCO: (0.8514, "CLIP ViT-B/16, 500 COCO pairs"),
    features.UNTRAINED: (1.1361, "CLIP ViT-B/16 untrained, 500 COCO pairs"),
    "features_videoclip": (1.0669, "VideoCLIP, 100 videos"),
    "features_videoclip_random": (0.9544, "VideoCLIP untrained, 100 videos"),
    "features_convirt": (0.8231, "ConVIRT, 500 radiographs"),
    "features_convirt_random": (1.4030, "ConVIRT untrained, 500 radiographs"),
    "features_clasp": (1.0447, "CLASP, 99 proteins"),
    "features_clasp_random": (1.2893, "CLASP untrained, 99 proteins"),
}
PUBLISHED: list[Published] = [
    Number(
        claim=f"The gap of {_title}, is {_gap:g}",
        where=FIGURE,
        needs=f"features of {_title}, in the file {_name}.npy",
        cell=(_name, "l2m"),
        value=_gap,
        tolerance=0.0001,
    )
    for _name, (_gap, _title) in GAPS.items()
]
PUBLISHED += [
    Order(
        claim="There is a gap before training",
        where=FIGURE,
        published="1.136 for CLIP",
        note="other data and models: only the direction is compared",
        larger=("untrained", "l2m"),
        smaller=0.1,
    ),
    Order(
        claim="There is a gap after training",
        where=FIGURE,
        published="0.851 for CLIP",
        note="other data and models: only the direction is compared",
        larger=("trained", "l2m"),
        smaller=0.1,
        why="training on full captions leaves a small gap (Schrodi et al. 2025); see the row of"
        " short captions",
    ),
    Order(
        claim="There is a gap after training on short captions",
        where=FIGURE,
        published="0.851 for CLIP",
        note="other data and models: only the direction is compared",
        larger=(SHORT, "l2m"),
        smaller=0.1,
    ),
    Order(
        claim="The gap is larger before training than after training",
        where=FIGURE,
        published="true for CLIP, ConVIRT and CLASP, not for VideoCLIP",
        note="other data and models: only the direction is compared",
        larger=("untrained", "l2m"),
        smaller=("trained", "l2m"),
    ),
]
MORE = ",".join(f"{features.FOLDER}/{name}.npy" for name in GAPS if name.startswith("features"))
REAL = (
    *features.FETCH,
    f"modalgap study trained_and_untrained -o trained_and_untrained --set pair={features.COCO}.npy"
    f" --set untrained={features.UNTRAINED}.npy --set more={MORE}",
)
trained_and_untrained = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(PUBLISHED),
    minutes=2,
    extras=("train", *TRAIN),
    real=REAL,
)
