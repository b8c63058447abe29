"""The rows of the data set: a picture, its captions at several levels of detail, its factors."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray
from PIL import Image

from modalgap.data.emoji import names
from modalgap.data.emoji.packages import Icon
from modalgap.data.emoji.things import Thing

FACTORS = (
    "thing", "style", "category", "object", "skin_tone", "gender", "hair", "direction", "colour",
)  # fmt: skip
CAPTIONS = (
    "caption", "caption_object", "caption_attribute_1", "caption_attribute_2", "caption_style",
)  # fmt: skip


def key_of(icon: Icon) -> str:
    """The name of a picture in the data set."""
    return f"{icon.style}/{icon.name}"


def schema_of(languages: Sequence[str]) -> pa.Schema:
    """The columns, with their types as the library ``datasets`` stores them."""
    texts = ("key", *CAPTIONS, *(f"caption_{each}" for each in languages), *FACTORS)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    features |= {name: {"dtype": "string", "_type": "Value"} for name in texts}
    schema = pa.schema([("image", image), *((name, pa.string()) for name in texts)])
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def row_of(
    thing: Thing, icon: Icon, pixels: NDArray[np.uint8], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The row of a picture.

    Args:
        thing: what it shows.
        icon: its description.
        pixels: (size, size, 3).
        settings: of the data set.
    """
    style = icon.style
    said = thing.attributes
    # the attributes that a caption names depend on the picture only, not on the others
    seed = xxhash.xxh3_64_intdigest(f"{thing.key} {style} {settings['seed']}".encode())
    there = [each for each in names.ATTRIBUTES if getattr(said, each) != names.NONE]
    drawn = np.random.default_rng(seed).permutation(there).tolist()
    languages = settings["languages"]
    return {
        "image": {"bytes": _png(pixels), "path": f"{key_of(icon)}.png"},
        "key": key_of(icon),
        "caption": thing.name,
        "caption_object": said.object,
        "caption_attribute_1": names.described(said, drawn[:1]),
        "caption_attribute_2": names.described(said, drawn[:2]),
        "caption_style": f"{thing.name} drawn by {style.replace('-', ' ')}",
        **{f"caption_{each}": names.translated(thing.key, each) for each in languages},
        "thing": thing.key,
        "style": style,
        "category": thing.category,
        **asdict(said),
    }


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
