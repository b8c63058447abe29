"""Small files of data whose content is huge: each is refused, or decoded in parts."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from modalgap import errors, files
from modalgap.data import pixels, sound
from modalgap.data.find import read
from modalgap.data.sets._shared import matlab

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


# archives and variables ---------------------------------------------------------------------------


def test_a_member_of_negative_size_is_no_endless_archive(tmp_path: Path) -> None:
    """Of size -512 its data would end where its header begins, so it would be read for ever."""
    head = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.GNU_FORMAT))
    head[124:136] = (-512).to_bytes(12, "big", signed=True)
    total = sum(head[:148]) + 8 * ord(" ") + sum(head[156:512])
    head[148:156] = b"%06o\0 " % total
    (tmp_path / "00000.tar").write_bytes(bytes(head) + bytes(10_240))
    with pytest.raises(errors.FileError, match="must have members of a size from 0 on"):
        read(tmp_path / "00000.tar")


@pytest.mark.parametrize("compressed", [False, True])
def test_variables_of_matlab(
    compressed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {f"v{i}": np.zeros(200_000) + i for i in range(5)}
    savemat(tmp_path / "a.mat", wanted, do_compression=compressed)
    for key, value in wanted.items():
        np.testing.assert_array_equal(matlab(tmp_path / "a.mat")[key], value)
    monkeypatch.setattr(files, "EXPANDED", 2**20)
    if not compressed:
        matlab(tmp_path / "a.mat")
        return
    with pytest.raises(errors.FileError, match=REFUSED):
        matlab(tmp_path / "a.mat")


def test_tiles_that_are_larger_than_their_image() -> None:
    tags = [(256, 64), (257, 64), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, 46_336), (323, 46_336), (324, 200), (325, 100)]
    found = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    found += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    with pytest.raises(errors.FileError, match="a tile has 46336 x 46336 pixels"):
        pixels.decode(found + bytes(300))
    tiled = stored(noise("RGB"), "TIFF", compression="tiff_lzw", tiffinfo={322: 256, 323: 256})
    np.testing.assert_array_equal(pixels.decode(tiled), noise("RGB"))


def test_formats_that_need_several_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored(noise("RGB"), "WEBP", lossless=True)
    np.testing.assert_array_equal(pixels.decode(found), noise("RGB"))
    monkeypatch.setitem(pixels.MOST_IN_FORMAT, "WEBP", 800)
    with pytest.raises(errors.FileError, match="at most 800 pixels in WEBP; declares 23 x 37"):
        pixels.decode(found)


# Arrow --------------------------------------------------------------------------------------------


def arrow(folder: Path, column: Any, **options: Any) -> Path:
    table = pa.table({"caption": column})
    path = folder / "a-00000-of-00001.arrow"
    with pa.ipc.new_stream(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return path


@pytest.mark.parametrize(
    ("column", "options", "reason"),
    [
        (repeated(LONG, 1500), {}, REFUSED),
        (pa.nulls(2**30), {}, REFUSED),
        (["a" * 1000], {"compression": "zstd"}, "must not be compressed inside"),
        (["a" * 1000], {"compression": "lz4"}, "must not be compressed inside"),
        (repeated(LONG, 2), {"compression": "zstd"}, "must not be compressed inside"),
        (pa.array([LONG], pa.string_view()), {}, "'caption' has an unusual type"),
        (
            pa.RunEndEncodedArray.from_arrays(pa.array([2**30], pa.int32()), pa.array(["a"])),
            {},
            "'caption' has an unusual type",
        ),
    ],
)
def test_arrow_files(column: Any, options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    arrow(tmp_path, column, **options)
    with pytest.raises(errors.FileError, match=reason):
        read(tmp_path)


def test_offsets_of_arrow_that_point_outside(tmp_path: Path) -> None:
    path = arrow(tmp_path, ["a", "bc", "d"])
    found = path.read_bytes()
    offsets = np.array([0, 1, 3, 4], np.int32).tobytes()
    assert found.count(offsets) == 1
    wrong = np.array([0, 2**30, 3, 4], np.int32).tobytes()
    path.write_bytes(found.replace(offsets, wrong))
    with pytest.raises(errors.FileError, match=r"is malformed \(.*[Oo]ffset"):
        read(tmp_path)


@pytest.mark.parametrize("splits", [False, True])
def test_a_saved_data_set(tmp_path: Path, *, splits: bool) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 2]})
    saved = datasets.DatasetDict({"train": made}) if splits else made
    saved.save_to_disk(str(tmp_path / "d"))
    assert read(tmp_path / "d").texts == ["a", "b"]
    (path,) = (tmp_path / "d").rglob("*.arrow")
    made = pa.table({"text": repeated(LONG, 1500)})
    with pa.ipc.new_stream(path, made.schema) as writer:
        writer.write_table(made)
    with pytest.raises(errors.FileError, match=REFUSED):
        read(tmp_path / "d")
