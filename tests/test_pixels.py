"""Any image file to the pixels that people see, or to one line of reason."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from modalgap import errors
from modalgap.data import Pixels, pixels

RED, BLUE = (255, 0, 0), (0, 0, 255)


def stored(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def half(left: tuple[int, int, int] = RED, right: tuple[int, int, int] = BLUE) -> Image.Image:
    image = Image.new("RGB", (20, 10), left)
    image.paste(right, (10, 0, 20, 10))
    return image


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 5, 5), np.uint8), "one name an image; got 3 for 2"),
        (np.zeros((3, 5, 5)), "an array of unsigned bytes; got float64"),
        ([[1]], "an array of unsigned bytes; got list"),
        (np.zeros((3, 5, 5, 2), np.uint8), "must be .n, h, w. or"),
    ],
)
def test_arrays_that_are_no_images(array: object, reason: str) -> None:
    with pytest.raises(errors.InputError, match=reason):
        Pixels(array, list("abc"))  # type: ignore[arg-type]


def test_plain_pixels_are_left_alone() -> None:
    values = np.random.default_rng(0).integers(0, 255, (7, 9, 3), np.uint8)
    found = pixels.decode(stored(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(np.asarray(found), values)


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, RED), (2, BLUE), (3, BLUE), (6, RED), (8, BLUE)],
)
def test_cameras_orientation_is_applied(orientation: int, corner: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels.decode(stored(half(), "PNG", exif=exif))
    assert found.getpixel((0, 0)) == corner
    assert found.size == ((10, 20) if orientation in (6, 8) else (20, 10))


def test_transparency_lies_on_white() -> None:
    layer = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    layer.putpixel((0, 0), (255, 0, 0, 255))
    found = pixels.decode(stored(layer, "PNG"))
    assert found.getpixel((0, 0)) == RED
    assert found.getpixel((3, 3)) == (255, 255, 255)
    grey = Image.new("LA", (2, 2), (0, 0))
    assert pixels.decode(stored(grey, "PNG")).getpixel((0, 0)) == (255, 255, 255)
    palette = half().convert("P")
    found = pixels.decode(stored(palette, "PNG", transparency=palette.getpixel((0, 0))))
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert found.getpixel((19, 0)) == BLUE
    keyed = stored(half(), "PNG", transparency=RED)  # one colour of RGB declared transparent
    assert pixels.decode(keyed).getpixel((0, 0)) == (255, 255, 255)


def test_palette_cmyk_and_grey_become_rgb() -> None:
    for mode, form in (
        ("P", "GIF"),
        ("P", "PNG"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("1", "PNG"),
    ):
        source = half((250, 5, 5), (5, 5, 250)) if mode != "1" else Image.new("1", (20, 10), 1)
        found = pixels.decode(stored(source.convert(mode), form))
        assert found.mode == "RGB"
        if mode != "1":
            red, blue = np.array(found.getpixel((2, 5))), np.array(found.getpixel((17, 5)))
            assert np.abs(red - (250, 5, 5)).max() < 60, (mode, form)
            assert np.abs(blue - (5, 5, 250)).max() < 60, (mode, form)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_keep_their_highest_eight(form: str) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    found = np.asarray(pixels.decode(stored(Image.fromarray(ramp), form)))
    np.testing.assert_array_equal(found[..., 0], ramp >> 8)
    clipped = np.asarray(Image.open(io.BytesIO(stored(Image.fromarray(ramp), form))).convert("L"))
    assert form == "PNG" or clipped.max() <= 255  # what we do not rely on


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    for form in ("GIF", "WEBP", "PNG"):
        whole = stored(frames[0], form, save_all=True, append_images=frames[1:])
        red = np.array(pixels.decode(whole).getpixel((4, 4)))
        assert np.abs(red - RED).max() < 30, form


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few bytes of header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


NOISE = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
WHOLE = stored(Image.fromarray(NOISE), "JPEG")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (WHOLE[: len(WHOLE) // 2], "truncated"),
        (WHOLE[:20], "not an image|truncated"),
        (b"not an image at all", "not an image that Pillow reads"),
        (bomb(), "3600000000 pixels"),
        (stored(Image.new("RGB", (3000, 4)), "PNG"), "differ at most 100 times; it is 3000 x 4"),
        (stored(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "floating point"),
    ],
)
def test_what_cannot_be_read_has_a_reason(found: bytes, reason: str) -> None:
    with pytest.raises(errors.FileError, match=reason) as caught:
        pixels.decode(found)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
