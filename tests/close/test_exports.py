"""A map leaves: as a file of our own, and in other hands with the same vectors and rankings.

Every closer that fits a map is exported in every form: a torch module, an ONNX file, views over a
FAISS index, plain numbers. Rows go in as they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import onnxruntime
import pytest
import torch
from close.export_cases import (
    EVERY,
    ROLES,
    Rows,
    made,
    shown,
    stored,
)
from numpy.typing import NDArray

from modalgap import errors
from modalgap.close import (
    AffineMap,
    Step,
    faiss_views,
    fit,
    load,
    to_json,
    to_onnx,
    to_torch,
)

Exported = Callable[[Rows, str], Any]  # rows (n, d) as stored, and their role


def by_torch(map_: AffineMap, folder: Path) -> Exported:
    modules = {role: to_torch(map_, role) for role in map_.roles}
    return lambda rows, role: modules[role](torch.from_numpy(rows)).numpy()


def by_onnx(map_: AffineMap, folder: Path) -> Exported:
    sessions = {}
    for role in map_.roles:
        path = to_onnx(map_, folder / f"{role}.onnx", role)
        sessions[role] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def closed(rows: Rows, role: str) -> Any:
        return sessions[role].run(["closed"], {"rows": rows})[0]

    return closed


def by_json(map_: AffineMap, folder: Path) -> Exported:
    """The recipe that stands in the file, by numpy alone."""
    (folder / "map.json").write_text(to_json(map_))
    told = json.loads((folder / "map.json").read_text())

    def closed(rows: Rows, role: str) -> Any:
        v = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        for step in told["roles"][role]["steps"]:
            assert step["matrix"] is None or step["diagonal"] is None
            if step["matrix"] is not None:
                v = v @ np.array(step["matrix"]).T
            if step["diagonal"] is not None:
                v = v * step["diagonal"]
            if step["offset"] is not None:
                v = v + step["offset"]
            if step["unit"]:
                v = v / np.linalg.norm(v, axis=1, keepdims=True)
        return v

    return closed


def by_faiss(map_: AffineMap, folder: Path) -> Exported:
    """What lies in an index after rows were added through a view."""
    index = faiss.IndexFlatIP(map_.width("image"))
    views = faiss_views(map_, index)

    def closed(rows: Rows, role: str) -> Any:
        index.reset()
        views[role].add(rows)
        return index.reconstruct_n(0, len(rows))

    return closed


WAYS: dict[str, Callable[[AffineMap, Path], Exported]] = {
    "torch": by_torch,
    "onnx": by_onnx,
    "json": by_json,
    "faiss": by_faiss,
}


def same_order(found: NDArray[Any], expected: NDArray[Any], near: float = 4e-6) -> None:
    """Rows of scores in one order, but for ties that rounding may turn."""
    order = np.argsort(-found, axis=1)
    assert (np.diff(np.take_along_axis(expected, order, axis=1), axis=1) <= near).all()


# the ways out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", EVERY)
def test_same_vectors_and_same_rankings(name: str, way: str, tmp_path: Path) -> None:
    map_, rows = made(name), stored()
    expected = shown(map_)
    exported = WAYS[way](map_, tmp_path)
    found = {role: np.asarray(exported(rows[role], role)) for role in ROLES}
    for role in ROLES:
        assert found[role].shape == expected[role].shape
        assert way == "json" or found[role].dtype == np.float32
        scale = max(1.0, float(np.abs(expected[role]).max()))
        np.testing.assert_allclose(found[role], expected[role], rtol=0, atol=1e-6 * scale)
        one = np.asarray(exported(rows[role][5:6], role))
        np.testing.assert_allclose(one, expected[role][5:6], rtol=0, atol=1e-6 * scale)
    near = 4e-6 * max(1.0, float(np.abs(expected["text"]).max()))
    for queries, items in (ROLES, ROLES[::-1]):
        same_order(found[queries] @ found[items].T, expected[queries] @ expected[items].T, near)


@pytest.mark.parametrize("way", WAYS)
def test_rows_of_any_length(way: str, tmp_path: Path) -> None:
    map_, rows = made("standardize"), stored()["image"]
    exported = WAYS[way](map_, tmp_path)
    expected = exported(rows, "image")
    for scale in (1e-6, 1e-3, 1e3, 1e6):
        found = exported((rows * scale).astype(np.float32), "image")
        np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_map_of_one_role_from_a_file(way: str, tmp_path: Path) -> None:
    rows = stored()["image"]
    map_ = fit({"image": rows}, "whiten")
    kept = load(map_.save(tmp_path / "map.safetensors"))
    found = WAYS[way](kept, tmp_path)(rows, "image")
    np.testing.assert_allclose(found, map_.image(rows), atol=1e-6)


def test_wrong_rows_would_be_noticed() -> None:
    # else the tests above could not fail: without the first normalisation, or of the other role
    map_, rows = made("center"), stored()
    (step,) = map_.roles["image"]
    assert step.offset is not None
    raw = rows["image"] + step.offset
    raw = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(raw - map_.image(rows["image"])).max() > 0.1
    assert np.abs(map_.text(rows["image"]) - map_.image(rows["image"])).max() > 0.1


# plain numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_numbers_read_back_exactly(name: str) -> None:
    map_ = made(name)
    told = json.loads(to_json(map_))
    assert set(told) == {"recipe", "method", "fingerprint", "modalgap", "roles"}
    assert told["method"] == map_.method
    assert told["fingerprint"] == map_.fingerprint
    assert list(told["roles"]) == list(map_.roles)
    roles = {}
    for role, known in told["roles"].items():
        assert known["dim"] == map_.dims[role]
        steps = []
        for step in known["steps"]:
            assert set(step) == {"matrix", "diagonal", "offset", "unit"}
            matrix = step["matrix"] if step["diagonal"] is None else step["diagonal"]
            steps.append(
                Step(
                    None if matrix is None else np.array(matrix),
                    None if step["offset"] is None else np.array(step["offset"]),
                    step["unit"],
                )
            )
        roles[role] = tuple(steps)
    again = AffineMap(dims=map_.dims, roles=roles, method=map_.method)
    assert again.fingerprint == map_.fingerprint


def test_a_role_that_a_map_lacks() -> None:
    for role in ("imag", ""):
        with pytest.raises(errors.OptionError, match="unknown role of this map"):
            to_torch(made("center"), role)
    for role in (None, 3):
        with pytest.raises(errors.OptionError, match="role must be a string"):
            to_torch(made("center"), role)  # type: ignore[arg-type]
