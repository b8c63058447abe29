"""Whatever the bytes, a reader gives embeddings or one line: no crash, no hang, no execution."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modalgap import Embeddings, ModalgapError, Pair, files
from modalgap.embeddings.formats import READERS
from modalgap.embeddings.store import load_any, save

SUFFIXES = sorted(READERS)
SAMPLES = ("one.npy", "two.npy", "plain.npz", "deflated.npz", "ours.npz", "ours.safetensors",
           "ours.parquet")  # fmt: skip
HUGE = st.sampled_from([0, 1, 2, 3, 255, 2**31, 2**32 - 1, 2**63 - 1, 2**64, 10**30, -1])


def judge(path: Path, content: bytes) -> Pair | Embeddings | None:
    """Read ``content`` as ``path``; None stands for a refusal in one line."""
    path.write_bytes(content)
    try:
        found = load_any(path)
        fingerprint = found.fingerprint  # reads every byte
    except ModalgapError as error:
        line = str(error)
    else:
        assert isinstance(found, Pair | Embeddings)
        assert len(fingerprint) == 34
        return found
    assert "\n" not in line
    assert str(path) in line
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Small valid files with everything that a file can hold."""
    made = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(8, 3)).astype(np.float32)
    np.save(made / "one.npy", x.astype(np.float16))
    np.save(made / "two.npy", np.stack([x, y[:5]]))
    arrays = {"image_embeds": x, "texts": y, "text_to_image": np.arange(8) % 5}
    np.savez(made / "plain.npz", **arrays, text_names=np.array([f"é{i}" for i in range(8)]))
    np.savez_compressed(made / "deflated.npz", **arrays)
    image = Embeddings(x, "image", list("abcde"), {"object": list("aabbc")}, {"model": "none"})
    text = Embeddings(y, "text", None, {"class": range(8)})
    for suffix in ("npz", "safetensors", "parquet"):
        save(Pair(image, text, np.arange(8) % 5), made / f"ours.{suffix}")
    return {name: (made / name).read_bytes() for name in SAMPLES}


@pytest.fixture(params=["at once", "as needed"])
def lazily(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Small files read into memory at once, or left on disk as large ones are."""
    if request.param == "as needed":
        monkeypatch.setattr(files, "SMALL", -1)
    return request.param == "as needed"


def test_the_samples_are_valid(folder: Path, samples: dict[str, bytes]) -> None:
    for name, content in samples.items():
        assert judge(folder / name, content) is not None, name


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(content=st.binary(max_size=400))
@settings(max_examples=60)
def test_arbitrary_bytes(suffix: str, content: bytes, folder: Path) -> None:
    judge(folder / f"arbitrary{suffix}", content)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(content=st.binary(max_size=200))
@settings(max_examples=60)
def test_arbitrary_bytes_behind_the_right_magic(suffix: str, content: bytes, folder: Path) -> None:
    start, end = {
        ".npy": (b"\x93NUMPY\x01\x00", b""),
        ".npz": (b"PK\x03\x04", b"PK\x05\x06" + bytes(18)),
        ".parquet": (b"PAR1", struct.pack("<I", len(content)) + b"PAR1"),
        ".safetensors": (struct.pack("<Q", len(content)), b""),
    }[suffix]
    judge(folder / f"magic{suffix}", start + content + end)


@st.composite
def damage(draw: st.DrawFn) -> list[tuple[str, float, bytes]]:
    """Steps that overwrite, insert, drop or cut at a place in a file."""
    step = st.tuples(
        st.sampled_from(["write", "write", "insert", "drop", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=8),
    )
    return draw(st.lists(step, min_size=1, max_size=4))


def damaged(content: bytes, steps: list[tuple[str, float, bytes]]) -> bytes:
    for what, place, new in steps:
        at = int(place * len(content))
        if what == "cut":
            content = content[:at]
        else:
            end = at if what == "insert" else at + len(new)
            content = content[:at] + (b"" if what == "drop" else new) + content[end:]
    return content


@pytest.mark.usefixtures("lazily")
@pytest.mark.parametrize("name", SAMPLES)
@given(steps=damage())
@settings(max_examples=100)
def test_damaged_files(
    name: str, steps: list[tuple[str, float, bytes]], folder: Path, samples: dict[str, bytes]
) -> None:
    judge(folder / name, damaged(samples[name], steps))


@pytest.mark.usefixtures("lazily")
@pytest.mark.parametrize("name", SAMPLES)
def test_cut_anywhere_is_refused(name: str, folder: Path, samples: dict[str, bytes]) -> None:
    content = samples[name]
    for at in range(0, len(content), max(1, len(content) // 60)):
        assert judge(folder / name, content[:at]) is None


SHAPES = st.lists(st.integers(0, 4) | HUGE, max_size=4)
NPY_TYPES = st.sampled_from(
    ["<f4", ">f8", "<f2", "|O", "<i8", "<U3", "|V7", "<f16", "<c8", "nonsense", "<M8[s]"]
)


@pytest.mark.usefixtures("lazily")
@given(
    shape=SHAPES, kind=NPY_TYPES, fortran=st.booleans(), data=st.binary(max_size=96),
    version=st.integers(0, 4),
)  # fmt: skip
@settings(max_examples=200)
@example(shape=[2, 3, 4], kind="<f4", fortran=True, data=bytes(96), version=1)
@example(shape=[2, 0, 10**30], kind="<f4", fortran=False, data=b"", version=1)
@example(shape=[0, 0], kind="<f4", fortran=True, data=b"", version=2)
def test_npy_headers(
    shape: list[int], kind: str, fortran: bool, data: bytes, version: int, folder: Path
) -> None:
    header = repr({"descr": kind, "fortran_order": fortran, "shape": tuple(shape)}).encode()
    for suffix in (".npy", ".npz"):
        npy = _npy(header, data, version)
        judge(folder / f"header{suffix}", npy if suffix == ".npy" else _zip({"image.npy": npy}))


@pytest.mark.parametrize(
    "header",
    [
        b"{" * 5000,
        b"(" * 9000,
        b"-" * 9000 + b"1",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2L)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"9" * 5000 + b", 2)}",
        b"{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (2, 2)}",
        b"{'descr': '\\d', 'fortran_order': False, 'shape': (True, 2)}",
        b"__import__('os').system('false')",
        b"\xff" * 100,
    ],
)
def test_odd_npy_headers(header: bytes, folder: Path) -> None:
    for version in (1, 2, 3):
        assert judge(folder / "odd.npy", _npy(header, b"", version)) is None


ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F16", "F32", "F64", "BF16", "I64", "U8", "BOOL", "X"]),
        "shape": SHAPES | st.none(),
        "data_offsets": st.lists(st.integers(0, 64) | HUGE, max_size=3) | st.text(max_size=2),
    },
)
KEYS = st.sampled_from(
    ["image", "text", "img", "text_to_image", "labels", "image_names", "image_names.bytes",
     "image_names.offsets", "text_factor_a", "image_factor_.bytes", "__metadata__", "audio",
     "matches.image.text", "matches.text.audio", "matches.", "names.image.bytes",
     "names.image.offsets", "factors.text.a", "factors.audio.", "matches.image.text.bytes"]
)  # fmt: skip
METADATA = st.dictionaries(
    st.sampled_from(
        ["format", "version", "modalities", "image_modality", "text_modality", "image.model"]
    ),
    st.sampled_from(
        [
            "modalgap",
            "1",
            "2",
            "3",
            "1.7",
            "",
            "text",
            "99999999999",
            "x",
            '["image"]',
            '["text", "image"]',
            '["image", "text", "audio"]',
            "[1]",
        ]
    ),
) | st.just({"format": "modalgap", "version": "3", "modalities": '["image", "text"]'})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([[]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.usefixtures("lazily")
@given(
    header=st.dictionaries(KEYS, ENTRY | METADATA | JSON, max_size=5) | JSON,
    data=st.binary(max_size=96),
)
@settings(max_examples=200)
def test_safetensors_headers(header: object, data: bytes, folder: Path) -> None:
    text = json.dumps(header).encode()
    judge(folder / "header.safetensors", struct.pack("<Q", len(text)) + text + data)


@pytest.mark.usefixtures("lazily")
@given(
    entries=st.dictionaries(
        KEYS.filter(lambda key: key != "__metadata__"),
        st.tuples(
            st.sampled_from(["F32", "I64", "U8", "F16", "BF16"]),
            st.lists(st.integers(0, 4), max_size=3),
        ),
        max_size=6,
    ),
    metadata=METADATA,
    fill=st.integers(0, 255),
)
@settings(max_examples=200)
def test_safetensors_that_are_well_formed_but_mean_anything(
    entries: dict[str, tuple[str, list[int]]], metadata: dict[str, str], fill: int, folder: Path
) -> None:
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for key, (kind, shape) in entries.items():
        size = {"F32": 4, "I64": 8, "U8": 1}.get(kind, 2) * int(np.prod(shape, dtype=int))
        header[key] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    data = bytes([fill]) * end
    judge(folder / "meaning.safetensors", struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize("length", [0, 1, 2**24, 2**27, 2**63, 2**64 - 1])
def test_safetensors_header_lengths(length: int, folder: Path) -> None:
    assert judge(folder / "length.safetensors", struct.pack("<Q", length) + b"{}") is None


def test_deep_json_is_refused(folder: Path) -> None:
    text = b'{"image":' + b"[" * 200_000
    assert judge(folder / "deep.safetensors", struct.pack("<Q", len(text)) + text) is None


@given(
    names=st.lists(
        st.sampled_from(["image.npy", "img.npy", "text.npy", "labels.npy", "image_names.npy",
                         "image_names.bytes.npy", "modalgap.npy", "image", ".", "../image.npy",
                         "matches.image.text.npy", "names.text.npy"]),
        max_size=5,
    ),
    contents=st.lists(
        st.sampled_from([
            np.ones((2, 3), np.float32), np.ones((3, 3)), np.zeros((0, 3), np.float16),
            np.array([0, 1]), np.array([1.5, np.nan]), np.array(["a", "b"]),
            np.frombuffer(b"\xff\xff\x11\x00" * 2, "<U1"), np.frombuffer(b"{}", np.uint8),
            np.frombuffer(b"[" * 9, np.uint8), np.array(3), np.frombuffer(
                b'{"format": "modalgap", "version": "3", "modalities": "[\\"image\\"]"}', np.uint8
            ), np.ones((2, 3), "c8"),
        ]) | st.binary(max_size=20),
        min_size=5, max_size=5,
    ),
)  # fmt: skip
@settings(max_examples=150)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_npz_members(names: list[str], contents: list[np.ndarray | bytes], folder: Path) -> None:
    members = [
        (name, _npy_of(content) if isinstance(content, np.ndarray) else content)
        for name, content in zip(names, contents, strict=False)
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    judge(folder / "members.npz", buffer.getvalue())


def _npy(header: bytes, data: bytes, version: int) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(header) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + b"\n" + data


def _npy_of(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
