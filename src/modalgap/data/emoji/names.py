"""Names of emoji, and the attributes in a name: skin tone, gender, hair, direction, colour.

Names are the English short names of Unicode's CLDR, in lower case and without punctuation: "woman
firefighter medium dark skin tone". The package ``emoji`` has them for every sequence of code points
that Unicode recommends, with names in further languages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from modalgap.errors import OptionError
from modalgap.extras import import_extra

NONE, MIXED, PERSON = "none", "mixed", "person"
TONES = ("light", "medium light", "medium", "medium dark", "dark")
COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white", "grey", "pink",
)  # fmt: skip
DIRECTIONS = (
    "left", "right", "up", "down", "leftwards", "rightwards", "upwards", "downwards",
)  # fmt: skip
PEOPLE = {
    "woman": "woman", "women": "woman", "girl": "woman",
    "man": "man", "men": "man", "boy": "man",
    "person": "person", "people": "person", "adult": "person", "child": "person",
}  # fmt: skip
ATTRIBUTES = ("skin_tone", "gender", "hair", "direction", "colour")
HAIR = ("red hair", "curly hair", "white hair", "blond hair", "bald", "beard")
GROUPS = ("kiss", "family", "couple with heart")
NOT_DIRECTIONS = ("upside down", "left luggage", "rolled up")
NOT_COLOURS = ("white cane",)
LANGUAGES = (
    "ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh",
)  # fmt: skip
_TONE = re.compile(r" ?\b(medium light|medium dark|light|medium|dark) skin tone\b")
_FLAG = re.compile(r"1f1[ef][0-9a-f]-1f1[ef][0-9a-f]")


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """What a name says.

    Attributes:
        object: the name without the attributes below: "firefighter".
        skin_tone: one of ``TONES``, "mixed" for two different ones, or "none".
        gender: "woman", "man", "person", "mixed" or "none".
        hair: one of ``HAIR``, or "none".
        direction: words of ``DIRECTIONS``, or "none".
        colour: words of ``COLOURS``, "light blue", or "none".
    """

    object: str
    skin_tone: str = NONE
    gender: str = NONE
    hair: str = NONE
    direction: str = NONE
    colour: str = NONE


def attributes(name: str) -> Attributes:
    """Split a name into an object and attributes.

    Args:
        name: words in lower case, separated by spaces.
    """
    rest, skin = _skin_tone(name)
    rest, hair = _hair(rest)
    rest, gender = _gender(rest)
    rest, direction = _direction(rest)
    rest, colour = _colour(rest)
    return Attributes(
        object=rest or name,
        skin_tone=skin,
        gender=gender,
        hair=hair,
        direction=direction,
        colour=colour,
    )


def described(said: Attributes, named: Collection[str]) -> str:
    """The object, with the attributes in ``named``: "woman firefighter dark skin tone".

    Args:
        said: the attributes of a thing; those that are "none" are not mentioned.
        named: names of attributes.
    """
    gender, colour, hair, direction, skin = (
        "" if name not in named or getattr(said, name) == NONE else getattr(said, name)
        for name in ("gender", "colour", "hair", "direction", "skin_tone")
    )
    thing = said.object
    if gender and thing.partition(" ")[0] == PERSON:  # "man in tuxedo", not "man person in tuxedo"
        thing = thing.removeprefix(PERSON).strip()
    words = (gender, colour, thing, hair, direction, f"{skin} skin tone" if skin else "")
    return " ".join(word for word in words if word)


def _skin_tone(name: str) -> tuple[str, str]:
    found = set(_TONE.findall(name))
    rest = _TONE.sub("", name).strip()
    if not found or not rest:  # the sample of a skin tone is an object
        return name, NONE
    return rest, found.pop() if len(found) == 1 else MIXED


def _hair(name: str) -> tuple[str, str]:
    if name.partition(" ")[0] in PEOPLE:
        for each in HAIR:
            if f" {each}" in name:
                return name.replace(f" {each}", "", 1), each
    return name, NONE


def _gender(name: str) -> tuple[str, str]:
    words = name.split()
    if words[:3] == ["woman", "and", "man"]:
        return " ".join(words[3:]), MIXED
    if name in ("girl", "boy"):
        return "child", PEOPLE[name]
    if words[0] in PEOPLE and words[0] not in ("girl", "boy", "child", "adult"):
        rest = words[1:]
        if not rest or rest[0] in ("in", "with"):
            rest = ["person", *rest]
        return " ".join(rest), PEOPLE[words[0]]
    end = len(words)
    while end > 1 and words[end - 1] in PEOPLE:
        end -= 1
    if end == len(words):
        return name, NONE
    found = {PEOPLE[word] for word in words[end:]}
    gender = found.pop() if len(found) == 1 else MIXED
    before = " ".join(words[:end])
    return before if before in GROUPS else f"{before} person", gender


def _direction(name: str) -> tuple[str, str]:
    if any(f" {each}" in f" {name}" for each in NOT_DIRECTIONS):
        return name, NONE
    words = name.replace(" facing right", " right").replace(" facing left", " left").split()
    found = [word for word in words if word in DIRECTIONS]
    rest = [word for word in words if word not in DIRECTIONS]
    return (" ".join(rest), " ".join(found)) if found and rest else (name, NONE)


def _colour(name: str) -> tuple[str, str]:
    words = name.split()
    found = [i for i, word in enumerate(words) if word in COLOURS]
    if len(found) != 1 or any(f" {each}" in f" {name}" for each in NOT_COLOURS):
        return name, NONE
    last = found[0]
    if last == len(words) - 1 or words[last + 1] == "hair":
        return name, NONE
    first = last - 1 if last and words[last - 1] in ("light", "dark") else last
    return " ".join([*words[:first], *words[last + 1 :]]), " ".join(words[first : last + 1])


# names of code points -----------------------------------------------------------------------------


def words_of(text: str) -> str:
    """A name in lower case without accents and punctuation: "cote divoire"."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "").replace("'", ""))
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    return " ".join(re.findall(r"[a-z0-9]+", plain.replace("#", "hash").lower()))


def unicode_names() -> ModuleType:
    """Import the package ``emoji``.

    Raises:
        InputError: it is not installed.
    """
    found: ModuleType = import_extra("emoji", "emoji", "emoji")
    return found


def check_languages(languages: Sequence[str]) -> tuple[str, ...]:
    """Check codes of languages.

    Raises:
        OptionError: an unknown code, or one twice.
    """
    for each in languages:
        if each not in LANGUAGES:
            raise OptionError.unknown("language", str(each), LANGUAGES)
    if len(set(languages)) < len(languages):
        raise OptionError(f"languages: must be distinct; got {', '.join(languages)}")
    return tuple(languages)


@cache
def _known() -> Mapping[str, Mapping[str, Any]]:
    """Code points, without the variation selector, to names by language."""
    found: dict[str, Mapping[str, Any]] = {}
    for text, names in unicode_names().EMOJI_DATA.items():
        codes = "-".join(f"{ord(each):x}" for each in text if each != "\ufe0f")
        # of several spellings of one emoji, the complete one has the better names
        if codes not in found or names["status"] == unicode_names().STATUS["fully_qualified"]:
            found[codes] = names
    return found


def name_of(codes: str) -> str | None:
    """The English name of code points; None if Unicode does not list them."""
    found = _known().get(codes)
    if found is None:
        return None
    text = str(found["en"]).strip(":").replace("_", " ").replace("*", "asterisk")
    return f"flag {words_of(text)}" if _FLAG.fullmatch(codes) else words_of(text)


def gender_of(codes: str) -> str:
    """The gender that code points state: that of "merman" or "ballet dancer", or "none"."""
    points = codes.split("-")
    for sign, gender in (("2640", "woman"), ("2642", "man"), ("1f9d1", PERSON)):
        if sign in points[1:] or points[0] == sign == "1f9d1":
            return gender
    return NONE


def translated(codes: str, language: str) -> str:
    """The name of code points in a language, as CLDR writes it; empty if there is none."""
    unicode_names().config.load_language(language)
    found = _known().get(codes, {}).get(language, "")
    return unicodedata.normalize("NFC", str(found).strip(":").replace("_", " "))
