"""Folders of shards in the layout of the Hugging Face hub: configs, splits, and their files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from modalgap.data.media import IMAGES, SOUNDS
from modalgap.data.sources.card import matches, read_configs
from modalgap.data.sources.shards import MARKERS, UNFINISHED, natural
from modalgap.data.text import shown
from modalgap.data.walk import ending_of, walk
from modalgap.errors import FileError, OptionError, quoted

ALL = "all"
ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip", ".parquet.gz", ".7z")
KINDS = (".tar", ".parquet", ".arrow")
WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_CANON = {word: split for split, words in WORDS.items() for word in words}
_WORD = re.compile(r"(?:^|[-._ 0-9])(%s)(?=[-._ 0-9]|$)" % "|".join(_CANON))  # noqa: UP031
_SHARDED = re.compile(r"^(\w+(?:\.\w+)*)-[0-9]{5,}-of-[0-9]{5,}")
Key = tuple[str, str]  # config, split


@dataclass
class Tree:
    """The content of a folder; shards are sorted by the numbers in their names."""

    shards: list[Path] = field(default_factory=list)
    media: list[Path] = field(default_factory=list)
    other: list[Path] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)  # name and reason
    unused: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Chosen:
    """The shards to read.

    Attributes:
        files: the shards, in order.
        split: the name of the split, with its config if there are several; "" for none.
        notes, missing, unused: as in ``Source``.
    """

    files: list[Path]
    split: str
    notes: list[str]
    missing: list[tuple[str, str]]
    unused: list[tuple[str, str]]


def snapshot(folder: Path) -> Path:
    """The folder of files in the hub's cache, ``datasets--OWNER--NAME``; else the folder itself.

    Raises:
        OptionError: there are several snapshots and no ``refs/main``.
    """
    inside = folder / "snapshots"
    if not (folder / "blobs").is_dir() or not inside.is_dir():
        return folder
    found = sorted(each for each in inside.iterdir() if each.is_dir())
    try:
        main = inside / (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        main = None
    if main in found:
        return main
    if len(found) != 1:
        names = ", ".join(each.name for each in found[:5]) or "none"
        raise OptionError(f"{folder}: must hold one snapshot; found {names}: use its folder")
    return found[0]


def shelve(folder: Path) -> Tree:
    """The files under a folder by kind; links are followed, hidden files are excluded."""
    all_files = walk(folder)
    result = Tree(lost=list(all_files.lost), unused=list(all_files.unused))
    for name in all_files.files:
        ending = ending_of(name)
        if ending in KINDS:
            result.shards.append(folder / name)
        elif ending in IMAGES or ending in SOUNDS:
            result.media.append(folder / name)
        else:
            result.other.append(folder / name)
    result.shards.sort(key=lambda path: (path.suffix.lower(), natural(path)))
    return result


def choose(folder: Path, shards: Sequence[Path], tree: Tree, split: str | None) -> Chosen:
    """Select the shards of one split, or of several joined with "+".

    Args:
        folder: the folder.
        shards: shards of one kind, anywhere in it.
        tree: the other files.
        split: SPLIT, CONFIG/SPLIT, several joined by "+" or ",", or "all".

    Raises:
        OptionError: there are several splits or configs and none is selected, or an unknown split.
        FileError: the files of the split do not exist.
    """
    configs = read_configs(folder)
    names = {path: PurePosixPath(path.relative_to(folder).as_posix()) for path in shards}
    groups: dict[Key, list[Path]] = {}
    for key, patterns in configs.patterns.items():
        members = [p for p in shards if any(matches(names[p], each) for each in patterns)]
        groups[key] = members
    notes, unused = list(configs.notes), []
    if any(groups.values()):
        listed = {path for members in groups.values() for path in members}
        unused += [(str(names[p]), "in no config of README.md") for p in shards if p not in listed]
    else:
        groups = _by_name(shards, names)
        for key in [key for key in groups if not key[1]]:
            if any(config == key[0] and word for config, word in groups):
                unused += [(str(names[p]), "its name has no split") for p in groups.pop(key)]
    chosen = _chosen(folder, groups, split)
    files = list(dict.fromkeys(path for key in chosen for path in groups[key]))
    several = len({config for config, _ in groups}) > 1
    shown_keys = [_label(key, several=several) for key in chosen]
    if split is None and shown_keys[0]:
        notes.append(f"split {shown_keys[0]} is the only one")
    elif len(groups) > 1:
        rest = [_label(key, several=several) for key in groups if key not in chosen]
        joined = f"splits {' and '.join(shown_keys)} together"
        what = joined if len(chosen) > 1 else f"split {shown_keys[0]}"
        notes.append(f"{what}; others: {shown(', '.join(rest))}" if rest else what)
    return Chosen(files, "+".join(shown_keys), notes, tree.lost, unused)


def beside(folder: Path, tree: Tree, used: Sequence[Path]) -> list[tuple[str, str]]:
    """The files that are not shards, with the reason why they are not read."""
    taken = set(used)
    found = [(path, _reason(path)) for path in tree.other if path not in taken]
    found += [(path, "an image or sound beside shards") for path in tree.media if path not in taken]
    listed = [(str(path.relative_to(folder)), reason) for path, reason in found]
    return [*listed, *tree.unused]


def _reason(path: Path) -> str:
    name = path.name.lower()
    if name in MARKERS:
        return "a marker of the program that wrote the shards"
    if name.endswith(ARCHIVES):
        return "a compressed archive: unpack it to read it"
    if any(name.endswith(each) for each in UNFINISHED):
        return "an unfinished file, by its name"
    if name.endswith("_stats.json"):
        return "statistics of a shard"
    return "not a shard"


def _by_name(shards: Sequence[Path], names: dict[Path, PurePosixPath]) -> dict[Key, list[Path]]:
    """Group shards by the config and split in the names of their folders and files."""
    result: dict[Key, list[Path]] = {}
    for path in shards:
        folders = list(names[path].parts[:-1])
        sharded = _SHARDED.match(path.name)
        split = sharded[1] if sharded else ""
        if not split:
            for part in reversed(folders):
                if part.lower() in _CANON or _WORD.search(part.lower()):
                    split = part
                    folders.remove(part)
                    break
        if not split:
            words = _WORD.findall(path.stem.lower())
            split = words[-1] if words else ""
        config = "/".join(part for part in folders if part != "data")
        result.setdefault((config, split), []).append(path)
    return result


def _label(key: Key, *, several: bool) -> str:
    config, split = key
    if not several:
        return split
    return "/".join(part for part in (config or "default", split) if part)


def _chosen(folder: Path, groups: dict[Key, list[Path]], split: str | None) -> list[Key]:
    several = len({config for config, _ in groups}) > 1
    labels = {_label(key, several=several): key for key in groups}
    listed = shown(", ".join(label for label in labels if label), 300)
    if split is None:
        if len(groups) == 1:
            found = list(groups)
        else:
            first = [label for label in labels if label][:2]
            raise OptionError(
                f"--split: {folder} holds {listed}; select one, or {'+'.join(first)}, or {ALL}"
            )
    elif not listed:
        raise OptionError(f"--split: {folder} has none; got {shown(split)!r}")
    elif split in labels:
        found = [labels[split]]
    elif split == ALL:
        found = [key for key in groups if groups[key]]
    else:
        found = []
        for part in re.split(r"[+,]", split):
            key = _named(part.strip(), groups, labels)
            if key is None:
                raise OptionError.unknown(f"split of {folder}", shown(part), list(labels))
            found.append(key)
    for key in found:
        if not groups[key]:
            raise FileError(
                f"{folder}: needs the files of split {quoted(_label(key, several=several))} that"
                " README.md lists; found none"
            )
    return list(dict.fromkeys(found))


def _named(name: str, groups: dict[Key, list[Path]], labels: dict[str, Key]) -> Key | None:
    """The group with a name: as displayed, in another spelling, or without its config."""
    if name in labels:
        return labels[name]
    config, _, split = name.rpartition("/")
    canon = _CANON.get(split.lower(), split.lower())
    fits = [
        key
        for key in groups
        if _CANON.get(key[1].lower(), key[1].lower()) == canon and (not config or key[0] == config)
    ]
    fits = fits or [key for key in groups if key[0] == name]
    return fits[0] if len(fits) == 1 else None
