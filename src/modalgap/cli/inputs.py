"""The arguments that say which embeddings a command reads, written once for all commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modalgap.cli import data, options
from modalgap.errors import InputError

if TYPE_CHECKING:
    from modalgap.embeddings import Embeddings, Modalities, Pair


@dataclass(frozen=True)
class Inputs:
    """The input files of a command.

    Attributes:
        paths: embeddings of one or both modalities.
        image: image embeddings alone.
        text: text embeddings alone.
        pairs: the matches of ``image`` and ``text``.
        pair: two of three or more modalities, "image,audio".
    """

    paths: options.Paths = None
    image: options.Image = None
    text: options.Text = None
    pairs: options.Pairs = None
    pair: options.TwoOf = None

    @property
    def any(self) -> bool:
        """Whether there is any input file."""
        return bool(self.paths or self.image or self.text or self.pairs)

    def read(self) -> Pair | Embeddings | Modalities:
        """The embeddings in the files, or the pair of them that is asked for."""
        found = data.read(self.paths, self.image, self.text, self.pairs)
        return found if self.pair is None else data.two_of(found, self.pair)

    def read_pair(self, command: str) -> Pair:
        """The embeddings, which must be of two modalities.

        Raises:
            InputError: there is one modality, or there are three or more.
        """
        from modalgap.embeddings import Modalities, Pair

        found = self.read()
        if isinstance(found, Modalities):
            first, second, *_ = names = list(found)
            raise InputError(
                f"{command} needs two modalities; these are {len(found)} ({', '.join(names)}):"
                f" pick two with --pair {first},{second}"
            )
        if not isinstance(found, Pair):
            raise InputError(f"{command} needs two modalities; this is one")
        return found

    def remark(self, found: Pair | Embeddings | Modalities) -> None:
        """Write notes on what was read."""
        data.remark(found, self.paths)

    def not_the_output(self, output: Path, *more: Path) -> None:
        """Refuse to write over a file that is read."""
        data.not_an_input(output, *more, *(self.paths or ()), self.image, self.text, self.pairs)
