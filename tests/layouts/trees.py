"""Random folders of images, of what stands beside them and of other files, and a check of losses.

Images hold no pixels: readers list them and do not decode. Every caption is a text of its own, so
that one that is nowhere can be named.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from modalgap.data import Source

FOLDERS = ("", "a/", "a/deep.er/", "b b/", "ü/")
STEMS = ("x", "y.1", "y.2", "Z", "ö", "00001", "last one")
JUNK = ("paper.pdf", "LICENSE", "notes.md", ".hidden.png", ".cache/x.png", "video.mp4", "t.csv",
        "list.jsonl", "info.json", "lonely.txt", "lonely.caption", "old.cls", "dump.tar.gz",
        "README.txt", "data.parquet.tmp", "x.svg", "classnames.txt")  # fmt: skip
MODES = ("alone", "txt", "caption", "json", "mixed", "same", "metadata", "cls")


@dataclass
class Written:
    """What a tree holds.

    Attributes:
        folder: its top.
        images: names of images or sounds.
        captions: text to the file that holds it and the image that it is of.
        files: names of all other files, links and hidden entries.
    """

    folder: Path
    images: list[str] = field(default_factory=list)
    captions: dict[str, tuple[str, str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def write(self, name: str, text: str = "") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.files.append(name)


def grow(folder: Path, seed: int) -> Written:
    """A random tree under ``folder``."""
    rng = random.Random(seed)  # noqa: S311 - layouts, no secrets
    made = Written(folder / "tree")
    mode = rng.choice(MODES)
    endings = [".wav", ".flac"] if rng.random() < 0.15 else [".png", ".JPG", ".webp"]
    for place in rng.sample(FOLDERS, rng.randint(1, len(FOLDERS))):
        for stem in rng.sample(STEMS, rng.randint(1, 4)):
            made.images.append(f"{place}{stem}{rng.choice(endings)}")
    for name in made.images:
        (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (made.folder / name).write_bytes(b"x")
    if mode == "metadata":
        _metadata(made, rng)
    else:
        for name in made.images:
            _beside(made, name, mode, rng)
    for name in rng.sample(JUNK, rng.randint(0, 6)):
        place = "junk/" if name == "classnames.txt" else rng.choice(("", "a/", "junk/"))
        made.write(f"{place}{name}", "a,b\n1,2\n")
    _links(made, folder, rng, endings[0])
    return made


def _beside(made: Written, image: str, mode: str, rng: random.Random) -> None:
    stem = image.rpartition(".")[0] if rng.random() < 0.7 else image
    said = [f"caption {len(made.captions) + i} of {image}" for i in range(rng.randint(1, 3))]
    kind = rng.choice(("txt", "caption", "json")) if mode == "mixed" else mode
    if mode == "alone" or rng.random() < 0.15:
        return
    if kind == "cls":
        made.write(f"{stem}.cls", rng.choice(("cat", "dog", "", "-1")))
        return
    if rng.random() < 0.1:
        made.write(f"{stem}.txt", rng.choice(("", " \n\n")))
        return
    names = [f"{stem}.txt", f"{stem}.json"] if kind == "same" else [f"{stem}.{kind}"]
    for name in names:
        held = "\n".join(said)
        if name.endswith(".json"):
            held = json.dumps({"captions": said, "style": rng.choice("ab")})
        made.write(name, held)
    made.captions |= dict.fromkeys(said, (names[0], image))


def _metadata(made: Written, rng: random.Random) -> None:
    rows = []
    for image in made.images:
        for _ in range(rng.choice((0, 1, 1, 2))):
            text = f"caption {len(rows)} of {image}"
            rows.append({"file_name": image, "text": text, "style": rng.choice("ab")})
    rows.append({"file_name": "nowhere.png", "text": "caption of nothing", "style": "a"})
    rng.shuffle(rows)
    ending = rng.choice(("csv", "jsonl", "parquet"))
    name = f"metadata.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), made.folder / name)
        made.files.append(name)
    elif ending == "jsonl":
        made.write(name, "".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        separator = rng.choice(",;\t")
        held = [separator.join(("file_name", "text", "style"))]
        held += [separator.join(row.values()) for row in rows]
        made.write(name, "\n".join(held))
    for row in rows:
        image = row["file_name"]
        holder = f"{name}, {image}" if image == "nowhere.png" else name
        made.captions[row["text"]] = (holder, image)


def _links(made: Written, outside: Path, rng: random.Random, ending: str) -> None:
    if rng.random() < 0.4:
        far = outside / "far"
        far.mkdir()
        for i in range(2):
            (far / f"{i}{ending}").write_bytes(b"x")
        (made.folder / "linked").symlink_to(far)
        made.images += [f"linked/{i}{ending}" for i in range(2)]
    if rng.random() < 0.4:
        (made.folder / f"one{ending}").symlink_to(made.folder / made.images[0])
        made.images.append(f"one{ending}")
    for name, target in (("loop", made.folder), (f"gone{ending}", made.folder / "no"), ("up", ".")):
        if rng.random() < 0.3:
            (made.folder / name).symlink_to(target)
            made.files.append(name)


def lost(made: Written, source: Source) -> list[str]:
    """What the tree holds and neither the source nor its lists name."""
    read = set(source.media.names if source.media is not None else ())
    told = {name for name, _ in (*source.missing, *source.unused)}
    texts = set(source.texts or ())

    def listed(name: str) -> bool:
        parts = name.split("/")
        return any("/".join(parts[:i]) in told for i in range(1, len(parts) + 1))

    found = [name for name in made.images if name not in read and not listed(name)]
    found += [
        text
        for text, (holder, image) in made.captions.items()
        if text not in texts and not listed(holder) and holder not in told and not listed(image)
    ]
    beside = {os.path.splitext(name)[0] for name in made.images} | set(made.images)  # noqa: PTH122
    holders = {holder for holder, _ in made.captions.values()}
    for name in made.files:
        stands = os.path.splitext(name)[0] in beside  # noqa: PTH122
        metadata = name.startswith("metadata.")
        if not listed(name) and name not in holders and not stands and not metadata:
            found.append(name)
    return found
