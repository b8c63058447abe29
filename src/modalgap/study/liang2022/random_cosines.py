"""Histograms of cosines within a modality: trained encoders, untrained encoders, and noise.

The cosines of all ordered pairs of different items of one encoder. By default: a model trained on
MAD, the same model untrained, and the untrained model on images of noise. With files: embeddings of
a trained and of an untrained model; only the first caption of each image is used.
Source: Liang et al. 2022, section 2.1 and figure 2a.
Expected: the cosines are far above 0, and higher for an untrained encoder than for a trained one.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import sample, whole
from modalgap.embeddings import Pair
from modalgap.encode import load_model
from modalgap.errors import OptionError
from modalgap.extras import TRAIN
from modalgap.linalg import to_unit
from modalgap.panels import Histogram, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import features
from modalgap.study.base import Study
from modalgap.study.embedded import paired, pairs, planned, stem
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published

TRAINED = {"MAD, full captions": "trained", "MAD, untrained": "untrained"}
NOISE = "image noise"
BINS, BATCH = 100, 256
HEADS = {
    "cosine": "mean cosine",
    "sd": "standard deviation",
    "low": "first quartile",
    "middle": "median",
    "high": "third quartile",
    "items": "items",
}
CARD = Card(
    name="random_cosines",
    title="Cosines within a modality, trained and untrained",
    idea="Histograms of the cosines of all pairs of items of trained and untrained encoders.",
    source="Liang et al. 2022, section 2.1, figure 2a",
    question="Are embeddings in a narrow cone before training?",
    traits=("random", "sampled"),
)


@checked
def plan(*, pair: str = "", untrained: str = "", items: int = 5000, seed: int = 0) -> Plan:
    """Plan the encoders.

    Args:
        pair: file of embeddings of images and texts; by default models trained on MAD.
        untrained: file of the same items embedded by an untrained model; only with ``pair``.
        items: largest number of items of each modality; a random sample of a larger set.
        seed: seed of the sample and of the noise.

    Raises:
        OptionError: a value outside its range, or ``untrained`` without ``pair``.
    """
    whole("items", items, 3, 6000)
    whole("seed", seed, 0, 2**31)
    if untrained and not pair:
        raise OptionError("untrained must come with pair, the file of the trained model")
    if untrained and stem(untrained) == stem(pair):
        raise OptionError(f"untrained must have another file name than pair; got {untrained}")
    if untrained and paired(untrained).image.n != paired(pair).image.n:
        raise OptionError("untrained must have the items of pair; their numbers differ")
    settings, models = planned(pair, "full", "untrained")
    settings |= {"items": items, "seed": seed}
    if untrained:
        settings |= {"untrained": untrained, "untrained_fingerprint": paired(untrained).fingerprint}
    return Plan(settings=settings, models=models)


def run(work: Work) -> Table:
    """Measure the cosines of every encoder."""
    items, seed = work.settings["items"], work.settings["seed"]
    found = {TRAINED.get(name, name): pair for name, pair in pairs(work).items()}
    if "untrained" in work.settings:
        file = work.settings["untrained"]
        found[stem(file)] = paired(file)
    sides: dict[str, Tensor] = {}
    for name, pair in found.items():
        for side, modality in zip(_first(pair), ("image", "text"), strict=True):
            row = f"{modality} {name}" if name in TRAINED.values() else f"{name} {modality}"
            sides[row] = side
    if not work.settings.get("pair"):
        sides[NOISE] = _noise(work, len(sides["image untrained"]), seed)
    rows: dict[str, dict[str, Value]] = {}
    with progress("cosines", len(sides)) as advance:
        for name, each in sides.items():
            rows[name] = cosines(each[sample(len(each), items, seed)])
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="encoder",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=["cosines of all ordered pairs of different items"],
    )


def cosines(rows: Tensor) -> dict[str, Value]:
    """Mean, sd, quartiles and histogram of the cosines of different unit rows (n, d)."""
    n = len(rows)
    upper = np.concatenate([(rows[at + 1 :] @ rows[at]).numpy() for at in range(n - 1)])
    counts, edges = np.histogram(upper.clip(-1, 1), BINS, (-1, 1))
    low, middle, high = (float(each) for each in np.quantile(upper, (0.25, 0.5, 0.75)))
    wide = upper.astype(np.float64)
    # drawn: from the first to the last bin with a cosine
    first, last = np.flatnonzero(counts)[[0, -1]]
    details = {
        "edges": edges[first : last + 2].tolist(),
        "counts": counts[first : last + 1].tolist(),
    }
    return {
        "cosine": Value(float(wide.mean()), details=details),
        "sd": Value(float(wide.std())),
        "low": Value(low),
        "middle": Value(middle),
        "high": Value(high),
        "items": Value(float(n)),
    }


def _first(pair: Pair) -> tuple[Tensor, Tensor]:
    """Unit rows of the images, and of the first caption of each."""
    image, text = pair.image.unit(), pair.text.unit()
    if pair.matched_by == "text_to_image":
        kept = np.unique(np.asarray(pair.text_to_image), return_index=True)[1]
        text = text[torch.from_numpy(np.sort(kept))]
    return image, text


@torch.inference_mode()
def _noise(work: Work, n: int, seed: int) -> Tensor:
    """Unit rows (n, d) of images of N(0, I) noise by the untrained model."""
    encoder = load_model(work.runs["untrained"].spec)
    shape = encoder.prepare(Image.new("RGB", (28, 28))).shape
    noise = torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
    features = [encoder.encode_media(noise[at : at + BATCH]).float() for at in range(0, n, BATCH)]
    return to_unit(torch.cat(features))[0]


CAPTION = "One histogram per encoder. Dashed: the mean; nearer to 1 is a narrower cone."
PARTS = (
    Part(
        head="The cone exists before training",
        words=(
            "Each histogram shows the cosines of all pairs of items of one encoder. Random"
            " directions would have cosines near 0. High cosines mean a narrow cone: an untrained"
            " encoder has one already.",
        ),
        panels=(
            Histogram(
                title="Images",
                column="cosine",
                match="image",
                xlabel="cosine of two items",
                caption=CAPTION,
            ),
            Histogram(
                title="Texts",
                column="cosine",
                match="text",
                xlabel="cosine of two items",
                caption=CAPTION,
            ),
        ),
        columns=2,
    ),
)
FIGURE = "Liang et al. 2022, figure 2a"
NOTE = "other data and models: only the direction is compared"
FIVE = "5,000 items of COCO encoded by CLIP ViT-B/32; see the commands on its page"
MORE = "5,000 items of COCO, or of noise, encoded by this model; there is no command for it"
FILE, START = "clip_b32_coco", "clip_b32_random_coco"  # names of files that the commands write
MODELS = {  # name of a file to model and data, as the claims name them
    FILE: "CLIP ViT-B/32 on COCO",
    START: "CLIP ViT-B/32 untrained, on COCO",
    f"{START}_noise": "CLIP ViT-B/32 untrained, on noise",
    "resnet18": "ResNet-18 on COCO",
    "resnet18_random": "ResNet-18 untrained, on COCO",
    "resnet18_random_noise": "ResNet-18 untrained, on noise",
    features.COCO: "CLIP ViT-B/16 on 500 pairs of COCO",
    features.UNTRAINED: "CLIP ViT-B/16 untrained, on 500 pairs of COCO",
}
# row, column, value, tolerance, what it needs
NUMBERS = (
    (f"{FILE} image", "cosine", 0.468, 0.002, FIVE),
    (f"{FILE} image", "sd", 0.0900, 0.001, FIVE),
    (f"{FILE} image", "low", 0.409, 0.002, FIVE),
    (f"{FILE} image", "middle", 0.466, 0.002, FIVE),
    (f"{FILE} image", "high", 0.522, 0.002, FIVE),
    (f"{FILE} text", "cosine", 0.508, 0.002, FIVE),
    (f"{FILE} text", "sd", 0.1028, 0.001, FIVE),
    (f"{FILE} text", "low", 0.440, 0.002, FIVE),
    (f"{FILE} text", "middle", 0.509, 0.002, FIVE),
    (f"{FILE} text", "high", 0.576, 0.002, FIVE),
    (f"{START} image", "cosine", 0.717, 0.05, FIVE),
    (f"{START} text", "cosine", 0.672, 0.05, FIVE),
    (f"{START}_noise image", "cosine", 0.937, 0.05, MORE),
    (f"{START}_noise text", "cosine", 0.411, 0.05, MORE),
    ("resnet18 image", "cosine", 0.556, 0.002, MORE),
    ("resnet18 image", "sd", 0.0695, 0.001, MORE),
    ("resnet18 image", "low", 0.508, 0.002, MORE),
    ("resnet18 image", "middle", 0.552, 0.002, MORE),
    ("resnet18 image", "high", 0.599, 0.002, MORE),
    ("resnet18_random image", "cosine", 0.993, 0.005, MORE),
    ("resnet18_random_noise image", "cosine", 0.999, 0.002, MORE),
)
# means of the files of the authors' repository, computed for this project
FILES = (
    (f"{features.COCO} image", 0.531),
    (f"{features.COCO} text", 0.515),
    (f"{features.UNTRAINED} image", 0.681),
    (f"{features.UNTRAINED} text", 0.663),
)
NAMES = {"cosine": "mean", "sd": "standard deviation", "low": "first quartile",
         "middle": "median", "high": "third quartile"}  # fmt: skip


def _said(row: str) -> str:
    """The model, the data and the modality of a row."""
    name, modality = row.split()
    return f"{MODELS[name]}, {modality}s"


PUBLISHED: tuple[Published, ...] = (
    *(
        Order(
            claim=f"The mean cosine of two {kind}s is higher before training than after training",
            where=FIGURE,
            larger=(f"{kind} untrained", "cosine"),
            smaller=(f"{kind} trained", "cosine"),
            note=NOTE,
            needs="the embedded models; run the study without the option pair",
        )
        for kind in ("image", "text")
    ),
    Order(
        claim="Untrained: the mean cosine of two noise images is higher than of two real images",
        where=FIGURE,
        larger=(NOISE, "cosine"),
        smaller=("image untrained", "cosine"),
        note=NOTE,
        why="images of MAD (a digit on a dark background) are similar without any encoder: the"
        " mean cosine of their pixels is about .8, that of images of noise is 0",
        needs="the embedded models; run the study without the option pair",
    ),
    *(
        Number(
            claim=f"{_said(row)}: the {NAMES[column]} of the cosines is {value:g}",
            where=FIGURE,
            cell=(row, column),
            value=value,
            tolerance=tolerance,
            needs=needs,
        )
        for row, column, value, tolerance, needs in NUMBERS
    ),
    *(
        Number(
            claim=f"{_said(row)}: the mean of the cosines is {value:g}",
            where="files of the authors' repository, CLIP ViT-B/16 on 500 pairs of COCO",
            against="reference",
            cell=(row, "cosine"),
            value=value,
            tolerance=0.001,
            needs=f"{row.split()[0]}.npy; see the commands on its page",
        )
        for row, value in FILES
    ),
)
random_cosines = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=2,
    extras=("train", *TRAIN),
    real=(
        f"modalgap encode coco -m open_clip:ViT-B-32/openai -o {FILE}.safetensors",
        f"modalgap encode coco -m open_clip:ViT-B-32/random -o {START}.safetensors",
        f"modalgap study random_cosines -o random_cosines --set pair={FILE}.safetensors"
        f" --set untrained={START}.safetensors",
        *features.FETCH,
        f"modalgap study random_cosines -o random_cosines_500 --set pair={features.COCO}.npy"
        f" --set untrained={features.UNTRAINED}.npy",
    ),
)
