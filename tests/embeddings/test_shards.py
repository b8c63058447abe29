"""Shards of vectors and metadata are paired by number; what is missing or damaged is named."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modalgap as mg
from modalgap import errors
from modalgap.embeddings.formats.numbers import numbers_of

EACH, WIDTH = 3, 4
KINDS = ("img_emb", "text_emb", "metadata")
Rows = np.ndarray[tuple[int, int], np.dtype[np.float16]]


def rows(number: int, side: str, n: int = EACH) -> Rows:
    """Rows that say where they come from: column 0 is the number, column 1 the side."""
    found = np.ones((n, WIDTH), np.float16)
    found[:, 0] = number + 1
    found[:, 1] = 2 if side == "text_emb" else 1
    found[:, 2] = np.arange(1, n + 1)
    return found


def folder(
    where: Path,
    numbers: dict[str, Collection[int]],
    padding: dict[str, int] | None = None,
    sizes: dict[int, int] | None = None,
    *,
    flat: bool = False,
) -> Path:
    """The output of clip-retrieval with these numbers of each kind."""
    for kind, own in numbers.items():
        root = where if flat else where / kind
        root.mkdir(exist_ok=True)
        for number in own:
            n = (sizes or {}).get(number, EACH)
            stem = root / f"{kind}_{number:0{(padding or {}).get(kind, 1)}d}"
            if kind == "metadata":
                names = pa.array([f"{number}-{i}" for i in range(n)]) if n else pa.nulls(0)
                table = pa.table({"image_path": names, "caption": names})
                pq.write_table(table, f"{stem}.parquet")
            else:
                np.save(f"{stem}.npy", rows(number, kind, n))
    return where


def origin(side: mg.Embeddings) -> list[tuple[int, int]]:
    """(number, position) that each row was written with."""
    stored = side.rows.read(0, side.n).double()
    return [(int(a) - 1, int(b) - 1) for a, b in stored[:, [0, 2]].tolist()]


NUMBERS = st.sets(st.integers(0, 12), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.dictionaries(st.sampled_from(KINDS), NUMBERS),
    same=st.booleans(),
    padding=st.dictionaries(st.sampled_from(KINDS), st.integers(1, 5)),
    flat=st.booleans(),
)
def test_numbers_are_partners_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    numbers: dict[str, set[int]],
    same: bool,
    padding: dict[str, int],
    flat: bool,
) -> None:
    """Right rows beside one another, or a refusal that names every number without a partner."""
    numbers = {"img_emb": {0, 11}, "text_emb": {0, 11}, **numbers}
    if same:
        numbers = dict.fromkeys(numbers, numbers["img_emb"])
    where = folder(tmp_path_factory.mktemp("x"), numbers, padding, flat=flat)
    every = set.union(*numbers.values())
    lacking = {kind: sorted(every - own) for kind, own in numbers.items() if every - own}
    if lacking:
        with pytest.raises(errors.FileError) as caught:
            mg.load(where)
        said = str(caught.value)
        assert "\n" not in said
        for kind, missing in lacking.items():
            shown = ", ".join(map(str, missing[:5]))
            assert f"{kind} lacks {shown}" in said
        return
    pair = mg.load(where)
    expected = [(number, i) for number in sorted(every) for i in range(EACH)]
    assert origin(pair.image) == origin(pair.text) == expected
    if "metadata" in numbers:
        assert pair.image.names == pair.text.names
        assert pair.text.names == tuple(f"{number}-{i}" for number, i in expected)


@settings(max_examples=40, deadline=None)
@given(image=NUMBERS, text=NUMBERS, order=st.randoms(use_true_random=False))
def test_two_lists_are_paired_by_number(
    tmp_path_factory: pytest.TempPathFactory, image: set[int], text: set[int], order: object
) -> None:
    """Whatever the order of the lists; the images keep theirs."""
    image, text = image | {20, 21}, text | {20, 21}
    where = folder(
        tmp_path_factory.mktemp("x"), {"img_emb": image, "text_emb": text}, {"img_emb": 3}
    )
    first = [where / f"img_emb/img_emb_{number:03d}.npy" for number in image]
    second = [where / f"text_emb/text_emb_{number}.npy" for number in text]
    order.shuffle(first)  # type: ignore[attr-defined]
    order.shuffle(second)  # type: ignore[attr-defined]
    if image != text:
        with pytest.raises(errors.FileError, match=r"paired by their numbers.*lacks"):
            mg.load(image=first, text=second)
        return
    pair = mg.load(image=first, text=second)
    assert origin(pair.image) == origin(pair.text)
    asked = [int(path.stem.rpartition("_")[2]) for path in first]
    assert [number for number, _ in origin(pair.image)] == list(np.repeat(asked, EACH))


@pytest.mark.parametrize("given", ["folders", "patterns", "roots"])
def test_two_places_are_paired_by_number(tmp_path: Path, given: str) -> None:
    """As many rows in both, and shard 1 of one side must not meet shard 2 of the other."""
    a, b = tmp_path / "a", tmp_path / "b"
    for where, kind, numbers in ((a, "img_emb", (0, 1)), (b, "text_emb", (0, 2))):
        where.mkdir()
        folder(where, {kind: numbers})
    places = {
        "folders": (a / "img_emb", b / "text_emb"),
        "patterns": (f"{a}/img_emb/*.npy", f"{b}/text_emb/*.npy"),
        "roots": (a, b),
    }[given]
    with pytest.raises(errors.FileError, match="image lacks 2, text lacks 1"):
        mg.load(image=places[0], text=places[1])
    folder(a, {"img_emb": (2,)})
    folder(b, {"text_emb": (1,)})
    pair = mg.load(image=places[0], text=places[1])
    assert origin(pair.image) == origin(pair.text)


def test_rows_of_one_number_differ(tmp_path: Path) -> None:
    """As many rows in all, but not in each shard."""
    folder(tmp_path, {"img_emb": (0, 1)}, sizes={0: 2, 1: 4})
    folder(tmp_path, {"text_emb": (0, 1)}, sizes={0: 4, 1: 2})
    with pytest.raises(errors.FileError, match=r"2 in .*img_emb_0\.npy, 4 in .*text_emb_0\.npy"):
        mg.load(image=tmp_path / "img_emb", text=tmp_path / "text_emb")


def test_explicit_matches_need_no_numbers(tmp_path: Path) -> None:
    """Row numbers of --pairs count the rows as they are read."""
    folder(tmp_path, {"img_emb": (0, 1), "text_emb": (5, 7)})
    np.save(tmp_path / "pairs.npy", np.stack([np.arange(6), np.arange(6)[::-1]], 1))
    pair = mg.load(
        image=tmp_path / "img_emb", text=tmp_path / "text_emb", pairs=tmp_path / "pairs.npy"
    )
    assert [number for number, _ in origin(pair.text)] == [5, 5, 5, 7, 7, 7]


def test_metadata_of_other_rows(tmp_path: Path) -> None:
    folder(tmp_path, {"img_emb": (0, 1)})
    folder(tmp_path, {"metadata": (0, 1)}, sizes={1: 2})
    with pytest.raises(errors.FileError, match=r"3 in .*img_emb_1\..*2 in .*metadata_1\."):
        mg.load_embeddings(tmp_path)


def test_one_number_twice(tmp_path: Path) -> None:
    folder(tmp_path, {"img_emb": (1,), "text_emb": (1,)})
    folder(tmp_path, {"img_emb": (1,)}, {"img_emb": 4})
    with pytest.raises(errors.FileError, match=r"img_emb_0001\..*img_emb_1\..*both are 1"):
        mg.load(tmp_path)


def test_empty_shards(tmp_path: Path) -> None:
    """pandas writes the columns of no rows with the type null, numpy an empty list as (0,)."""
    numbers = dict.fromkeys(KINDS, range(4))
    folder(tmp_path, numbers, sizes={0: 0, 2: 0})
    np.save(tmp_path / "img_emb/img_emb_2.npy", np.array([]))
    pair = mg.load(tmp_path)
    assert origin(pair.image) == [(number, i) for number in (1, 3) for i in range(EACH)]
    assert pair.text.names == ("1-0", "1-1", "1-2", "3-0", "3-1", "3-2")


def test_only_empty_shards(tmp_path: Path) -> None:
    folder(tmp_path, {"img_emb": (0, 1), "text_emb": (0, 1)}, sizes={0: 0, 1: 0})
    with pytest.raises(errors.FileError, match="at least one row; all 2 shards are empty"):
        mg.load(tmp_path)


def test_an_empty_shard_beside_rows(tmp_path: Path) -> None:
    folder(tmp_path, {"img_emb": (0, 1)})
    folder(tmp_path, {"text_emb": (0, 1)}, sizes={1: 0})
    with pytest.raises(errors.FileError, match=r"3 in .*img_emb_1\.npy, 0 in .*text_emb_1\.npy"):
        mg.load(tmp_path)


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".parquet"])
def test_empty_shards_of_other_formats(tmp_path: Path, ending: str) -> None:
    """Images without any caption in one shard; names of no rows are of no kind."""
    parts = []
    for i in range(2):
        image = mg.Embeddings(rows(i, "img_emb"), "image", names=["a", "b", "c"])
        text = mg.Embeddings(rows(i, "text_emb"), "text", names=["d", "e", "f"])
        mg.save(mg.Pair(image, text, text_to_image=[0, 0, 2]), tmp_path / f"{i}{ending}")
        parts.append(image)
    empty = tmp_path / f"2{ending}"
    if ending == ".npz":
        np.savez(empty, image=rows(2, "img_emb")[:0], text=rows(2, "text_emb")[:0])
    elif ending == ".parquet":
        kind = pa.list_(pa.float16())
        pq.write_table(pa.table({"image": pa.nulls(0, kind), "text": pa.nulls(0, kind)}), empty)
    else:
        from safetensors.numpy import save_file

        save_file({"image": rows(2, "img_emb")[:0], "text": rows(2, "text_emb")[:0]}, empty)
    pair = mg.load(tmp_path)
    assert pair.text_to_image is not None
    assert pair.text_to_image.tolist() == [0, 0, 2, 3, 3, 5]
    assert pair.image.names == ("a", "b", "c") * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_half_written_shards_are_named(tmp_path: Path, kind: str, share: float) -> None:
    folder(tmp_path, dict.fromkeys(KINDS, range(3)))
    path = next((tmp_path / kind).glob(f"{kind}_1.*"))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(errors.FileError, match=rf"{kind}_1\.") as caught:
        mg.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "img_emb_2.npy.tmp", "img_emb_2.npy.part", ".img_emb_2.npy.incomplete",
        ".img_emb_2.npy.Xy12Zq", "img_emb_2.tmp.npy",
    ],
)  # fmt: skip
def test_temporary_files_are_named(tmp_path: Path, name: str) -> None:
    folder(tmp_path, {"img_emb": (0, 1), "text_emb": (0, 1)})
    (tmp_path / "img_emb" / name).write_bytes(b"\x93NUMPY")
    for paths in (
        {"path": tmp_path},
        {"image": tmp_path / "img_emb", "text": tmp_path / "text_emb"},
    ):
        with pytest.raises(errors.FileError, match="temporary file") as caught:
            mg.load(**paths)
        assert name in str(caught.value)


def test_what_an_interrupted_save_leaves_is_no_shard(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", image=rows(0, "img_emb"), text=rows(0, "text_emb"))
    (tmp_path / ".modalgap-0123456789abcdef.part").write_bytes(b"half")
    assert mg.load(tmp_path).image.n == EACH


def test_a_neighbour_of_another_name(tmp_path: Path) -> None:
    folder(tmp_path, {"img_emb": (0, 1), "text_emb": (0, 1)})
    np.save(tmp_path / "img_emb/embeddings_2.npy", rows(2, "img_emb"))
    with pytest.raises(errors.FileError, match=r"embeddings_2\.npy: must be called img_emb_NUMBER"):
        mg.load(tmp_path)


def test_files_of_two_modalities_are_no_shards_of_one(tmp_path: Path) -> None:
    for kind in ("image", "text"):
        for number in range(2):
            np.save(tmp_path / f"{kind}_{number}.npy", rows(number, kind))
    with pytest.raises(errors.FileError, match=r"two modalities \(image, text\)"):
        mg.load_embeddings(tmp_path)


def test_a_missing_shard_of_a_count(tmp_path: Path) -> None:
    for number in (0, 2):
        np.savez(tmp_path / f"x-{number:05d}-of-00004.npz", image=rows(number, "img_emb"))
    with pytest.raises(errors.FileError, match="all 4 shards of x; 2 are missing: 1, 3"):
        mg.load_embeddings(tmp_path)
    for number in (1, 3):
        np.savez(tmp_path / f"x-{number:05d}-of-00004.npz", image=rows(number, "img_emb"))
    assert mg.load_embeddings(tmp_path).n == 4 * EACH


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a_0.npy", "a_1.npy"], [(0,), (1,)]),
        (["a_01.npy", "a_2.npy"], [(1,), (2,)]),
        (["vit16-00000-of-00002.npy", "vit16-00001-of-00002.npy"], [(0,), (1,)]),
        (["r0/s1.npy", "r1/s0.npy"], [(0, 1), (1, 0)]),
        (["train.npy", "val.npy"], None),
        (["a_0.npy"], None),
        (["a_0.npy", "a_0.npy"], None),
    ],
)
def test_numbers_in_names(names: list[str], expected: list[tuple[int, ...]] | None) -> None:
    assert numbers_of(names) == expected
