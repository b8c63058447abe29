"""Read tar shards of webdataset and img2dataset: members with the same key are one sample.

Nothing is extracted: the headers are read first, and the bytes of a member directly from the tar.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from modalgap.data.classes import PLAIN
from modalgap.data.columns import FIND, NONE, Columns
from modalgap.data.factors import factors_of
from modalgap.data.labels import Labels, read_labels
from modalgap.data.media import Chosen, Kind, Media, Spans
from modalgap.data.objects import read_captions
from modalgap.data.reading import column, reading
from modalgap.data.source import Source
from modalgap.data.sources import names as known
from modalgap.data.sources.benchmark import Beside, read_beside
from modalgap.data.sources.members import Left, Part, caption_endings, image_of, is_sound, samples
from modalgap.data.sources.shards import absent, check_whole
from modalgap.data.summary import grouped
from modalgap.data.text import full_lines, shown
from modalgap.errors import FileError, OptionError
from modalgap.progress import progress

LARGEST_CAPTION = 2**20  # maximum bytes
CLASS = "cls"
NOTHING: Mapping[str, Any] = {}
Scalar = str | int | float | None


@dataclass
class _Content:
    """The content of the shards; one entry per image."""

    spans: list[tuple[int, int, int]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    captions: list[Any] = field(default_factory=list)
    labels: list[Scalar] = field(default_factory=list)
    fields: list[Mapping[str, Any]] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)  # images whose caption cannot be read
    kinds: set[str] = field(default_factory=set)
    keys: dict[str, set[str]] = field(default_factory=dict)  # keys of each shard
    caption_key: str | None = None
    first: Mapping[str, Any] = field(default_factory=dict)  # the first .json
    left: Left = field(default_factory=Left)

    def pad(self) -> None:
        """Add None for each kind of value that the last image does not have."""
        count = len(self.names)
        if len(self.captions) < count:
            self.captions.append(None)
        if len(self.labels) < count:
            self.labels.append(None)
        if len(self.fields) < count:
            self.fields.append(NOTHING)


def read_shards(shards: Sequence[Path], root_name: str, columns: Columns = FIND) -> Source:
    """Read images with the captions of the same key (``.txt``, a field of ``.json``) or classes.

    Args:
        shards: tar archives, in order.
        root_name: common name.
        columns: extensions, or fields of ``.json``, to read.

    Raises:
        FileError: a shard is not a complete tar archive, there are no images, or an unknown label.
    """
    return read_members(shards, root_name, columns)[0]


def read_members(
    shards: Sequence[Path], root_name: str, columns: Columns
) -> tuple[Source, dict[str, set[str]]]:
    """Read shards as ``read_shards``; return the keys of each shard too, by its name."""
    with reading(root_name):
        beside = read_beside(shards)
        check_whole(shards)
        lost, notes = absent(shards) if root_name != str(shards[0]) else ([], [])
    found = _Content()
    with progress("reading shards", len(shards)) as advance:
        for number, shard in enumerate(shards):
            with reading(str(shard)):
                _scan(shard, number, found, columns)
            advance(1)
    with reading(root_name):
        if len(found.kinds) > 1:
            raise FileError("must hold images or sounds; found both")
        if not found.names and columns.image not in (None, NONE):
            raise OptionError(f"--image-column: no sample has a member .{columns.image}")
        found.left.missing[:0] = lost
        return _source(shards, root_name, found, beside, columns, notes), found.keys


def _scan(shard: Path, number: int, found: _Content, columns: Columns) -> None:
    """Add the samples of one shard."""
    left = found.left
    inside = samples(shard, left)
    found.keys[shard.name] = set(inside)
    with shard.open("rb") as raw:
        for key, parts in inside.items():
            name = f"{shard.name}/{key}"
            image = image_of(parts, columns)
            if len(image) != 1:
                if len(image) > 1:
                    why = "several images with one key; --image-column selects an extension"
                    left.missing += [(f"{name}.{each}", why) for each in image]
                    left.endings.update(each for each in parts if each not in image)
                else:
                    text = any(each.endswith("txt") for each in parts)
                    why = "a caption without an image" if text else "a sample without an image"
                    left.missing.append((name, why))
                continue
            found.kinds.add("audio" if is_sound(image[0]) else "image")
            found.spans.append((number, *parts[image[0]]))
            found.names.append(f"{name}.{image[0]}")
            used = {image[0]}
            try:
                _describe(raw, parts, image[0], found, columns, used)
            except (FileError, ValueError, RecursionError) as error:  # the image is kept
                reason = str(error) if isinstance(error, FileError) else "its .json is not JSON"
                found.failed.add(len(found.names) - 1)
                left.missing.append((f"{found.names[-1]}, caption", reason))
            found.pad()
            left.endings.update(each for each in parts if each not in used)


def _describe(
    raw: IO[bytes],
    parts: dict[str, Part],
    image: str,
    found: _Content,
    columns: Columns,
    used: set[str],
) -> None:
    """Read the caption, the label and the fields of one sample."""
    if CLASS in parts:
        used.add(CLASS)
        found.labels.append(_scalar(_read(raw, parts[CLASS])))
    caption: Any = None
    if columns.text is None:
        ending = next((each for each in caption_endings(parts, image) if each in parts), None)
    else:
        ending = columns.text.lower().lstrip(".") if columns.text != NONE else None
        ending = ending if ending in parts else None
    if ending is not None:
        used.add(ending)
        caption = _read(raw, parts[ending])
    content: Any = None
    needed = ending is None or columns.factors or columns.label not in (None, NONE)
    if "json" in parts:
        used.add("json")
        if needed or not found.first:
            try:
                content = json.loads(_read(raw, parts["json"]))
            except (FileError, ValueError, RecursionError):
                if needed:
                    found.captions.append(caption)
                    raise
    if isinstance(content, dict):
        found.first = found.first or content
        if ending is None and columns.text != NONE:
            key = _caption_key(content, columns)
            found.caption_key = found.caption_key or key
            caption = content.get(key) if key is not None else None
        if columns.factors or columns.label is not None:
            found.fields.append({k: v for k, v in content.items() if _is_scalar(v)})
    if not isinstance(caption, str | list | dict | None):
        found.captions.append(None)
        raise FileError("its caption is not a text")
    found.captions.append(caption)


def _source(
    shards: Sequence[Path],
    name: str,
    found: _Content,
    beside: Beside,
    columns: Columns,
    notes: list[str],
) -> Source:
    kind: Kind = "audio" if found.kinds == {"audio"} else "image"
    media: Media = Spans(
        list(shards), np.array(found.spans, np.int64).reshape(-1, 3), found.names, kind
    )
    left = found.left
    label = _label_name(found, beside, columns, notes)
    labels = _labels(found, label, beside, notes) if label is not None else None
    has_captions = any(value is not None for value in found.captions) and label is None
    rows = np.arange(len(media)) if labels is None else labels.kept
    if labels is not None:
        left.missing += [(found.names[i], why) for i, why in labels.missing]
    used = [found.caption_key if has_captions else None, label if labels is not None else None]
    factors, further = factors_of(_table(found, rows, columns), columns, used)
    if len(rows) < len(media):
        media = Chosen(media, rows)
    unused = [
        (f".{ending}", f"{count:,} {'member' if count == 1 else 'members'} of this extension")
        for ending, count in sorted(left.endings.items())
    ]
    rule = "tar shards"
    made = Source(
        name=name,
        texts=["-"],
        modality=kind,
        files=beside.files,
        unused=(*left.unused, *unused),
        unused_columns=further,
    )
    if labels is not None:
        made = replace(
            made,
            media=media,
            texts=labels.classes,
            labels=labels.labels,
            templates=beside.templates or PLAIN,
            factors=factors,
        )
        rule += " with classes" + ("" if beside.classes is None else " of classnames.txt")
    elif has_captions:
        texts = _captions(found, beside, columns, notes)
        rule += (
            f" with captions of .json {found.caption_key!r}"
            if found.caption_key
            else (" with captions")
        )
        flat = [text for each in texts for text in each]
        owner = np.repeat(np.arange(len(texts)), [len(each) for each in texts])
        if columns.image == NONE:
            each_text = {key: [value[i] for i in owner] for key, value in factors.items()}
            made = replace(made, texts=flat, text_factors=each_text)
        else:
            made = replace(made, media=media, texts=flat, text_to_image=owner, factors=factors)
    else:
        if not len(media):
            why = "; ".join(grouped("left out", left.missing))
            raise FileError(f"must hold images or texts; found none{why and f' ({why})'}")
        made = replace(made, media=media, texts=None, factors=factors)
    return replace(made, rule=rule, notes=tuple(notes), missing=tuple(left.missing))


def _captions(
    found: _Content, beside: Beside, columns: Columns, notes: list[str]
) -> list[list[str]]:
    how = columns.captions
    if how is None and beside.retrieval:
        how = "several"
        notes.append("dataset_type.txt says retrieval: captions are read one per line")
    read = read_captions(found.captions, how, "captions", found.names)
    lost = [(i, why) for i, why in read.lost if i not in found.failed]
    found.left.missing += [(f"{found.names[i]}, caption", why) for i, why in lost]
    notes += [read.note] if read.note else []
    if how is None and not read.several:
        lined = sum(len(full_lines(text)) > 1 for each in read.texts for text in each)
        if lined:
            notes.append(
                f"{lined:,} of {len(read.texts):,} captions have several lines and are read as one"
                " each (--captions several reads one per line)"
            )
    elif read.several and columns.captions is None and not beside.retrieval and not read.note:
        notes.append("captions are lists: each item is one caption")
    return read.texts


def _label_name(found: _Content, beside: Beside, columns: Columns, notes: list[str]) -> str | None:
    """The extension or field of the labels; None reads captions, or images only."""
    if columns.label not in (None, NONE):
        if columns.text not in (None, NONE):
            raise OptionError("--label-column and --text-column: cannot be used together")
        return columns.label
    has = [value for value in found.labels if value not in (None, "")]
    if not has and beside.classification:
        notes.append("dataset_type.txt says classification, and no sample has .cls")
    if not has or columns.label == NONE:
        return None
    named = beside.classes is not None or all(isinstance(value, str) for value in has)
    captions = any(value is not None for value in found.captions) and columns.text != NONE
    if not named:
        notes.append("there is no classnames.txt: the numbers in .cls are not read as classes")
        return None
    if captions and not beside.classification:
        notes.append("samples have classes too; captions are read (--label-column cls reads them)")
        return None
    return CLASS if columns.text in (None, NONE) else None


def _labels(found: _Content, name: str, beside: Beside, notes: list[str]) -> Labels | None:
    if name == CLASS and any(value is not None for value in found.labels):
        values: list[Any] = list(found.labels)
    else:
        values = [each.get(name) for each in found.fields]
        if all(value is None for value in values):
            raise OptionError(f"--label-column: no sample has .cls or a field {shown(name)!r}")
    numbers = any(isinstance(value, int | float) for value in values)
    classes = beside.classes if numbers else None
    made = read_labels(values, classes, f".{name}" if name == CLASS else f"field {name!r}")
    if not len(made.kept):
        notes.append("no sample has a label; images are read without classes")
        return None
    notes += made.notes
    return made


def _table(found: _Content, rows: NDArray[np.int64], columns: Columns) -> dict[str, list[Any]]:
    """Values that can be factors: scalar fields of ``.json``, and numbers or names in ``.cls``."""
    table: dict[str, list[Any]] = {}
    if columns.factors:
        names = dict.fromkeys(name for each in found.fields for name in each)
        table = {name: [found.fields[i].get(name) for i in rows] for name in names}
    else:
        table = {name: [] for name, value in found.first.items() if _is_scalar(value)}
    if any(value is not None for value in found.labels):
        table[CLASS] = [found.labels[i] for i in rows]
    return table


def _read(raw: IO[bytes], part: Part) -> str:
    start, size = part
    if size > LARGEST_CAPTION:
        raise FileError(f"must have at most {LARGEST_CAPTION} bytes; has {size}")
    raw.seek(start)
    return raw.read(size).decode("utf-8", errors="replace")


def _caption_key(content: Mapping[str, Any], columns: Columns) -> str | None:
    if columns.text is not None:
        return columns.text if columns.text in content else None
    held = [key for key, value in content.items() if value is not None]
    return column(held, known.CAPTIONS, None, "captions")


def _scalar(text: str) -> Scalar:
    text = text.strip()
    try:
        return int(text) if len(text) < 19 else text
    except ValueError:
        return text


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
