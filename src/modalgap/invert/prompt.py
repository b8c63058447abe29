"""A tokenised sentence with positions for pseudo-tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from modalgap.encode import Encoder, TextTower, Tokens
from modalgap.errors import NotApplicable, OptionError, quoted

PLACE = "{}"
JOINED = re.compile(r"\w\{\}|\{\}\w|\{\}\{\}")  # a tokenizer could merge these into one word
# two of these words are written into the places: the places are where their tokens differ
MARKERS = ("cat", "dog", "x", "y", "a", "b", "0", "1", "zero", "one")
SEARCHED = 2000  # tokens to search for words, if the tokenizer knows none of the markers


@dataclass(frozen=True, eq=False)
class Prompt:
    """A tokenised template.

    Attributes:
        tokens: one row; the token ids in the places are not used.
        places: (p, k) positions of the k pseudo-tokens in each of p places.
    """

    tokens: Tokens
    places: Tensor

    @classmethod
    def of(cls, template: str, count: int, encoder: Encoder) -> Prompt:
        """Tokenise a template in which every ``{}`` stands for ``count`` pseudo-tokens.

        Raises:
            OptionError: the template has no place, is too long with the pseudo-tokens, or has a
                place that the tokenizer merges with its neighbours.
        """
        if not isinstance(template, str) or PLACE not in template:
            raise OptionError(
                f"template: must hold {PLACE} for the pseudo-tokens; got {quoted(template)}"
            )
        try:
            template.encode()
        except UnicodeEncodeError as error:
            raise OptionError(f"template: must be valid Unicode; got {quoted(template)}") from error
        apart_only = f"template: each {PLACE} must be separated from words and other {PLACE}"
        if JOINED.search(template):
            raise OptionError(f"{apart_only}; got {quoted(template)}")
        wanted = template.count(PLACE) * count
        longest: Tokens | None = None
        apart: Prompt | None = None
        for own in (False, True):
            for pair in combinations(_own_words(encoder) if own else MARKERS, 2):
                both = [template.replace(PLACE, " ".join([word] * count)) for word in pair]
                tokens = encoder.tokenize(both)
                if bool(tokens.cut.any()):
                    longest = tokens
                    continue
                found = torch.nonzero(tokens.ids[0] != tokens.ids[1]).flatten()
                if len(found) != wanted or tokens.lengths[0] != tokens.lengths[1]:
                    continue
                made = cls(tokens.take(torch.tensor([0])), found.reshape(-1, count))
                if bool((made.places.diff(dim=1) == 1).all()):
                    return made
                apart = apart or made  # some tokenizers have a token for the space between
            if apart is not None:
                return apart
        if longest is not None:
            raise OptionError(
                f"template: {quoted(template)} with {count} pseudo-tokens in each {PLACE}"
                f" must fit into"
                f" the {longest.ids.shape[1]} positions of {encoder.spec}; it does not"
            )
        raise OptionError(
            f"{apart_only}, so that the tokenizer of {encoder.spec} keeps its place; got"
            f" {quoted(template)}"
        )


def _own_words(encoder: Encoder) -> Sequence[str]:
    """Words that are single tokens of the tokenizer."""
    tower = text_tower_of(encoder)
    size = len(next(tower.embedding.parameters()))
    found = tower.words(range(min(size, SEARCHED)))
    return [word for word in found if word.isalnum()][:10]


def text_tower_of(encoder: Encoder) -> TextTower:
    """The text tower, if pseudo-tokens can enter it.

    Raises:
        NotApplicable: they cannot.
    """
    tower = encoder.text_tower()
    if tower is None:
        raise NotApplicable(f"{encoder.spec}: pseudo-tokens cannot enter its text tower")
    return tower
