"""Small files of data whose content is huge: each is refused, or decoded in parts."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from modalgap import errors
from modalgap.data import pixels, sound
from modalgap.data.find import read

REFUSED = "must expand at most 200 times"
LONG = "a" * 2**20


def repeated(value: str | bytes, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value]))


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return file.getvalue()


def table(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=2**31 - 1)
    assert path.stat().st_size < 200_000
    return path


@pytest.mark.parametrize("image", ["image", "path"])
def test_one_long_caption_for_all_rows(image: str, tmp_path: Path) -> None:
    cells = repeated(png() if image == "image" else "a.png", 1500)
    path = table(tmp_path / "a.parquet", {image: cells, "caption": repeated(LONG, 1500)})
    with pytest.raises(errors.FileError, match=REFUSED):
        read(path)


def test_many_captions_in_one_row(tmp_path: Path) -> None:
    values = repeated("a", 10_000_000).cast(pa.string())
    lists = pa.ListArray.from_arrays(pa.array([0, 10_000_000], pa.int32()), values)
    path = table(tmp_path / "a.parquet", {"image": [png()], "captions": lists})
    with pytest.raises(errors.FileError, match=REFUSED):
        read(path)


def test_more_rows_than_a_file_can_describe(tmp_path: Path) -> None:
    n = 10_000_000
    path = table(tmp_path / "a.parquet", {"image": repeated(png(), n)})
    with pytest.raises(errors.FileError, match=REFUSED):
        read(path)


def test_an_image_that_many_rows_share_is_decoded_for_few_at_once(tmp_path: Path) -> None:
    large = png() + bytes(2**24)
    path = table(tmp_path / "a.parquet", {"image": repeated(large, 40), "text": ["a"] * 40})
    media = read(path).media
    assert media is not None
    before = pa.default_memory_pool().max_memory()
    assert media[39] == large
    assert pa.default_memory_pool().max_memory() - before < 2**29


def test_records_without_a_common_field(tmp_path: Path) -> None:
    lines = [json.dumps({"caption": "a", f"key{i}": i}) for i in range(3_000)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(errors.FileError, match=r"common fields; 2,\d+ records have 2,\d+ differ"):
        read(tmp_path / "a.jsonl")


def test_very_many_columns(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(100_000)]
    (tmp_path / "a.csv").write_text(f"{','.join([*names, 'c7'])}\n{',' * 100_000}\n")
    with pytest.raises(errors.FileError, match="'c7' occurs twice"):
        read(tmp_path / "a.csv")


# images -------------------------------------------------------------------------------------------


def stored(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def noise(mode: str) -> Image.Image:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (37, 23, 4), np.uint8), "RGBA")
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 2**16, (37, 23), np.uint16))
    return image.convert("RGB").convert(mode) if mode in ("P", "CMYK") else image.convert(mode)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(
    ("mode", "form", "options"),
    [
        ("RGBA", "PNG", {}),
        ("LA", "PNG", {}),
        ("P", "PNG", {"transparency": b"\0\x80\xff" * 85}),
        ("RGB", "PNG", {"transparency": (0, 0, 0)}),
        ("I;16", "PNG", {}),
        ("1", "PNG", {}),
        ("CMYK", "TIFF", {}),
    ],
)
def test_bands_make_the_same_pixels(
    turn: int, mode: str, form: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[pixels.ORIENTATION] = turn
    found = stored(noise(mode), form, exif=exif, **options)
    whole = pixels.decode(found)
    monkeypatch.setattr(pixels, "BAND", 5 * 23)
    assert pixels.decode(found) == whole
    assert whole.size == ((37, 23) if turn > 4 else (23, 37))


def test_a_program_is_not_run() -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(errors.FileError, match="it is a program in PostScript"):
        pixels.decode(program)


def test_the_size_of_an_icon_is_that_of_its_picture() -> None:
    picture = stored(Image.new("1", (20_000, 100)))
    about = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22)
    with pytest.raises(errors.FileError, match="aspect ratio"):
        pixels.decode(about + picture)


# sounds -------------------------------------------------------------------------------------------


def flac(samples: int, rate: int, channels: int) -> bytes:
    """A FLAC that declares samples, and has none."""
    about = struct.pack(">HH", 4096, 4096) + bytes(6)
    about += ((rate << 44) | ((channels - 1) << 41) | (15 << 36) | samples).to_bytes(8, "big")
    about += bytes(16)
    return b"fLaC\x80" + len(about).to_bytes(3, "big") + about


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (3600 * 655_350, 655_350, "must have at most 268,435,456 samples"),
        (3601 * 48_000, 48_000, "must last up to 3600 seconds"),
        (3600 * 48_000, 48_000, "must hold samples; found none|psf|decoder|error"),
    ],
)
def test_the_header_of_a_sound_claims_much(samples: int, rate: int, reason: str) -> None:
    pytest.importorskip("soundfile")
    with pytest.raises(errors.FileError, match=reason):
        sound.decode(flac(samples, rate, 8))


def test_sounds_are_decoded_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 3)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="WAV", subtype="FLOAT")
    monkeypatch.setattr(sound, "BLOCK", 64 * 3)
    found, rate = sound.decode(file.getvalue())
    np.testing.assert_array_equal(found, samples.mean(axis=1))
    assert rate == 8000
