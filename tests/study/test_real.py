"""The commands of each study for the data of its paper parse, though nothing runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from parsed import UsageError, check, parsed, sets_of

from modalgap.errors import OptionError
from modalgap.study import STUDIES

FILE = re.compile(r"[\w-]+\.(?:npy|safetensors)")
LINES = [(name, line) for name, study in STUDIES.items() for line in study.real]


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
        "modalgap zoo -m 'open_clip:none-*' -d coco -o x",
        "modalgap zoo -m open_clip:ViT-B-16/openai -d cocoa -o x",
        "modalgap study",
    ],
)
def test_wrong_commands_are_noticed(line: str) -> None:
    with pytest.raises((OptionError, AssertionError, UsageError)):
        check(line)
