"""A map leaves: as a file of our own, and in other hands with the same vectors and rankings.

Every closer that fits a map is exported in every form: a torch module, an ONNX file, views over a
FAISS index, plain numbers. Rows go in as they are stored.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from close.export_cases import (
    EVERY,
    ROLES,
    D,
    N,
    Rows,
    made,
    refused,
    shown,
    stored,
)
from numpy.typing import NDArray

from modalgap import errors
from modalgap.close import (
    faiss_views,
    fit,
    to_onnx,
    to_torch,
)

# torch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_a_module_has_buffers_and_nothing_to_train(name: str) -> None:
    map_ = made(name)
    module = to_torch(map_, "image")
    assert list(module.parameters()) == []
    again = to_torch(map_, "image")
    again.load_state_dict(module.state_dict())
    x = torch.from_numpy(stored()["image"])
    assert torch.equal(again(x), module(x))
    numbers = sum(
        (step.matrix is not None) + (step.offset is not None) for step in map_.roles["image"]
    )
    assert len(module.state_dict()) == numbers
    wide = module.double()(x.double())
    assert wide.dtype is torch.float64
    np.testing.assert_allclose(wide, map_.image(stored()["image"]), atol=1e-5)


def test_a_module_takes_any_leading_shape_and_lets_gradients_through() -> None:
    map_, rows = made("whiten"), stored()["text"]
    module = to_torch(map_, "text")
    cube = torch.from_numpy(rows).reshape(3, 20, D).requires_grad_()
    found = module(cube)
    np.testing.assert_allclose(found.detach().reshape(N, D), map_.text(rows), atol=1e-6)
    np.testing.assert_allclose(module(cube[0, 0]).detach(), map_.text(rows[0]), atol=1e-6)
    found.sum().backward()
    assert cube.grad is not None
    assert cube.grad.isfinite().all()
    assert cube.grad.abs().max() > 0


def test_a_module_behind_a_tower() -> None:
    tower = torch.nn.Linear(7, D)
    both = torch.nn.Sequential(tower, to_torch(made("center"), "image")).eval()
    inputs = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    expected = made("center").image(tower(inputs))
    np.testing.assert_allclose(both(inputs).detach(), expected, atol=1e-6)


def test_a_module_keeps_its_own_numbers() -> None:
    map_ = fit(stored(), "center")
    module = to_torch(map_, "image")
    for buffer in module.buffers():
        buffer.zero_()
    again = to_torch(map_, "image")
    assert all(buffer.abs().max() > 0 for buffer in again.buffers())


# onnx ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_an_onnx_file_says_what_it_takes(name: str, tmp_path: Path) -> None:
    map_ = made(name)
    path = to_onnx(map_, tmp_path / "text.onnx", "text")
    assert path == tmp_path / "text.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} <= {
        "Mul",
        "Abs",
        "Div",
        "MatMul",
        "ReduceMax",
        "Add",
        "LpNormalization",
        "Identity",
    }
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,), (found,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == ("rows", ["n", D], "tensor(float)")
    assert (found.name, found.shape) == ("closed", ["n", map_.width("text")])


def test_where_an_onnx_file_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    map_ = made("center")
    path = to_onnx(map_, tmp_path / "a.onnx", "image")
    before = path.read_bytes()
    with pytest.raises(errors.OutputError, match="exists; replace it with --force"):
        to_onnx(map_, path, "text")
    assert path.read_bytes() == before
    to_onnx(map_, path, "text", overwrite=True)
    assert path.read_bytes() != before
    with pytest.raises(errors.OutputError, match=r"must end in \.onnx; found \.pb"):
        to_onnx(map_, tmp_path / "a.pb", "image")
    with pytest.raises(errors.OutputError, match="in a folder that exists"):
        to_onnx(map_, tmp_path / "no" / "a.onnx", "image")
    with pytest.raises(errors.OptionError, match="unknown role of this map 'imag'; did you mean"):
        to_onnx(map_, tmp_path / "b.onnx", "imag")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(errors.NotApplicable, match=r"pip install 'modalgap\[export\]'"):
        to_onnx(map_, tmp_path / "b.onnx", "image")
    assert [each.name for each in tmp_path.iterdir()] == ["a.onnx"]


def searched(index: Any, rows: Rows, k: int = 10) -> tuple[Rows, NDArray[np.int64]]:
    scores, found = index.search(np.ascontiguousarray(rows), k)
    return scores, found


def same_search(found: Any, expected: Any, near: float = 4e-6) -> None:
    """The same items with the same scores; items of one score may change places."""
    (ours, mine), (theirs, yours) = found, expected
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=near)
    differ = mine != yours
    assert differ.mean() < 0.01
    assert (np.abs(ours - theirs)[differ] <= near).all()


# faiss --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_search_through_views_is_search_of_closed_rows(name: str, tmp_path: Path) -> None:
    map_, rows = made(name), stored()
    closed = shown(map_)
    near = 4e-6 * max(1.0, float(np.abs(closed["text"]).max()))
    plain = faiss.IndexFlatIP(map_.width("image"))
    plain.add(closed["image"])
    expected = searched(plain, closed["text"])

    index = faiss.IndexFlatIP(map_.width("image"))
    views = faiss_views(map_, index)
    views["image"].add(rows["image"])
    assert index.ntotal == N
    same_search(searched(views["text"], rows["text"]), expected, near)
    kept = index.reconstruct_n(0, N)
    np.testing.assert_allclose(kept, closed["image"], atol=1e-6)

    path = str(tmp_path / "view.faiss")
    faiss.write_index(views["text"], path)
    again = faiss.read_index(path)
    same_search(searched(again, rows["text"]), searched(views["text"], rows["text"]), 0)
    faiss.write_index(index, path)  # without a chain: for closed queries
    same_search(searched(faiss.read_index(path), closed["text"]), expected, near)


def test_a_mixed_index() -> None:
    map_, rows = made("center"), stored()
    plain = faiss.IndexFlatIP(D)
    plain.add(np.concatenate([map_.image(rows["image"]), map_.text(rows["text"])]))
    views = faiss_views(map_, faiss.IndexFlatIP(D))
    views["image"].add(rows["image"])
    views["text"].add(rows["text"])
    assert views["text"].ntotal == 2 * N
    for role in ROLES:
        expected = searched(plain, map_(rows[role], role))
        same_search(searched(views[role], rows[role]), expected)


def test_views_of_a_trained_index_with_ids() -> None:
    map_, rows = made("center"), stored()
    closed = map_.image(rows["image"])
    ids = np.arange(N, dtype=np.int64) * 7 + 100

    def inverted() -> Any:
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(D), D, 2, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1
        index.train(closed)
        index.nprobe = 2
        return index

    plain, index = inverted(), inverted()
    plain.add_with_ids(closed, ids)
    views = faiss_views(map_, index)
    views["image"].add_with_ids(rows["image"], ids)
    expected = searched(plain, map_.text(rows["text"]))
    found = searched(views["text"], rows["text"])
    same_search(found, expected)
    assert set(found[1].ravel()) <= set(ids)


def test_views_keep_their_index_alive() -> None:
    map_, rows = made("whiten"), stored()
    view = faiss_views(map_, faiss.IndexFlatIP(D))["image"]
    gc.collect()
    view.add(rows["image"])
    _, found = searched(view, rows["image"], 1)
    assert (found[:, 0] == np.arange(N)).all()


def test_an_index_that_is_not_trained() -> None:
    # a view would not learn that another view has trained it
    untrained = faiss.IndexIVFFlat(faiss.IndexFlatIP(D), D, 2, faiss.METRIC_INNER_PRODUCT)
    with refused("index: must be trained on closed rows before views are made"):
        faiss_views(made("center"), untrained)


def test_an_index_of_another_width() -> None:
    with refused("must have 12 columns, as closed images; found 5"):
        faiss_views(made("center"), faiss.IndexFlatIP(5))
    with refused("must have 6 columns, as closed images; found 12"):
        faiss_views(made("pca_text"), faiss.IndexFlatIP(12))
