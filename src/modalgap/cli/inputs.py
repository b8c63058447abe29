"""The arguments that say which embeddings a command reads, written once for all commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modalgap.cli import data, options
from modalgap.errors import InputError

if TYPE_CHECKING:
    from modalgap.embeddings import Embeddings, Pair


@dataclass(frozen=True)
class Inputs:
    """The input files of a command.

    Attributes:
        paths: embeddings of one or both modalities.
        image: image embeddings alone.
        text: text embeddings alone.
        pairs: the matches of ``image`` and ``text``.
    """

    paths: options.Paths = None
    image: options.Image = None
    text: options.Text = None
    pairs: options.Pairs = None

    @property
    def any(self) -> bool:
        """Whether there is any input file."""
        return bool(self.paths or self.image or self.text or self.pairs)

    def read(self) -> Pair | Embeddings:
        """The embeddings in the files."""
        return data.read(self.paths, self.image, self.text, self.pairs)

    def read_pair(self, command: str) -> Pair:
        """The embeddings, which must be of two modalities.

        Raises:
            InputError: there is one modality.
        """
        from modalgap.embeddings import Pair

        found = self.read()
        if not isinstance(found, Pair):
            raise InputError(f"{command} needs two modalities; this is one")
        return found

    def remark(self, found: Pair | Embeddings) -> None:
        """Write notes on what was read."""
        data.remark(found, self.paths)

    def not_the_output(self, output: Path, *more: Path) -> None:
        """Refuse to write over a file that is read."""
        data.not_an_input(output, *more, *(self.paths or ()), self.image, self.text, self.pairs)
