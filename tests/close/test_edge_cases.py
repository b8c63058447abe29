"""What breaking closers found, mended: each of these once gave a wrong row or a traceback."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference.cases import two_cones
from safetensors import safe_open
from safetensors.numpy import save as to_bytes
from safetensors.torch import save as torch_bytes

import modalgap as mg
from modalgap import errors
from modalgap.close import AffineMap, Step, correct, fit, load
from modalgap.embeddings import Embeddings, Pair, pair_moments

X, Y = two_cones(80, 12, seed=4)
PAIR = Pair(X, Y)


@pytest.mark.parametrize("name", ["procrustes", "ridge", "cca"])
def test_matched_rows_of_a_pair_whose_texts_come_first(name: str) -> None:
    turned = mg.close(Pair(Embeddings(Y, "text"), Embeddings(X, "image")), name)
    plain = mg.close(PAIR, name)
    np.testing.assert_allclose(turned.image.unit(), plain.text.unit(), atol=1e-6)
    np.testing.assert_allclose(turned.text.unit(), plain.image.unit(), atol=1e-6)


def test_the_role_image_is_the_image() -> None:
    map_ = fit({"caption": Y, "image": X}, "shift", side="image")
    assert map_.roles["caption"] == ()
    assert map_.roles["image"] != ()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("shift", {"alpha": None}),
        ("shift", {"alpha": 10**400}),
        ("shift", {"length": 10**400}),
        ("project", {"alpha": 10**400}),
        ("ridge", {"penalty": 10**400}),
        ("cca", {"power": 10**400}),
        ("noise", {"variance": 10**400}),
        ("transport", {"reg": 10**400}),
    ],
    ids=str,
)
def test_options_beyond_floats(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(errors.OptionError, match=f"{next(iter(options))} must be"):
        fit(PAIR, name, **options) if name not in ("noise", "transport") else quiet(name, **options)


def quiet(name: str, **options: Any) -> Pair:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mg.close.Transductive)
        return mg.close(PAIR, name, **options)


def test_much_noise_is_noise() -> None:
    closed = quiet("noise", variance=1e80)
    assert closed.text.unit().isfinite().all()


def test_no_correlation_is_above_one() -> None:
    for shrinkage in (None, 0.0, 0.5, 1.0):
        found = fit(PAIR, "cca", shrinkage=shrinkage).facts["correlations"]
        assert max(found) <= 1 + 1e-9


def test_any_power_of_correlations() -> None:
    for power in (60.0, 1000.0, 1e6):
        assert mg.close(PAIR, "cca", power=power).image.unit().isfinite().all()


@pytest.mark.parametrize("name", ["whiten", "standardize", "project", "pca_text"])
def test_moments_without_scatter(name: str) -> None:
    with pytest.raises(errors.NotApplicable, match=f"^{name}: .*without scatter"):
        fit(pair_moments(PAIR), name)


def test_one_direction_of_many_lengths() -> None:
    same = np.outer(np.arange(1, 21), [3.0, 2, 2])
    with pytest.raises(errors.NotApplicable, match="all rows of the texts are the same"):
        fit(Pair(X[:20, :3], same), "realign")


def test_rows_of_several_lengths() -> None:
    with pytest.raises(errors.InputError, match="image: must be numbers"):
        fit({"image": [[1.0, 2.0], [3.0]]}, "center")


def test_numbers_that_float32_cannot_hold() -> None:
    for step in (Step(offset=np.array([1e39, 0])), Step(np.array([1.0, -1e300]))):
        with pytest.raises(errors.InputError, match="every number must be finite"):
            AffineMap(dims={"a": 2}, roles={"a": (step,)}, method="m")


# inverse -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_inverse_of_no_rows(value: float) -> None:
    for name in ("none", "center"):
        with pytest.raises(errors.InputError, match="finite and not zero"):
            fit(PAIR, name).inverse(np.full((2, 12), value), "image")


def test_inverse_of_another_width() -> None:
    with pytest.raises(errors.InputError, match="must have 12 columns; got 5"):
        fit(PAIR, "none").inverse(np.ones((2, 5)), "image")


@pytest.mark.parametrize(("name", "options"), [("ridge", {}), ("shift", {"length": 6.0})])
def test_what_cannot_be_inverted_is_not(name: str, options: dict[str, Any]) -> None:
    map_ = fit(PAIR, name, **options)
    assert not map_.invertible
    with pytest.raises(errors.NotApplicable, match="cannot be inverted"):
        map_.inverse(map_.text(Y), "text")


# files ---------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found: Path = fit(PAIR, "center").save(tmp_path / "map.safetensors")
    return found


def parts(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    with safe_open(path, "np") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def test_a_map_too_deep(path: Path) -> None:
    tensors, metadata = parts(path)
    path.write_bytes(to_bytes(tensors, metadata | {"map": "[" * 100_000}))
    with pytest.raises(errors.FileError):
        load(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_tensors_that_numpy_lacks(path: Path, dtype: torch.dtype) -> None:
    tensors, metadata = parts(path)
    short = {key: torch.from_numpy(array).to(dtype) for key, array in tensors.items()}
    path.write_bytes(torch_bytes(short, metadata))
    with pytest.raises(errors.FileError):
        load(path)


def test_a_map_to_nothing(path: Path) -> None:
    tensors, metadata = parts(path)
    tensors = {"text.0.offset": tensors["text.0.offset"], "image.0.matrix": np.zeros((0, 12))}
    path.write_bytes(to_bytes(tensors, metadata))
    with pytest.raises(errors.FileError, match="column"):
        load(path)


def test_half_a_letter(path: Path) -> None:
    tensors, metadata = parts(path)
    told = json.loads(metadata["map"]) | {"method": "\ud800"}
    path.write_bytes(to_bytes(tensors, metadata | {"map": json.dumps(told)}))
    with pytest.raises(errors.FileError):
        load(path)


# scores --------------------------------------------------------------------------------------


def test_names_of_corrections() -> None:
    with pytest.raises(errors.OptionError, match="method must be a string or a CorrectionRule"):
        correct(X, Y, ["nnn"])  # type: ignore[arg-type]


def test_a_steep_qbnorm_is_finite() -> None:
    assert correct(X, Y, "qbnorm", beta=1e200)(Y).isfinite().all()
