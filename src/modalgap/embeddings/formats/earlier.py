"""The layout of files of versions 1 and 2, and of files that other programs write.

They hold at most two modalities, in two places called ``image`` and ``text``, whatever the
modalities are. Nothing is written in this layout.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from modalgap.embeddings.formats import layout
from modalgap.embeddings.formats.layout import MATRIX, STRINGS, Columns, Layout, MatchKeys, SideKeys
from modalgap.errors import FileError, quoted

PLACES = ("image", "text")
ALIASES = {
    "image": (
        "image", "images", "img", "img_emb", "image_emb", "image_embeds",
        "image_embeddings", "image_features",
    ),
    "text": (
        "text", "texts", "txt", "text_emb", "text_embeds", "text_embeddings", "text_features",
        "caption_embeddings", "captions_embeddings",
    ),
}  # fmt: skip
MATCHES = {  # key: from which place to which, and whether the array is (k, 2)
    "text_to_image": ("text", "image", False),
    "labels": ("image", "text", False),
    "pairs": ("image", "text", True),
}
TABLE_MATCHES = MATCHES | {"pairs": ("text", "image", True)}  # in a table, along the texts


def layout_of(
    file: Columns, metadata: Mapping[str, str], source: str, *, table: bool = False
) -> Layout:
    """The layout of a file of an earlier version, or of another program.

    A file of another program may also use the keys ``names.NAME``, ``factors.NAME.FACTOR`` and
    ``matches.A.B`` of the present version.

    Args:
        file: its keys.
        metadata: of a file of ours; empty for another program.
        source: what messages call the file.
        table: whether the file is a table.

    Raises:
        FileError: neither place has vectors, or one array has two keys.
    """
    names = file.names()
    vectors = {
        place: key
        for place in PLACES
        if (key := _vectors(ALIASES[place], file, source)) is not None
    }
    if not vectors:
        raise _nothing(source, sorted(names))
    modality = _modalities(vectors, metadata, source)
    sides = {}
    for place, key in vectors.items():
        name = f"{place}_name" if table else f"{place}_names"
        prefix = f"{place}_factor_"
        found = SideKeys(
            key,
            name if name in names else None,
            {each.removeprefix(prefix): each for each in sorted(names) if each.startswith(prefix)},
            layout.prefixed(metadata, f"{place}."),
        )
        sides[modality[place]] = found if metadata else _with_current(found, place, names, source)
    matches = [
        MatchKeys(key, modality[own], modality[other], many)
        for key, (own, other, many) in (TABLE_MATCHES if table else MATCHES).items()
        if key in names
    ]
    if not metadata:
        matches += layout.match_keys(names, sides, source)
    return Layout(sides, matches)


def _vectors(aliases: Sequence[str], file: Columns, source: str) -> str | None:
    """The one alias that the file uses, or None; captions as plain strings do not count."""
    present = [key for key in aliases if key in file.names()]
    present = [key for key in present if file.kind(key) != STRINGS]
    if len(present) > 1:
        present = [key for key in present if file.kind(key) == MATRIX]
    if len(present) > 1:
        raise _twice(source, present)
    return present[0] if present else None


def _modalities(
    present: Collection[str], metadata: Mapping[str, str], source: str
) -> dict[str, str]:
    """The modality of each place; an empty place gets a name that is not in use."""
    result = {place: metadata.get(f"{place}_modality", place) for place in present}
    if len(set(result.values())) < len(result):
        both = next(iter(result.values()))
        raise FileError(
            f"{source}: the two modalities must have two names; both are {quoted(both[:80])}"
        )
    for place in PLACES:
        if place not in result:
            result[place] = next(each for each in (place, *PLACES) if each not in result.values())
    return result


def _with_current(found: SideKeys, modality: str, names: Collection[str], source: str) -> SideKeys:
    """The keys of a modality, extended by those of the present version."""
    new = layout.side_keys(names, modality, found.vectors, found.provenance)
    if found.names and new.names:
        raise _twice(source, [found.names, new.names])
    for factor in sorted(set(new.factors) & set(found.factors)):
        raise _twice(source, [found.factors[factor], new.factors[factor]])
    return replace(new, names=found.names or new.names, factors={**found.factors, **new.factors})


def _twice(source: str, keys: Sequence[str]) -> FileError:
    shown = " and ".join(key[:80] for key in keys)
    return FileError(f"{source}: must hold each array under one name only; found {shown}")


def _nothing(source: str, found: Sequence[str]) -> FileError:
    """The error for a file with neither modality."""
    shown = ", ".join(repr(name[:40]) for name in found[:8]) or "nothing"
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return FileError(
        f"{source}: must hold vectors under 'image' or 'text' (or a usual name such as"
        f" 'image_embeds', 'text_features'); found {shown}{more}"
    )
