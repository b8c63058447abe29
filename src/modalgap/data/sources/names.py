"""Common names of columns and fields in data sets of images and captions, most specific first."""

from __future__ import annotations

import re

IMAGES = (
    "jpg", "jpeg", "png", "webp", "image", "img", "images", "image_bytes", "img_bytes",
    "image_data", "jpg;png", "jpg;jpeg;png", "jpg;png;webp", "pixel_values", "picture", "photo",
    "bytes", "content", "audio", "wav", "flac", "mp3", "ogg", "sound",
)  # fmt: skip
SURE_IMAGES = ("jpg", "jpeg", "png", "webp", "image", "images", "img", "image_bytes", "audio")
SOUNDS = ("audio", "wav", "flac", "mp3", "ogg", "opus", "sound")
CAPTIONS = (
    "caption", "captions", "text", "texts", "txt", "sentences", "sentence", "sentences_raw",
    "raw", "title", "re_caption", "recaption", "long_caption", "short_caption", "caption_text",
    "image_caption", "caption_en", "en_caption", "alt_text", "alttext", "alt", "description",
    "descriptions", "prompt", "answer", "answers", "comment",
)  # fmt: skip
SURE_CAPTIONS = ("caption", "captions", "text")
LABELS = ("label", "labels", "class", "class_name", "classname")
KEYS = ("key", "id", "__key__", "name", "filename", "file_name", "url", "uid", "img_id", "image_id")
ADDRESSES = ("url", "image_url", "img_url", "urls", "coco_url", "flickr_url")
_NUMBERED = re.compile(r"^(.*?)[_\-. ]?([0-9]{1,2})$")
_NUMBERED_CAPTIONS = ("caption", "sentence", "text", "description", "raw", "title", "answer")
_NUMBERED_IMAGES = ("image", "img", "jpg", "png", "photo", "picture")


def numbered_captions(names: list[str]) -> list[str]:
    """Columns such as ``caption_0`` … ``caption_4``, in order; an empty list for fewer than two."""
    return _numbered(names, _NUMBERED_CAPTIONS)


def numbered_images(names: list[str]) -> list[str]:
    """Columns such as ``image_0`` and ``image_1``; an empty list for fewer than two."""
    return _numbered(names, _NUMBERED_IMAGES)


def _numbered(names: list[str], stems: tuple[str, ...]) -> list[str]:
    for stem in stems:
        found = []
        for name in names:
            match = _NUMBERED.match(name.strip().lower())
            if match and match[1] in (stem, f"{stem}s"):
                found.append((int(match[2]), name))
        if len(found) > 1:
            return [name for _, name in sorted(found)]
    return []
