"""A map leaves: as a file of our own, and in other hands with the same vectors and rankings.

Every closer that fits a map is exported in every form: a torch module, an ONNX file, views over a
FAISS index, plain numbers. Rows go in as they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from close.export_cases import (
    EVERY,
    ROLES,
    made,
    pair,
    refused,
    shown,
    stored,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.cases import Floats, two_cones
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

import modalgap as mg
from modalgap import errors
from modalgap.close import (
    AffineMap,
    Step,
    fit,
    load,
)
from modalgap.embeddings import Pair


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
