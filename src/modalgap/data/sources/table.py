"""CSV and TSV with a column of paths and a column of captions: open_clip's, img2dataset's, any."""

from __future__ import annotations

from pathlib import Path

from modalgap.data.columns import FIND, Columns
from modalgap.data.media import SOUNDS, Kind
from modalgap.data.reading import column, reading, table
from modalgap.data.source import Source
from modalgap.data.sources.gather import gather
from modalgap.errors import FileError

PATHS = (
    "filepath", "file_path", "image_path", "img_path", "path", "file_name", "filename", "file",
    "image", "img", "audio", "audio_path", "images",
)  # fmt: skip
SAID = ("caption", "captions", "text")
CAPTIONS = ("title", "caption", "captions", "text", "sentence", "raw", "comment", "description")


def read_table(
    path: Path,
    root: Path | None = None,
    columns: Columns = FIND,
) -> Source:
    """Rows of a path and a caption; rows of the same path are captions of one image.

    Args:
        path: the table; its first row names the columns.
        root: where relative paths start; by default the table's folder.
        columns: which columns to read; by default the first of a known name.

    A table without a column of captions gives images alone, one without paths texts alone.
    """
    rows = table(path)
    names = [name for name in rows[0] if name is not None]
    with reading(str(path)):
        images = column(names, PATHS, columns.image, "the paths of images")
        texts = column(names, CAPTIONS, columns.text, "captions")
    if images is None and texts is None:
        raise FileError(
            f"{path}: must have a column of paths or captions; found {', '.join(names)}: give"
            " --image-column and --text-column"
        )
    if images is None:
        return Source(name=str(path), texts=[row[texts or ""] for row in rows])
    missing = [(f"row {i}", "no path") for i, row in enumerate(rows, 2) if not row[images].strip()]
    found = [
        (row[images].strip(), [row[texts]] if texts is not None else [])
        for row in rows
        if row[images].strip()
    ]
    sounds = [Path(name).suffix.lower() in SOUNDS for name, _ in found]
    kind: Kind = "audio" if found and all(sounds) else "image"
    if root is not None and not root.is_dir():
        raise FileError(f"{path}: --root must be a folder; found no {root}")
    return gather(str(path), root or path.parent, found, kind=kind, missing=missing)
