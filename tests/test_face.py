"""The Python face: types, help, arrays, NumPy scalars, own methods, names of modalities."""

from __future__ import annotations

import importlib
import inspect
import json
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import face
import numpy as np
import pytest
import torch
from commands import Run
from face_cases import PAIR, X, Y

import modalgap as mg
from modalgap import errors, losses
from modalgap.close import CLOSERS, CORRECTIONS
from modalgap.evaluate import TASKS
from modalgap.invert import METHODS
from modalgap.losses import LOSSES
from modalgap.measure import MEASURES
from modalgap.method import Method
from modalgap.simulate import SIMULATIONS
from modalgap.study import STUDIES

ROOT = Path(__file__).parents[1]
PACKAGES = ("close", "data", "encode", "evaluate", "invert", "losses", "measure", "report",
            "search", "simulate", "study", "train", "zoo")  # fmt: skip
REGISTRIES: tuple[dict[str, Any], ...] = (MEASURES, CLOSERS, TASKS, LOSSES, CORRECTIONS, METHODS,
                                         SIMULATIONS, STUDIES)  # fmt: skip
EVERY = [method for registry in REGISTRIES for method in registry.values()]
USER = """\
import numpy as np
import modalgap as mg
import modalgap.measure
from modalgap import close, evaluate

x = np.random.default_rng(0).normal(size=(50, 8))
pair = mg.Pair(x, x + 1)
result: mg.Result = mg.measure(pair, only=["rmg", "cone"])
print(float(mg.measure.rmg(x, x + 1)), result["rmg"].interval, modalgap.measure.cone(x).value)
closing: mg.close.AffineMap = mg.close.fit(x, x + 1, "shift", alpha=0.5)
closed: mg.Pair = closing.apply(pair)
def judge(task: mg.evaluate.Task) -> float:
    return task(closed).scores["image_to_text_r1"].value
print(judge(evaluate.retrieval), close.center(pair))
print(mg.evaluate(closed, "retrieval").get("retrieval.image_to_text_r1"))
print(mg.evaluate.calibrate(pair).threshold(0.5), np.asarray(pair.image).dtype)
"""


def mypy(*files: Path) -> str:
    """What mypy --strict says of files outside the tree."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml"]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


# types --------------------------------------------------------------------------------------------


def test_the_stub_is_up_to_date() -> None:
    assert face.STUB.read_text("utf-8") == face.stub(), "python tests/face.py writes it"


def test_users_code_is_typed(tmp_path: Path) -> None:
    """Every exported name has one type, however it is imported; wrong options are found."""
    pytest.importorskip("mypy")
    good, wrong, every = (tmp_path / f"{name}.py" for name in ("good", "wrong", "every"))
    good.write_text(USER, "utf-8")
    wrong.write_text(
        "import modalgap as mg\nimport numpy as np\nx = np.eye(3)\n"
        "mg.measure.infonce(x, x, temprature=1.0)\n"
        "mg.measure.infonce(x, x, temperature='1')\n"
        "mg.close.shift(x, x, alfa=1)\n"
        "mg.measure(5)\n"
        "y: int = mg.close.fit(x, x)\n",
        "utf-8",
    )
    names = [
        (package, name)
        for package in PACKAGES
        for name in importlib.import_module(f"modalgap.{package}").__all__
    ]
    every.write_text(
        "import modalgap as mg\n"
        + "".join(f"from modalgap.{p} import {n} as {p}_{n}\n" for p, n in names)
        + "".join(f"reveal_type(mg.{p}.{n})\nreveal_type({p}_{n})\n" for p, n in names),
        "utf-8",
    )
    said = mypy(good, wrong, every)
    assert "good.py" not in said, said
    found = sorted(int(line) for line in re.findall(r"wrong\.py:(\d+): error", said))
    assert found == [4, 5, 6, 7, 8], said
    assert "every.py" in said
    assert not re.findall(r"every\.py:\d+: error.*", said)
    told = re.findall(r'every\.py:\d+: note: Revealed type is "(.*)"', said)
    assert len(told) == 2 * len(names)
    for (package, name), ours, theirs in zip(names, told[::2], told[1::2], strict=True):
        assert ours == theirs, (package, name)
        assert ours != "Any", (package, name)


def test_users_code_runs(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER, "utf-8")
    done = subprocess.run([sys.executable, "user.py"], cwd=tmp_path, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "float32" in done.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(mg.__file__).parent / "py.typed").is_file()


# help ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EVERY, ids=lambda each: f"{each.kind}-{each.name}")
def test_help_shows_the_card(method: Method) -> None:
    text = pydoc.plain(pydoc.render_doc(method))
    flat = " ".join(text.split())
    card = method.card
    for part in (card.title, card.idea, card.source, getattr(card, "equation", "")):
        assert " ".join(part.split()) in flat
    assert f"{method.name}(" in text
    assert method.__module__ == method.body.__module__
    parameters = inspect.signature(method).parameters
    for name, default in method.options.items():
        assert f"{name} = {default!r}" in text
        if method.kind != "inversion" and name not in ("labels",):
            assert name in parameters


@pytest.mark.parametrize("name", face.VERBS)
def test_help_of_a_verb_shows_its_arguments(name: str) -> None:
    package = getattr(mg, name)
    text = pydoc.plain(pydoc.render_doc(package))
    head = text[: text.index("PACKAGE CONTENTS")]
    assert f"modalgap.{name}(" in head
    for parameter in inspect.signature(getattr(package, name)).parameters:
        assert parameter in head
    assert "Args:" in head


# explain ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EVERY, ids=lambda each: f"{each.kind}-{each.name}")
def test_explain(method: Method, run: Run) -> None:
    code, out, _ = run("explain", method.name, "--kind", method.kind, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["kind"], found["name"]) == (method.kind, method.name)
    assert found["source"] == found["card"]["source"] == method.card.source
    assert (ROOT / "src" / found["file"]).is_file()
    assert found["definition"].splitlines()[0] in (ROOT / "src" / found["file"]).read_text("utf-8")
    assert set(found["options"]) == set(method.options)


def test_explain_for_people(run: Run) -> None:
    code, out, _ = run("explain", "shift")
    assert code == 0
    for part in ("Liang et al. 2022", "modalgap/close/shift.py", "alpha = 1.0", "Equation: x ↦"):
        assert part in out
    assert "measure       cone" in run("explain", "cone_image")[1]


def test_names_to_explain_that_are_unknown_or_of_several(run: Run) -> None:
    code, _, err = run("explain", "rgm")
    assert code == 2
    assert "did you mean 'rmg'" in err
    code, _, err = run("explain", "uniformity")
    assert code == 2
    assert "a measure and a loss" in err
    assert "'modalgap explain uniformity --kind measure'" in err
    assert run("explain", "center", "--kind", "loss")[0] == 2


# arrays and scalars -------------------------------------------------------------------------------


def test_two_arrays_are_a_pair() -> None:
    of = np.arange(40) // 2
    captions = mg.Pair(X[:20], Y, text_to_image=of)
    tensors = (torch.from_numpy(X[:20]), torch.from_numpy(Y))
    assert mg.measure(*tensors, text_to_image=of)["rmg"] == mg.measure(captions)["rmg"]
    assert mg.measure(X, Y, ["l2m"])["l2m"] == mg.measure(PAIR, ["l2m"])["l2m"]
    assert mg.measure(X, text=Y.tolist(), only="l2m")["l2m"] == mg.measure(PAIR)["l2m"]
    assert mg.close.fit(X, Y, "shift").fingerprint == mg.close.fit(PAIR, "shift").fingerprint
    assert mg.close(X, Y).fingerprint == mg.close(PAIR).fingerprint
    ours = mg.evaluate(X[:20], Y, "retrieval", text_to_image=of)
    assert ours.to_json() == mg.evaluate(captions, "retrieval").to_json()
    pairs = np.stack([of, np.arange(40)], 1)
    matched = mg.Pair(X[:20], Y, pairs=pairs)
    assert mg.measure(X[:20], Y, pairs=pairs).to_json() == mg.measure(matched).to_json()
    assert mg.measure.rmg(X[:20], Y, pairs=pairs) == mg.measure.rmg(matched)
    ours = mg.evaluate.retrieval(X[:20], Y, pairs=pairs).scores["image_to_text_r1"].value
    assert ours == mg.evaluate(matched, "retrieval")["retrieval.image_to_text_r1"].value
    assert mg.preflight(X, Y, "retrieval").to_json() == mg.preflight(PAIR, "retrieval").to_json()
    only = ["center", "retrieval"]
    assert mg.compare(X, Y, only).to_json() == mg.compare(PAIR, only).to_json()
    assert mg.evaluate.calibrate(X, Y).slope == mg.evaluate.calibrate(PAIR).slope
    labels = np.arange(40) % 5
    ours = mg.measure(X, Y[:5], labels=labels)
    assert ours.to_json() == mg.measure(mg.Pair(X, Y[:5], labels=labels)).to_json()
    with pytest.raises(errors.InputError, match="labels: only for two arrays"):
        mg.measure(PAIR, labels=labels)
    with pytest.raises(errors.InputError, match="must be a Pair, or two arrays; got one ndarray"):
        mg.close.fit(X)


def test_a_report_of_two_arrays(tmp_path: Path) -> None:
    page = mg.report(X, Y, tmp_path / "a.html", only=["l2m"]).read_bytes()
    assert page == mg.report(PAIR, tmp_path / "b.html", only=["l2m"]).read_bytes()


def test_numpy_scalars_are_options() -> None:
    ours = mg.measure(PAIR, k=np.int64(3), seed=np.uint8(1), temperature=np.float32(0.5))
    assert ours.to_json() == mg.measure(PAIR, k=3, seed=1, temperature=0.5).to_json()
    assert mg.measure.nas(PAIR, k=np.int32(3)) == mg.measure.nas(PAIR, k=3)
    ours = mg.evaluate(PAIR, "retrieval", ks=np.array([1, 3]), seed=np.int64(2))
    assert ours.to_json() == mg.evaluate(PAIR, "retrieval", ks=[1, 3], seed=2).to_json()
    moved = mg.close.fit(PAIR, "shift", alpha=np.float64(0.5))
    assert moved.fingerprint == mg.close.fit(PAIR, "shift", alpha=0.5).fingerprint
    assert type(moved.options["alpha"]) is float
    assert mg.close.correct(X, Y, k=np.int64(3)).used["k"] == 3
    found = mg.compare(PAIR, ["center", "retrieval"], fit_fraction=np.float64(0.5), seed=np.int8(3))
    assert found.to_json() == mg.compare(PAIR, ["center", "retrieval"], seed=3).to_json()
    loss = losses.infonce(X, Y, scale=np.float32(10))
    assert loss == losses.infonce(X, Y, scale=10.0)


def test_embeddings_are_arrays() -> None:
    rows = np.asarray(PAIR.image)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, X / np.linalg.norm(X, axis=1, keepdims=True), atol=1e-6)
    assert np.asarray(PAIR.image, np.float64).dtype == np.float64
    rows[:] = 0  # a copy
    assert np.asarray(PAIR.image).any()
    assert mg.measure.cone(np.asarray(PAIR.image)).value == pytest.approx(
        mg.measure.cone(PAIR.image).value, abs=1e-6
    )


def test_losses_of_arrays_are_the_measures_of_their_name() -> None:
    for name in ("infonce", "alignment"):
        number = mg.measure(PAIR, name)[name].value
        loss = getattr(losses, name)
        assert float(loss(X, Y)) == pytest.approx(number, rel=1e-5)
        assert float(loss(PAIR)) == pytest.approx(number, rel=1e-5)
    x = torch.from_numpy(X).requires_grad_()
    losses.infonce(x, torch.from_numpy(Y), scale=5.0).backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0
    assert losses.siglip(X, Y, bias=-1.0) != losses.siglip(X, Y, bias=1.0)


@pytest.mark.parametrize("name", ["center", "shift", "noise"])
def test_closers_are_called(name: str) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = getattr(mg.close, name)(X, Y), mg.close(PAIR, name)
    assert ours.fingerprint == theirs.fingerprint
    assert mg.close.nnn(X, Y, k=3)(X).equal(mg.close.correct(X, Y, "nnn", k=3)(X))
