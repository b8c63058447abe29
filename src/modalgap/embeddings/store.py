"""Embeddings from files and into files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from modalgap import files
from modalgap.arguments import checked
from modalgap.atomic import check_target, replacing
from modalgap.embeddings import strings
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.formats import WRITERS, npy
from modalgap.embeddings.formats.contents import Contents, Matches, Side
from modalgap.embeddings.formats.find import Paths, called, read, read_two
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.modality_pairs import pair_of_matches
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.rows import MemoryRows, check_shape
from modalgap.errors import FileError, InputError, OutputError, quoted
from modalgap.modality import legible
from modalgap.progress import progress
from modalgap.remote import Location, Remote, location

Made = TypeVar("Made", Pair, Embeddings, Modalities)


@checked
def load(
    path: Paths | None = None,
    *,
    image: Paths | None = None,
    text: Paths | None = None,
    pairs: str | Path | None = None,
    items: str | None = None,
) -> Pair | Any:
    """Read two or more modalities and which rows match.

    Args:
        path: a file (.npy of shape (2, n, d), .npz, .safetensors, .parquet), an output folder of
            clip-retrieval, a folder of shards, a pattern such as ``"part_*.npz"``, or a list of
            files: shards, or one file per modality. A string may be the URI of an object store,
            such as ``"s3://bucket/part_*.npz"``.
        image: instead of ``path``: the files of the first modality, typically an (n, d) .npy.
        text: with ``image``: the files of the second modality.
        pairs: with ``image`` and ``text``: an integer .npy, either (m,) the image of each text, or
            (k, 2) an image and a text that match, any number for each.
        items: "names" if rows of the same name belong to one item, in files without matches; an
            item may then lack a modality.

    Returns:
        The ``Pair`` of two modalities; of three or more, ``Modalities``. Files above 64 MB stay on
        disk and are read as they are needed.

    Raises:
        InputError: the arguments do not fit together, or the data breaks a rule.
        FileError: a file cannot be read, or holds one modality only.
    """
    found = load_all(path, image=image, text=text, pairs=pairs, items=items)
    if not isinstance(found, Embeddings):
        return found
    raise FileError(
        f"{found.source}: must hold two modalities or more; found {found.modality} only: read it"
        " with load_embeddings, or give two files as image= and text="
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
    sides = dict(contents.sides)
    if modality is None and len(sides) == 1:
        modality = next(iter(sides))
    if modality is not None and modality not in sides and len(sides) == 1:
        side = next(iter(sides.values()))
        if not side.named:
            sides = {modality: side}
    if modality is None or modality not in sides:
        wanted = "one modality or a choice" if modality is None else repr(modality)
        hint = ""
        if modality is None:
            both = "read both with load, or " if len(sides) == 2 else "read "
            hint = f": {both}one with modality="
        raise FileError(f"{contents.source}: must hold {wanted}; found {_listed(sides)}{hint}")
    return _embeddings(contents.source, sides[modality], modality)


def load_any(
    path: Paths | None = None, *, image: Paths | None = None, text: Paths | None = None
) -> Pair | Embeddings:
    """Read a ``Pair``, or ``Embeddings`` if the files hold one modality.

    Raises:
        FileError: a file cannot be read, or the files hold three or more modalities.
    """
    found = load_all(path, image=image, text=text)
    if isinstance(found, Modalities):
        files = dict.fromkeys(side.source.rpartition(" (")[0] for side in found.sides)
        where = " and ".join(files)
        raise FileError(
            f"{where}: must hold one or two modalities here; found {len(found)}:"
            f" {', '.join(map(legible, found))}"
        )
    return found


def load_all(
    path: Paths | None = None,
    *,
    image: Paths | None = None,
    text: Paths | None = None,
    pairs: str | Path | None = None,
    items: str | None = None,
) -> Pair | Embeddings | Modalities:
    """Read a ``Pair``; ``Embeddings`` of one modality; ``Modalities`` of three or more.

    The arguments and errors are those of ``load``.
    """
    if path is not None and (image is not None or text is not None or pairs is not None):
        raise InputError("path: give either path, or image and text; got both")
    if path is not None:
        return _validated(read(path), items)
    if image is None and text is None:
        raise InputError("path: must be set, or image= and text= instead; got neither")
    two = {role: paths for role, paths in (("image", image), ("text", text)) if paths is not None}
    if image is not None and text is not None and pairs is None:
        parts = dict(zip(two, read_two(image, text), strict=True))
    else:
        parts = {role: read(paths) for role, paths in two.items()}
    source = " and ".join(called(paths) for paths in (image, text, pairs) if paths is not None)
    contents = _merged(parts, source)
    if pairs is not None:
        if len(parts) < 2 or contents.matches:
            found = " and ".join(each.key for each in contents.matches) or "one modality"
            raise InputError(f"pairs: needs image= and text= without matches; got {found}")
        contents = replace(contents, matches=[_read_pairs(location(pairs), *contents.sides)])
    return _validated(contents, items)


@checked
def save(
    data: Pair | Embeddings | Modalities, path: str | Path, *, overwrite: bool = False
) -> Path:
    """Write one file; see ``modalgap.save``."""
    if not isinstance(data, (Pair, Embeddings, Modalities)):
        raise InputError(
            f"data: must be a Pair, Embeddings or Modalities; got {type(data).__name__}"
        )
    target = location(path)
    if isinstance(target, Remote):
        raise OutputError(f"{target}: must be a local file; object stores are only read")
    path = target
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        known = ", ".join(sorted(WRITERS))
        raise OutputError(f"{path}: must end in {known}; found {path.suffix or 'no extension'}")
    check_target(path, overwrite=overwrite)
    sides = data.sides
    read_from = [each for side in sides for each in (side.rows, side.names)]
    for source in {file for each in read_from for file in _files(each)}:
        if path.exists() and isinstance(source, Path) and source.samefile(path):
            raise OutputError(f"{path}: must not be a file that these embeddings are read from")
    total = sum(side.n for side in sides)
    with progress(f"checking {path.name}", total) as advance:
        for side in sides:
            if not side.rows.in_memory:  # else they were checked when they were made
                for _, rows in side.chunks():
                    advance(len(rows))
    try:
        with (
            progress(f"writing {path.name}", total) as advance,
            replacing(path, overwrite=overwrite) as file,
        ):
            for rows_done in write(data, file):
                advance(rows_done)
    except FileError:  # of a file that is read
        raise
    except InputError as error:  # what this format cannot hold
        raise InputError(f"{path}: {error}") from error
    return path


def _merged(parts: Mapping[str, Contents], source: str) -> Contents:
    """Merge contents of one modality each into one; the keys of ``parts`` are their roles.

    A modality keeps its name unless it is called image or text, or has none.
    """
    sides: dict[str, Side] = {}
    names: dict[str, str] = {}  # role to the modality as it is stored
    for role, contents in parts.items():
        if len(contents.sides) != 1:
            raise FileError(
                f"{contents.source}: must hold one modality as {role}=;"
                f" found {_listed(contents.sides)}"
            )
        ((stored, side),) = contents.sides.items()
        name = stored if side.named and stored not in ("image", "text") else role
        if name in sides:
            raise FileError(
                f"{source}: the two modalities must have two names; both are {quoted(name)}"
            )
        sides[name], names[role] = replace(side, source=contents.source), stored
    matches = []
    for (role, contents), name in zip(parts.items(), sides, strict=True):
        rest = next((each for each in sides if each != name), "")
        for each in contents.matches:  # an earlier version may list a modality that it lacks
            own, other = (name, rest) if each.own == names[role] else (rest, name)
            matches.append(replace(each, own=own, other=other))
    return Contents(source, sides, matches)


def _read_pairs(path: Location, one: str, two: str) -> Matches:
    """Matches of modality ``two`` with ``one``, by the shape of the array.

    Either (m,) the row of ``one`` for each row of ``two``, or (k, 2) a row of each.
    """
    if path.suffix.lower() != ".npy":
        raise FileError(f"{path}: pairs must end in .npy; found {path.suffix or 'no extension'}")
    found = npy.read_array(path)
    if found.dtype.kind not in "iu":
        raise FileError(f"{path}: pairs must be integers; found {found.dtype}")
    if found.ndim == 2 and found.shape[1] == 2:
        return Matches(one, two, found, many=True, key="pairs")
    if found.ndim != 1:
        raise FileError(f"{path}: pairs must have shape (m,) or (k, 2); found {found.shape}")
    return Matches(two, one, found, many=False, key="pairs")


def _validated(contents: Contents, items: str | None) -> Pair | Embeddings | Modalities:
    """Embeddings of one modality, the pair of two, or more modalities."""
    sides = [
        _embeddings(contents.source, side, modality) for modality, side in contents.sides.items()
    ]
    if items is not None and (len(sides) == 1 or contents.matches):
        found = contents.matches[0].key if contents.matches else "one modality"
        raise InputError(f"items: needs two or more modalities without matches; got {found}")
    if len(sides) == 1:
        return sides[0]
    if items is not None:
        mods = _named(contents.source, lambda: Modalities(sides, items=items), sides)
        return mods if len(mods) > 2 else mods.pair(*mods)
    if len(sides) == 2:
        one, two = sides
        return _named(contents.source, lambda: _pair(one, two, contents.matches), sides)
    matches = {(each.own, each.other): each.values for each in contents.matches}
    return _named(contents.source, lambda: Modalities(sides, matches or None), sides)


def _pair(one: Embeddings, two: Embeddings, matches: Sequence[Matches]) -> Pair:
    """The pair; messages about its matches call them what the file calls them."""
    if not matches:
        return Pair(one, two)
    (match,) = matches
    return pair_of_matches(one, two, match.values, match.own, match.key, many=match.many)


def _embeddings(where: str, side: Side, modality: str) -> Embeddings:
    where = side.source or where
    source = f"{where} ({modality})"

    def make() -> Embeddings:
        rows = check_shape(side.rows, source)
        n, d = rows.shape
        if not rows.in_memory and n * d * rows.dtype.itemsize <= files.SMALL:
            rows = MemoryRows(rows.read(0, n))
        names = side.names
        if names is not None and strings.nbytes(names) <= files.SMALL:
            names = tuple(names)
        return Embeddings(rows, modality, names, side.factors, side.provenance, source)

    return _named(where, make)


def _named(source: str, make: Callable[[], Made], sides: Sequence[Embeddings] = ()) -> Made:
    """Call ``make``, and raise its errors as errors of the file, or of the files of ``sides``."""
    try:
        return make()
    except FileError:
        raise
    except InputError as error:
        found = str(error)
        names = (source, *(side.source for side in sides))
        known = any(name in found for name in names)
        raise FileError(found if known else f"{source}: {found}") from error


def _listed(sides: Mapping[str, Side]) -> str:
    """The modalities of a file, for messages."""
    names = [legible(name) for name in sides]
    return " and ".join(names) if len(names) < 3 else f"{len(names)}: {', '.join(names)}"


def _files(stored: object) -> list[Location]:
    """The files from which rows or names are read."""
    path = getattr(stored, "path", None)
    if isinstance(path, Location):
        return [path]
    parts = getattr(stored, "parts", ())  # of shards, or the rows that others are computed from
    return [file for part in parts for file in _files(part)]
