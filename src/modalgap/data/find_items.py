"""Find the SOURCE of models by modality: items of any number of modalities."""

from __future__ import annotations

from pathlib import Path

from modalgap.arguments import checked
from modalgap.data.columns import FIND
from modalgap.data.dataset import ItemDataset, default_root
from modalgap.data.find import is_a, named, read
from modalgap.data.items import Items
from modalgap.data.reading import load_json
from modalgap.data.source import Source, check_seed
from modalgap.data.sources.coco import is_coco
from modalgap.data.sources.hugging_face import is_saved
from modalgap.data.sources.item_folder import read_item_folder
from modalgap.data.sources.item_table import read_item_table
from modalgap.data.sources.item_typed import (
    read_item_parquet,
    read_item_saved,
    read_item_shards,
)
from modalgap.data.sources.karpathy import is_karpathy
from modalgap.data.sources.parquet import names_files
from modalgap.data.tables import ENDINGS as TABLES
from modalgap.data.tables import listed_records
from modalgap.errors import InputError, OptionError, quoted


@checked
def read_items(
    what: str | Path | Source | Items,
    *,
    split: str | None = None,
    root: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Items:
    """Find and read the items of several modalities.

    Args:
        what: a folder of images, sounds and ``.txt`` files; a table with two or more columns of
            paths; Parquet or a Hugging Face data set with two or more columns of bytes; the name of
            a data set; anything else that ``read`` reads, as media and captions; or ``Items``,
            which are returned.
        split: as for ``read``.
        root: as for ``read``.
        limit: read a random sample of ``limit`` items, with all their rows, in their order.
        seed: seed of the sample.

    Raises:
        InputError: the source does not exist, cannot be read, or holds classes.
    """
    if limit is not None and (isinstance(limit, bool) or limit < 2):
        raise OptionError(f"limit: must be an integer of at least 2; got {quoted(limit)}")
    check_seed(seed)
    found = what if isinstance(what, Items) else _read(what, split, root)
    return found if limit is None else found.limited(limit, seed)


def _read(what: str | Path | Source, split: str | None, root: str | Path | None) -> Items:
    if not isinstance(what, str | Path | Source):
        found = type(what).__name__
        raise InputError(f"source: must be a path, a name, a Source or Items; got {found}")
    if not isinstance(what, Source):
        dataset = named(what)
        if isinstance(dataset, ItemDataset):
            return dataset.items(default_root() if root is None else Path(root), split)
        if dataset is None:
            items = _path(Path(what), split, None if root is None else Path(root))
            if items is not None:
                return items
    return Items.of(read(what, split=split, root=root))


def _path(path: Path, split: str | None, root: Path | None) -> Items | None:
    """The items of a file or a folder; None if it is to be read as media and captions."""
    ending = path.suffix.lower()
    if is_a(path.is_dir):
        if is_saved(path):
            return read_item_saved(path, split)
        found = read_item_shards(path, split)
        return read_item_folder(path) if found is None and split is None else found
    if not is_a(path.is_file):
        return None
    table = ending in TABLES or (ending == ".json" and _is_records(path))
    if table or (ending == ".parquet" and names_files(path, FIND)):
        return read_item_table(path, root, split)
    if ending == ".parquet" and split is None:
        return read_item_parquet([path], str(path))
    return None


def _is_records(path: Path) -> bool:
    """Whether a JSON file holds a list of records, not the annotations of COCO or Karpathy."""
    content = load_json(path)
    known = is_coco(content) or is_karpathy(content)
    return not known and listed_records(content) is not None
