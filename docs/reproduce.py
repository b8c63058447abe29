"""The commands for the data of the papers, with downloads and time, from the studies themselves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise

import open_clip
import torch
from torch.utils.flop_counter import FlopCounterMode

from modalgap.data import DATASETS
from modalgap.encode.quiet import quiet
from modalgap.encode.registry import expand_model
from modalgap.study import STUDIES
from modalgap.study.base import Study
from modalgap.train import load_config

RATE = 0.14e12  # operations per second of two cores, from the times of ViT-B/32 in benchmarks.md
TOKENS = 14.4  # of a caption, on average, for towers that stop at its end
PAPERS = {
    "liang2022": "Liang et al. 2022, Mind the Gap",
    "schrodi2025": "Schrodi et al. 2025, Two Effects, One Trigger",
    "mistretta2025": "Mistretta et al. 2025, Cross the Gap",
    "chowers2026": "Chowers et al. 2026, Is the Modality Gap a Bug or a Feature?",
}
GIGABYTES = {  # the default split and its captions, with the source of the number
    "coco": (1.2, "stated by its site: images 1 GB, annotations 0.24 GB"),
    "cifar10": (0.18, "60,000 rows of 3,073 bytes"),
    "cifar100": (0.18, "60,000 rows of 3,074 bytes"),
    "svhn": (0.08, "26,032 images of 3,072 bytes"),
    "eurosat": (0.09, "stated by its archive"),
    "imagenet": (5.6, "estimate: 50,000 of 1.33 million images, which have 150 GB together"),
    "cc12m": (
        530,
        "estimate: 9.26 million images of 256 pixels, 0.057 MB each, scaled from COCO",
    ),
    "flickr30k": (
        3.9,
        "estimate: 31,783 images of 500 x 375 pixels, scaled from COCO",
    ),
}


@dataclass(frozen=True)
class Model:
    """Size and operations of a model.

    Attributes:
        parameters: their number.
        image, text: floating-point operations per image and per caption.
    """

    parameters: int
    image: float
    text: float


@cache
def model(spec: str) -> Model | None:
    """The model of a name such as ``open_clip:ViT-B-16/openai``; None if its size is unknown."""
    name, slash, _ = spec.removeprefix("open_clip:").partition("/")
    if not slash or open_clip.get_model_config(name) is None:
        return None
    with quiet(), torch.device("meta"):
        made = open_clip.create_model(name, device="meta", pretrained_text=False)
        made.eval().requires_grad_(False)
        size = made.visual.image_size
        height, width = size if isinstance(size, tuple) else (size, size)
        image = operations(lambda: made.encode_image(torch.ones(1, 3, height, width)))
        context = open_clip.get_model_config(name)["text_cfg"]["context_length"]
        text = operations(lambda: made.encode_text(torch.ones(1, context, dtype=torch.int64)))
    if getattr(made, "attn_mask", None) is not None:  # it stops at the end of a caption
        text *= TOKENS / context
    return Model(sum(each.numel() for each in made.parameters()), image, text)


def operations(call: Callable[[], object]) -> float:
    """Floating-point operations of a forward pass; on the device "meta" nothing is computed."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def items(name: str) -> tuple[int, int]:
    """The images and captions of a data set's default split by its card; no images if unknown."""
    card = DATASETS[name].card
    split = card.splits[0].rpartition("-")[2]
    found = re.search(rf"\b{split}\b[^;]*? ([\d,]+) images(?: with ([\d,]+))?", card.size)
    images, captions = found.groups() if found else (None, None)
    return int((images or "0").replace(",", "")), int((captions or "0").replace(",", ""))


@dataclass(frozen=True)
class Work:
    """What one command encodes or trains."""

    data: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    config: str = ""

    @property
    def minutes(self) -> float | None:
        """On two cores; None if it is unknown."""
        known = [model(each) for each in self.models]
        if self.config or None in known or any("*" in each for each in self.models):
            return None
        counts = [items(each) if each in DATASETS else (0, 0) for each in self.data]
        if not all(images for images, _ in counts):
            return None
        operations = sum(n * each.image + m * each.text for each in known for n, m in counts)
        return operations / RATE / 60


def work(line: str) -> Work:
    """What a command encodes or trains; nothing for other commands."""
    words = shlex.split(line, comments=True)
    options = list(pairwise(words))
    models = [value for option, value in options if option in ("-m", "--model")]
    if words[:2] == ["modalgap", "encode"]:
        return Work((words[2],), tuple(models))
    if words[:2] == ["modalgap", "zoo"]:
        return Work(tuple(value for option, value in options if option == "-d"), tuple(models))
    if words[:2] == ["modalgap", "train"]:
        return Work((load_config(words[2]).data.source,), config=words[2])
    return Work()


def joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def facts(study: Study) -> list[str]:
    """Data, weights and time of a study's commands."""
    found = [each for each in map(work, study.real) if each != Work()]
    sets = (each for one in found for each in one.data if each in DATASETS)
    data = joined(f"[{each}](data.md#{each})" for each in sets)
    weights = joined(named(each) for one in found for each in one.models)
    configs = joined(f"`{each.config}`" for each in found if each.config)
    times = [each.minutes for each in found if each.models]
    known = [each for each in times if each is not None]
    time = f"about {duration(sum(known))}" if known and len(known) == len(times) else ""
    said = {
        "Data": data,
        "Weights": weights,
        "Training": configs,
        "Encoding on two CPU cores, estimated": time,
    }
    return [f"- {head}: {text}" for head, text in said.items() if text]


def named(spec: str) -> str:
    if "*" in spec:
        return f"`{spec}` ({len(expand_model(spec))} weights)"
    found = None if spec.endswith("/random") else model(spec)
    return f"`{spec}`" + ("" if found is None else f" ({found.parameters * 4 / 1e9:.1f} GB)")


def duration(minutes: float) -> str:
    return f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{max(minutes, 1):.0f} minutes"


def folder(study: Study) -> str:
    return study.plan.__module__.split(".")[2]


def paper(study: Study) -> str:
    return PAPERS.get(folder(study), "Other questions")


def pages() -> dict[str, list[str]]:
    """The generated parts of reproduce.md."""
    order = [*PAPERS.values(), "Other questions"]
    studies = sorted(STUDIES.values(), key=lambda each: order.index(paper(each)))
    lines: list[str] = []
    for title, group in groupby(studies, paper):
        members = list(group)
        lines += [f"## {title}", ""]
        for study in (each for each in members if each.real):
            lines += [f"### {study.name}", "", f"{study.card.title}: {study.card.source}.", ""]
            lines += [*facts(study), "", "```sh", *study.real, "```", ""]
        whole = [each.name for each in members if not each.real]
        if whole:
            links = joined(f"[{each}](study.md#{each.replace('_', '-')})" for each in whole)
            lines += [f"Studies that need no data of the papers: {links}.", ""]
    return {"reproduce": lines, "reproduce_costs": costs(studies)}


def costs(studies: Iterable[Study]) -> list[str]:
    """Tables of the models and data sets that the commands name."""
    found = [each for study in studies for each in map(work, study.real)]
    lines = ["| Weights | Parameters | Size in float32 | Images per second | Captions per second |"]
    lines.append("|---|---|---|---|---|")
    specs = (each for one in found for each in one.models)
    for spec in dict.fromkeys(each for each in specs if not each.endswith(("*", "/random"))):
        known = model(spec)
        if known is not None:
            size = f"{known.parameters / 1e6:.0f} million | {known.parameters * 4 / 1e9:.2f} GB"
            speeds = (f"{float(f'{RATE / each:.2g}'):g}" for each in (known.image, known.text))
            lines.append(f"| `{spec}` | {size} | {' | '.join(speeds)} |")
    lines += [
        "",
        "| Data | Images | Captions | Size | Source of the size |",
        "|---|---|---|---|---|",
    ]
    for name in sorted({each for one in found for each in one.data if each in DATASETS}):
        images, captions = items(name)
        size, source = GIGABYTES.get(name, (None, "unknown"))
        cells = (
            f"[{name}](data.md#{name})",
            f"{images:,}" if images else "",
            f"{captions:,}" if captions else "classes" if images else "",
            "" if size is None else f"{size:g} GB",
            source,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines
