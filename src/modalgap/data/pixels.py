"""Decode any image file to RGB pixels, as a viewer shows them."""

from __future__ import annotations

import io
import math
import warnings

import numpy as np
from PIL import Image

from modalgap.data.plugins import prepare
from modalgap.errors import FileError

MOST_PIXELS = 178_956_970  # Pillow's limit for a "decompression bomb"
MOST_STRETCHED = 100  # limit of the aspect ratio: models resize the shorter side to a fixed length
BAND = 2**22  # pixels that are converted at once
PROGRAMS = ("EPS",)  # formats whose files Pillow runs, with Ghostscript
MOST_IN_FORMAT = {"WEBP": 89_478_485}
TILE = (322, 323)  # tags of TIFF: width and height of a tile
LARGEST_TILE = 2**24  # pixels
WIDE_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")


PNG = b"\x89PNG\r\n\x1a\n"
ORIENTATION = 0x0112  # tag of Exif
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
REMARKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"tIME", b"hIST", b"sPLT", b"pHYs")


def decode(found: bytes | Image.Image) -> Image.Image:
    """Decode the bytes of any format that Pillow reads to an upright RGB image.

    The orientation in the metadata is applied; transparency is put on white; 16-bit grey keeps its
    8 highest bits (Pillow's own conversion would clip it to white); CMYK, palettes and grey become
    RGB; of an animation the first frame is used. Damaged or too long text chunks in a PNG are
    ignored.

    Raises:
        FileError: not an image, truncated, too many pixels, or too narrow; or its plug-in is not
            installed.
    """
    try:
        return _decode(found)
    except FileError as error:
        if not isinstance(found, bytes):
            raise
        if lacks := prepare(found):
            raise FileError(lacks) from error
        plain = _without_remarks(found)
        if plain is None:
            raise
    return _decode(plain)


def _decode(found: bytes | Image.Image) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata; the pixels are checked here
            if isinstance(found, bytes):
                prepare(found)
            image = Image.open(io.BytesIO(found)) if isinstance(found, bytes) else found
            if image.format in PROGRAMS:
                raise FileError("must be an image; it is a program in PostScript")
            _check_shape(*image.size)
            _check_memory(image)
            image.load()
            _check_shape(*image.size)  # of an icon the size is known now
            turn = _turn(image)
            plain = _rgb(image)
            if turn is not None:
                return plain.transpose(turn)
            return image.copy() if plain is image else plain  # without the file it was read from
    except FileError:
        raise
    except MemoryError as error:
        raise FileError("must fit in memory") from error
    except Exception as error:  # decoders document few of the errors that damaged bytes cause
        message = " ".join(str(error).split())
        reason = (
            message if message and "BytesIO" not in message else "not an image that Pillow reads"
        )
        raise FileError(reason[:160]) from error


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What turns the image upright by its metadata; None if nothing, or if these are damaged."""
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # any error of damaged metadata; the pixels are already read
        return None


def _without_remarks(found: bytes) -> bytes | None:
    """A PNG without chunks that no pixel depends on; None if it has none, or is not a PNG."""
    if not found.startswith(PNG):
        return None
    kept, at, left = [PNG], len(PNG), False
    while at + 12 <= len(found):
        end = at + 12 + int.from_bytes(found[at : at + 4], "big")
        if end > len(found):
            break
        if found[at + 4 : at + 8] in REMARKS:
            left = True
        else:
            kept.append(found[at:end])
        at = end
    return b"".join([*kept, found[at:]]) if left else None


def _check_shape(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise FileError(f"must have at most {MOST_PIXELS} pixels; declares {width} x {height}")
    if max(width, height) > MOST_STRETCHED * min(width, height):
        raise FileError(
            f"its aspect ratio must be at most {MOST_STRETCHED}; it is {width} x {height}"
        )


def _check_memory(image: Image.Image) -> None:
    """Refuse images whose decoders need much more memory than their pixels.

    That of WebP has four copies of them. TIFF is decoded in tiles, which can be larger than the
    image.
    """
    width, height = image.size
    most = MOST_IN_FORMAT.get(image.format or "", MOST_PIXELS)
    if width * height > most:
        raise FileError(
            f"must have at most {most} pixels in {image.format}; declares {width} x {height}"
        )
    tags = getattr(image, "tag_v2", {})
    tile = [int(tags.get(tag) or 1) for tag in TILE]
    if math.prod(tile) > max(LARGEST_TILE, 4 * width * height):
        raise FileError(f"its tiles must not be larger; a tile has {tile[0]} x {tile[1]} pixels")


def _rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, made in bands: one more copy of a large image may not fit in memory."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise FileError("must have integer pixels; has floating point")
    width, height = image.size
    found = Image.new("RGB", image.size)
    step = max(1, BAND // width)
    for top in range(0, height, step):
        band = image.crop((0, top, width, min(top + step, height)))
        found.paste(_rgb_band(band), (0, top))
    return found


def _rgb_band(image: Image.Image) -> Image.Image:
    if image.mode in WIDE_GREY:
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 0xFFFF:
            raise FileError("must have at most 16 bits of grey; has more")
        return Image.fromarray((wide >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
