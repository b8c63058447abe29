"""Wrong arguments: every public function answers with an error of the package, in a short line."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modalgap as mg
from modalgap import checks, errors, losses
from modalgap.arguments import rule
from modalgap.close import exports
from modalgap.embeddings import describe_input, moments, pair_moments, pick, pick_images

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(2, 24, 6))
PAIR = mg.Pair(X, Y)
FEW = mg.Pair(X[:8], Y[:8])  # too few to be tried: arguments are checked before
SIDE = PAIR.image
MAP = mg.close.fit(PAIR)
RESULT = mg.measure(PAIR, only=["l2m", "rmg"])
CALIBRATION = mg.evaluate.calibrate(PAIR)
INDEX = np.arange(12)
LONG = "x" * 5000

WRONG: tuple[Any, ...] = (
    5, -1, 1.5, float("nan"), True, None, "x", "", LONG, b"x", [], [5], [["l2m"]], [LONG] * 50, {},
    {5: 5}, {"x": LONG}, object(), int, 10**6000, -(10**400), np.eye(3), np.array(LONG), {1, 2},
    lambda: None, Path("x"),
)  # fmt: skip

CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Embeddings": (
        mg.Embeddings,
        {"vectors": X, "modality": "image", "names": None, "factors": None, "provenance": None,
         "source": "s"},
    ),
    "Pair": (mg.Pair, {"image": X, "text": Y, "text_to_image": None, "labels": None}),
    "Embeddings.unit": (SIDE.unit, {"start": 0, "stop": 5}),
    "Embeddings.take": (SIDE.take, {"index": [0, 1]}),
    "Embeddings.factor": (SIDE.factor, {"name": "x"}),
    "Embeddings.chunks": (lambda size: list(SIDE.chunks(size)), {"size": 5}),
    "load": (mg.load, {"path": "no.npz", "image": None, "text": None, "pairs": None}),
    "load_embeddings": (mg.load_embeddings, {"path": "no.npz", "modality": None}),
    "save": (mg.save, {"data": PAIR, "path": "no/there.npz", "overwrite": False}),
    "describe_input": (describe_input, {"data": PAIR}),
    "moments": (moments, {"side": SIDE}),
    "pair_moments": (pair_moments, {"pair": PAIR}),
    "pick": (pick, {"side": SIDE, "index": INDEX}),
    "pick_images": (pick_images, {"pair": PAIR, "index": INDEX}),
    "measure": (mg.measure, {"data": PAIR, "only": ["l2m"]}),
    "measure options": (
        lambda **options: mg.measure(PAIR, ["nas", "infonce", "logit_entropy"], **options),
        {"k": 3, "max_rows": 10, "seed": 0,
         "temperature": 0.1},
    ),
    "measure.rmg": (mg.measure.rmg, {"image": X, "text": Y}),
    "measure.cone": (mg.measure.cone, {"image": X}),
    "measure.moad": (
        mg.measure.moad,
        {"image": X, "factors": {"object": INDEX.repeat(2), "b": INDEX.tolist() * 2},
         "object_factor": "object"},
    ),
    "measure.leakage": (
        mg.measure.leakage_text,
        {"image": X, "text": Y, "explained_variance": 0.9},
    ),
    "measure.leakage.of": (mg.measure.leakage.of, {"modality": "image"}),
    "close": (mg.close, {"pair": PAIR, "method": "center"}),
    "close.fit": (mg.close.fit, {"data": PAIR, "method": "center"}),
    "close.shift": (mg.close.shift, {"pair": PAIR, "alpha": 1.0, "side": "both", "length": None}),
    "close.correct": (mg.close.correct, {"gallery": X, "bank": Y, "method": "nnn", "k": 3}),
    "close.load": (mg.close.load, {"path": "no.safetensors"}),
    "AffineMap": (
        mg.close.AffineMap, {"dims": {"image": 6}, "roles": {"image": ()}, "method": "none"},
    ),
    "AffineMap.call": (MAP, {"vectors": X, "role": "image"}),
    "AffineMap.apply": (MAP.apply, {"data": PAIR, "force": False}),
    "AffineMap.fuse": (MAP.fuse, {"image": X, "text": Y, "weight": 0.5}),
    "AffineMap.then": (MAP.then, {"after": MAP}),
    "AffineMap.inverse": (MAP.inverse, {"vectors": X, "role": "image"}),
    "AffineMap.save": (MAP.save, {"path": "no/there.safetensors", "overwrite": False}),
    "to_json": (exports.to_json, {"map_": MAP}),
    "to_onnx": (exports.to_onnx, {"map_": MAP, "path": "no/there.onnx", "role": "image"}),
    "to_torch": (exports.to_torch, {"map_": MAP, "role": "image"}),
    "faiss_views": (exports.faiss_views, {"map_": MAP, "index": None}),
    "evaluate": (mg.evaluate, {"pair": PAIR, "only": ["retrieval"], "seed": 0, "ks": [1]}),
    "evaluate.retrieval": (mg.evaluate.retrieval, {"data": PAIR, "ks": [1]}),
    "evaluate.robustness": (
        mg.evaluate.robustness,
        {"data": PAIR, "retrieved": None, "sigmas": [0.1], "noise_on": "both", "bins": [8],
         "indexes": [], "other_text": None, "max_rows": 10},
    ),
    "evaluate.mixed": (mg.evaluate.mixed, {"data": PAIR, "ratios": [0.5], "k": 3, "shares": None}),
    "calibrate": (
        mg.evaluate.calibrate,
        {"pair": PAIR, "kind": "image_text", "prior": 0.5, "negatives": 2, "factor": None,
         "seed": 0},
    ),
    "Calibration.probability": (CALIBRATION.probability, {"scores": [0.1], "how": "isotonic"}),
    "Calibration.threshold": (CALIBRATION.threshold, {"precision": 0.5}),
    "search": (
        mg.search,
        {"queries": SIDE, "gallery": SIDE, "protocol": "split", "factor": None, "seed": 0},
    ),
    "flip_probability": (
        mg.evaluate.flip_probability, {"scores": RANDOM.normal(size=(3, 5)), "sigma": 0.1}
    ),
    "compare": (
        mg.compare,
        {"pair": FEW, "only": ["none", "retrieval"], "fit_fraction": 0.5, "seed": 0, "work": None},
    ),
    "preflight": (mg.preflight, {"pair": FEW, "only": "retrieval", "seed": 0}),
    "report": (
        mg.report,
        {"data": PAIR, "path": "no/there.html", "result": None, "title": None, "figures": None,
         "formats": ["svg"], "overwrite": False, "seed": 0},
    ),
    "save_figures": (
        mg.report.save_figures, {"figures": {}, "folder": "no/there", "formats": ["svg"]}
    ),
    "losses.infonce": (losses.infonce, {"image": X, "text": Y, "scale": 10.0, "bias": None}),
    "losses.siglip": (losses.siglip, {"image": X, "text": Y, "scale": 10.0, "bias": 1.0}),
    "Objective.of": (losses.Objective.of, {"losses": {"infonce": 1.0}}),
    "invert": (
        mg.invert,
        {"data": SIDE, "method": "gap_shift", "model": None, "output": None, "bank": PAIR,
         "seed": 0, "device": "cpu", "precision": "fp32", "batch_size": None},
    ),
    "invert.read": (mg.invert.read, {"path": "no.safetensors"}),
    "encode": (mg.encode, {"source": "no", "model": "no:no", "output": None}),
    "load_model": (mg.encode.load_model, {"spec": "no:no", "seed": 0}),
    "data.read": (
        mg.data.read, {"what": "no", "split": None, "root": None, "limit": None, "seed": 0}
    ),
    "zoo": (
        mg.zoo,
        {"models": "open_clip:no/no", "data": "no", "output": "no/there", "split": None,
         "limit": None, "template": None},
    ),
    "zoo.run_cells": (mg.zoo.run_cells, {"found": [], "output": "no/there", "seed": 0}),
    "zoo.read_cells": (mg.zoo.read_cells, {"path": "no.csv"}),
    "train": (mg.train, {"config": "no", "output": "no/there"}),
    "read_run": (mg.train.read_run, {"folder": "no"}),
    "load_config": (mg.train.load_config, {"what": "no"}),
    "Result.get": (RESULT.get, {"name": "rmg"}),
    "Result.getitem": (lambda name: RESULT[name], {"name": "rmg"}),
    "Result.from_json": (mg.Result.from_json, {"text": RESULT.to_json()}),
    "Result.from_dict": (mg.Result.from_dict, {"found": RESULT.to_dict()}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("check", "number", "words"),
    [
        (
            checks.whole,
            10**23,
            "an integer of at least 1 and at most 9223372036854775807; got",
        ),
        (checks.whole, 0, "an integer of at least 1; got 0"),
        (checks.at_least, float("inf"), "a finite number of at least 1; got inf"),
        (checks.at_least, float("nan"), "a finite number of at least 1; got nan"),
        (checks.at_least, 1e305, "a number of at least 1 and at most 1e+300; got 1e+305"),
        (checks.at_least, 10**400, "a number of at least 1 and at most 1e+300; got an integer"),
        (checks.at_least, 0.5, "a number of at least 1; got 0.5"),
    ],
)
def test_the_bound_that_was_broken_is_named(check: Any, number: float, words: str) -> None:
    with pytest.raises(errors.OptionError) as caught:
        check("k", number, 1)
    assert str(caught.value).startswith(f"k must be {words}")


@pytest.mark.parametrize(
    "value",
    [LONG, "two words " * 500, ["a", "list"] * 500, 10**9000, {"a": LONG}, b"y" * 5000],
    ids=["word", "words", "list", "integer", "mapping", "bytes"],
)
def test_messages_quote_little(value: Any) -> None:
    forms = [errors.quoted(value)]
    if isinstance(value, str):  # what a library's own message quotes
        forms.append(repr(value))
    for text in forms:
        said = str(errors.InputError(f"name must be short; got {text}"))
        assert len(said) < 230
    assert errors.quoted("short") == "'short'"
    prose = "the image's texts' " + "long prose without quotes of any value " * 20
    assert str(errors.InputError(prose)) == prose.strip()


def call(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Call it, its arguments by position where they have no other way in."""
    first, *_ = inspect.signature(function).parameters.values()
    if first.kind is first.POSITIONAL_ONLY:
        value, *_ = options.values()
        return function(value, **dict(list(options.items())[1:]))
    return function(**options)


@pytest.mark.parametrize("name", CALLS)
def test_wrong_values_of_any_type(name: str) -> None:
    function, options = CALLS[name]
    for argument in options:
        for wrong in WRONG:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    call(function, {**options, argument: wrong})
            except errors.ModalgapError as error:
                said = str(error)
                assert len(said) < 1600, (argument, said)
                assert "x" * 201 not in said, (argument, said)
                assert "0" * 201 not in said, (argument, said)
                assert said.count("x" * 40) <= 3, (argument, said)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"[:300]
                pytest.fail(f"{name}: {argument} of type {type(wrong).__name__}: {found}")


@pytest.mark.parametrize("name", ["limit", "seed"])
def test_reading_quotes_no_huge_integer(name: str, tmp_path: Path) -> None:
    """An integer of more digits than Python writes has no ``repr``."""
    (tmp_path / "captions.csv").write_text("caption\na\nb\n")
    with pytest.raises(errors.OptionError, match="an integer of") as caught:
        mg.data.read(tmp_path / "captions.csv", **{name: -(10**9000)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("verb", [mg.measure, mg.close, mg.evaluate, mg.compare, mg.preflight])
def test_a_path_in_place_of_a_pair_gets_a_hint(verb: Callable[..., Any]) -> None:
    for path in ("ok.npy", Path("ok.npy")):
        with pytest.raises(errors.InputError, match=r"modalgap\.load"):
            verb(path)


def test_arrays_in_a_search_get_a_hint() -> None:
    with pytest.raises(errors.InputError, match=r"queries must be .*modalgap\.Embeddings"):
        mg.search(X, Y)
    with pytest.raises(errors.InputError, match=r"gallery must be .*modalgap\.Embeddings"):
        mg.search(SIDE, Y)


def test_an_empty_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be the current folder."""
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: mg.study.three_points(""),
        lambda: mg.study.run_all("", only=["three_points"]),
        lambda: mg.train("mad", ""),
        lambda: mg.load(""),
    ):
        with pytest.raises(mg.errors.InputError, match="path"):
            call()
    assert not list(tmp_path.iterdir())


def test_aliases_have_the_rule_of_what_they_stand_for() -> None:
    """From Python 3.12 on NumPy's ``NDArray`` is such an alias."""
    from typing_extensions import TypeAliasType, TypeVar

    kind = TypeVar("kind")
    whole, many = (
        TypeAliasType("whole", int),
        TypeAliasType("many", list[kind], type_params=(kind,)),
    )
    for annotation, words in ((whole, "an integer"), (many[str], "a list"), (many, "a list")):
        found = rule(annotation)
        assert found is not None
        assert found[1].startswith(words)
