"""The door: what comes in as Embeddings, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference.cases import unit

import modalgap as mg
from modalgap import errors
from modalgap.embeddings import Embeddings
from modalgap.embeddings.rows import FileRows, Rows, ShardedRows, as_rows, concatenate

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def refused(match: str) -> Any:
    return pytest.raises(errors.InputError, match=match)


# what comes in -------------------------------------------------------------------------------

FORMS: dict[str, Any] = {
    "float16": ROWS.astype(np.float16),
    "float32": ROWS,
    "float64": ROWS.astype(np.float64),
    "longdouble": ROWS.astype(np.longdouble),
    "big-endian": ROWS.astype(">f4"),
    "columns first": np.asfortranarray(ROWS),
    "a view": np.repeat(np.repeat(ROWS, 2, 0), 3, 1)[::2, ::3],
    "backwards": ROWS[::-1][::-1],
    "broadcast": np.broadcast_to(ROWS[:1], (6, 4)),
    "lists": ROWS.tolist(),
    "float16 tensor": torch.from_numpy(ROWS).half(),
    "bfloat16 tensor": torch.from_numpy(ROWS).bfloat16(),
    "float64 tensor": torch.from_numpy(ROWS).double(),
    "tensor with a gradient": torch.from_numpy(ROWS).requires_grad_(),
    "transposed tensor": torch.from_numpy(ROWS.T.copy()).T,
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    side = Embeddings(FORMS[form])
    given = FORMS[form]
    wide = given.detach().double().numpy() if isinstance(given, torch.Tensor) else np.array(given)
    assert (side.n, side.dim, len(side)) == (6, 4, 6)
    assert side.unit().dtype is torch.float32
    assert not side.unit().requires_grad
    np.testing.assert_allclose(side.unit().numpy(), unit(wide.astype(float)), atol=2e-7)
    lengths = np.linalg.norm(wide.astype(float), axis=1)
    assert side.norm_range == pytest.approx((lengths.min(), lengths.max()), rel=1e-6)


def test_read_only_memory_stays_as_it_was(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    side = Embeddings(mapped)
    np.testing.assert_allclose(side.unit().numpy(), unit(ROWS), atol=2e-7)
    own = ROWS.copy()
    Embeddings(own).unit()
    np.testing.assert_array_equal(own, ROWS)


def test_embeddings_of_rows() -> None:
    rows = as_rows(ROWS, "a")
    assert isinstance(rows, Rows)
    assert as_rows(rows, "a") is rows
    assert Embeddings(rows).rows is rows


def test_were_unit() -> None:
    side = Embeddings(ROWS)
    assert not side.were_unit
    assert Embeddings(unit(ROWS)).were_unit
    assert Embeddings(unit(ROWS).astype(np.float16)).were_unit
    assert Embeddings(unit(ROWS) * 1.0015).were_unit
    assert not Embeddings(unit(ROWS) * 1.003).were_unit
    one_long = unit(ROWS)
    one_long[3] *= 2
    assert not Embeddings(one_long).were_unit


# what does not -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.zeros((3, 4), int), "pictures: must hold float16, float32 or float64; got int64"),
        (np.zeros((3, 4), bool), "got bool"),
        (np.zeros((3, 4), complex), "got complex128"),
        (np.array([["a", "b"]]), "got <U1"),
        (np.array([[None, 1.0]], object), "got object"),
        (torch.zeros(3, 4, dtype=torch.int32), "got torch.int32"),
        (torch.zeros(3, 4, dtype=torch.complex64), "got torch.complex64"),
        ([[1.0, 2.0], [3.0]], "pictures: must be an array of numbers"),
        ("text", "got <U4"),
        (None, "got object"),
        (np.ones(4), r"must have 2 dimensions \(rows, columns\); got \(4,\)"),
        (np.ones((2, 3, 4)), r"got \(2, 3, 4\)"),
        (np.float32(3), r"got \(\)"),
        (np.ones((1, 4)), r"at least 2 rows and 1 column; got shape \(1, 4\)"),
        (np.ones((0, 4)), r"got shape \(0, 4\)"),
        (np.ones((3, 0)), r"got shape \(3, 0\)"),
        (torch.ones(1, 4), r"got shape \(1, 4\)"),
    ],
)
def test_shapes_and_types_refused(vectors: Any, words: str) -> None:
    with refused(words):
        Embeddings(vectors, source="pictures")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("row", [0, 5, 2500])
@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ([np.nan, 1.0], "nan or infinity"),
        ([np.inf, 1.0], "nan or infinity"),
        ([-np.inf, np.nan], "nan or infinity"),
        ([0.0, -0.0], "only zeros"),
    ],
)
def test_bad_rows_are_named(dtype: Any, row: int, bad: list[float], found: str) -> None:
    rows = np.ones((3000, 2), dtype)
    rows[row] = bad
    rows[2999] = bad  # the first is named
    words = f"^pictures: every row must be finite and not zero; row {row} holds {found}$"
    with refused(words):
        Embeddings(rows, source="pictures")


def test_a_bad_row_is_named_when_taken(tmp_path: Path) -> None:
    rows = np.ones((5000, 2), np.float32)
    rows[4000] = np.nan
    rows.tofile(tmp_path / "rows")
    kind = np.dtype("<f4")
    side = Embeddings(FileRows(tmp_path / "rows", 0, kind, (5000, 2), torch.float32), source="far")
    side.take([0, 1, 3999])
    with refused("far: .* row 4000 holds nan"):
        side.take([7, 4000])
    with refused("far: .* row 4000 holds nan"):
        side.unit(3990, 4010)
    with refused("far: .* row 4000 holds nan"):
        _ = side.fingerprint


def test_errors_are_one_line() -> None:
    assert str(errors.InputError("two\n  lines")) == "two lines"
    with pytest.raises(ValueError, match="row 0"):  # InputError is a ValueError for callers
        Embeddings(np.zeros((2, 2)))


# names, factors ------------------------------------------------------------------------------


def test_names_and_provenance() -> None:
    side = Embeddings(ROWS, names=list("abcdef"), provenance={"model": "x", "logit_scale": 100})
    assert side.names == tuple("abcdef")
    assert side.provenance["logit_scale"] == "100"
    assert Embeddings(ROWS, names=range(6)).names == tuple("012345")
    with refused("images: names must be 6, one per row; got 5"):
        Embeddings(ROWS, source="images", names=list("abcde"))


def test_factors() -> None:
    given = {"object": [3, 1, 3, 1, 7, 3], "colour": np.array(list("rgbrgb")), "flag": [True] * 6}
    side = Embeddings(ROWS, factors=given)
    codes, values = side.factor("object")
    assert codes.tolist() == [1, 0, 1, 0, 2, 1]
    assert values == 3
    assert side.factor("colour")[0].tolist() == [2, 1, 0, 2, 1, 0]
    assert side.factor("flag") == (pytest.approx([0] * 6), 1)
    with pytest.raises(errors.NotApplicable, match="needs the factor 'size'; it has colour, flag"):
        side.factor("size")
    tensor = Embeddings(ROWS, factors={"object": torch.arange(6)})
    assert tensor.factors["object"].tolist() == list(range(6))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2, 3], r"factor 'object': must have shape \(6,\), one per row; got \(3,\)"),
        (np.ones((6, 1), int), r"got \(6, 1\)"),
        ([0.5] * 6, "must hold integers or strings; got float64"),
        ([None] * 6, "got object"),
        ([[1], [2, 3]], "must be one flat array"),
    ],
)
def test_factors_refused(values: Any, words: str) -> None:
    with refused(words):
        Embeddings(ROWS, factors={"object": values})


# reading rows --------------------------------------------------------------------------------


def sources(tmp_path: Path, rows: NDArray[Any]) -> dict[str, Embeddings]:
    rows.tofile(tmp_path / "rows")
    shape = (len(rows), rows.shape[1])
    filed = FileRows(tmp_path / "rows", 0, rows.dtype, shape, torch.float64)
    cut = len(rows) // 3
    halves = ShardedRows((as_rows(rows[:cut], "a"), as_rows(rows[cut:], "b")))
    return {"memory": Embeddings(rows), "file": Embeddings(filed), "shards": Embeddings(halves)}


@pytest.mark.parametrize("source", ["memory", "file", "shards"])
def test_take_unit_chunks(tmp_path: Path, source: str) -> None:
    rows = np.random.default_rng(0).normal(size=(5000, 3))
    side, expected = sources(tmp_path, rows)[source], unit(rows)
    np.testing.assert_allclose(side.unit(), expected, atol=2e-7)
    np.testing.assert_allclose(side.unit(1665, 1668), expected[1665:1668], atol=2e-7)
    np.testing.assert_allclose(side.unit(4999), expected[4999:], atol=2e-7)
    indices: list[Any] = [
        [0, 4999, 17],
        [5, 5, 5],
        [1666, 1665, 1667, 1668],
        torch.arange(4999, -1, -1),
        np.array([3, 4998]),
    ]
    for index in indices:
        plain = index.numpy() if isinstance(index, torch.Tensor) else index
        np.testing.assert_allclose(side.take(index), expected[plain], atol=2e-7)
    assert side.take([]).shape == (0, 3)
    starts, parts = zip(*side.chunks(999), strict=True)
    assert starts == tuple(range(0, 5000, 999))
    np.testing.assert_allclose(torch.cat(parts), expected, atol=2e-7)


def test_a_file_that_shrinks(tmp_path: Path) -> None:
    side = sources(tmp_path, np.ones((50, 3)))["file"]
    with (tmp_path / "rows").open("r+b") as file:
        file.truncate(900)
    with pytest.raises(errors.FileError, match="rows: must not change after it was opened"):
        side.unit()
    with pytest.raises(errors.FileError, match="rows: must not change after it was opened"):
        side.take([0, 49])
    (tmp_path / "rows").unlink()
    with pytest.raises(errors.FileError, match="rows: cannot be read"):
        side.unit()


def test_concatenate() -> None:
    one, other = as_rows(ROWS, "a"), as_rows(ROWS[:, :3], "b")
    assert concatenate([one], "all") is one
    assert concatenate([one, one], "all").shape == (12, 4)
    with refused(r"all: shards must have the same width; got \[3, 4\]"):
        concatenate([one, other], "all")
    with refused("all: shards must have one dtype; got float32, float64"):
        concatenate([one, as_rows(ROWS.astype(float), "b")], "all")


# fingerprint ---------------------------------------------------------------------------------


def test_fingerprint_is_of_content(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(5000, 3))
    prints = {side.fingerprint for side in sources(tmp_path, rows).values()}
    assert len(prints) == 1
    assert Embeddings(np.asfortranarray(rows)).fingerprint in prints
    assert Embeddings(rows.astype(">f8")).fingerprint in prints
    assert Embeddings(rows, names=range(5000), source="elsewhere").fingerprint in prints


def test_fingerprint_notices() -> None:
    changed = ROWS.copy()
    changed[3, 2] = np.nextafter(changed[3, 2], 9, dtype=np.float32)
    others = [
        ROWS,
        changed,
        ROWS[::-1],
        ROWS.astype(np.float64),
        ROWS.reshape(4, 6),
        ROWS[:5],
        2 * ROWS,
    ]
    prints = [Embeddings(rows).fingerprint for rows in others]
    prints += [
        Embeddings(ROWS, factors=factors).fingerprint
        for factors in ({"a": [1] * 6}, {"b": [1] * 6}, {"a": [1] * 5 + [2]}, {"a": [2] * 6})
    ]
    assert len(set(prints)) == len(prints)


def test_masked_values_are_not_data() -> None:
    masked = np.ma.masked_equal([[1.0, 99.0], [3.0, 4.0], [5.0, 6.0]], 99.0)
    with pytest.raises(errors.InputError, match="masked"):
        mg.Embeddings(masked)
    assert mg.Embeddings(np.ma.masked_equal(np.eye(3), 99.0)).n == 3


@pytest.mark.parametrize("modality", [None, 5, "", "\ud800"])
def test_modality_is_a_name(modality: object) -> None:
    with pytest.raises(errors.InputError, match="modality"):
        mg.Embeddings(np.eye(3), modality)  # type: ignore[arg-type]
