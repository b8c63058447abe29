"""The commands of each study for the data of its paper parse, though nothing runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import open_clip
import pytest
import typer

from modalgap.cli.app import app
from modalgap.cli.settings import settings
from modalgap.data import DATASETS
from modalgap.encode.registry import ENCODERS
from modalgap.errors import OptionError
from modalgap.study import STUDIES

UsageError: Any = typer.BadParameter.__base__
ROOT = typer.main.get_command(app)
FILE = re.compile(r"[\w-]+\.(?:npy|safetensors)")
LINES = [(name, line) for name, study in STUDIES.items() for line in study.real]


def parsed(line: str) -> tuple[list[str], dict[str, Any]]:
    """The names of a command and the values of its parameters; nothing runs.

    Raises:
        Exception: a usage error of the command line, or an unknown command.
    """
    first, *words = shlex.split(line, comments=True)
    assert first == "modalgap"
    command: Any = ROOT
    names: list[str] = []
    context = None
    while hasattr(command, "resolve_command"):
        context = command.make_context(command.name, words, parent=context)
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        assert rest, f"{line}: names no command"
        name, command, words = command.resolve_command(context, rest)
        names.append(name)
    return names, command.make_context(names[-1], words, parent=context).params


def sets_of(values: dict[str, Any]) -> list[str]:
    return list(values.get("sets") or values.get("settings") or ())


def check_model(spec: str) -> None:
    """A model of a known library; of open_clip, one with weights in its registry."""
    library, colon, rest = spec.rpartition("=")[2].partition(":")
    assert colon, f"{spec}: must be LIBRARY:MODEL"
    assert library in ENCODERS, spec
    architecture, slash, weights = rest.partition("/")
    other = "@" in rest or rest.startswith(("hf-hub:", "/")) or weights == "random"
    if library == "open_clip" and slash and not other:
        assert (architecture, weights) in open_clip.list_pretrained(), spec


def check_source(source: str, split: str | None) -> None:
    """A file, or a data set with this split; the name of a data set has no dot and no slash."""
    if "." in source or "/" in source:
        return
    assert source in DATASETS, f"{source}: must be a data set; see modalgap list data"
    assert split is None or split in DATASETS[source].card.splits, f"{source}: has no split {split}"


def check(line: str) -> None:
    names, values = parsed(line)
    if names[0] == "study" and names[1] != "all":
        study = STUDIES[names[1]]
        own = settings(sets_of(values), [study], seed=values.get("seed"))
        study.check_options(own)
    elif names == ["encode"]:
        check_source(values["source"], values["split"])
        for spec in values["model"]:
            check_model(spec)


@pytest.mark.parametrize(("name", "line"), LINES)
def test_commands_parse(name: str, line: str) -> None:
    if line.lstrip().startswith("modalgap "):
        check(line)
    else:
        shlex.split(line)  # a comment, or a command of another program
    assert name in STUDIES


@pytest.mark.parametrize("name", [name for name, study in STUDIES.items() if study.real])
def test_the_study_runs_on_files_that_earlier_commands_write(name: str) -> None:
    written: set[str] = set()
    ran = trained = fetched = False
    for line in STUDIES[name].real:
        if not line.startswith("modalgap "):
            fetched = True  # another program may bring any file
            continue
        names, values = parsed(line)
        trained |= names[0] == "train"
        if names[0] == "study":
            ran |= names[1] == name
            pairs = [each.partition("=")[2] for each in sets_of(values) if each.startswith("pair=")]
            missing = {file for each in pairs for file in each.split(",")} - written
            assert fetched or not missing, f"{line}: no earlier line writes {missing}"
        if values.get("output") is not None:
            written.add(str(values["output"]))
    assert ran or trained, "no command runs the study, or trains the models of the paper"


@pytest.mark.parametrize("name", STUDIES)
def test_the_commands_make_the_files_that_verdicts_need(name: str) -> None:
    study = STUDIES[name]
    needed = {file for each in study.published for file in FILE.findall(each.needs)}
    words = {Path(each).name for line in study.real for each in re.split(r"[\s=,]", line)}
    assert needed <= words, f"no command makes or uses {needed - words}"


@pytest.mark.parametrize(
    "line",
    [
        "modalgap encode cocoa -m open_clip:ViT-B-16/openai -o x.npz",
        "modalgap encode coco -m open_clip:ViT-B-16/open_ai -o x.npz",
        "modalgap encode coco -m clip:ViT-B-16 -o x.npz",
        "modalgap encode coco --split val -m open_clip:ViT-B-16/openai -o x.npz",
        "modalgap encode coco -o x.npz",
        "modalgap encode coco -m open_clip:ViT-B-16/openai -o x.npz --no-such-option",
        "modalgap study mixed_search -o x --set pairs=x.npz",
        "modalgap study mixed_search -o x --set splits=many",
        "modalgap study no_such_study -o x",
        "modalgap encoder coco",
        "modalgap study",
    ],
)
def test_wrong_commands_are_noticed(line: str) -> None:
    with pytest.raises((OptionError, AssertionError, UsageError)):
        check(line)
