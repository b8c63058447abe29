"""Any image file to the RGB pixels that people see."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

from modalgap.errors import FileError

MOST_PIXELS = 178_956_970  # Pillow's own limit for what it calls a decompression bomb
MOST_STRETCHED = 100  # models resize the shorter side to a fixed length: the other must stay finite
WIDE_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def decode(found: bytes | Image.Image) -> Image.Image:
    """An RGB image, upright, from the bytes of any format that Pillow reads.

    The orientation that a camera notes is applied; transparency is laid on white; 16-bit grey
    keeps its 8 highest bits (Pillow's own conversion would clip it to white); CMYK, palettes and
    grey become RGB; of an animation the first frame counts.

    Raises:
        FileError: not an image, cut short, too many pixels, or too narrow.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata; what matters is checked here
            image = Image.open(io.BytesIO(found)) if isinstance(found, bytes) else found
            _check_shape(*image.size)
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except FileError:
        raise
    except MemoryError as error:
        raise FileError("must fit in memory") from error
    except Exception as error:  # decoders document few of the errors that damaged bytes cause
        said = " ".join(str(error).split())
        reason = said if said and "BytesIO" not in said else "not an image that Pillow reads"
        raise FileError(reason[:160]) from error


def _check_shape(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise FileError(f"must have at most {MOST_PIXELS} pixels; declares {width} x {height}")
    if max(width, height) > MOST_STRETCHED * min(width, height):
        raise FileError(
            f"its sides must differ at most {MOST_STRETCHED} times; it is {width} x {height}"
        )


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in WIDE_GREY:
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 0xFFFF:
            raise FileError("must have at most 16 bits of grey; has more")
        return Image.fromarray((wide >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise FileError("must have whole numbers for pixels; has floating point")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
