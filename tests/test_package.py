"""The face of the package: names, laziness, verbs that are packages, errors, cards."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import modalgap as mg
from modalgap import errors
from modalgap.measure import MEASURES

HEAVY = ("torch", "numpy", "matplotlib", "sklearn", "scipy", "pyarrow", "typer", "rich")


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(code: str) -> list[str]:
    """Which of the heavy packages a fresh interpreter has loaded after ``code``."""
    return python(
        f"import sys\n{code}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    ).split()


# names ---------------------------------------------------------------------------------------


def test_few_names() -> None:
    assert len(mg.__all__) <= 26
    assert len(set(mg.__all__)) == len(mg.__all__)
    assert dir(mg) == sorted(mg.__all__)


@pytest.mark.parametrize("name", mg.__all__)
def test_each_name_exists_and_is_documented(name: str) -> None:
    found = getattr(mg, name)
    if isinstance(found, str):
        assert name == "__version__"
        return
    assert inspect.getdoc(found), name
    if isinstance(found, type | ModuleType) or callable(found):
        assert (found.__doc__ or "").strip(), name


def test_no_other_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'measures'"):
        _ = mg.measures


def test_every_measure_is_exported() -> None:
    for name, measure in MEASURES.items():
        assert getattr(mg.measure, name) is measure
        assert name in mg.measure.__all__


def test_exported_measures_are_registered() -> None:
    exported = {
        getattr(mg.measure, name).name
        for name in mg.measure.__all__
        if isinstance(getattr(mg.measure, name), mg.measure.Measure)
    }
    assert exported == set(MEASURES)


# loading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import modalgap",
        "import modalgap; modalgap.__version__; dir(modalgap); modalgap.errors.InputError",
        "from modalgap import errors, card",
    ],
)
def test_importing_is_light(code: str) -> None:
    assert loaded_by(code) == []


def test_the_test_of_lightness_can_fail() -> None:
    assert "pyarrow" in loaded_by("import modalgap, pyarrow")


@pytest.mark.parametrize(
    "imports",
    [
        "import modalgap as mg; measure = mg.measure",
        "import modalgap.measure.cone; import modalgap as mg; measure = mg.measure",
        "from modalgap.measure.registry import MEASURES; from modalgap import measure",
        "from modalgap.measure import measure",
    ],
)
def test_the_verb_is_callable_whatever_came_first(imports: str) -> None:
    code = f"""
{imports}
import numpy as np
import sys
import modalgap
pair = modalgap.Pair(np.eye(4), np.eye(4)[::-1].copy())
print(measure(pair, only="l2i")["l2i"].value)
print(modalgap.measure.MEASURES is sys.modules["modalgap.measure.registry"].MEASURES)
print(modalgap.measure.cone is modalgap.measure.MEASURES["cone"])
print("torch" in sys.modules, "matplotlib" in sys.modules)
"""
    value, *same = python(code).split()
    assert float(value) == pytest.approx(2**0.5)
    assert same == ["True", "True", "True", "False"]


def test_the_verb_is_a_package_too() -> None:
    assert isinstance(mg.measure, ModuleType)
    assert callable(mg.measure)
    assert isinstance(mg.measure.rmg, mg.measure.Measure)
    assert "only" in inspect.signature(mg.measure.measure).parameters


# errors --------------------------------------------------------------------------------------


def test_errors_are_the_tree_that_they_say() -> None:
    tree = errors.__doc__ or ""
    names = [name for name in vars(errors) if isinstance(getattr(errors, name), type)]
    for name in names:
        found = getattr(errors, name)
        if found.__module__ == errors.__name__:
            assert issubclass(found, mg.ModalgapError)
            assert name in tree
    assert issubclass(errors.FileError, errors.InputError)
    assert issubclass(errors.OptionError, errors.InputError)
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.OutputError, OSError)
    assert str(errors.OutputError("one\nline")) == "one line"


# cards ---------------------------------------------------------------------------------------

NAMES = sorted(MEASURES)


@pytest.mark.parametrize("name", NAMES)
def test_cards_are_filled(name: str) -> None:
    card = MEASURES[name].card
    assert card.name == name
    for field in ("title", "idea", "source", "question", "equation", "group", "interval"):
        value = getattr(card, field)
        assert isinstance(value, str), field
        assert value.strip() == value != "", field
    assert card.question.endswith("?")
    assert card.idea.endswith(".")
    assert not card.title.endswith(".")
    assert card.direction in ("lower", "higher", "neither")
    assert card.low is None or card.high is None or card.low < card.high
    assert set(card.needs) <= {"pairs", "labels", "factors"}
    assert card.equation.count("{") == card.equation.count("}")
    assert any(letter.isdigit() for letter in card.source), "a year, a section or a number"


def test_cards_have_names_and_titles_of_their_own() -> None:
    for attribute in ("name", "title", "question"):
        values = [getattr(each.card, attribute) for each in MEASURES.values()]
        assert len(set(values)) == len(values), attribute


@pytest.mark.parametrize("name", NAMES)
def test_files_say_what_they_are(name: str) -> None:
    module = inspect.getmodule(MEASURES[name].compute)
    assert module is not None
    doc = module.__doc__ or ""
    assert "Equation" in doc
    for word in ("Source:", "Relations:", "Fails when:"):
        assert word in doc, word
    order = [doc.index(word) for word in ("Source:", "Relations:", "Fails when:")]
    assert order == sorted(order)


@pytest.mark.parametrize("name", NAMES)
def test_measures_document_their_options(name: str) -> None:
    measure = MEASURES[name]
    assert measure.card.idea in measure.__doc__
    for option in measure.options:
        assert f"``{option}``" in measure.__doc__, option


def test_one_measure_a_file_or_one_family() -> None:
    folder = Path(inspect.getfile(mg.measure)).parent
    homes = {Path(inspect.getfile(each.compute)).stem for each in MEASURES.values()}
    helpers = {
        "__init__",
        "base",
        "classifier",
        "first",
        "intervals",
        "items",
        "many",
        "names",
        "neighbours",
        "registry",
        "two_samples",
        "verb",
    }
    assert {path.stem for path in folder.glob("*.py")} == homes | helpers
