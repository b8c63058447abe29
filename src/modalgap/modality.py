"""Names of modalities in sentences.

Cards and reasons are written for images and texts. ``spoken`` replaces these words by the names of
the actual modalities, so that audio is not called an image.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def legible(name: str, longest: int = 24) -> str:
    """A name as a label: printable, on one line, not too long."""
    clean = "".join(each if each.isprintable() else "·" for each in name)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def plural(name: str) -> str:
    """The plural noun for items of a modality."""
    return {"image": "images", "text": "texts"}.get(name, f"{legible(name)} items")


def several(name: str) -> str:
    """The plural as a part of a number's name: "images", "audio"."""
    return {"image": "images", "text": "texts"}.get(name, name)


def dimensions(count: int) -> str:
    """A number of dimensions in words: "1 dimension", "512 dimensions"."""
    return f"{count} dimension{'' if count == 1 else 's'}"


def article(name: str) -> str:
    """The name with its article."""
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def spoken(sentence: str, modalities: Sequence[str]) -> str:
    """Rewrite a sentence about images and texts for two other modalities.

    Args:
        sentence: such as "the cosine between an image and its own text".
        modalities: the first and the second; a single one, or image and text, changes nothing.
    """
    if len(modalities) != 2 or tuple(modalities) == ("image", "text"):
        return sentence
    names = dict(zip(("image", "text"), modalities, strict=True))

    def replacement(found: re.Match[str]) -> str:
        before, word, more = found[1] or "", found[2], found[3]
        name = plural(names[word.lower()]) if more else legible(names[word.lower()])
        name = name.capitalize() if word[0].isupper() else name
        if before.lower().strip() in ("a", "an"):
            return article(name) if before[0].islower() else article(name).capitalize()
        return before + name

    return re.sub(r"\b(an? )?([Ii]mage|[Tt]ext)(s?)\b(?![_(=])", replacement, sentence)


def listed(words: Sequence[str]) -> str:
    """Words in a sentence: "image, text and audio"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def span(low: str, high: str) -> str:
    """Two numbers as they are shown: "1 to 2", or "1" if both look the same."""
    return low if low == high else f"{low} to {high}"
