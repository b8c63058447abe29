"""Layout: which key of a file holds what.

Files of every version, and of other programs, are read in two steps: their keys and metadata give a
``Layout``, and one decoder (``keys.decode``) reads what it names. The layout of the present version
is here, those of earlier versions are in ``earlier``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from modalgap.embeddings.rows import Rows
from modalgap.errors import FileError, quoted

NAMES, FACTORS, MATCHES = "names", "factors", "matches"
MATRIX, STRINGS, OTHER = "matrix", "strings", "other"


class Named(Protocol):
    """A file with keys."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Strings that describe the whole file."""
        ...

    def names(self) -> Collection[str]:
        """Every key."""
        ...

    def kind(self, key: str) -> str:
        """MATRIX (two dimensions of numbers), STRINGS or OTHER."""
        ...

    def rows(self, key: str) -> Rows:
        """A matrix of floats, in the file or in memory."""
        ...


class Columns(Named, Protocol):
    """A file with keys, as decoding needs it."""

    def strings(self, key: str, n: int, /) -> Sequence[str] | None:
        """One string for each of n rows; None if the column is empty."""
        ...

    def factor(self, key: str, n: int, /) -> NDArray[Any]:
        """One integer or string for each of n rows."""
        ...

    def matches(self, key: str) -> NDArray[Any] | None:
        """(n,) or (k, 2) row numbers; None if the column is empty."""
        ...


@dataclass(frozen=True)
class SideKeys:
    """Where the data of one modality is.

    Attributes:
        vectors: key of the vectors.
        names: key of the names, or None.
        factors: name of each factor to its key.
        provenance: where the vectors come from; the values themselves.
    """

    vectors: str
    names: str | None = None
    factors: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MatchKeys:
    """Where the matches of two modalities are.

    Attributes:
        key: of the array.
        own: the modality from which the matches are listed.
        other: the modality that it matches.
        many: whether the array is (k, 2); None if its shape decides.
    """

    key: str
    own: str
    other: str
    many: bool | None = None


@dataclass(frozen=True)
class Layout:
    """The keys of each modality, in order, and of the matches."""

    sides: Mapping[str, SideKeys]
    matches: Sequence[MatchKeys] = ()


def names_key(modality: str) -> str:
    """The key of the names of a modality."""
    return f"{NAMES}.{modality}"


def factor_key(modality: str, name: str) -> str:
    """The key of a factor of a modality."""
    return f"{FACTORS}.{modality}.{name}"


def match_key(own: str, other: str) -> str:
    """The key of the matches of two modalities."""
    return f"{MATCHES}.{own}.{other}"


def current(
    names: Collection[str], modalities: Sequence[str], metadata: Mapping[str, str], source: str
) -> Layout:
    """The layout of the present version.

    Args:
        names: every key of the file.
        modalities: those that the file lists.
        metadata: of the file.
        source: what messages call the file.

    Raises:
        FileError: a listed modality without vectors, or a key of a modality that is not listed.
    """
    for modality in modalities:
        if modality not in names:
            raise FileError(
                f"{source}: must hold the vectors of every modality that it lists"
                f" ({', '.join(modalities)}); found none of {quoted(modality)}"
            )
    for key in sorted(names):
        kind, _, rest = key.partition(".")
        if kind in (NAMES, FACTORS) and rest:
            _check_known([rest.partition(".")[0]], key, modalities, source)
    sides = {
        modality: side_keys(names, modality, modality, prefixed(metadata, f"{modality}."))
        for modality in modalities
    }
    return Layout(sides, match_keys(names, modalities, source))


def side_keys(
    names: Collection[str], modality: str, vectors: str, provenance: Mapping[str, str]
) -> SideKeys:
    """The keys of one modality that the file has."""
    key, prefix = names_key(modality), factor_key(modality, "")
    factors = {each.removeprefix(prefix): each for each in sorted(names) if each.startswith(prefix)}
    return SideKeys(vectors, key if key in names else None, factors, provenance)


def match_keys(names: Iterable[str], modalities: Collection[str], source: str) -> list[MatchKeys]:
    """Every ``matches.A.B`` of a file.

    Raises:
        FileError: one that does not name two modalities of the file.
    """
    result = []
    for key in sorted(names):
        kind, _, rest = key.partition(".")
        if kind != MATCHES or not rest:
            continue
        two = rest.split(".")
        if len(set(two)) != 2 or len(two) != 2:
            raise FileError(
                f"{source}: {quoted(key[:80])} must name two different modalities, as matches.A.B"
            )
        _check_known(two, key, modalities, source)
        result.append(MatchKeys(key, two[0], two[1]))
    return result


def prefixed(metadata: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The metadata whose keys start with ``prefix``, without it."""
    return {
        key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)
    }


def _check_known(these: Sequence[str], key: str, modalities: Collection[str], source: str) -> None:
    for modality in these:
        if modality not in modalities:
            raise FileError(
                f"{source}: {quoted(key[:80])} must name modalities of the file"
                f" ({', '.join(modalities)}); found {quoted(modality[:40])}"
            )
