"""The output folder of clip-retrieval: numbered shards of images, texts and their metadata.

``img_emb/img_emb_0.npy``, ``text_emb/text_emb_0.npy`` and ``metadata/metadata_0.parquet``, with row
i of one about row i of the others. Any of the three folders may be missing, but not both of the
first two.
"""

from __future__ import annotations

from pathlib import Path

from modalgap.embeddings.formats import npy
from modalgap.embeddings.formats.contents import Contents, Side
from modalgap.embeddings.formats.files import natural
from modalgap.embeddings.formats.shards import join
from modalgap.errors import FileError

_FOLDERS = {
    "image": ("img_emb", "img_emb_*.npy"),
    "text": ("text_emb", "text_emb_*.npy"),
    "metadata": ("metadata", "*.parquet"),
}
_NAME_COLUMNS = {"image": "image_path", "text": "caption"}


def is_one(folder: Path) -> bool:
    """Whether ``folder`` looks like the output of clip-retrieval."""
    return any((folder / _FOLDERS[side][0]).is_dir() for side in ("image", "text"))


def read(folder: Path) -> Contents:
    """Read every shard, in the order of their numbers."""
    found = {
        side: sorted((folder / name).glob(pattern), key=natural)
        for side, (name, pattern) in _FOLDERS.items()
    }
    sides = {side: paths for side, paths in found.items() if paths and side != "metadata"}
    if not sides:
        raise FileError(
            f"{folder}: must hold img_emb/img_emb_*.npy or text_emb/text_emb_*.npy; found neither"
        )
    metadata = found["metadata"]
    counts = {side: len(paths) for side, paths in {**sides, "metadata": metadata}.items() if paths}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} in {_FOLDERS[side][0]}" for side, count in counts.items())
        raise FileError(f"{folder}: must hold as many shards in each folder; found {shown}")
    shards = [
        _shard({side: paths[i] for side, paths in sides.items()}, metadata[i] if metadata else None)
        for i in range(len(next(iter(sides.values()))))
    ]
    joined = join(shards)
    return Contents(str(folder), joined.image, joined.text)


def _shard(paths: dict[str, Path], metadata: Path | None) -> Contents:
    sides = {side: _matrix(path) for side, path in paths.items()}
    counts = {str(paths[side]): found.rows.shape[0] for side, found in sides.items()}
    if metadata is not None:
        from modalgap.embeddings.formats import parquet

        counts[str(metadata)], strings = parquet.read_strings(
            metadata, [_NAME_COLUMNS[side] for side in sides]
        )
        sides = {
            side: Side(found.rows, names=strings.get(_NAME_COLUMNS[side]), modality=side)
            for side, found in sides.items()
        }
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} in {path}" for path, count in counts.items())
        raise FileError(f"shards of one number must have the same number of rows; found {shown}")
    return Contents(" and ".join(map(str, paths.values())), sides.get("image"), sides.get("text"))


def _matrix(path: Path) -> Side:
    found = npy.read(path)
    if found.image is None or found.text is not None:
        raise FileError(f"{path}: must have shape (n, d); found (2, n, d)")
    return found.image
