"""Which files a path means: a file, the shards of a folder, a pattern, or a list of these."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modalgap.atomic import TEMPORARY
from modalgap.embeddings.formats import READERS, clip_retrieval
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.formats.earlier import ALIASES
from modalgap.embeddings.formats.numbers import check_partners, numbers_of, refuse_unfinished
from modalgap.embeddings.formats.shards import beside, join
from modalgap.errors import FileError, InputError, reason
from modalgap.files import natural, parsing, regular_file
from modalgap.progress import note
from modalgap.ranges import REQUESTS
from modalgap.remote import Location, Remote, location

Paths = str | Path | Sequence[str | Path]


def read(paths: Paths) -> Contents:
    """The contents of every file that ``paths`` selects, joined in order.

    Files of a list are shards, unless each holds modalities that no other has: then they are
    modalities of the same items.
    """
    entries = [_read_one(each) for each in _several(paths)]
    if len(entries) > 1 and _of_different_modalities([parts[0] for parts in entries]):
        return beside([join(parts) for parts in entries])
    return join([part for parts in entries for part in parts])


def read_two(image: Paths, text: Paths) -> tuple[Contents, Contents]:
    """The contents of the files of two modalities whose rows i match.

    Shards whose names differ by numbers are paired by these: the texts are put in the order of the
    images.

    Raises:
        FileError: a number without a partner, or two shards of one number with different
            numbers of rows. The message names them.
    """
    images, texts = _parts(image), _parts(text)
    numbers = [numbers_of([part.source for part in parts]) for parts in (images, texts)]
    matched = any(part.matches for part in (*images, *texts))
    if numbers[0] is None or numbers[1] is None or matched:
        return join(images), join(texts)
    where = f"{called(image)} and {called(text)}"
    for parts, own in ((images, numbers[0]), (texts, numbers[1])):
        for part, number in zip(parts, own, strict=True):
            other = parts[own.index(number)]
            if other is not part:
                raise FileError(
                    f"{other.source} and {part.source}: shards must have different numbers;"
                    " both are the same"
                )
    check_partners(where, {"image": numbers[0], "text": numbers[1]})
    place = {number: i for i, number in enumerate(numbers[1])}
    texts = [texts[place[number]] for number in numbers[0]]
    for one, two in zip(images, texts, strict=True):
        n, m = (next(iter(part.sides.values())).rows.shape[0] for part in (one, two))
        if n != m:
            raise FileError(
                f"shards of one number must have the same number of rows; found {n} in"
                f" {one.source}, {m} in {two.source}"
            )
    return join(images), join(texts)


def _parts(paths: Paths) -> list[Contents]:
    """The contents of every file that ``paths`` selects, in order."""
    return [part for each in _several(paths) for part in _read_one(each)]


def _of_different_modalities(parts: Sequence[Contents]) -> bool:
    """Whether every file says which modalities it holds, and no two hold the same."""
    names = [name for part in parts for name in part.sides]
    return len(set(names)) == len(names) and all(
        side.named for part in parts for side in part.sides.values()
    )


def _several(paths: Paths) -> list[Location]:
    """The paths of a list, or the one path."""
    if not isinstance(paths, str | Path) and not (
        isinstance(paths, Sequence) and all(isinstance(each, str | Path) for each in paths)
    ):
        raise InputError(f"path: must be a path or a list of paths; got {type(paths).__name__}")
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if not several:
        raise InputError("path: must name at least one file; got an empty list")
    return [location(each) for each in several]


def _read_one(found: Location) -> list[Contents]:
    """The contents of a file, of each file in a folder, or of each that a pattern matches."""
    if _is(found.is_dir) and found.suffix.lower() not in READERS:
        if clip_retrieval.is_one(found):
            return clip_retrieval.read(found)
        return _read_files(_in_folder(found))
    if glob.has_magic(str(found)) and not _is(found.exists):
        with parsing(found, "readable"):
            matched = sorted(_matching(found), key=natural)
        if not matched:
            raise FileError(f"{found}: must match at least one file; found none")
        return _read_files(matched)
    return [_read_file(found)]


def _matching(pattern: Location) -> Sequence[Location]:
    if isinstance(pattern, Remote):
        return pattern.expanded()
    return [Path(each) for each in glob.glob(str(pattern))]  # noqa: PTH207 - any root


def _read_files(files: Sequence[Location]) -> list[Contents]:
    """The contents of several files.

    Remote files are opened several at a time, because each request takes long.
    Raises the error of the first file that cannot be read.
    """
    if not isinstance(files[0], Remote):
        return [_read_file(file) for file in files]
    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(_read_file, files))


def _read_file(path: Location) -> Contents:
    regular_file(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(sorted(READERS))
        raise FileError(f"{path}: must end in {known}; found {path.suffix or 'no extension'}")
    return read(path)


def _in_folder(folder: Location) -> list[Location]:
    """The shards of a folder: files of one known extension, in natural order."""
    try:
        listed: list[Location] = [*folder.iterdir()]
    except OSError as error:
        raise FileError(f"{folder}: cannot be read ({reason(error)})") from error
    refuse_unfinished([path for path in listed if not path.name.startswith(TEMPORARY)], READERS)
    files = sorted(
        (
            file
            for file in listed
            if file.suffix.lower() in READERS and not file.name.startswith(".")
        ),
        key=natural,
    )
    kinds = sorted({file.suffix.lower() for file in files})
    if not files:
        raise FileError(
            f"{folder}: must hold {', '.join(sorted(READERS))} files, or img_emb/ and text_emb/;"
            " found none"
        )
    if len(kinds) > 1:
        raise FileError(f"{folder}: must hold shards of one format; found {', '.join(kinds)}")
    _all_of_count(files)
    stems = {re.sub("[-_.0-9]+$", "", file.stem.lower()) for file in files}
    if all(stems & set(aliases) for aliases in ALIASES.values()):
        raise FileError(
            f"{folder}: must hold shards of the same kind; found files of two modalities"
            f" ({', '.join(sorted(stems)[:5])}): give them as image= and text="
        )
    _say(folder, files, listed)
    return files


def _say(folder: Location, files: Sequence[Location], listed: Sequence[Location]) -> None:
    """Name what was joined if the names are no numbered series, and what was not read."""
    chosen = set(files)
    others = [each for each in listed if each not in chosen and not each.name.startswith(".")]
    said = []
    if len(files) > 1 and numbers_of([file.name for file in files]) is None:
        said.append(f"read as shards of one data set: {_some(files)}")
    if others:
        said.append(f"not read: {_some(sorted(others, key=natural))}")
    if said:
        note(f"{folder}: {'; '.join(said)}")


def _some(paths: Sequence[Location], most: int = 3) -> str:
    """The first names, and how many more."""
    more = f" and {len(paths) - most:,} more" if len(paths) > most else ""
    return ", ".join(path.name for path in paths[:most]) + more


def _all_of_count(files: Sequence[Location]) -> None:
    """Refuse shards such as NAME-00000-of-00003 if some are missing."""
    there: dict[tuple[str, int], set[int]] = {}
    for file in files:
        match = re.fullmatch("(.*)-([0-9]+)-of-([0-9]+)", file.stem)
        if match is not None:
            there.setdefault((match[1], int(match[3])), set()).add(int(match[2]))
    for (name, count), numbers in there.items():
        missing = [number for number in range(count) if number not in numbers]
        if missing and max(numbers) < count:
            shown = ", ".join(map(str, missing[:5]))
            raise FileError(
                f"{files[0].parent}: must hold all {count} shards of {name}; {len(missing)} are"
                f" missing: {shown}{' …' if len(missing) > 5 else ''}"
            )


def called(paths: Paths) -> str:
    """How messages call these files."""
    several = [str(each) for each in _several(paths)]
    return str(several[0]) if len(several) == 1 else f"{several[0]} … {several[-1]}"


def _is(question: Callable[[], bool]) -> bool:
    """False if the path cannot be inspected; the reader then reports the reason."""
    try:
        return question()
    except (OSError, ValueError):
        return False
