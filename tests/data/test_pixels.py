"""Any image file to the pixels that people see, or to one line of reason."""

from __future__ import annotations

import io
import struct
import sys
import types
import zlib

import numpy as np
import pytest
from PIL import Image

from modalgap import errors
from modalgap.data import Pixels, pixels, plugins

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
        (np.zeros((2, 5, 5), np.uint8), "one name per image; got 3 for 2"),
        (np.zeros((3, 5, 5)), "an array of unsigned bytes; got float64"),
        ([[1]], "array must be a"),
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
        (
            stored(Image.new("RGB", (3000, 4)), "PNG"),
            "aspect ratio must be at most 100; it is 3000 x 4",
        ),
        (stored(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "floating point"),
    ],
)
def test_what_cannot_be_read_has_a_reason(found: bytes, reason: str) -> None:
    with pytest.raises(errors.FileError, match=reason) as caught:
        pixels.decode(found)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def chunk(kind: bytes, data: bytes, *, sound: bool = True) -> bytes:
    check = zlib.crc32(kind + data) ^ (0 if sound else 1)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


PLAIN_PNG = stored(Image.fromarray(NOISE), "PNG")


def with_chunk(extra: bytes, *, last: bool = False) -> bytes:
    """A PNG with a chunk behind its header, or before its end."""
    at = len(PLAIN_PNG) - 12 if last else 8 + 25
    return PLAIN_PNG[:at] + extra + PLAIN_PNG[at:]


REMARKS = {
    "much": chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"word " * 2**20)),
    "many": b"".join(chunk(b"tEXt", b"k\0" + b"x" * 2**20) for _ in range(70)),
    "damaged": chunk(b"zTXt", b"parameters\0\0not compressed"),
    "sum": chunk(b"tEXt", b"Comment\0words", sound=False),
    "wide": chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"\xff" * 2**21)),
    "profile": chunk(b"iCCP", b"name\0\0broken", sound=False),
}


@pytest.mark.parametrize("name", REMARKS)
@pytest.mark.parametrize("last", [False, True])
def test_text_in_a_png_costs_no_image(name: str, last: bool) -> None:
    found = pixels.decode(with_chunk(REMARKS[name], last=last))
    np.testing.assert_array_equal(np.asarray(found), NOISE)


def test_pixels_that_are_cut_short_stay_refused_beside_text() -> None:
    for name in ("much", "sum"):
        cut = with_chunk(REMARKS[name])[: -len(PLAIN_PNG) // 2]
        with pytest.raises(errors.FileError):
            pixels.decode(cut)
    at = PLAIN_PNG.index(b"IDAT") + 1000
    damaged = PLAIN_PNG[:at] + bytes([PLAIN_PNG[at] ^ 255]) + PLAIN_PNG[at + 1 :]
    with pytest.raises(errors.FileError):
        pixels.decode(damaged[:33] + REMARKS["sum"] + damaged[33:])


def test_damaged_camera_data_cost_no_image() -> None:
    for exif in (b"Exif\0\0II*\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0junk" * 9):
        found = pixels.decode(stored(Image.fromarray(NOISE), "JPEG", exif=exif))
        assert found.size == (90, 90)


@pytest.mark.parametrize(
    ("head", "package"),
    [
        (b"\0\0\0\x18ftypheic", "pillow-heif"),
        (b"\0\0\0\x18ftypmif1", "pillow-heif"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "pillow-jxl-plugin"),
        (b"\xff\x0a", "pillow-jxl-plugin"),
    ],
)
def test_formats_that_need_a_plug_in_name_it(
    monkeypatch: pytest.MonkeyPatch, head: bytes, package: str
) -> None:
    monkeypatch.setattr(plugins, "_ready", lambda _: False)
    with pytest.raises(errors.FileError, match=f"needs pip install {package}$"):
        pixels.decode(head + bytes(100))


def test_a_plug_in_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    module = types.SimpleNamespace(register_heif_opener=lambda: asked.append("heif"))
    monkeypatch.setitem(sys.modules, "pillow_heif", module)  # type: ignore[arg-type]
    plugins._ready.cache_clear()
    try:
        assert plugins.lacking(".HEIC") == plugins.lacking(".heif") == ""
        assert asked == ["heif"]
    finally:
        plugins._ready.cache_clear()
