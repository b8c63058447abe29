"""Numbers in the names of shards: shards are paired by these numbers, never by position."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from modalgap.errors import FileError, quoted
from modalgap.remote import Location

Number = tuple[int, ...]
SHOWN = 5  # numbers that a message lists
_UNFINISHED = {".tmp", ".temp", ".part", ".partial", ".incomplete", ".crdownload", ".download"}
_RSYNC = re.compile(r"\..+\.[A-Za-z0-9]{6}")


def numbers_of(names: Sequence[str]) -> list[Number] | None:
    """The numbers by which the names of several files differ; 00001 and 1 are the same number.

    Returns:
        One number for each name; a tuple if several numbers differ. None if the names
        differ in more than numbers, or do not differ.
    """
    stems = [str(Path(name).with_suffix("")) for name in names]
    frames = {re.sub("[0-9]+", "0", stem) for stem in stems}
    found = [tuple(map(int, re.findall("[0-9]+", stem))) for stem in stems]
    if len(stems) < 2 or len(frames) > 1:
        return None
    vary = [i for i in range(len(found[0])) if len({each[i] for each in found}) > 1]
    return [tuple(each[i] for i in vary) for each in found] if vary else None


def by_number(paths: Sequence[Location], what: str) -> dict[int, Location]:
    """Files by the number that ends their names.

    Raises:
        FileError: a name without a number, or two files of one number.
    """
    found: dict[int, Location] = {}
    for path in paths:
        match = re.search("([0-9]+)$", path.stem)
        if match is None:
            raise FileError(
                f"{path}: must end in a number, as {what} does; found {quoted(path.name)}"
            )
        number = int(match[1])
        if number in found:
            raise FileError(
                f"{found[number]} and {path}: shards must have different numbers; both are {number}"
            )
        found[number] = path
    return found


def check_partners(where: str, numbers: Mapping[str, Collection[Number | int]]) -> None:
    """Refuse a number that one side has and another lacks.

    Args:
        where: the file or folder, for messages.
        numbers: what to call each side, and the numbers of its shards.

    Raises:
        FileError: numbers without a partner. The message names them.
    """
    every = sorted(set().union(*numbers.values()))
    lacking = {
        side: [number for number in every if number not in own] for side, own in numbers.items()
    }
    gaps = [f"{side} lacks {_listed(missing)}" for side, missing in lacking.items() if missing]
    if gaps:
        raise FileError(
            f"{where}: shards are paired by their numbers, so each side must have the same numbers;"
            f" {', '.join(gaps)}"
        )


def refuse_unfinished(paths: Sequence[Location], endings: Collection[str]) -> None:
    """Refuse files that another program is still writing, or left half-written.

    Args:
        paths: all files of a folder.
        endings: of the files that would be read.

    Raises:
        FileError: a temporary file with one of these endings. The message names the first.
    """
    found = [path for path in sorted(paths, key=str) if _is_unfinished(path, endings)]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise FileError(
            f"{found[0]}{more}: must not be in a folder that is read; it is a temporary file of an"
            " unfinished shard: wait until it is complete, or remove it"
        )


def _is_unfinished(path: Location, endings: Collection[str]) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if not set(suffixes[-3:]) & set(endings):
        return False
    copied = suffixes[-1] not in endings and _RSYNC.fullmatch(path.name) is not None
    return copied or bool(set(suffixes[-3:]) & _UNFINISHED)


def _listed(numbers: Sequence[Number | int]) -> str:
    shown = [
        "-".join(map(str, each)) if isinstance(each, tuple) else str(each)
        for each in numbers[:SHOWN]
    ]
    more = len(numbers) - SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
