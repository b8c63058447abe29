"""Unit rows at any magnitude, blocks within their budget, decompositions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from modalgap import linalg
from modalgap.measure.neighbours import best_across, nearest, within, within_and_above

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def random_rows(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


# unit rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_unit_rows(dtype: torch.dtype) -> None:
    rows = random_rows(50, 9).to(dtype)
    unit, lengths = linalg.to_unit(rows)
    wide = rows.double()
    assert unit.dtype is torch.float32
    assert lengths.dtype is torch.float64
    torch.testing.assert_close(lengths, wide.norm(dim=1), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        unit.double(), wide / wide.norm(dim=1, keepdim=True), rtol=0, atol=2e-7
    )


@pytest.mark.parametrize(
    ("dtype", "sizes"),
    [
        (torch.float16, [6e-8, 1e-4, 6e4]),
        (torch.bfloat16, [1e-38, 1e-20, 1e38]),
        (torch.float32, [1e-45, 1e-38, 1e-22, 1e-16, 1e-14, 1e14, 1e16, 1e20, 3e38]),
        (torch.float64, [5e-324, 1e-308, 1e-200, 1e-16, 1e16, 1e200, 1.7e308]),
    ],
)
def test_tiny_and_huge_rows(dtype: torch.dtype, sizes: list[float]) -> None:
    # each size among ordinary rows and alone: one row must not change how the others are treated
    for size in sizes:
        odd = torch.tensor([[size, -size, size, size]], dtype=torch.float64)
        rows = torch.cat([random_rows(5, 4), odd]).to(dtype)
        for some in (rows, rows[-1:]):
            unit, lengths = linalg.to_unit(some)
            torch.testing.assert_close(unit[-1], torch.tensor([0.5, -0.5, 0.5, 0.5]))
            stored = float(some[-1, 0])
            expected = min(2 * stored, torch.finfo(torch.float64).max)
            assert float(lengths[-1]) == pytest.approx(expected, rel=1e-6)
            torch.testing.assert_close(unit.norm(dim=1), torch.ones(len(some)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf"), -float("inf")])
def test_lengths_tell_rows_to_refuse(dtype: torch.dtype, bad: float) -> None:
    rows = random_rows(4, 3).to(dtype)
    rows[2] = torch.tensor([bad, 0.0, 0.0], dtype=dtype)
    _, lengths = linalg.to_unit(rows)
    fine = (lengths > 0) & lengths.isfinite()
    assert fine.tolist() == [True, True, False, True]


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_any_finite_row_becomes_unit(rows: Any) -> None:
    unit, lengths = linalg.to_unit(torch.from_numpy(rows))
    zero = torch.from_numpy(~rows.any(axis=1))
    assert lengths.isfinite().all()
    assert ((lengths == 0) == zero).all()
    torch.testing.assert_close(
        unit[~zero].norm(dim=1), torch.ones(int((~zero).sum())), rtol=0, atol=1e-6
    )


def test_input_is_left_as_it_was() -> None:
    for dtype in DTYPES:
        rows = random_rows(10, 4).to(dtype)
        before = rows.clone()
        linalg.to_unit(rows)
        assert torch.equal(rows, before)


# blocks --------------------------------------------------------------------------------------


@given(st.integers(1, 3000), st.integers(1, 10**7), st.integers(1, 2**27))
def test_blocks_cover_all_rows_within_the_budget(n: int, columns: int, budget: int) -> None:
    spans = list(linalg.blocks(n, columns, budget))
    assert [a for a, _ in spans] == [0, *(b for _, b in spans[:-1])]
    assert spans[-1][1] == n
    for a, b in spans:
        assert 1 <= b - a <= 512
        assert (b - a == 1) or 4 * columns * (b - a) <= budget


def test_budget_of_a_block_holds_where_rows_are_many() -> None:
    columns = 10**6
    (a, b), *_ = linalg.blocks(10**6, columns)
    assert 4 * columns * (b - a) <= linalg.BLOCK_BYTES


# neighbours ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 511, 513, 1100])
def test_neighbours_across_block_borders(n: int) -> None:
    x, y = linalg.to_unit(random_rows(n, 5))[0], linalg.to_unit(random_rows(n + 3, 5, 1))[0]
    inside, across = x.double() @ x.double().T, x.double() @ y.double().T
    inside.fill_diagonal_(-2)
    best_x, best_y = best_across(x, y)
    torch.testing.assert_close(best_x.double(), across.amax(1), rtol=0, atol=1e-6)
    torch.testing.assert_close(best_y.double(), across.amax(0), rtol=0, atol=1e-6)
    assert torch.equal(nearest(x, y), across.argmax(1))
    k = min(7, n - 1)
    top, above = within_and_above(x, k, best_x)
    assert torch.equal(top, inside.argsort(dim=1, descending=True)[:, :k])
    assert torch.equal(top, within(x, k))
    assert torch.equal(above, (inside > across.amax(1)[:, None]).sum(1))


# decompositions ------------------------------------------------------------------------------


def test_psd_eigh() -> None:
    rows = random_rows(20, 6)
    matrix = rows.T @ rows
    values, vectors = linalg.psd_eigh(matrix)
    assert values.tolist() == sorted(values.tolist(), reverse=True)
    torch.testing.assert_close(vectors * values @ vectors.T, matrix)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(6, dtype=torch.float64))
    low_rank = rows[:2].T @ rows[:2]
    assert (linalg.psd_eigh(low_rank)[0] >= 0).all()


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([4.0, 3.0, 2.0, 1.0], 0.4, 1),
        ([4.0, 3.0, 2.0, 1.0], 0.41, 2),
        ([4.0, 3.0, 2.0, 1.0], 0.7, 2),
        ([4.0, 3.0, 2.0, 1.0], 0.9, 3),
        ([4.0, 3.0, 2.0, 1.0], 1.0, 4),
        ([1.0, 0.0, 0.0], 0.9, 1),
        ([0.1] * 10, 0.3, 3),  # 0.1 + 0.1 + 0.1 is not 0.3 in floating point
        ([0.0, 0.0], 0.9, 0),
    ],
)
def test_top_directions(values: list[float], share: float, expected: int) -> None:
    assert linalg.top_directions(torch.tensor(values, dtype=torch.float64), share) == expected


# decompositions ------------------------------------------------------------------------------

SQUARE = np.random.default_rng(0).normal(size=(30, 30))
DECOMPOSITIONS: dict[str, tuple[Any, Any]] = {
    "eigh": (lambda m: linalg.eigh(m @ m.T)[0], lambda m: np.linalg.eigh(m @ m.T)[0]),
    "eigenvalues": (lambda m: linalg.eigenvalues(m @ m.T), lambda m: np.linalg.eigvalsh(m @ m.T)),
    "singular_values": (linalg.singular_values, lambda m: np.linalg.svd(m)[1]),
    "solve": (lambda m: linalg.solve(m, m.T), lambda m: np.linalg.solve(m, m.T)),
    "pseudo_inverse": (linalg.pseudo_inverse, np.linalg.pinv),
    "svd": (lambda m: (lambda u, s, v: u * s @ v)(*linalg.svd(m)), lambda m: m),
    "thin svd": (
        lambda m: (lambda u, s, v: u * s @ v)(*linalg.svd(m[:, :7], full=False)),
        lambda m: m[:, :7],
    ),
    "qr": (lambda m: (lambda q, r: q @ r)(*linalg.qr(m[:, :7])), lambda m: m[:, :7]),
}


@pytest.mark.parametrize("name", DECOMPOSITIONS)
def test_decompositions_against_numpy(name: str) -> None:
    ours, reference = DECOMPOSITIONS[name]
    expected = reference(SQUARE)
    fixed = SQUARE.copy()
    fixed.flags.writeable = False
    for matrix in (SQUARE, SQUARE.T.copy().T, SQUARE[::-1][::-1], fixed):
        found = ours(matrix)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    found = ours(torch.from_numpy(SQUARE))
    assert isinstance(found, Tensor)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8, atol=1e-10)


def test_small_matrices_are_decomposed_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    seen = []

    def noted(matrix: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return matrix

    monkeypatch.setattr(torch.linalg, "svdvals", noted)
    try:
        torch.set_num_threads(3)
        linalg.singular_values(SQUARE)
        monkeypatch.setattr(linalg, "SMALL", SQUARE.size - 1)
        linalg.singular_values(SQUARE)  # large now
        assert seen == [1, 3]
        assert torch.get_num_threads() == 3
        with pytest.raises(KeyError), linalg.one_thread():
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_no_other_module_decomposes() -> None:
    # a decomposition elsewhere would run on all threads
    package = Path(linalg.__file__).parent
    names = "svd|svdvals|eigh|eigvalsh|eig|qr|solve|lstsq|pinv|inv|cond|cholesky|matrix_rank"
    pattern = re.compile(rf"\b(?:np|torch|scipy)\.linalg\.(?:{names})\b|from scipy\.linalg import")
    assert pattern.search("torch.linalg.svd(x)")
    for path in package.rglob("*.py"):
        if path != Path(linalg.__file__):
            assert not pattern.search(path.read_text()), path
