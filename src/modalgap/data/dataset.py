"""Dataset: a named data set in the folder layout of its authors, and its card."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from modalgap.data.classes import zhou, zhou_file
from modalgap.data.items import Items
from modalgap.data.media import Cropped, Files
from modalgap.data.reading import reading
from modalgap.data.source import Source
from modalgap.errors import MissingData, OptionError

Task = Literal["captions", "classification", "retrieval", "attributes", "fairness", "text"]
ROOT_VARIABLE = "MODALGAP_DATA"


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """The description of one data set.

    Attributes:
        name: its name on the command line.
        title: its name in the paper.
        task: its use.
        about: one sentence on its content.
        size: sizes of the splits, as text.
        splits: names of the splits; the first is the default.
        licence: licence of the data, as the authors state it.
        home: where to download it.
        folder: its folder under the root.
        layout: the paths expected in that folder, one per line, for display.
        templates: sentences for class names; empty for captions.
        citation: authors, title, venue, year.
    """

    name: str
    title: str
    task: Task
    about: str
    size: str
    splits: tuple[str, ...]
    licence: str
    home: str
    folder: str
    layout: tuple[str, ...]
    templates: tuple[str, ...] = ()
    citation: str


class Dataset(ABC):
    """A named data set. A subclass defines ``card``, ``needs`` and ``read``.

    The caller turns errors in the files into one line (``reading``).
    """

    card: ClassVar[DataCard]
    zhou_images: ClassVar[str | None] = None
    """Folder that the paths in CoOp's split_zhou_*.json (if present) are relative to."""

    @abstractmethod
    def needs(self, split: str) -> Sequence[str]:
        """Paths in the folder of the data set that ``split`` needs; globs are allowed."""

    @abstractmethod
    def read(self, folder: Path, split: str) -> Source:
        """The source of one split, from the folder of the data set."""

    def folder(self, root: Path) -> Path:
        """The folder of the data set: ``root / card.folder``, or ``root`` itself."""
        inside = root / self.card.folder
        needs = [need for split in self.card.splits for need in self.needs(split)]
        itself = self._has_zhou(root) or any(next(root.glob(need), None) for need in needs)
        return root if itself and not inside.is_dir() else inside

    def split(self, name: str | None) -> str:
        """The name of the split to read; None selects the default.

        Raises:
            OptionError: the split does not exist.
        """
        if name is None:
            return self.card.splits[0]
        if name not in self.card.splits:
            raise OptionError.unknown(f"split of {self.card.name}", name, self.card.splits)
        return name

    def missing(self, root: Path, split: str | None = None) -> list[str]:
        """The paths in ``needs`` that do not exist."""
        folder = self.folder(root)
        if self._has_zhou(folder):
            return []
        return [
            str(folder / need)
            for need in self.needs(self.split(split))
            if next(folder.glob(need), None) is None
        ]

    def check(self, root: Path, split: str | None = None) -> str:
        """Check that the files of one split exist, and return its name.

        Raises:
            OptionError: the split does not exist.
            MissingData: files are missing.
        """
        split = self.split(split)
        if missing := self.missing(root, split):
            rest = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            name = self.card.name
            raise MissingData(
                f"{name}: needs {missing[0]}{rest}; see: modalgap data check {name} --root DIR"
            )
        return split

    def source(self, root: Path, split: str | None = None) -> Source:
        """Read one split.

        Args:
            root: the folder that holds the folders of data sets, or the folder of this one.
            split: one of ``card.splits``; by default the first.

        Raises:
            OptionError: the split does not exist.
            InputError: files are missing or malformed.
        """
        split = self.check(root, split)
        name = self.card.name
        folder = self.folder(root)
        with reading(f"{name} in {folder}"):
            if self.zhou_images is not None and self._has_zhou(folder):
                found = zhou(folder, self.zhou_images, split)
            else:
                found = self.read(folder, split)
        made = {"data": name, "split": split, **found.provenance}
        templates = found.templates or (self.card.templates if found.labels is not None else ())
        files = self.tables(folder, split)
        return replace(found, name=name, provenance=made, templates=templates, files=files)

    def tables(self, folder: Path, split: str) -> tuple[Path, ...]:
        """The Parquet files of a split, which an output must not replace."""
        needs = [need for need in self.needs(split) if need.endswith(".parquet")]
        return tuple(path for need in needs for path in folder.glob(need))

    def _has_zhou(self, folder: Path) -> bool:
        return self.zhou_images is not None and zhou_file(folder) is not None


class ItemDataset(Dataset):
    """A data set of more than two modalities. A subclass defines ``read_items``, too.

    ``read`` gives two of the modalities, for models of two towers.
    """

    @abstractmethod
    def read_items(self, folder: Path, split: str) -> Items:
        """The items of one split, from the folder of the data set."""

    def items(self, root: Path, split: str | None = None) -> Items:
        """Read all modalities of one split.

        Args:
            root: as for ``source``.
            split: as for ``source``.

        Raises:
            OptionError: the split does not exist.
            InputError: files are missing or malformed.
        """
        split = self.check(root, split)
        name, folder = self.card.name, self.folder(root)
        with reading(f"{name} in {folder}"):
            found = self.read_items(folder, split)
        return replace(
            found,
            name=name,
            provenance={"data": name, "split": split, **found.provenance},
            files=self.tables(folder, split),
        )


def absent(source: Source, most: int = 5) -> tuple[int, list[str]]:
    """Number of files in ``source`` that do not exist on disk, and the first few of them."""
    media = source.media
    while isinstance(media, Cropped):
        media = media.media
    if not isinstance(media, Files):
        return len(source.missing), [name for name, _ in source.missing[:most]]
    lost = [str(path) for path in media.paths if not path.is_file()]
    lost += [name for name, _ in source.missing]
    return len(lost), lost[:most]


def default_root() -> Path:
    """The default ``--root``: ``$MODALGAP_DATA``, or ``data``."""
    return Path(os.environ.get(ROOT_VARIABLE) or "data")
