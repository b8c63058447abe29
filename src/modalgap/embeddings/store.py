"""Embeddings from files and into files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from modalgap.arguments import checked
from modalgap.atomic import check_target, replacing
from modalgap.embeddings.formats import WRITERS, files, npy
from modalgap.embeddings.formats.contents import Contents, Side
from modalgap.embeddings.formats.find import Paths, called, read, read_two
from modalgap.embeddings.pair import Embeddings, Pair
from modalgap.embeddings.rows import FileRows, MemoryRows, Rows, check_shape
from modalgap.errors import FileError, InputError, OutputError
from modalgap.progress import progress

Entered = TypeVar("Entered", Pair, Embeddings)


@checked
def load(
    path: Paths | None = None,
    *,
    image: Paths | None = None,
    text: Paths | None = None,
    pairs: str | Path | None = None,
) -> Pair:
    """Read two modalities and who matches whom.

    Args:
        path: a file (.npy of shape (2, n, d), .npz, .safetensors, .parquet), an output folder of
            clip-retrieval, a folder of shards, a pattern such as ``"part_*.npz"``, or a list of
            files.
        image: instead of ``path``: the files of the first modality, typically an (n, d) .npy.
        text: with ``image``: the files of the second modality.
        pairs: with ``image`` and ``text``: an integer .npy, either (m,) the image of each text, or
            (k, 2) an image and a text that match, any number for each.

    Returns:
        The pair. Files above 64 MB stay on disk and are read as they are needed.

    Raises:
        InputError: the arguments do not fit together, or the data breaks a rule.
        FileError: a file cannot be read, or holds one modality only.
    """
    found = load_any(path, image=image, text=text, pairs=pairs)
    if isinstance(found, Pair):
        return found
    raise FileError(
        f"{found.source}: must hold two modalities; found {found.modality} only: read it with"
        " load_embeddings, or give two files as image= and text="
    )


@checked
def load_embeddings(path: Paths, *, modality: str | None = None) -> Embeddings:
    """Read one modality.

    Args:
        path: as for ``load``.
        modality: which one to take from a file of two; or what a bare array holds, which is
            otherwise taken as images.

    Raises:
        FileError: a file cannot be read, or it is not clear which modality is meant.
    """
    contents = read(path)
    named = {side.modality or key: (key, side) for key, side in contents.sides.items()}
    if modality is None and len(named) == 1:
        modality = next(iter(named))
    bare = [found for found in named.values() if found[1].modality is None]
    if modality is not None and modality not in named and len(bare) == len(named) == 1:
        named = {modality: bare[0]}
    if modality not in named:
        asked = "one modality or a choice" if modality is None else repr(modality)
        raise FileError(
            f"{contents.source}: must hold {asked}; found {' and '.join(named)}"
            + (": read both with load, or one with modality=" if modality is None else "")
        )
    return _embeddings(contents, named[modality][1], modality)


def load_any(
    path: Paths | None = None,
    *,
    image: Paths | None = None,
    text: Paths | None = None,
    pairs: str | Path | None = None,
) -> Pair | Embeddings:
    """Read whatever the files hold: a ``Pair``, or ``Embeddings`` where there is one modality.

    The arguments and errors are those of ``load``.
    """
    if path is not None and (image is not None or text is not None or pairs is not None):
        raise InputError("path: give either path, or image and text; got both")
    if path is not None:
        return _enter(read(path))
    if image is None and text is None:
        raise InputError("path: must name a file, or image= and text= must; got nothing")
    sides = {}
    matches: dict[str, Any] = {}
    named = {role: paths for role, paths in (("image", image), ("text", text)) if paths is not None}
    if image is not None and text is not None and pairs is None:
        whole = dict(zip(named, read_two(image, text), strict=True))
    else:
        whole = {role: read(paths) for role, paths in named.items()}
    for role, contents in whole.items():
        sides[role] = _only_side(contents, role)
        matches |= contents.matches
    if pairs is not None:
        if len(sides) < 2 or matches:
            other = " and ".join(matches) or "one modality"
            raise InputError(f"pairs: needs image= and text= without matches; got {other}")
        matches = _read_pairs(Path(pairs))
    given = (image, text, pairs)
    source = " and ".join(called(paths) for paths in given if paths is not None)
    return _enter(Contents(source, sides.get("image"), sides.get("text"), **matches))


@checked
def save(data: Pair | Embeddings, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write embeddings so that reading them gives the same: vectors, matches, names, provenance.

    The vectors are written as they were stored, before the door made them unit rows, and chunk by
    chunk, so that they need not fit in memory.

    Args:
        data: what to write.
        path: ends in .safetensors, .npz or .parquet.
        overwrite: whether a file of that name may be replaced.

    Returns:
        The path written.

    Raises:
        OutputError: an unknown extension, a file that exists, or one that cannot be written.
        InputError: the data breaks a rule, or this format cannot hold it.
    """
    if not isinstance(data, (Pair, Embeddings)):
        raise InputError(f"data: must be a Pair or Embeddings; got {type(data).__name__}")
    path = Path(path)
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        known = ", ".join(sorted(WRITERS))
        raise OutputError(f"{path}: must end in {known}; found {path.suffix or 'no extension'}")
    check_target(path, overwrite=overwrite)
    sides = data.sides if isinstance(data, Pair) else (data,)
    for source in {file for side in sides for file in _files(side.rows)}:
        if path.exists() and source.samefile(path):
            raise OutputError(f"{path}: must not be a file that these embeddings are read from")
    total = sum(side.n for side in sides)
    with progress(f"checking {path.name}", total) as advance:
        for side in sides:
            if not side.rows.in_memory:  # memory was checked at the door
                for _, rows in side.chunks():
                    advance(len(rows))
    try:
        with (
            progress(f"writing {path.name}", total) as advance,
            replacing(path, overwrite=overwrite) as file,
        ):
            for rows_done in write(data, file):
                advance(rows_done)
    except InputError as error:  # what this format cannot hold
        raise InputError(f"{path}: {error}") from error
    return path


def _only_side(contents: Contents, role: str) -> Side:
    """The one side of ``contents``, in the role that the caller gives it."""
    sides = list(contents.sides.values())
    if len(sides) != 1:
        raise FileError(f"{contents.source}: given as {role}=, must hold one modality; found two")
    side = sides[0]
    named = side.modality if side.modality not in ("image", "text") else None
    return replace(side, modality=named)


def _read_pairs(path: Path) -> dict[str, Any]:
    """``text_to_image`` (m,), or ``pairs`` (k, 2) of image and text, by the shape of the array."""
    if path.suffix.lower() != ".npy":
        raise FileError(f"{path}: pairs must end in .npy; found {path.suffix or 'no extension'}")
    found = npy.read_array(path)
    if found.dtype.kind not in "iu":
        raise FileError(f"{path}: pairs must be integers; found {found.dtype}")
    if found.ndim == 2 and found.shape[1] == 2:
        return {"pairs": found}
    if found.ndim != 1:
        raise FileError(f"{path}: pairs must have shape (m,) or (k, 2); found {found.shape}")
    return {"text_to_image": found}


def _enter(contents: Contents) -> Pair | Embeddings:
    """Through the door, with the file's name on whatever it says."""
    sides = {
        key: _embeddings(contents, side, side.modality or key)
        for key, side in contents.sides.items()
    }
    if len(sides) == 1:
        return next(iter(sides.values()))
    matches = contents.matches
    return _named(contents.source, lambda: Pair(sides["image"], sides["text"], **matches))


def _embeddings(contents: Contents, side: Side, modality: str) -> Embeddings:
    source = f"{contents.source} ({modality})"

    def make() -> Embeddings:
        rows = check_shape(side.rows, source)
        n, d = rows.shape
        if not rows.in_memory and n * d * rows.dtype.itemsize <= files.SMALL:
            rows = MemoryRows(rows.read(0, n))
        return Embeddings(rows, modality, side.names, side.factors, side.provenance, source)

    return _named(contents.source, make)


def _named(source: str, make: Callable[[], Entered]) -> Entered:
    """Errors of the door as errors of the file."""
    try:
        return make()
    except FileError:
        raise
    except InputError as error:
        found = str(error)
        raise FileError(found if source in found else f"{source}: {found}") from error


def _files(rows: Rows) -> list[Path]:
    """The files that are read when the rows are."""
    if isinstance(rows, FileRows):
        return [rows.path]
    parts = getattr(rows, "parts", ())  # of shards, or what closed rows are made of
    return [file for part in parts for file in _files(part)]
