"""Published numbers of inversion per model and data set, and the commands for their data.

Source: Mistretta et al. 2025, tables 1, 2, 3 and 4, figure 3; single data sets:
arXiv 2603.16100, table 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modalgap.study.published import Number, Order, Published

MODELS = {  # name in files: title, spec
    "b32": ("CLIP ViT-B/32", "open_clip:ViT-B-32/openai"),
    "l14": ("CLIP ViT-L/14", "open_clip:ViT-L-14/openai"),
    "openb32": ("OpenCLIP ViT-B/32", "open_clip:ViT-B-32/laion2b_s34b_b79k"),
    "openl14": ("OpenCLIP ViT-L/14", "open_clip:ViT-L-14/laion2b_s32b_b82k"),
    "siglip": ("SigLIP B/16", "open_clip:ViT-B-16-SigLIP/webli"),
    "slipb": ("SLIP ViT-B/16", "slip:ViT-B-16@slip_base_100ep.pt"),
    "slipl": ("SLIP ViT-L/16", "slip:ViT-L-16@slip_large_100ep.pt"),
    "tau1": ("CLIP ViT-B/32, fine-tuned on COCO at τ = 1", "open_clip:runs/coco_tau1/model"),
    "tau001": ("CLIP ViT-B/32, fine-tuned on COCO at τ = 0.01", "open_clip:runs/coco_tau001/model"),
}
BUILDINGS = {"roxford5k": "Revisited Oxford", "rparis6k": "Revisited Paris"}
CLASSES = {
    "stanford-cars": "Stanford Cars",
    "oxford-pets": "Oxford-IIIT Pets",
    "flowers102": "Flowers-102",
    "fgvc-aircraft": "FGVC Aircraft",
    "dtd": "DTD",
    "eurosat": "EuroSAT",
    "food101": "Food-101",
    "sun397": "SUN397",
    "caltech101": "Caltech-101",
    "ucf101": "UCF101",
    "imagenet": "ImageNet",
}
THIRTEEN = {**BUILDINGS, **CLASSES}
OBJECTS = {"cub": "CUB", "sop": "SOP"}
CAPTIONS = {"flickr30k": "Flickr30k", "coco": "COCO", "nocaps": "nocaps"}
FINE_TUNED = ("cub", "sop", "roxford5k", "rparis6k", "stanford-cars")
TITLES = {**OBJECTS, **THIRTEEN}
SETS: Mapping[str, Sequence[str]] = {  # group: the data sets of its mean
    "15 data sets": (*OBJECTS, *THIRTEEN),
    "13 data sets": tuple(THIRTEEN),
    "11 class sets": tuple(CLASSES),
    "5 data sets": FINE_TUNED,
    "3 caption sets": tuple(f"{each}-captions" for each in CAPTIONS),
}
Numbers = tuple[float, float]  # native, inverted, in percent
MEANS: Mapping[str, Mapping[str, Numbers]] = {  # where: model to numbers
    "tables 1 and 3": {
        "b32": (39.2, 41.2),
        "l14": (52.0, 55.3),
        "openb32": (47.3, 49.5),
        "openl14": (60.4, 63.6),
        "siglip": (55.5, 58.3),
        "slipb": (35.1, 35.3),
        "slipl": (36.7, 37.1),
    },
    "table 2, left": {
        "b32": (37.7, 40.6),
        "l14": (38.2, 41.3),
        "openb32": (42.8, 45.3),
        "openl14": (45.1, 47.0),
        "siglip": (40.8, 44.4),
    },
    "table 2, right": {
        "b32": (61.9, 56.4),
        "l14": (72.2, 68.4),
        "openb32": (69.4, 66.1),
        "openl14": (78.9, 77.0),
        "siglip": (75.1, 66.3),
    },
}
GROUPS = {
    "tables 1 and 3": "15 data sets",
    "table 2, left": "3 caption sets",
    "table 2, right": "11 class sets",
}
PER_SET: Mapping[str, tuple[str, str]] = {  # native and inverted, in the order of THIRTEEN, mean
    "b32": (
        "42.4 74.0 24.9 31.2 62.5 14.5 28.3 49.3 33.6 34.6 77.7 46.2 21.6 41.6",
        "43.0 70.3 28.0 37.5 62.6 14.4 31.9 47.2 34.7 36.3 79.9 48.6 23.8 42.9",
    ),
    "l14": (
        "57.1 77.8 43.8 47.2 84.2 25.8 33.9 57.8 55.0 39.2 83.8 59.5 33.0 53.7",
        "62.4 77.1 50.5 56.0 86.0 27.1 37.7 56.3 55.9 43.5 87.3 62.8 38.2 57.0",
    ),
    "siglip": (
        "50.6 73.1 65.7 56.4 87.5 37.9 39.8 53.3 56.3 42.8 87.2 56.9 35.8 57.2",
        "55.2 79.1 71.8 64.2 89.7 37.6 43.3 52.9 59.0 43.6 88.9 54.9 38.8 60.0",
    ),
}
TABLE_4: Mapping[str, tuple[str, str]] = {  # in the order of FINE_TUNED, mean
    "tau1": ("15.9 23.7 29.3 46.6 19.3 27.0", "14.0 20.4 26.7 43.1 17.4 24.2"),
    "tau001": ("24.0 35.0 43.1 68.6 25.7 39.3", "24.1 35.2 44.0 70.2 27.6 40.2"),
}
PAPER = "Mistretta et al. 2025"
SINGLE = "arXiv 2603.16100, table 3, for the method of Mistretta et al. 2025"
TOLERANCE = 0.01
NOTE = "the tolerance was chosen by modalgap"
COLUMNS = {"map": "mAP", "top1": "top-1"}


def published() -> tuple[Published, ...]:
    """A result to compare with for each published number, and those of the embedded models."""
    result: list[Published] = [*_of_mad()]
    for where, models in MEANS.items():
        column = "top1" if where == "table 2, right" else "map"
        group = GROUPS[where]
        for model, numbers in models.items():
            result += _two(f"{PAPER}, {where}", model, f"mean of {group}", column, numbers)
    for table, where, names, group in (
        (PER_SET, SINGLE, THIRTEEN, "13 data sets"),
        (TABLE_4, f"{PAPER}, table 4", FINE_TUNED, "5 data sets"),
    ):
        for model, lines in table.items():
            pairs = zip(*(map(float, line.split()) for line in lines), strict=True)
            for data, numbers in zip((*names, f"mean of {group}"), pairs, strict=True):
                result += _two(where, model, data, "map", numbers)
    result += _two(SINGLE, "slipb", "mean of 13 data sets", "map", (35.6, 35.7))
    return tuple(result)


def _two(where: str, model: str, data: str, column: str, numbers: Numbers) -> list[Published]:
    """The results for a native and an inverted number."""
    mean = data.startswith("mean of")
    row = f"{model}, {data}" if mean else f"{model}-{data}"
    name = MODELS[model][0]
    title = data if mean else TITLES[data]
    inverted = "inverted" if column == "map" else f"inverted_{column}"
    return [
        Number(
            claim=f"{name}, {title}: {COLUMNS[column]} of {kind} queries",
            where=where,
            cell=(row, cell),
            value=round(number / 100, 4),
            tolerance=TOLERANCE,
            needs=f"the data sets of the table encoded by {name}; see the commands on its page",
            note=NOTE,
        )
        for kind, cell, number in zip(("native", "inverted"), (column, inverted), numbers,
                                      strict=True)
    ]  # fmt: skip


# of the models of MAD: why the mAP, and why the accuracy, may change in the other direction
WHYS = (
    (
        "short captions",
        "the mAP by digit falls, and that by colour and by size rises",
        "the accuracy by the prompts of line thickness is low, and rises most; those of digit and"
        " size do not change",
    ),
    (
        "full captions",
        "the gap is small, and so are all changes (below .005)",
        "the gap is small; every interval of a factor includes 0",
    ),
)


def _of_mad() -> list[Published]:
    other = "other data and models: only the direction is compared"
    result: list[Published] = []
    for title, why_map, why_top1 in WHYS:
        row = f"MAD, {title}: mean"
        result += [
            Order(
                claim=f"OTI raises the mean mAP: MAD, {title}",
                where=f"{PAPER}, table 1",
                published="mAP 39.2 → 41.2 (CLIP ViT-B/32, mean of 15 data sets)",
                larger=(row, "gain"),
                smaller=0.0,
                note=other,
                why=why_map,
            ),
            Order(
                claim=f"OTI lowers the mean accuracy by prompts: MAD, {title}",
                where=f"{PAPER}, table 2",
                published="top-1 61.9 → 56.4 (CLIP ViT-B/32, mean of 11 data sets)",
                larger=0.0,
                smaller=(row, "gain_top1"),
                note=other,
                why=why_top1,
            ),
        ]
    return result


def _loop(models: Sequence[str], sets: Sequence[str], *commands: str) -> str:
    """A loop of the shell over models and data sets; $m is NAME=MODEL, $d the data set."""
    pairs = " ".join(f"{name}={MODELS[name][1]}" for name in models)
    body = "; ".join(f"modalgap {each}" for each in commands)
    return f"for m in {pairs}; do for d in {' '.join(sets)}; do {body}; done; done"


OTI = "invert oti --data $d -m ${m#*=} -o inverted/${m%%=*}-$d.safetensors"
TRAIN_SPLIT = "encode $d --split train -m ${m#*=} -o inverted/${m%%=*}-$d.gallery.safetensors"
OVI = "invert ovi --data $d -m ${m#*=} -o inverted/${m%%=*}-$d-captions.safetensors"
ALL = tuple(MODELS)[:7]
REAL = (
    "mkdir -p inverted",
    _loop(ALL, (*OBJECTS, *BUILDINGS), OTI),
    _loop(ALL, tuple(CLASSES), OTI, TRAIN_SPLIT),
    _loop(ALL[:5], tuple(CAPTIONS), OVI),
    "# the models of table 4 are trained by the commands of the study inversion_and_temperature",
    _loop(("tau1", "tau001"), FINE_TUNED[:4], OTI),
    _loop(("tau1", "tau001"), FINE_TUNED[4:], OTI, TRAIN_SPLIT),
    "modalgap study inversion_data_sets -o inversion_data_sets --set inverted=inverted",
)


# figure 3: number of tokens to the loss, the highest mAP, and the mAP at step 1,000
FIGURE_3 = {
    1: (0.155, 0.288, 0.270),
    2: (0.07, 0.315, 0.261),
    4: (0.037, 0.321, 0.252),
    8: (0.022, 0.315, 0.252),
    16: (0.015, 0.302, 0.251),
}
COSINES = {"text": 0.18, "best step": 0.24, "last step": 0.58, "image": 0.62}  # figure 3c


def figure_3(where: str, needs: str) -> list[Published]:
    """The numbers of figure 3, for a table whose rows start with "cars"."""
    numbers = [("native mAP", "R = 1", "native", 0.246, 0.005)]
    for count, (loss, best, last) in FIGURE_3.items():
        row = f"R = {count}"
        numbers += [
            (f"loss at step 1,000, {row}", row, "loss", loss, 0.005),
            (f"mAP at the best step, {row}", row, "best", best, 0.01),
            (f"mAP at step 1,000, {row}", row, "last", last, 0.01),
        ]
    numbers += [
        (f"mean cosine with the gallery, {name}", name, "cosine", value, 0.02)
        for name, value in COSINES.items()
    ]
    return [
        Number(
            claim=f"Cars, CLIP ViT-B/32: {claim}",
            where=where,
            cell=(f"cars, {row}", column),
            value=value,
            tolerance=tolerance,
            needs=needs,
            note="read from a figure; the tolerance was chosen by modalgap",
        )
        for claim, row, column, value, tolerance in numbers
    ]
