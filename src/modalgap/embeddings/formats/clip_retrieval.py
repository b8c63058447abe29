"""The output folder of clip-retrieval: numbered shards of images, texts and their metadata.

``img_emb/img_emb_0.npy``, ``text_emb/text_emb_0.npy`` and ``metadata/metadata_0.parquet``, where
row i of each file describes the same item; or the same files in one folder. Any of the three kinds
may be missing, but not both of the first two. Files are paired by their numbers. Shards without
rows are left out.
"""

from __future__ import annotations

from modalgap.embeddings.formats import npy
from modalgap.embeddings.formats.contents import Contents, Side
from modalgap.embeddings.formats.numbers import by_number, check_partners, refuse_unfinished
from modalgap.errors import FileError, quoted, reason
from modalgap.remote import Location

_KINDS = {  # folder, and the ending of its files
    "image": ("img_emb", ".npy"),
    "text": ("text_emb", ".npy"),
    "metadata": ("metadata", ".parquet"),
}
_NAME_COLUMNS = {"image": "image_path", "text": "caption"}


def is_one(folder: Location) -> bool:
    """Whether ``folder`` is the output of clip-retrieval."""
    both = (_KINDS["image"], _KINDS["text"])
    return any((folder / name).is_dir() for name, _ in both) or all(
        any(folder.glob(f"{name}_*{ending}")) for name, ending in both
    )


def read(folder: Location) -> list[Contents]:
    """Read every shard, in the order of their numbers.

    Raises:
        FileError: no shards, a number that one kind has and another lacks, kinds with
            different numbers of rows, a temporary file, or a damaged file. The message names them.
    """
    files = {kind: _files(folder, *names) for kind, names in _KINDS.items()}
    some = {kind: paths for kind, paths in files.items() if paths}
    if set(some) & {"image", "text"} and all(len(paths) == 1 for paths in some.values()):
        lone = {kind: paths[0] for kind, paths in some.items()}
        if not all(path.stem[-1:].isdecimal() for path in lone.values()):
            return [_shard(lone)]
    found = {kind: by_number(paths, f"{_KINDS[kind][0]}_0") for kind, paths in some.items()}
    if set(found) <= {"metadata"}:
        raise FileError(
            f"{folder}: must hold img_emb/img_emb_*.npy or text_emb/text_emb_*.npy; found neither"
        )
    check_partners(str(folder), {_KINDS[kind][0]: paths for kind, paths in found.items()})
    numbers = sorted(next(iter(found.values())))
    return [_shard({kind: found[kind][number] for kind in found}) for number in numbers]


def _files(folder: Location, name: str, ending: str) -> list[Location]:
    """The files of one kind."""
    inside = (folder / name).is_dir()
    where = folder / name if inside else folder
    try:
        listed = [path for path in where.iterdir() if inside or path.name.startswith(f"{name}_")]
    except OSError as error:
        raise FileError(f"{where}: cannot be read ({reason(error)})") from error
    refuse_unfinished(listed, (ending,))
    paths = [
        path for path in listed if path.suffix.lower() == ending and not path.name.startswith(".")
    ]
    strange = [path for path in paths if name != "metadata" and not path.name.startswith(name)]
    if strange:
        strange.sort(key=str)
        raise FileError(
            f"{strange[0]}: must be called {name}_NUMBER{ending}, like the other files; found"
            f" {quoted(strange[0].name)}"
        )
    return sorted(paths, key=str)


def _shard(paths: dict[str, Location]) -> Contents:
    """The files of one number."""
    sides = {place: _matrix(path) for place, path in paths.items() if place != "metadata"}
    counts = {str(paths[place]): side.rows.shape[0] for place, side in sides.items()}
    if "metadata" in paths:
        from modalgap.embeddings.formats import parquet

        metadata = paths["metadata"]
        counts[str(metadata)], strings = parquet.read_strings(
            metadata, [_NAME_COLUMNS[place] for place in sides]
        )
        sides = {
            place: Side(side.rows, names=strings.get(_NAME_COLUMNS[place]))
            for place, side in sides.items()
        }
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} in {path}" for path, count in counts.items())
        raise FileError(f"shards of one number must have the same number of rows; found {shown}")
    where = " and ".join(str(path) for kind, path in paths.items() if kind != "metadata")
    return Contents(where, {place: sides[place] for place in ("image", "text") if place in sides})


def _matrix(path: Location) -> Side:
    sides = list(npy.read(path).sides.values())
    if len(sides) != 1:
        raise FileError(f"{path}: must have shape (n, d); found (2, n, d)")
    return sides[0]
