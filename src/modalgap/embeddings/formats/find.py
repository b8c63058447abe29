"""Which files a path means: a file, the shards of a folder, a pattern, or a list of these."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path

from modalgap.embeddings.formats import READERS, clip_retrieval
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.formats.files import natural, parsing, regular_file
from modalgap.embeddings.formats.keys import ALIASES
from modalgap.embeddings.formats.shards import join
from modalgap.errors import FileError, InputError

Paths = str | Path | Sequence[str | Path]


def read(paths: Paths) -> Contents:
    """The contents of every file meant, joined in order."""
    if not isinstance(paths, str | Path) and not (
        isinstance(paths, Sequence) and all(isinstance(each, str | Path) for each in paths)
    ):
        raise InputError(f"path: must be a path or a list of paths; got {type(paths).__name__}")
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if not several:
        raise InputError("path: must name at least one file; got an empty list")
    return join([part for each in several for part in _read_one(each)])


def _read_one(path: str | Path) -> list[Contents]:
    """The contents of a file, of each file in a folder, or of each that a pattern matches."""
    found = Path(path)
    if _is(found.is_dir) and found.suffix.lower() not in READERS:
        if clip_retrieval.is_one(found):
            return [clip_retrieval.read(found)]
        return [_read_file(file) for file in _in_folder(found)]
    if glob.has_magic(str(path)) and not _is(found.exists):
        with parsing(found, "readable"):
            matched = sorted(map(Path, glob.glob(str(path))), key=natural)  # noqa: PTH207 - any root
        if not matched:
            raise FileError(f"{path}: must match at least one file; found none")
        return [_read_file(file) for file in matched]
    return [_read_file(found)]


def _read_file(path: Path) -> Contents:
    regular_file(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(sorted(READERS))
        raise FileError(f"{path}: must end in {known}; found {path.suffix or 'no extension'}")
    return read(path)


def _in_folder(folder: Path) -> list[Path]:
    """The shards of a folder: files of one known extension, in natural order."""
    try:
        files = sorted(
            (
                file
                for file in folder.iterdir()
                if file.suffix.lower() in READERS and not file.name.startswith(".")
            ),
            key=natural,
        )
    except OSError as error:
        raise FileError(f"{folder}: cannot be read ({error.strerror})") from error
    kinds = sorted({file.suffix.lower() for file in files})
    if not files:
        raise FileError(
            f"{folder}: must hold {', '.join(sorted(READERS))} files, or img_emb/ and text_emb/;"
            " found none"
        )
    if len(kinds) > 1:
        raise FileError(f"{folder}: must hold shards of one format; found {', '.join(kinds)}")
    stems = {file.stem.lower() for file in files}
    if all(stems & set(aliases) for aliases in ALIASES.values()):
        raise FileError(
            f"{folder}: must hold shards of the same kind; found one file a modality"
            f" ({', '.join(sorted(stems))}): give them as image= and text="
        )
    return files


def called(paths: Paths) -> str:
    """How messages call these files."""
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    return str(several[0]) if len(several) == 1 else f"{several[0]} … {several[-1]}"


def _is(question: Callable[[], bool]) -> bool:
    """False for a path that cannot be asked; the reader then says why."""
    try:
        return question()
    except (OSError, ValueError):
        return False
