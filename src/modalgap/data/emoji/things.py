"""Things: the pictures of all styles, with one identifier, name and attributes per thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modalgap.data.emoji.names import (
    NONE,
    PERSON,
    Attributes,
    attributes,
    gender_of,
    name_of,
    words_of,
)
from modalgap.data.emoji.packages import Icon, Package, is_private

OTHER = "other"
TRAIN, TEST, STYLE, BOTH = SPLITS = ("train", "test", "style", "test_style")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """What a picture shows, in any style.

    Attributes:
        key: its code points in hexadecimal, joined by "-"; or its name, if Unicode has none.
        name: its English name.
        category: its category.
        attributes: its object and the attributes in its name.
    """

    key: str
    name: str
    category: str
    attributes: Attributes


@dataclass(frozen=True, eq=False)
class Pictures:
    """All pictures, ordered by name and style.

    Attributes:
        icons: the pictures.
        things: the thing of each picture.
        by_name: number of pictures whose thing was found by its name, not by code points.
    """

    icons: tuple[Icon, ...]
    things: tuple[Thing, ...]
    by_name: int

    def __len__(self) -> int:
        return len(self.icons)

    def in_styles(self) -> dict[int, int]:
        """Maps a number of styles to the number of things in as many styles."""
        found = Counter(Counter(each.key for each in self.things).values())
        return {number: found[number] for number in sorted(found, reverse=True)}

    @property
    def alone(self) -> int:
        """Number of pictures without a picture of the same thing in another style."""
        return self.in_styles().get(1, 0)

    def splits(self, share: float, style: str | None, seed: int) -> list[str]:
        """The split of each picture.

        Args:
            share: the fraction of things to hold out, at least one.
            style: the style to hold out, if any.
            seed: selects the things.

        Returns:
            "train"; "test" for held-out things; "style" for other things in the held-out style;
            "test_style" for held-out things in that style.
        """
        keys = sorted({each.key for each in self.things})
        count = min(max(1, round(share * len(keys))), len(keys) - 1)
        order = np.random.default_rng(seed).permutation(len(keys))
        held = {keys[i] for i in order[:count]}
        table = {(0, 0): TRAIN, (1, 0): TEST, (0, 1): STYLE, (1, 1): BOTH}
        return [
            table[thing.key in held, icon.style == style]
            for icon, thing in zip(self.icons, self.things, strict=True)
        ]


def pictures(packages: Sequence[Package]) -> Pictures:
    """Find the thing of each picture.

    Pictures of the same code points show the same thing. A picture without code points, or with
    private ones, shows the thing with its name, if there is one. A style that has two pictures of
    a thing keeps the first by name.

    Args:
        packages: the styles; for names that Unicode does not have, the first is decisive.
    """
    icons = [icon for package in packages for icon in package.icons]
    public = [icon for icon in icons if icon.codes and not is_private(icon.codes)]
    rest = [icon for icon in icons if not icon.codes or is_private(icon.codes)]
    names: dict[str, str] = {}
    for icon in public:
        names.setdefault(icon.codes, name_of(icon.codes) or _own_name(icon))
    keys = {name: codes for codes, name in reversed(names.items())}
    owner: dict[tuple[str, str], Icon] = {}
    by_name = 0
    known = set(names)
    for icon in (*public, *rest):
        key = icon.codes
        if key not in known:
            name = _own_name(icon)
            # names of fluent-emoji end in "dark" instead of "dark skin tone"
            key = keys.get(name) or keys.get(f"{name} skin tone") or name
            names.setdefault(key, name)
        if (key, icon.style) in owner:
            continue
        owner[key, icon.style] = icon
        by_name += icon.codes not in known and key in known
    things = _things(owner, names)
    rank = {package.style: i for i, package in enumerate(packages)}
    order = sorted(owner, key=lambda each: (names[each[0]], each[0], rank[each[1]]))
    return Pictures(
        icons=tuple(owner[each] for each in order),
        things=tuple(things[key] for key, _ in order),
        by_name=by_name,
    )


def _own_name(icon: Icon) -> str:
    return words_of(icon.name) or " ".join(icon.name.split())


def _things(owner: Mapping[tuple[str, str], Icon], names: Mapping[str, str]) -> dict[str, Thing]:
    category: dict[str, str] = {}
    for (key, _), icon in owner.items():
        if icon.category:
            category.setdefault(key, icon.category)
    said = {key: attributes(names[key]) for key, _ in owner}
    # "firefighter" is a person without a gender, because there is "woman firefighter"
    people = {each.object for each in said.values() if each.gender != NONE}
    return {
        key: Thing(
            key=key,
            name=names[key],
            category=category.get(key, OTHER),
            attributes=replace(each, gender=_gender(key, each, people)),
        )
        for key, each in said.items()
    }


def _gender(key: str, said: Attributes, people: Collection[str]) -> str:
    if said.gender != NONE:
        return said.gender
    return PERSON if said.object in people else gender_of(key)
