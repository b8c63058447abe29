"""Items that repeat: one caption, or one image, that is stored in several rows.

Two rows are one item if they have the same name and the same vector: exactly, or up to a cosine
distance of ``SAME``, since a model gives one text slightly different features in different batches.
Names alone are no proof, as two files may be called ``1.jpg``; nor are vectors alone, as a model
that has collapsed gives every item the same. Images with different factors are different items. A
text is the same text whatever its factors; factors that differ among its rows are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray

from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.matching import Ints
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.pick import pick
from modalgap.embeddings.rows import CHUNK
from modalgap.embeddings.strings import blocks, take
from modalgap.errors import InputError

SAME = 1e-4  # cosine distance up to which two rows of one name are one item
MOST = 10**8  # names among which repeats are looked for: 16 bytes of memory each


@dataclass(frozen=True, eq=False)
class Joined:
    """A pair with each item once.

    Attributes:
        pair: the pair.
        rows: modality to the row (k,) of the original that each of its rows was; only where rows
            were joined.
        unnamed: modality to the number of rows that have no name and the vector of an earlier row;
            these are not joined.
        dropped: factors of texts that differ among the rows of one text, and are left out.
        before: modality to its number of rows in the original.
        unsearched: modalities with more than ``MOST`` names, whose repeats were not looked for.
    """

    pair: Pair
    rows: Mapping[str, Ints]
    unnamed: Mapping[str, int]
    before: Mapping[str, int]
    dropped: Sequence[str] = ()
    unsearched: Sequence[str] = ()

    @property
    def note(self) -> str:
        """One sentence for people; empty where nothing repeats."""
        counts = [
            f"{self.before[modality]:,} {modality}s are {len(rows):,} distinct ones"
            for modality, rows in self.rows.items()
        ]
        parts = []
        if counts:
            parts.append(
                f"{' and '.join(counts)} (same name, same vector): repeated items count as the same"
                " answer (modalgap convert --join-repeats stores each once)"
            )
        if self.dropped:
            parts.append(
                f"factors that differ among the rows of one text are left out:"
                f" {', '.join(self.dropped)}"
            )
        parts += [
            f"{count:,} of {self.before[modality]:,} {modality}s have the vector of an earlier one"
            " and no names: they count as different items; add names, or matches (pairs), if they"
            " are the same"
            for modality, count in self.unnamed.items()
        ]
        parts += [
            f"repeated {modality}s were not looked for: hashes of {self.before[modality]:,} names"
            f" take too much memory (the limit is {MOST:,} names)"
            for modality in self.unsearched
        ]
        return "; ".join(parts)

    def about(self) -> dict[str, Any]:
        """What a result records about repeats, in plain JSON types. Empty if nothing repeats."""
        if not self.note:
            return {}
        distinct = {modality: len(rows) for modality, rows in self.rows.items()}
        counts = {"distinct": distinct, "unnamed": dict(self.unnamed)}
        return {"repeats": {**counts, "dropped": list(self.dropped), "note": self.note}}


def join_repeats(pair: Pair) -> Pair:
    """The pair with each item once: rows that repeat an item are joined, with all their matches.

    Args:
        pair: n images and m texts. Class prompts and what they classify are left as they are.

    Returns:
        The pair itself where no item repeats. Else a pair of the distinct items, in the order of
        their first rows, which match as ``pairs`` say.
    """
    return joined(pair).pair


def joined(pair: Pair) -> Joined:
    """Like ``join_repeats``, with a record of what was joined."""
    before = {side.modality: side.n for side in pair.sides}
    if pair.labels is not None:
        return Joined(pair, {}, {}, before)
    first = [_first_rows(pair.image, by_factors=True), _first_rows(pair.text, by_factors=False)]
    unsearched = [side.modality for side in pair.sides if side.names is not None and side.n > MOST]
    unnamed = {
        side.modality: count
        for side in pair.sides
        if side.names is None and (count := _alike(side))
    }
    if all(each is None for each in first):
        return Joined(pair, {}, unnamed, before, unsearched=unsearched)
    sides, places, rows, dropped = [], [], {}, []
    for side, each in zip(pair.sides, first, strict=True):
        if each is None:
            sides.append(side)
            places.append(np.arange(side.n))
            continue
        kept, place = np.unique(each, return_inverse=True)
        if len(kept) < 2:
            raise InputError(
                f"{side.source}: must hold at least two different items; all {side.n} rows are one"
                f" {side.modality}"
            )
        sides.append(_distinct(side, kept, place.reshape(-1)))
        dropped += sorted(set(side.factors) - set(sides[-1].factors))
        places.append(place.reshape(-1))
        rows[side.modality] = kept
    image, text = (index.numpy() for index in pair.matches)
    pairs = np.stack([places[0][image], places[1][text]], 1)
    return Joined(Pair(*sides, pairs=pairs), rows, unnamed, before, dropped, unsearched)


def _distinct(side: Embeddings, kept: Ints, place: Ints) -> Embeddings:
    """The rows ``kept`` (k,), where row i of the side is now row ``place[i]``."""
    found = pick(side, kept)
    factors = {
        name: values
        for name, values in found.factors.items()
        if np.array_equal(values[place], side.factors[name])
    }
    return Embeddings(found.rows, side.modality, found.names, factors, side.provenance, side.source)


def _first_rows(side: Embeddings, *, by_factors: bool) -> Ints | None:
    """(n,) the first row of the same item; None where every row is another item."""
    if side.names is None or side.n > MOST:
        return None
    named, names = _repeated_names(side.names)
    factors = side.factors.values() if by_factors else ()
    codes = _codes([names, *(values[named] for values in factors)])
    some = np.bincount(codes)[codes] > 1
    several, codes = named[some], codes[some]
    if not len(several):
        return None
    first = np.arange(side.n)
    exact = _codes([codes, _hashes(side, several)])
    first[several] = _join(side, several, exact, bits=True)
    left = first[several] == several  # distinct vectors of one name
    first[several[left]] = _join(side, several[left], codes[left], bits=False)
    first = first[first]  # what was joined to a row that was itself joined
    return None if np.array_equal(first, np.arange(side.n)) else first


def _repeated_names(names: Sequence[str]) -> tuple[Ints, NDArray[np.uint64]]:
    """Rows (k,), ascending, whose names occur more than once, and hashes (k,) of their names.

    Different names of one hash, which are very rare, are told apart by ``_same_names``; the second
    of them is then not joined with its repeats.
    """
    hashes = np.empty(len(names), np.uint64)
    for a, block in zip(range(0, len(names), CHUNK), blocks(names, CHUNK), strict=True):
        hashes[a : a + len(block)] = [xxhash.xxh3_64_intdigest(name.encode()) for name in block]
    order = np.sort(hashes)
    again = np.unique(order[1:][order[1:] == order[:-1]])
    del order
    rows = np.flatnonzero(np.isin(hashes, again))
    return rows, hashes[rows]


def _same_names(side: Embeddings, one: Ints, other: Ints) -> NDArray[np.bool_]:
    """(k,) whether two rows have the same name. Without names, they have."""
    if side.names is None:
        return np.ones(len(one), np.bool_)
    both = zip(take(side.names, one), take(side.names, other), strict=True)
    return np.array([a == b for a, b in both], np.bool_)


def _join(side: Embeddings, rows: Ints, codes: Ints, *, bits: bool) -> Ints:
    """(k,) of rows (k,): the first row of the same code if its vector is the same, else itself."""
    _, where, back = np.unique(codes, return_index=True, return_inverse=True)
    first = rows[where[back.reshape(-1)]]
    result = rows.copy()
    others = np.flatnonzero(first != rows)
    for a in range(0, len(others), CHUNK):
        part = others[a : a + CHUNK]
        ours, theirs = torch.from_numpy(rows[part]), torch.from_numpy(first[part])
        if bits:
            same = (side.rows.take(ours) == side.rows.take(theirs)).all(1)
        else:
            cosine = torch.linalg.vecdot(side.take(ours).double(), side.take(theirs).double())
            same = cosine >= 1 - SAME
        kept = part[same.numpy() & _same_names(side, rows[part], first[part])]
        result[kept] = first[kept]
    return result


def _alike(side: Embeddings) -> int:
    """How many rows have exactly the vector of an earlier row."""
    rows = np.arange(side.n)
    first = _join(side, rows, _codes([_hashes(side, rows)]), bits=True)
    return int((first != rows).sum())


def _hashes(side: Embeddings, rows: Ints) -> NDArray[np.uint64]:
    """(k,) a hash of the bytes of each row, to find equal rows among many."""
    odd = np.random.default_rng(0).integers(0, 2**63, 2 * side.dim, np.uint64) * 2 + 1
    result = np.empty(len(rows), np.uint64)
    for a in range(0, len(rows), CHUNK):
        part = side.rows.take(torch.from_numpy(rows[a : a + CHUNK])).contiguous()
        words = part.view(torch.int16 if part.element_size() == 2 else torch.int32).numpy()
        unsigned = words.astype(np.int64).astype(np.uint64)
        result[a : a + len(part)] = (unsigned * odd[: unsigned.shape[1]]).sum(1, dtype=np.uint64)
    return result


def _codes(columns: list[NDArray[Any]]) -> Ints:
    """(n,) one number for each combination of values."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, each = np.unique(column, return_inverse=True)
        code = code * len(values) + each.reshape(-1)
        code = np.unique(code, return_inverse=True)[1].reshape(-1)
    return code
