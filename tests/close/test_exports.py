"""A map leaves: as a file of our own, and in other hands with the same vectors and rankings.

Every closer that fits a map is exported in every form: a torch module, an ONNX file, views over a
FAISS index, plain numbers. Rows go in as they are stored.
"""

from __future__ import annotations

import functools
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.cases import Floats, two_cones
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

import modalgap as mg
from modalgap import errors
from modalgap.close import (
    CLOSERS,
    AffineMap,
    Step,
    faiss_views,
    fit,
    load,
    to_json,
    to_onnx,
    to_torch,
)
from modalgap.embeddings import Pair

N, D = 60, 12
ROLES = ("image", "text")
MAPS = [name for name, closer in CLOSERS.items() if closer.fit is not None]

Rows = NDArray[np.float32]
Exported = Callable[[Rows, str], Any]  # rows (n, d) as stored, and their role


@functools.cache
def stored() -> dict[str, Rows]:
    """Rows that are not unit: images of 0.2 to 5, texts of about 4."""
    image, text = two_cones(N, D, seed=6)
    return {"image": image.astype(np.float32), "text": text.astype(np.float32)}


def odd() -> AffineMap:
    """Every kind of step: full, diagonal, none; with and without offset; unit or not; wider."""
    random = np.random.default_rng(0)
    b = random.normal(size=D) / 10
    steps = (
        Step(random.normal(size=(D, D)), b, unit=False),
        Step(random.uniform(0.5, 2, D), None, unit=False),
        Step(None, b),
        Step(random.uniform(0.5, 2, D), b),
        Step(random.normal(size=(D + 5, D))),
        Step(),
    )
    return AffineMap(
        dims={"image": D, "text": D},
        roles={"image": steps, "text": (Step(random.normal(size=(D + 5, D)), unit=False),)},
        method="odd",
    )


def pair() -> Pair:
    return Pair(stored()["image"], stored()["text"])


@functools.cache
def made(name: str) -> AffineMap:
    if name == "odd":
        return odd()
    if name == "composed":
        first = fit(pair(), "realign")
        return first.then(fit(first.apply(pair()), "pca_text"))
    if name == "isoclip":
        weights = np.random.default_rng(5).normal(size=(2, D, D))
        return fit(dict(zip(ROLES, weights, strict=True)), name, top=2, bottom=1)
    return fit(pair(), name)


def shown(map_: AffineMap) -> dict[str, Rows]:
    """Closed rows of both roles."""
    return {role: map_(stored()[role], role) for role in ROLES}


def refused(words: str, kind: type[errors.ModalgapError] = errors.InputError) -> Any:
    return pytest.raises(kind, match=words)


EVERY = [*MAPS, "composed", "odd"]


# the ways out --------------------------------------------------------------------------------


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


# torch ---------------------------------------------------------------------------------------


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


# onnx ----------------------------------------------------------------------------------------


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


# faiss ---------------------------------------------------------------------------------------


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


# plain numbers -------------------------------------------------------------------------------


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


# files of our own --------------------------------------------------------------------------


def alike(found: AffineMap, expected: AffineMap) -> None:
    assert found.fingerprint == expected.fingerprint
    assert repr(found) == repr(expected)
    for key in ("dims", "method", "options", "fitted_on", "facts"):
        assert getattr(found, key) == getattr(expected, key), key
    assert list(found.roles) == list(expected.roles)
    for role, steps in expected.roles.items():
        for ours, theirs in zip(found.roles[role], steps, strict=True):
            np.testing.assert_array_equal(ours.matrix, theirs.matrix)
            np.testing.assert_array_equal(ours.offset, theirs.offset)
            assert ours.unit == theirs.unit


@pytest.mark.parametrize("name", EVERY)
def test_maps_come_back_exactly(tmp_path: Path, name: str) -> None:
    path = made(name).save(tmp_path / "map.safetensors")
    assert path == tmp_path / "map.safetensors"
    found = load(str(path))
    alike(found, made(name))
    for role, rows in shown(made(name)).items():
        np.testing.assert_array_equal(shown(found)[role], rows)
    alike(load(found.save(tmp_path / "again.safetensors")), found)
    assert [each.name for each in sorted(tmp_path.iterdir())] == [
        "again.safetensors",
        "map.safetensors",
    ]


def test_other_maps_come_back_too(tmp_path: Path) -> None:
    both = made("standardize").then(fit(made("standardize").apply(pair()), "cca"))
    odd = AffineMap(
        dims={"a.b/é 0": 3, "": 2},
        roles={
            "a.b/é 0": (Step(np.ones((2, 3)), None, unit=False), Step(np.ones(2)), Step()),
            "": (),
        },
        method="odd",
    )
    for i, map_ in enumerate((both, fit({"q": stored()["image"]}, "center"), odd)):
        alike(load(map_.save(tmp_path / f"{i}.safetensors")), map_)


def test_fingerprint_is_of_every_number() -> None:
    offset = np.array([0.1, 0.2])

    def of_(role: str = "a", dim: int = 2, **step: Any) -> str:
        return AffineMap(dims={role: dim}, roles={role: (Step(**step),)}, method="m").fingerprint

    prints = [
        of_(),
        of_("b"),
        of_(dim=3),
        of_(unit=False),
        of_(offset=offset),
        of_(offset=np.nextafter(offset, 1)),
        of_(matrix=offset),
        of_(matrix=np.diag(offset)),
        of_(matrix=offset, offset=offset),
        AffineMap(dims={"a": 2}, roles={"a": ()}, method="m").fingerprint,
        AffineMap(dims={"a": 2}, roles={"a": (Step(), Step())}, method="m").fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    turned = Step(np.asfortranarray(np.diag(offset)))
    assert AffineMap(dims={"a": 2}, roles={"a": (turned,)}, method="n").fingerprint == prints[7]


@pytest.mark.parametrize(
    ("dims", "roles", "words"),
    [
        ({}, {}, "the same roles, at least one"),
        ({"a": 2}, {"b": ()}, "the same roles"),
        ({"a": 2}, {"a": (), "b": ()}, "the same roles"),
        ({"a": 2}, {"a": (Step(np.ones((2, 3))),)}, r"take 2 columns; found shape \(2, 3\)"),
        ({"a": 2}, {"a": (Step(np.ones(3)),)}, r"take 2 columns; found shape \(3,\)"),
        ({"a": 2}, {"a": (Step(np.ones((3, 2))), Step(np.ones(2)))}, "take 3 columns"),
        ({"a": 2}, {"a": (Step(np.ones((1, 1, 2))),)}, "take 2 columns"),
        ({"a": 2}, {"a": (Step(offset=np.ones(3)),)}, r"offset must have shape \(2,\); found \(3,"),
        ({"a": 2}, {"a": (Step(offset=np.ones((2, 1))),)}, "offset must have shape"),
        ({"a": 2}, {"a": (Step(np.array([1, np.nan])),)}, "every number must be finite"),
        ({"a": 2}, {"a": (Step(offset=np.array([1, np.inf])),)}, "every number must be finite"),
    ],
    ids=str,
)
def test_maps_whose_parts_do_not_fit(dims: Any, roles: Any, words: str) -> None:
    with refused(f"^map: .*{words}"):
        AffineMap(dims=dims, roles=roles, method="m")


def test_a_matrix_without_dimensions() -> None:
    with refused("matrix must be", errors.OptionError):
        Step(np.array(2.0))


def test_where_a_map_is_not_written(tmp_path: Path) -> None:
    map_ = made("center")
    path = map_.save(tmp_path / "map.SafeTensors")
    before = path.read_bytes()
    with refused("exists; replace it with --force or overwrite=True", errors.OutputError):
        map_.save(path)
    made("shift").save(path, overwrite=True)
    assert path.read_bytes() != before
    assert load(path).method == "shift"
    for name in ("map.npz", "map", "map.pt"):
        with refused(r"must end in \.safetensors; found", errors.OutputError):
            map_.save(tmp_path / name)
    with refused("must be in a folder that exists", errors.OutputError):
        map_.save(tmp_path / "no" / "map.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with refused("must be a file; found a folder", errors.OutputError):
        map_.save(tmp_path / "folder.safetensors", overwrite=True)
    assert len(list(tmp_path.iterdir())) == 2


Parts = tuple[dict[str, Any], dict[str, Any], dict[str, str]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    map_ = fit(Pair(*two_cones(10, 4, seed=4)), "standardize").then(
        fit(Pair(*two_cones(10, 4, seed=4)), "whiten")
    )
    path: Path = map_.save(tmp_path_factory.mktemp("map") / "map.safetensors")
    return path


def parts(path: Path) -> Parts:
    """Tensors, the told JSON, and the metadata of a map's file."""
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return tensors, json.loads(metadata["map"]), metadata


def test_a_file_put_together_by_hand_is_a_map(written: Path, tmp_path: Path) -> None:
    # else the tests below could not fail
    tensors, told, metadata = parts(written)
    path = tmp_path / "hand.safetensors"
    path.write_bytes(to_bytes(tensors, metadata | {"map": json.dumps(told)}))
    alike(load(path), load(written))
    assert set(tensors) == {
        f"{role}.{i}.{name}" for role in ROLES for i in (0, 1) for name in ("matrix", "offset")
    }


TENSORS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "none": (lambda t: t.clear(), "do not fit|no step|must"),
    "one too many": (lambda t: t.update({"x": np.ones(3)}), "no step has the tensor 'x'"),
    "a step too many": (lambda t: t.update({"image.2.matrix": np.ones(4)}), "'image.2.matrix'"),
    "another role": (lambda t: t.update({"audio.0.matrix": np.ones(4)}), "'audio.0.matrix'"),
    "float32": (lambda t: t.update({"image.0.offset": np.ones(4, "f4")}), "float64; found float32"),
    "integers": (lambda t: t.update({"image.0.offset": np.ones(4, int)}), "float64; found int64"),
    "narrow": (lambda t: t.update({"image.0.matrix": np.ones(3)}), "take 4 columns"),
    "tall": (lambda t: t.update({"image.0.matrix": np.ones((5, 4))}), "must have shape .5,."),
    "wide": (lambda t: t.update({"image.1.matrix": np.ones((4, 5))}), "take 4 columns"),
    "deep": (lambda t: t.update({"image.1.matrix": np.ones((1, 4, 4))}), "take 4 columns"),
    "a number": (lambda t: t.update({"image.1.matrix": np.array(1.0)}), "matrix must be"),
    "an offset": (lambda t: t.update({"text.1.offset": np.ones((4, 1))}), "offset must have"),
    "nan": (lambda t: t["text.1.offset"].__setitem__(2, np.nan), "number must be finite"),
    "infinity": (lambda t: t["image.0.matrix"].__setitem__(0, np.inf), "number must be finite"),
}
ABSENT = object()
TOLD: dict[str, dict[str, Any]] = {
    "no dims": {"dims": ABSENT},
    "no steps": {"steps": ABSENT},
    "no method": {"method": ABSENT},
    "no options": {"options": ABSENT},
    "no facts": {"facts": ABSENT},
    "no fitted_on": {"fitted_on": ABSENT},
    "dims of another width": {"dims": {"image": 4, "text": 5}},
    "dims that are strings": {"dims": {"image": "4", "text": "4"}},
    "dims that are floats": {"dims": {"image": 4.0, "text": 4.0}},
    "dims that are true": {"dims": {"image": True, "text": True}},
    "dims below one": {"dims": {"image": 0, "text": -4}},
    "dims of one role": {"dims": {"image": 4}},
    "dims of three": {"dims": {"image": 4, "text": 4, "audio": 4}},
    "dims in a list": {"dims": [4, 4]},
    "dims none": {"dims": None},
    "steps of one role": {"steps": {"image": [True, True]}},
    "too few steps": {"steps": {"image": [True], "text": [True]}},
    "steps that are numbers": {"steps": {"image": [1, 1], "text": [1, 1]}},
    "steps that are a word": {"steps": {"image": "ab", "text": "ab"}},
    "steps in a list": {"steps": [[True], [True]]},
    "a number of steps": {"steps": {"image": 2, "text": 2}},
    "steps none": {"steps": None},
    "a number for a method": {"method": 3},
    "options that are a number": {"options": 3},
    "facts that are a word": {"facts": "abc"},
    "facts none": {"facts": None},
    "fitted on a list": {"fitted_on": ["image"]},
    "fitted on a word": {"fitted_on": {"image": "ViT"}},
}
META: dict[str, tuple[dict[str, Any], str]] = {
    "another format": ({"format": "other"}, "must be a map written by modalgap; found another"),
    "no format": ({"format": ABSENT}, "must be a map written by modalgap"),
    "a later version": ({"version": "2"}, "must be of map version 1; found '2'"),
    "no version": ({"version": ABSENT}, "must be of map version 1; found 'None'"),
    "a long version": ({"version": "9" * 900}, "must be of map version 1; found '9{40}'$"),
    "no map": ({"map": ABSENT}, "parts do not fit together"),
    "an empty map": ({"map": ""}, "parts do not fit together"),
    "junk": ({"map": "{'dims': 3}"}, "parts do not fit together"),
    "half of a map": ({"map": '{"dims": {"image": 4'}, "parts do not fit together"),
    "a list": ({"map": "[1, 2]"}, "parts do not fit together"),
    "a number": ({"map": "3"}, "parts do not fit together"),
    "null": ({"map": "null"}, "parts do not fit together"),
    "a long number": ({"map": "9" * 9999}, "parts do not fit together"),
}


def not_a_map(path: Path, words: str) -> None:
    with pytest.raises(errors.FileError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def without(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not ABSENT}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_are_no_map(written: Path, tmp_path: Path, kind: str) -> None:
    tensors, _, metadata = parts(written)
    change, words = TENSORS[kind]
    change(tensors)
    path = tmp_path / "bad.safetensors"
    path.write_bytes(to_bytes(tensors, metadata))
    if kind == "none":  # steps without numbers: still a map, of plain normalisations
        assert load(path).image(np.eye(4)) == pytest.approx(np.eye(4))
        return
    not_a_map(path, words)


@pytest.mark.parametrize("kind", TOLD)
def test_descriptions_that_are_no_map(written: Path, tmp_path: Path, kind: str) -> None:
    tensors, told, metadata = parts(written)
    path = tmp_path / "bad.safetensors"
    words = json.dumps(without(told | TOLD[kind]))
    path.write_bytes(to_bytes(tensors, metadata | {"map": words}))
    not_a_map(path, "do not fit together|map: ")


@pytest.mark.parametrize("kind", META)
def test_metadata_that_is_no_map(written: Path, tmp_path: Path, kind: str) -> None:
    tensors, _, metadata = parts(written)
    changes, words = META[kind]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(to_bytes(tensors, without(metadata | changes)))
    not_a_map(path, words)


def test_other_files_are_no_maps(tmp_path: Path) -> None:
    not_a_map(tmp_path / "none.safetensors", "must be a map; found no such file")
    not_a_map(tmp_path, "must be a map; found no such file")
    embeddings = mg.save(pair(), tmp_path / "pair.safetensors")
    not_a_map(embeddings, "must be a map written by modalgap; found another file")
    not_a_map(mg.save(pair(), tmp_path / "pair.npz"), "cannot be read as safetensors")
    path = tmp_path / "junk.safetensors"
    for content in (b"", b"\0", b"{}", b"\xff" * 99, b"\x02" + 7 * b"\0" + b"{}", b"\0" * 64):
        path.write_bytes(content)
        not_a_map(path, "cannot be read as safetensors|must be a map")


def test_a_map_is_no_embeddings(written: Path) -> None:
    with refused(str(written), errors.FileError):
        mg.load(written)


def test_truncated_files_are_no_maps(written: Path, tmp_path: Path) -> None:
    whole = written.read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in {*range(0, len(whole), 37), len(whole) - 1, 7, 8, 9}:
        path.write_bytes(whole[:length])
        not_a_map(path, "cannot be read as safetensors")
    path.write_bytes(whole + b"\0")
    not_a_map(path, "cannot be read as safetensors")


@settings(max_examples=300)
@given(st.data())
def test_damaged_files_are_refused_or_still_maps(written: Path, data: st.DataObject) -> None:
    content = bytearray(written.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = written.parent / "damaged.safetensors"
    path.write_bytes(content)
    try:
        found = load(path)
    except errors.FileError as error:
        line = str(error)
    else:
        for role, steps in found.roles.items():
            numbers = [a for step in steps for a in (step.matrix, step.offset) if a is not None]
            if found.dims[role] == 4 and all((np.abs(a) < 1e38).all() for a in numbers):
                judge_rows(found, np.eye(4), role)
        return
    assert "\n" not in line
    assert str(path) in line


def judge_rows(map_: AffineMap, rows: Floats, role: str) -> None:
    try:
        closed = map_(rows, role)
    except errors.ModalgapError:
        return
    assert np.isfinite(closed).all()
