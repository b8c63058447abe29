"""Items: what to encode if items have several modalities: ``Modalities`` before encoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from modalgap.arguments import checked
from modalgap.data.media import Chosen, Documents, Kind, Media
from modalgap.data.source import Source, check_media, check_unicode
from modalgap.errors import InputError, OptionError, quoted
from modalgap.modality import listed

VIDEO = "video"  # the rows of one item are frames; after encoding, an item is their mean


@checked
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Items:
    """The items of several modalities, and which rows belong to one item.

    Args:
        name: its name: a path, or the name of a data set.
        sides: maps the name of each modality to its media, in order. Texts are ``Documents``.
        ids: maps the same names to the item id of each row, (n,) strings. Rows of one id belong to
            one item. An item may lack a modality, and may have several rows of one.
        means: modalities whose rows of one item become their mean after encoding: frames.
        provenance: facts to store with the vectors: data set, split, revision ...
        missing: rows that the source lists but does not have, with the reason.
        files: files that were read besides those of the media; the output must not replace them.
        rule: the layout that was read, in a few words.
        notes: what a reader detected, one short sentence each.
        unused: files and columns that were found but not read, with the reason.

    Raises:
        InputError: no modality, a name with a dot, ids that do not fit, or a value of a wrong type.
    """

    name: str
    sides: Mapping[str, Media]
    ids: Mapping[str, Sequence[str]]
    means: Sequence[str] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[tuple[str, str], ...] = ()
    files: tuple[Path, ...] = ()
    rule: str = ""
    notes: tuple[str, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not any(len(media) for media in self.sides.values()):
            raise InputError(f"{self.name}: must hold items of at least one modality; found none")
        for side, media in self.sides.items():
            if not side or "." in side:
                raise InputError(
                    f"{self.name}: the name of a modality must not be empty and have no dot, which"
                    f" separates names in results; got {quoted(side)}"
                )
            check_unicode(side, f"{self.name}: a modality")
            check_media(media, f"{self.name}: {side}")
            ids = self.ids.get(side)
            if ids is None or len(ids) != len(media):
                found = "none" if ids is None else str(len(ids))
                raise InputError(
                    f"{self.name}: {side} must have an item id for each of its {len(media)} rows;"
                    f" got {found}"
                )
            wrong = next((each for each in ids if not isinstance(each, str)), None)
            if wrong is not None:
                found = type(wrong).__name__
                raise InputError(f"{self.name}: item ids must be strings; one is {found}")
        for side in (*self.ids, *self.means):
            if side not in self.sides:
                raise OptionError.unknown(f"modality of {self.name}", str(side), list(self.sides))

    def __repr__(self) -> str:
        sides = [f"{len(media)} {side}" for side, media in self.sides.items()]
        return f"Items({self.name!r}, {listed(sides)})"

    @property
    def kinds(self) -> dict[str, Kind]:
        """Maps the name of each modality to the kind of its media: image, audio or text."""
        return {side: media.kind for side, media in self.sides.items()}

    @property
    def items(self) -> list[str]:
        """The id of each item once, in the order of the modalities and their rows."""
        return list(dict.fromkeys(each for side in self.sides for each in self.ids[side]))

    @property
    def incomplete(self) -> dict[str, int]:
        """Maps the name of each modality to the number of items that lack it."""
        total = len(self.items)
        return {side: total - len(set(self.ids[side])) for side in self.sides}

    def only(self, names: Iterable[str]) -> Items:
        """The modalities ``names``, in the order of ``sides``.

        Raises:
            OptionError: a modality that does not exist.
        """
        wanted = list(names)
        for each in wanted:
            if each not in self.sides:
                raise OptionError.unknown(f"modality of {self.name}", each, list(self.sides))
        kept = [side for side in self.sides if side in wanted]
        return replace(
            self,
            sides={side: self.sides[side] for side in kept},
            ids={side: self.ids[side] for side in kept},
            means=tuple(side for side in self.means if side in kept),
        )

    def limited(self, limit: int, seed: int) -> Items:
        """A random sample of ``limit`` items, in their order, with all their rows."""
        every = self.items
        if limit >= len(every):
            return self
        picked = np.random.default_rng(seed).choice(len(every), limit, replace=False)
        kept = {every[i] for i in picked}
        rows = {
            side: np.array([i for i, each in enumerate(ids) if each in kept], np.int64)
            for side, ids in self.ids.items()
        }
        return replace(
            self,
            sides={side: Chosen(self.sides[side], index) for side, index in rows.items()},
            ids={side: [self.ids[side][i] for i in index] for side, index in rows.items()},
            provenance={
                **self.provenance,
                "sample": f"{limit} of {len(every)} items, seed {seed}",
            },
        )

    @classmethod
    def of(cls, source: Source) -> Items:
        """The media and captions of a source of two modalities; each medium is an item.

        The id of an item is the name of the medium, or its number where names repeat. A caption of
        several media has one row for each of them.

        Raises:
            InputError: a source of class names, which are no items.
        """
        if source.labels is not None:
            raise InputError(
                f"{source.name}: classes are no items; models by modality need captions or media"
            )
        sides: dict[str, Media] = {}
        ids: dict[str, Sequence[str]] = {}
        texts = source.texts
        owner = list(range(len(texts or ())))
        names = [str(i) for i in owner]
        if source.media is not None:
            called = list(source.media.names)
            unique = len(set(called)) == len(called)
            names = called if unique else [str(i) for i in range(len(called))]
            sides[source.modality], ids[source.modality] = source.media, names
        if texts is not None:
            if source.media is not None:
                media_rows, text_rows = source.matches.T
                owner, texts = media_rows.tolist(), [texts[i] for i in text_rows]
            own = [names[i] for i in owner]
            sides[source.text_modality] = Documents(list(texts), own)
            ids[source.text_modality] = own
        return cls(
            name=source.name,
            sides=sides,
            ids=ids,
            provenance=source.provenance,
            missing=source.missing,
            files=source.files,
            rule=source.rule,
            notes=source.notes,
            unused=source.unused,
        )
