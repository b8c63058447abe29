"""Pillow plug-ins for HEIC, JPEG XL and AVIF: loaded if installed, otherwise named in errors."""

from __future__ import annotations

import importlib
from functools import cache

from PIL import features

PACKAGES = {
    "pillow_heif": "pillow-heif",
    "pillow_jxl": "pillow-jxl-plugin",
    "pillow_avif": "pillow-avif-plugin",
}
ENDINGS = {
    ".heic": "pillow_heif",
    ".heif": "pillow_heif",
    ".hif": "pillow_heif",
    ".jxl": "pillow_jxl",
    ".avif": "pillow_avif",
}
_HEIF = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")
_JXL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")


def lacking(ending: str) -> str:
    """What to install to read files with this extension; empty if nothing is missing."""
    module = ENDINGS.get(ending.lower())
    if module is None or _ready(module):
        return ""
    return f"{ending.lower()} needs pip install {PACKAGES[module]}"


def prepare(found: bytes) -> str:
    """Load the plug-in that an image needs; return what to install if it is missing."""
    if found[4:8] == b"ftyp":
        brand = found[8:12]
        ending = ".heic" if brand in _HEIF else ".avif" if brand in _AVIF else ""
    else:
        ending = ".jxl" if found.startswith(_JXL) else ""
    return lacking(ending)


@cache
def _ready(module: str) -> bool:
    """Whether Pillow can read the format, with the plug-in registered."""
    if module == "pillow_avif" and features.check("avif"):
        return True
    try:
        found = importlib.import_module(module)
    except ImportError:
        return False
    if module == "pillow_heif":
        found.register_heif_opener()
    return True
