"""Captions of MAD: the word of the object, and words of some of its attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modalgap.data.mad.factors import FACTORS
from modalgap.errors import InputError, OptionError, quoted

JOINT = "-"
_NAMES = tuple(FACTORS)
MOST = len(_NAMES) - 1


@dataclass(frozen=True)
class Captions:
    """Captions of images: the object, and attributes that are drawn for each caption.

    The words are in random order, joined by "-" (Schrodi et al. 2025).

    Args:
        object: the factor that every caption names.
        attributes: number of other factors to name, drawn at random: "object_attribute_k".
        presence: alternatively, the probability of each other factor; 0 if not listed.

    Without ``attributes`` and ``presence`` only the object is named: "object_only".

    Raises:
        OptionError: an unknown factor, too many attributes, a probability outside 0 … 1, or both
            ``attributes`` and ``presence``.
    """

    object: str = "digit"
    attributes: int | None = None
    presence: Mapping[str, float] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        _check_factor(self.object)
        if self.attributes is not None and self.presence is not None:
            raise OptionError("captions: use attributes or presence, not both")
        if self.presence is None:
            count = 0 if self.attributes is None else self.attributes
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST:
                raise OptionError(
                    f"attributes: must be an integer of 0 … {MOST}, the number of other factors;"
                    f" got {quoted(count)}"
                )
            object.__setattr__(self, "attributes", count)
            return
        if not isinstance(self.presence, Mapping):
            raise OptionError(
                "presence: must be a dict of factor and probability;"
                f" got {type(self.presence).__name__}"
            )
        for name, chance in self.presence.items():
            _check_factor(name)
            if name == self.object:
                raise OptionError(f"presence: {name} is the object, which is always named")
            number = isinstance(chance, int | float) and not isinstance(chance, bool)
            if not number or not 0 <= chance <= 1:
                raise OptionError(
                    f"presence of {name}: must be a number of 0 … 1; got {quoted(chance)}"
                )
        object.__setattr__(self, "presence", dict(self.presence))

    @classmethod
    def named(cls, name: str, object: str = "digit") -> Captions:  # noqa: A002 - the field's name
        """The captions with a name of the paper: "object_only" or "object_attribute_3".

        Raises:
            OptionError: an unknown name, or more attributes than there are other factors.
        """
        if not isinstance(name, str):
            raise OptionError(f"captions: must be a name; got {type(name).__name__}")
        if name == "object_only":
            return cls(object, 0)
        found = re.fullmatch(r"object_attribute_([0-9]{1,9})", name)
        if found is None:
            known = ["object_only", *(f"object_attribute_{k}" for k in range(1, MOST + 1))]
            raise OptionError.unknown("captions", name, known)
        if int(found[1]) > MOST:
            raise OptionError(
                f"{name}: must name at most {MOST} attributes, the number of other factors"
            )
        return cls(object, int(found[1]))

    @property
    def name(self) -> str:
        """The name in the paper; for probabilities, a list of them."""
        if self.presence is None:
            return f"object_attribute_{self.attributes}" if self.attributes else "object_only"
        listed = ", ".join(f"{name} {chance:g}" for name, chance in self.presence.items())
        return f"presence ({listed or 'of none'})"

    def write(
        self,
        codes: NDArray[np.integer],
        rng: np.random.Generator,
        always: Sequence[str] = (),
    ) -> list[str]:
        """One caption per row.

        Args:
            codes: (b, 6) codes of the factors, in the order of ``FACTORS``.
            rng: draws the attributes to name, and the order of the words.
            always: factors that must be named. They count as attributes; if they are more than
                ``attributes``, all of them are named.

        Raises:
            OptionError: an unknown factor in ``always``.
            InputError: codes of another shape, or out of range.
        """
        codes = _check_codes(codes)
        if isinstance(always, str):
            raise OptionError(f"always: must be a list of factors; got {quoted(always)}")
        for name in always:
            _check_factor(name)
        forced = [_NAMES.index(name) for name in {self.object, *always}]
        named = self._named(len(codes), forced, rng)
        # the order of the words; words that are not named come last
        order = np.argsort(np.where(named, rng.random(named.shape), 2.0), axis=1)
        counts = named.sum(1).tolist()
        words = _TABLE[np.arange(len(_NAMES)), codes]
        rows = np.take_along_axis(words, order, axis=1).tolist()
        return [JOINT.join(row[:count]) for row, count in zip(rows, counts, strict=True)]

    def _named(self, rows: int, forced: list[int], rng: np.random.Generator) -> NDArray[np.bool_]:
        """(rows, 6) whether each factor is named."""
        draw = rng.random((rows, len(_NAMES)))
        if self.presence is not None:
            named = draw < np.array([self.presence.get(name, 0.0) for name in _NAMES])
            named[:, forced] = True
            return named
        draw[:, forced] = -1
        place = np.argsort(np.argsort(draw, axis=1), axis=1)
        return np.asarray(place < max(1 + (self.attributes or 0), len(forced)))


_TABLE = np.array(
    [
        [words[i % len(words)] for i in range(max(map(len, FACTORS.values())))]
        for words in FACTORS.values()
    ],
    object,
)  # (6, 10): the words by factor and code


def _check_factor(name: object) -> None:
    if not isinstance(name, str):
        raise OptionError(f"factor: must be a name; got {type(name).__name__}")
    if name not in FACTORS:
        raise OptionError.unknown("factor", name, FACTORS)


def _check_codes(codes: object) -> NDArray[np.int64]:
    found = np.asarray(codes)
    if found.ndim != 2 or found.shape[1] != len(_NAMES) or found.dtype.kind not in "iu":
        raise InputError(
            f"codes: must be integers (b, {len(_NAMES)}); got {found.dtype} {found.shape}"
        )
    limits = np.array([len(words) for words in FACTORS.values()])
    if ((found < 0) | (found >= limits)).any():
        column = int(np.flatnonzero(((found < 0) | (found >= limits)).any(0))[0])
        raise InputError(f"codes: of {_NAMES[column]} must lie in 0 … {limits[column] - 1}")
    return found.astype(np.int64)
