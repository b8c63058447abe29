"""Find the SOURCE that the user names: a path of any kind, or a data set."""

from __future__ import annotations

import difflib
import glob
import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.data.classes import by_factor
from modalgap.data.columns import Captions as CaptionCells
from modalgap.data.columns import Columns
from modalgap.data.dataset import Dataset, default_root
from modalgap.data.mad.captions import Captions
from modalgap.data.mad.source import SPLITS as MAD_SPLITS
from modalgap.data.mad.source import source as mad_source
from modalgap.data.mad.store import is_mad
from modalgap.data.mad.store import load as load_mad
from modalgap.data.media import IMAGES, SOUNDS, Files
from modalgap.data.reading import load_json, reading
from modalgap.data.sets import DATASETS
from modalgap.data.source import Source, check_seed, check_unicode
from modalgap.data.sources.coco import is_coco, read_coco
from modalgap.data.sources.folder import read_folder
from modalgap.data.sources.hugging_face import is_saved, read_saved
from modalgap.data.sources.img2dataset import is_downloaded, read_downloaded
from modalgap.data.sources.karpathy import is_karpathy, read_karpathy
from modalgap.data.sources.lines import read_text_file
from modalgap.data.sources.parquet import names_files, read_parquet
from modalgap.data.sources.shard_folder import read_shard_folder
from modalgap.data.sources.table import read_table
from modalgap.data.sources.webdataset import read_shards
from modalgap.data.splits import SPLITS
from modalgap.data.tables import ENDINGS as TABLES
from modalgap.data.tables import listed_records
from modalgap.errors import FileError, InputError, OptionError, quoted
from modalgap.work import is_unfinished

TYPED = ("image", "text", "label", "factors", "captions")  # options of tables with types
EMBEDDINGS = (".npy", ".npz", ".safetensors")
MOST_FILES = 10**6
LONGEST_NUMBER = 18  # digits
_BRACES = re.compile(r"\{(?:([0-9]+)\.\.([0-9]+)|([^{}]*,[^{}]*))\}")


@checked
def read(
    what: str | Path | Source,
    *,
    split: str | None = None,
    root: str | Path | None = None,
    image_column: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    factors: str | Sequence[str] = (),
    captions: CaptionCells | None = None,
    separator: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Source:
    """Find and read a source.

    Args:
        what: a folder (classes, captions next to images, tar shards, Parquet, a saved Hugging Face
            data set, MAD, or images only), a ``.csv``, ``.tsv``, COCO ``.json``, ``.tar``,
            ``.parquet`` or ``.txt`` file, a pattern such as ``"shards/{00000..00041}.tar"``, the
            name of a data set (``modalgap list data``), or a ``Source``, which is returned.
        split: split of a data set; by default the one usually evaluated on.
        root: the folder of data sets (by default ``$MODALGAP_DATA``, or ``data``); for a table or
            a COCO file, the folder of its images.
        image_column: the column of images or their paths, in a table, Parquet, JSON lines or a
            Hugging Face data set; "none" reads only the captions.
        text_column: the column of captions; "none" reads only the images.
        label_column: the column of classes; "none" reads the images without labels. For a data set
            with factors, the factor whose values are the classes, such as "attribute".
        factors: columns to read as factors: a list of names, or "auto" for every column with few
            distinct values.
        captions: "one" reads a cell or a caption file as one caption, "several" as a list or as
            one caption per line; by default detected.
        separator: the separator of cells in a text file: one character, or "comma", "tab",
            "bar" or "semicolon"; by default detected.
        limit: read a random sample of ``limit`` items, with their texts, in their order.
        seed: seed of the sample.

    Raises:
        InputError: the source does not exist or cannot be read.
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 2):
        raise OptionError(f"limit: must be an integer of at least 2; got {quoted(limit)}")
    check_seed(seed)
    if root is not None and not isinstance(root, str | Path):
        raise OptionError(f"root: must be a path; got {type(root).__name__}")
    if split is not None and not isinstance(split, str):
        raise OptionError(f"split: must be a string; got {type(split).__name__}")
    columns = Columns(
        image=image_column,
        text=text_column,
        label=label_column,
        factors=factors,
        captions=captions,
        separator=separator,
    )
    found = what if isinstance(what, Source) else _read(what, split, root, columns)
    return found if limit is None else found.limited(limit, seed)


def _read(
    what: str | Path,
    split: str | None,
    root: str | Path | None,
    columns: Columns,
) -> Source:
    if not isinstance(what, str | Path):
        raise InputError(f"source: must be a path, a name or a Source; got {type(what).__name__}")
    text = str(what)
    check_unicode(text, "source")
    path = Path(text)
    folder = None if root is None else Path(root)
    if (dataset := named(text)) is not None:
        columns.refuse(text, "label")
        source = dataset.source(folder or default_root(), split)
        return source if columns.label is None else by_factor(source, columns.label)
    if not is_a(path.exists):
        return _pattern(text, split, folder, columns)
    if path.is_dir():
        return _folder(path, split, columns)
    if not path.is_file():
        raise FileError(f"{path}: must be a folder or a regular file")
    return replace(_file(path, text, folder, columns, split), files=(path,))


def named(what: str | Path) -> Dataset | None:
    """The data set of a name, in which - may be written as _; None for a path that exists."""
    text = str(what)
    if is_a(Path(text).exists):
        return None
    return DATASETS.get(text) or DATASETS.get(text.replace("_", "-"))


def _file(
    path: Path, text: str, folder: Path | None, columns: Columns, split: str | None
) -> Source:
    ending = path.suffix.lower()
    if ending in TABLES:
        return read_table(path, folder, columns, split)
    if ending == ".txt":
        return read_text_file(path, folder, columns, split)
    if ending == ".json":
        return _json(path, folder, columns, split)
    if ending == ".parquet" and names_files(path, columns):
        return read_table(path, folder, columns, split)
    _refuse(text, split=split)
    if ending == ".parquet":
        columns.refuse(text, *TYPED)
        _refuse(text, root=folder)
        return read_parquet([path], text, columns)
    if ending == ".tar":
        columns.refuse(text, *TYPED)
        _refuse(text, root=folder)
        return read_shards([path], text, columns)
    columns.refuse(text)
    _refuse(text, root=folder)
    if ending in IMAGES | SOUNDS:
        return Source(
            name=text, media=Files([path], [path.name], "image" if ending in IMAGES else "audio")
        )
    if ending in EMBEDDINGS:
        raise FileError(f"{path}: holds embeddings already; use it with measure or report")
    raise FileError(
        f"{path}: must be a folder, .csv, .tsv, .json, .jsonl, .tar, .parquet or .txt; found"
        f" {ending or 'no extension'}"
    )


def _folder(path: Path, split: str | None, columns: Columns) -> Source:
    with reading(str(path)):
        inside = sorted(
            each
            for each in path.iterdir()
            if not each.name.startswith(".") and not is_unfinished(each)
        )
    if is_saved(path):
        columns.refuse(str(path), *TYPED)
        return read_saved(path, split, columns)
    if is_mad(path):
        columns.refuse(str(path))
        return mad_source(load_mad(path), Captions(attributes=5), split=split or MAD_SPLITS[0])
    if is_downloaded(path):
        columns.refuse(str(path), *TYPED)
        _refuse(str(path), split=split)
        return read_downloaded(path, columns)
    result = read_shard_folder(path, split, columns)
    if result is not None:
        columns.refuse(str(path), *TYPED)
        return result
    splits = [each.name for each in inside if each.name.lower() in SPLITS and _is_made(each)]
    if splits:
        if split is None:
            raise OptionError(f"--split: {path} holds {', '.join(splits)}; select one")
        if split not in splits:
            raise OptionError.unknown(f"split of {path}", split, splits)
        return _folder(path / split, None, columns)
    return read_folder(path, columns, split)


def _is_made(folder: Path) -> bool:
    """Whether a library or MAD wrote this folder, not a user."""
    return folder.is_dir() and (is_saved(folder) or is_mad(folder) or is_downloaded(folder))


def check_exists(text: str, split: str | None, root: str | None) -> None:
    """Check that a path, a pattern or a data set exists, without reading it.

    Raises:
        InputError: it does not, or files of it are missing.
        OptionError: the data set has no such split.
    """
    check_unicode(text, "source")
    if is_a(Path(text).exists):
        return
    if text in DATASETS:
        DATASETS[text].check(default_root() if root is None else Path(root), split)
    else:
        _matches(text)


def _matches(text: str) -> list[Path]:
    """The files that match a pattern: braces as in webdataset, or a glob."""
    found = [Path(each) for each in expand(text)]
    if len(found) == 1 and glob.has_magic(text):
        found = [Path(each) for each in sorted(glob.glob(text))]  # noqa: PTH207 - any root
        if not found:
            raise FileError(f"{text}: must match at least one file; found none")
    if len(found) == 1 and str(found[0]) == text:
        near = difflib.get_close_matches(text, DATASETS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"{_short(text)}: no such path or data set; {hint}see: modalgap list data")
    lost = [str(each) for each in found if not each.is_file()]
    if lost:
        rest = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise FileError(f"{text}: needs {lost[0]}{rest}")
    return found


def _pattern(text: str, split: str | None, root: Path | None, columns: Columns) -> Source:
    found = _matches(text)
    _refuse(text, split=split, root=root)
    kinds = {each.suffix.lower() for each in found}
    if kinds == {".tar"}:
        columns.refuse(text, *TYPED)
        return read_shards(found, text, columns)
    if kinds == {".parquet"}:
        columns.refuse(text, *TYPED)
        return read_parquet(found, text, columns)
    raise FileError(f"{text}: must match .tar or .parquet files; found {', '.join(sorted(kinds))}")


def expand(pattern: str) -> list[str]:
    """Expand ``{000..041}`` and ``{a,b}`` into names, in order.

    Raises:
        InputError: there are more than a million names.
    """
    values: list[list[str]] = []
    end = 0
    for match in _BRACES.finditer(pattern):
        found = _numbers(match[1], match[2]) if match[1] else match[3].split(",")
        values += [[pattern[end : match.start()]], found]
        end = match.end()
        if math.prod(map(len, values)) > MOST_FILES:
            raise InputError(f"{_short(pattern)}: must expand to at most a million files")
    return ["".join(parts) for parts in itertools.product(*values, [pattern[end:]])]


def _numbers(first: str, last: str) -> list[str]:
    if max(len(first), len(last)) > LONGEST_NUMBER:
        raise InputError(f"{{{_short(first)}..{_short(last)}}}: must have shorter numbers")
    numbers = range(int(first), int(last) + 1)
    if not 0 < len(numbers) <= MOST_FILES:
        what = "at most a million files" if numbers else "at least one file"
        raise InputError(f"{{{first}..{last}}}: must expand to {what}")
    width = len(first) if first.startswith("0") or len(first) == len(last) else 0
    return [str(i).zfill(width) for i in numbers]


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _json(path: Path, root: Path | None, columns: Columns, split: str | None) -> Source:
    content = load_json(path)
    if is_coco(content):
        columns.refuse(str(path))
        _refuse(str(path), split=split)
        return read_coco(path, root)
    if is_karpathy(content):
        columns.refuse(str(path), "factors")
        return read_karpathy(path, root, columns, split)
    if listed_records(content) is None:
        raise FileError(
            f"{path}: must be a COCO captions file, with 'images' and 'annotations', one of"
            " Karpathy's, or a list of records"
        )
    return read_table(path, root, columns, split)


def _refuse(what: str, **options: Any) -> None:
    """Raise an error for an option that this kind of source does not support."""
    for name, value in options.items():
        if value is not None:
            raise OptionError(
                f"--{name.replace('_', '-')}: {what} has none; got {quoted(str(value))}"
            )


def is_a(question: Callable[[], bool]) -> bool:
    """The answer of a path; False for one that no file can have."""
    try:
        return question()
    except (OSError, ValueError):
        return False
