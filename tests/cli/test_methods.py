"""Commands made from registries: help, --set by type, and methods that a user adds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from commands import Run

import modalgap as mg
from modalgap.arguments import hints, parsed
from modalgap.cli.build import CLOSERS, INVERSIONS, MEASURES, PROTOCOLS, TASKS
from modalgap.cli.describe import Description, Option, Registry, _card_of, _options_of, meanings
from modalgap.cli.settings import settings
from modalgap.errors import OptionError
from modalgap.method import Method
from modalgap.search import PROTOCOLS as SEARCHES

REGISTRIES = (CLOSERS, INVERSIONS, MEASURES, TASKS)
PACKAGE = Path(mg.__file__).parent


# help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda each: each.variable)
def test_the_source_says_what_the_methods_say(registry: Registry) -> None:
    methods = registry.load()
    assert registry.names() == list(methods)
    for name, method in methods.items():
        expected = Description(**_card_of(method), options=_options_of(method))
        assert registry.describe(name) == expected
        assert [each.name for each in registry.options(name)] == list(method.options)


def test_protocols_are_read_from_the_source() -> None:
    assert PROTOCOLS.entries() == {name: each.about for name, each in SEARCHES.items()}


def test_meanings_in_docstrings() -> None:
    args = """Text.

    Args:
        first: what it is,
            over two lines.
        second: with ``first``: code.

    Returns:
        third: nothing.
    """
    from inspect import cleandoc

    assert meanings(cleandoc(args)) == {
        "first": "what it is, over two lines.",
        "second": "with ``first``: code.",
    }
    inline = "Options.\n\n``a``: one\nthing. ``b``, ``c`` and ``d``: the others."
    others = dict.fromkeys("bcd", "the others.")
    assert meanings(inline) == {"a": "one thing.", **others}
    assert meanings("") == meanings("No options.") == {}


def test_defaults_are_shown_as_they_are_typed() -> None:
    shown = {
        None: "x=none",
        True: "x=true",
        0.02: "x=0.02",
        150: "x=150",
        (1, 5): "x=1,5",
        "both": "x=both",
    }
    for default, text in shown.items():
        assert Option("x", default, "").shown == text


@pytest.mark.parametrize(
    "command",
    [
        *(("close", name) for name in CLOSERS.names()),
        *(("close", "fit", name) for name in CLOSERS.names()),
        *(("invert", name) for name in INVERSIONS.names()),
        *(("invert", "curve", name) for name in INVERSIONS.names()),
    ],
    ids=" ".join,
)
def test_help_of_a_method_lists_its_options(run: Run, command: tuple[str, ...]) -> None:
    name = command[-1]
    registry = CLOSERS if command[0] == "close" else INVERSIONS
    code, out, err = run(*command, "--help")
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    about = registry.describe(name)
    assert f"{about.title}. {about.idea} Source: {about.source}." in said
    for option in about.options:
        assert (f"{option.name}=" in said) == (option.name != "seed")


@pytest.mark.parametrize(("verb", "registry"), [("close", CLOSERS), ("invert", INVERSIONS)])
def test_help_of_a_verb_lists_its_methods(run: Run, verb: str, registry: Registry) -> None:
    code, out, _ = run(verb, "--help")
    assert code == 0
    section = out.partition("\nMethods:\n")[2].partition("\nCommands:\n")[0]
    lines = [line for line in section.splitlines() if line[2:3].strip()]
    assert [line.split()[0] for line in lines] == registry.names()


@pytest.mark.parametrize(
    ("verb", "registry"),
    [("measure", MEASURES), ("report", MEASURES), ("evaluate", TASKS), ("compare", TASKS)],
)
def test_help_of_many_methods_lists_every_option(run: Run, verb: str, registry: Registry) -> None:
    code, out, _ = run(verb, "--help")
    assert code == 0
    last = out.partition("--set NAME=VALUE, and the methods")[2]
    for method in registry.load().values():
        for option in set(method.options) - {"seed"}:
            assert f"\n  {option} " in last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("close", "shif"), "unknown method of close 'shif'; did you mean 'shift'?"),
        (("close", "fi"), "unknown method of close 'fi'; did you mean 'fit'?"),
        (
            ("close", "fit", "pair.npz"),
            "unknown method of close fit 'pair.npz'; known: cca, center",
        ),
        (("invert", "otii"), "unknown method of invert 'otii'; did you mean 'oti'?"),
        (("invert", "curve", "ovii"), "unknown method of invert curve 'ovii'; did you mean 'ovi'?"),
    ],
)
def test_unknown_methods_are_refused(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"modalgap: {words}")


# values --------------------------------------------------------------------------------------

NONE: Any = None


@pytest.mark.parametrize(
    ("annotation", "values"),
    [
        (int, {"1": 1, "-3": -3}),
        (float, {"1": 1.0, "1e-3": 0.001, "-2.5": -2.5}),
        (bool, {"true": True, "False": False}),
        (str, {"image": "image", "": "", "a photo of {}, {}": "a photo of {}, {}", "1": "1"}),
        (int | None, {"none": None, "None": None, "7": 7}),
        (str | None, {"none": None, "text": "text", "5": "5"}),
        (float | str, {"5": 5.0, "auto": "auto"}),
        (str | Callable[[int], int], {"cosine": "cosine"}),
        (Sequence[int], {"1,5": [1, 5], "1, 5,": [1, 5], "2": [2], ",": []}),
        (Sequence[float], {"1,0.5": [1.0, 0.5]}),
        (Sequence[str | int] | None, {"4,thief": [4, "thief"], "none": None, "a b": ["a b"]}),
        (tuple[int, ...], {"1,2": [1, 2]}),
        (list[str], {"a,b": ["a", "b"]}),
        (Literal["a", 2], {"a": "a", "2": 2}),
        (Any, {"1": 1, "x": "x", "1,x": [1, "x"], "true": True}),
    ],
    ids=str,
)
def test_values_have_the_type_of_the_option(annotation: Any, values: dict[str, Any]) -> None:
    for text, expected in values.items():
        found = parsed("x", text, annotation)
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "text", "words"),
    [
        (int, "1.5", "an integer"),
        (int, "1,2", "an integer"),
        (int, "", "an integer"),
        (int, "none", "an integer"),
        (int, "1_0", "an integer"),
        (float, "1_0", "a number"),
        (int, "9" * 5000, "an integer"),
        (int | None, "x", "an integer or None"),
        (float, "x", "a number"),
        (float, "true", "a number"),
        (bool, "1", "True or False"),
        (Sequence[int], "1,x", "a list of integers"),
        (Sequence[int], "", "a list of integers"),
        (Literal["a", "b"], "c", "one of a, b"),
        (Mapping[str, int], "a", "a mapping"),
    ],
    ids=str,
)
def test_other_values_are_refused(annotation: Any, text: str, words: str) -> None:
    with pytest.raises(OptionError, match=f"x must be {words}; got '") as caught:
        parsed("x", text, annotation)
    assert len(str(caught.value)) < 300


def test_settings_of_several_methods() -> None:
    tasks = list(mg.evaluate.TASKS.values())
    assert settings(None, tasks) == settings([], tasks) == {}
    assert settings(["ks=1,5", " max_rows = 9 ", "ks=2"], tasks) == {"ks": [2], "max_rows": 9}
    assert settings([], tasks, seed=3) == {"seed": 3}
    for wrong, words in (
        ("max_row=1", "unknown option 'max_row'; did you mean 'max_rows'"),
        ("ks", "--set must be NAME=VALUE; got 'ks'"),
        ("=1", "--set must be NAME=VALUE; got '=1'"),
        ("", "--set must be NAME=VALUE; got ''"),
        ("seed=1", "--set seed: must be given as --seed"),
        ("pair=1", "unknown option 'pair'"),
    ):
        with pytest.raises(OptionError) as caught:
            settings([wrong], tasks)
        assert words in str(caught.value)


@dataclass(frozen=True, repr=False)
class Made(Method):
    """A method whose options are those of a function."""

    kind: ClassVar[str] = "method"
    skip: ClassVar[int] = 0
    card: Any
    rule: Callable[..., Any]

    @property
    def body(self) -> Callable[..., Any]:
        return self.rule


def test_options_that_are_mappings() -> None:
    def rule(
        n: int = 2, *, sizes: Mapping[str, int] | None = None, more: dict[str, Any] | None = None
    ) -> None:
        """Nothing."""

    card = replace(mg.measure.rmg.card, name="own")
    own = [Made(card, rule)]
    given = ["sizes.a=1", "n=3", "sizes.b = 2", "more.x=y,z", "more.section.key=1"]
    assert settings(given, own) == {
        "n": 3, "sizes": {"a": 1, "b": 2}, "more": {"x": ["y", "z"], "section.key": 1},
    }  # fmt: skip
    for wrong, words in (
        ("sizes=1", "--set sizes: must be given as sizes.KEY=VALUE; got 'sizes=1'"),
        ("sizes.=1", "--set sizes: must be given as sizes.KEY=VALUE; got 'sizes.=1'"),
        ("sizes.a=x", "sizes.a must be an integer; got 'x'"),
        ("n.a=1", "--set n: must be given as n=VALUE; got 'n.a=1'"),
        ("size.a=1", "unknown option of own 'size.a'; did you mean 'sizes'?"),
    ):
        with pytest.raises(OptionError) as caught:
            settings([wrong], own)
        assert str(caught.value) == words


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda each: each.variable)
def test_an_option_has_one_type_in_all_methods(registry: Registry) -> None:
    types: dict[str, set[str]] = {}
    for method in registry.load().values():
        for option in method.options:
            types.setdefault(option, set()).add(str(hints(method.body)[option]))
    several = {name for name, found in types.items() if len(found) > 1}
    run_one = {CLOSERS.variable, INVERSIONS.variable}
    assert registry.variable in run_one or not several


# methods that a user adds --------------------------------------------------------------------

CLOSER = '''"""Halve: divide the gap by a number."""

from __future__ import annotations

from modalgap.close.center import CARD as CENTER, center
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from dataclasses import replace

CARD = replace(CENTER, name="halve", title="Halving", idea="Divides the gap.")


def _fit(evidence: Evidence, *, by: float = 2.0) -> Fitted:
    """Halve.

    Args:
        evidence: the sample.
        by: the divisor of the gap.
    """
    image, text = evidence.two
    gap = evidence.gap
    return Fitted({image.role: (Step(offset=gap / by - gap),), text.role: ()}, {})


halve = Closer(CARD, _fit)
'''
INVERSION = '''"""Keep: the nearest item of the bank."""

from __future__ import annotations

from dataclasses import replace

from modalgap.invert.method import Inversion
from modalgap.invert.caption_mixture import CARD as MIXTURE, caption_mixture

CARD = replace(MIXTURE, name="nearest_caption", title="Nearest caption", idea="Takes one caption.")


def _nearest(given, *, sharpness: float = 0.01):
    """Nearest.

    Args:
        given: the bank.
        sharpness: of the choice.
    """
    return caption_mixture.body(given, k=1, temperature=sharpness)


nearest_caption = Inversion(CARD, _nearest)
'''


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with one more closer and one more inversion."""
    root = tmp_path_factory.mktemp("copy")
    package = shutil.copytree(PACKAGE, root / "modalgap")  # with its byte code: it starts faster
    for folder, name, text in (
        ("close", "halve", CLOSER),
        ("invert", "nearest_caption", INVERSION),
    ):
        (package / folder / f"{name}.py").write_text(text, encoding="utf-8")
        registry = package / folder / "registry.py"
        lines = registry.read_text(encoding="utf-8")
        first = lines.index("from modalgap.method import")
        line = f"from modalgap.{folder}.{name} import {name} as {name}\n"
        registry.write_text(lines[:first] + line + lines[first:], encoding="utf-8")
    return root


LINES = """
import contextlib, io, json, sys
from modalgap.cli import main

found = []
for line in json.loads(sys.argv[1]):
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["modalgap", *line]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
    found.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""


def test_a_method_is_one_file_and_one_line(copied: Path, tmp_path: Path) -> None:
    pair = mg.Pair(np.eye(4) + 1, np.eye(4) - 2)
    path = mg.save(pair, tmp_path / "pair.npz")
    names = [f"{i}" for i in range(4)]
    images = mg.save(mg.Embeddings(pair.image.unit(), names=names), tmp_path / "images.safetensors")
    output = tmp_path / "closed.npz"
    lines = [
        ("close", "halve", "--help"),
        ("close", "--help"),
        ("close", "halve", path, "--set", "by=4", "-o", output),
        ("close", "halve", path, "--set", "bye=4", "-o", tmp_path / "x.npz"),
        ("invert", "nearest_caption", images, "--bank", path, "-o", tmp_path / "i.safetensors"),
        ("invert", "nearest_caption", "--help"),
    ]
    ran = subprocess.run(
        [sys.executable, "-c", LINES, json.dumps([[*map(str, line)] for line in lines])],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(copied)},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    shown, listed, done, refused, inverted, helped = json.loads(ran.stdout)
    assert "Halving. Divides the gap." in shown[1]
    assert "by=2" in shown[1]
    assert "The divisor of the gap." in shown[1]
    assert "halve" in listed[1]
    assert done[:2] == [0, f"{output}\n"]
    before, after = (mg.load(each) for each in (path, output))
    gap = before.image.unit().mean(0) - before.text.unit().mean(0)
    rows = before.image.unit() - 0.75 * gap
    np.testing.assert_allclose(after.image.unit(), rows / rows.norm(dim=1, keepdim=True), atol=1e-6)
    assert refused == [2, "", "modalgap: unknown option of halve 'bye'; did you mean 'by'?\n"]
    assert inverted[0] == 0, inverted
    assert "4 images became texts" in inverted[2]
    assert "sharpness=0.01" in helped[1]


def test_a_seed_is_for_random_methods(run: Run) -> None:
    assert "--seed" in run("simulate", "free_points", "--help")[1]
    assert "--seed" not in run("simulate", "sphere_pairs", "--help")[1]
    code, _, err = run("simulate", "sphere_pairs", "--seed", "3")
    assert code == 2
    assert err == "modalgap: option 'seed': sphere_pairs has no random numbers\n"
    assert "unknown simulation 'sphere_pair'; did you mean" in run("simulate", "sphere_pair")[2]
