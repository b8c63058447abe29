"""Text files next to tar shards, from CLIP_benchmark: type, classes, templates, shard count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modalgap.data.media import read_file
from modalgap.data.source import check_template
from modalgap.data.text import full_lines, shown, split_lines
from modalgap.errors import FileError

TYPE = "dataset_type.txt"
CLASSES = "classnames.txt"
TEMPLATES = "zeroshot_classification_templates.txt"
NUMBER = "nshards.txt"
LONGEST = 2**24  # maximum bytes of one of these files


@dataclass(frozen=True)
class Beside:
    """The content of the files.

    Attributes:
        retrieval: whether the captions of an image are one per line.
        classification: whether the data set has classes.
        classes: names of the classes by label, or None.
        templates: sentences with ``{}`` for the class name.
        files: the files that were read.
    """

    retrieval: bool = False
    classification: bool = False
    classes: tuple[str, ...] | None = None
    templates: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def read_beside(shards: Sequence[Path]) -> Beside:
    """Read the files next to the shards, or one folder above them.

    Raises:
        FileError: a class without a name, or a template without ``{c}``.
    """
    folder = shards[0].parent
    found = {name: _locate(folder, name) for name in (TYPE, CLASSES, TEMPLATES)}
    kind = _text(found[TYPE]).strip().lower()
    classes = None
    if path := found[CLASSES]:
        classes = tuple(line.strip() for line in split_lines(_text(path)))
        while classes and not classes[-1]:
            classes = classes[:-1]
        if "" in classes:
            raise FileError(f"{path}: line {classes.index('') + 1} must name a class; it is empty")
    templates = []
    for line in full_lines(_text(found[TEMPLATES])):
        if "{c}" not in line:
            raise FileError(
                f"{found[TEMPLATES]}: must have {{c}} in each line; got {shown(line)!r}"
            )
        templates.append(line.replace("{c}", "{}"))
        check_template(templates[-1])
    return Beside(
        retrieval=kind == "retrieval",
        classification="classification" in kind,
        classes=classes or None,
        templates=tuple(templates),
        files=tuple(path for path in found.values() if path is not None),
    )


def check_number(shards: Sequence[Path]) -> list[Path]:
    """Check that ``nshards.txt`` of each folder has the right number of shards.

    Args:
        shards: all shards that were found in these folders.

    Returns:
        The files that were read.

    Raises:
        FileError: the numbers differ, or the file holds none.
    """
    read = []
    for folder in dict.fromkeys(path.parent for path in shards):
        path = folder / NUMBER
        if not path.is_file():
            continue
        text = _text(path).strip()
        count = sum(each.parent == folder for each in shards)
        if not text.isdecimal() or len(text) > 9:
            raise FileError(f"{path}: must hold the number of shards; got {shown(text, 40)!r}")
        if int(text) != count:
            raise FileError(f"{folder}: {NUMBER} says {int(text)} shards; found {count}")
        read.append(path)
    return read


def _locate(folder: Path, name: str) -> Path | None:
    for each in (folder, folder.absolute().parent):
        if (each / name).is_file():
            return each / name
    return None


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    found = read_file(path)
    if len(found) > LONGEST:
        raise FileError(f"{path}: must have at most {LONGEST} bytes; has {len(found)}")
    return found.decode("utf-8-sig", errors="replace")
