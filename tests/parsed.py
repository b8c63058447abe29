"""Check that a command line is valid: its options, study, data set and models. Nothing runs."""

from __future__ import annotations

import shlex
from typing import Any

import open_clip
import typer

from modalgap.cli.app import app
from modalgap.cli.settings import settings
from modalgap.data import DATASETS
from modalgap.encode.registry import ENCODERS, expand_model
from modalgap.study import STUDIES

UsageError: Any = typer.BadParameter.__base__
FOLDERS = ("photos", "clips")  # of the user, in documents
ROOT = typer.main.get_command(app)


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
    named, at, _ = rest.partition("@")  # NAME/TAG@PATH, or NAME@PATH
    architecture, slash, weights = named.partition("/")
    other = rest.startswith(("hf-hub:", "/", "runs/")) or weights == "random"
    if "*" in rest:
        assert expand_model(spec), spec
    elif library == "open_clip" and slash and not other:
        assert (architecture, weights) in open_clip.list_pretrained(), spec
    elif library == "open_clip" and at:
        assert architecture in open_clip.list_models(), spec


def check_source(source: str, split: str | None) -> None:
    """A file, or a data set with this split; the name of a data set has no dot and no slash."""
    if "." in source or "/" in source or source in FOLDERS:
        return
    assert source in DATASETS, f"{source}: must be a data set; see modalgap list data"
    assert split is None or split in DATASETS[source].card.splits, f"{source}: has no split {split}"


def check(line: str) -> None:
    """Check a command and what it names.

    Raises:
        Exception: an invalid option, or an unknown command, study, data set or model.
    """
    names, values = parsed(line)
    if names[0] == "study" and names[1] != "all":
        study = STUDIES[names[1]]
        own = settings(sets_of(values), [study], seed=values.get("seed"))
        study.check_options(own)
    elif names == ["encode"]:
        check_source(values["source"], values["split"])
        for spec in values["model"]:
            check_model(spec)
    elif names == ["zoo"]:
        for source in values["sets"]:
            check_source(source, values["split"])
        for spec in values["model"]:
            check_model(spec)
