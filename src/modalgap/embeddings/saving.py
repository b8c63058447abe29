"""Save embeddings: as one file, or as a folder of shards."""

from __future__ import annotations

from pathlib import Path

from modalgap.arguments import checked
from modalgap.embeddings import shard_files, store
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.pair import Pair


@checked
def save(
    data: Pair | Embeddings | Modalities, path: str | Path, *, overwrite: bool = False
) -> Path:
    """Write embeddings so that reading them gives the same: vectors, matches, names, provenance.

    The vectors are written as they were stored, not normalised, and chunk by chunk, so that they
    need not fit in memory.

    Args:
        data: what to write.
        path: a file that ends in .safetensors, .npz or .parquet; or, without extension, a folder
            for .safetensors shards of 249,856 items. The workers of the current executor
            (``modalgap.work.on``) write them, and an interrupted run resumes. The items must match
            by row, or be captions in the order of their images, or have class prompts.
        overwrite: whether a file of that name, or the shards in the folder, may be replaced.

    Returns:
        The path of the file or folder.

    Raises:
        OutputError: an unknown extension, a file that exists, a folder with other files, or one
            that cannot be written.
        InputError: the data breaks a rule, or this format cannot hold it.
    """
    if Path(path).suffix or Path(path).is_file():
        return store.save(data, path, overwrite=overwrite)
    return shard_files.save_shards(data, path, overwrite=overwrite)
