"""Numbered shards: their order, missing numbers, and matching pairs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from modalgap.errors import FileError

UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".incomplete", ".crdownload", ".download")
MARKERS = ("_success", "_metadata", "_common_metadata", "_committed", "_started", "_delta_log")
_TOTAL = re.compile(r"^(.*?)-?([0-9]{5,})-of-([0-9]{5,})")
_DIGITS = re.compile(r"[0-9]+")
_POINTER = b"version https://git-lfs.github.com/spec/"


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by their value: 2.tar before 10.tar."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def number_of(path: Path) -> int | None:
    """The number of a shard: the last digits of its name, or those before ``-of-``."""
    stem = path.name.partition(".")[0]
    total = _TOTAL.match(stem)
    if total:
        return int(total[2])
    digits = _DIGITS.findall(stem)
    return int(digits[-1]) if digits else None


def check_whole(paths: Iterable[Path]) -> None:
    """Check for files that a download has not fetched or a program has not finished.

    Raises:
        FileError: an empty file, a Git LFS pointer, or the name of an unfinished file.
    """
    for path in paths:
        size = path.stat().st_size
        if any(part.lower() in UNFINISHED for part in path.suffixes):
            raise FileError(f"{path}: has the name of an unfinished file; finish it or remove it")
        if size == 0:
            raise FileError(f"{path}: is empty; finish it or remove it")
        if size < 1024:
            with path.open("rb") as file:
                if file.read(len(_POINTER)) == _POINTER:
                    raise FileError(f"{path}: is a Git LFS pointer; fetch it with: git lfs pull")


def absent(paths: Sequence[Path]) -> tuple[list[tuple[str, str]], list[str]]:
    """The shards that are missing, according to the names of the others.

    Returns:
        (name, reason) of each missing shard of a total such as ``-of-00005``, and a note on other
        missing numbers.

    Raises:
        FileError: shards of one name have different totals.
    """
    families: dict[tuple[Path, str, str], list[tuple[int, Path]]] = {}
    totals: dict[tuple[Path, str, str], dict[int, str]] = {}
    plain: dict[tuple[Path, str], list[tuple[int, str]]] = {}
    for path in paths:
        match = _TOTAL.match(path.name)
        if match:
            key = (path.parent, match[1], path.name[match.end() :].rpartition(".")[2])
            families.setdefault(key, []).append((int(match[2]), path))
            totals.setdefault(key, {})[int(match[3])] = path.name
            continue
        digits = list(_DIGITS.finditer(path.name.partition(".")[0]))
        if digits:
            last = digits[-1]
            around = path.name[: last.start()] + "#" + path.name[last.end() :]
            plain.setdefault((path.parent, around), []).append((int(last[0]), last[0]))
    lost = []
    for key, members in families.items():
        if len(totals[key]) > 1:
            first, second = list(totals[key].values())[:2]
            raise FileError(f"{key[0]}: {first} and {second} must have the same number of shards")
        total = next(iter(totals[key]))
        numbers = {number for number, _ in members}
        width = len(_TOTAL.match(members[0][1].name)[2])  # type: ignore[index]
        for number in range(total) if total <= 10**6 else ():
            if number not in numbers:
                name = f"{key[1]}-{number:0{width}d}-of-{total:0{width}d}".removeprefix("-")
                lost.append((f"{name}.{key[2]}", "a missing shard"))
    notes = [
        note for members in plain.values() for note in (_gaps(members), _twice(members)) if note
    ]
    return lost, notes


def _twice(members: Sequence[tuple[int, str]]) -> str:
    spelled: dict[int, str] = {}
    for number, text in members:
        if spelled.setdefault(number, text) != text:
            return f"two shards have the same number ({spelled[number]}, {text})"
    return ""


def _gaps(members: Sequence[tuple[int, str]]) -> str:
    numbers = sorted({number for number, _ in members})
    width = (
        max(len(text) for _, text in members if text.startswith("0"))
        if any(text.startswith("0") for _, text in members)
        else 0
    )
    lost = numbers[-1] - numbers[0] + 1 - len(numbers)
    if not 0 < lost <= 10 * len(numbers):  # more: the numbers are dates or hashes
        return ""
    known = set(numbers)
    first = []
    for number in range(numbers[0], numbers[-1]):
        if number not in known:
            first.append(f"{number:0{width}d}")
            if len(first) == 3:
                break
    more = ", ..." if lost > len(first) else ""
    are = "is 1 number" if lost == 1 else f"are {lost:,} numbers"
    return f"there {are} without a shard ({', '.join(first)}{more})"


def by_number(
    paths: Iterable[Path], number: Callable[[Path], int | None] = number_of
) -> dict[int, Path]:
    """Map the number of each shard to the shard.

    Raises:
        FileError: two have the same number.
    """
    result: dict[int, Path] = {}
    for path in paths:
        value = number(path)
        if value is None:
            continue
        if value in result:
            raise FileError(
                f"{result[value]} and {path} must have different numbers; both have {value}"
            )
        result[value] = path
    return result
