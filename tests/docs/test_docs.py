"""Every example is run; every command in the documents is run."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import TRAINED, beside
from emoji_cases import packages
from parsed import FOLDERS, check, check_model
from PIL import Image

from modalgap.cli import main
from modalgap.data import DATASETS
from modalgap.measure import MEASURES
from modalgap.study import STUDIES

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
WRITERS = {"mg.report", "mg.explore", "mg.save", "closing.save", "scaler.save"}
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


@pytest.fixture
def place(small_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks as it does after ``make demo``, with some photos."""
    beside(small_demo, tmp_path)
    (tmp_path / "photos").mkdir()
    for i, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (40, 30), colour).save(tmp_path / "photos" / f"{i}.jpg")
        (tmp_path / "photos" / f"{i}.txt").write_text(f"a {colour} square\nall {colour}\n")
    packages(tmp_path, more=60)
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if path.stem not in TRAINED], ids=lambda path: path.stem
)
def test_example_runs(
    path: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(path.parent))  # as for a script
    runpy.run_path(str(path))
    assert not re.search(r"\bnan\b", capsys.readouterr().out)


def test_examples_are_shown() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for path in EXAMPLES:
        assert f"examples/{path.name}" in pages


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_can_run_again(path: Path) -> None:
    """What an example writes, it replaces when it is run a second time."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in WRITERS:
            assert "overwrite=True" in map(ast.unparse, call.keywords), ast.unparse(call)


def commands(page: Path, fence: str = "console", prompt: str = "$ ") -> list[str]:
    blocks = re.findall(rf"```{fence}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    start = f"{prompt}modalgap"
    return [
        line.removeprefix(prompt)
        for block in blocks
        for line in re.sub(r"\\\n\s*", "", block).splitlines()
        if line.startswith(start)
    ]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem
)
def test_commands_run(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in commands(page):
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as leaving:
            main()
        assert not leaving.value.code, command


@pytest.mark.parametrize(
    "command",
    [each for page in PAGES for each in commands(page, "sh", "") if " encode " in each],
)
def test_commands_that_need_weights_are_commands(
    command: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their weights and data are elsewhere: they are parsed, and must ask for what exists."""
    asked: dict[str, Any] = {}

    def note(
        source: str, model: str | dict[str, str], output: Path, **options: Any
    ) -> argparse.Namespace:
        asked.update(options, source=source, model=model)
        return argparse.Namespace(files=[output])

    monkeypatch.setattr("modalgap.cli.encode.run", note)
    monkeypatch.setattr("modalgap.cli.encode.run_items", note)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as leaving:
        main()
    assert not leaving.value.code
    models = asked["model"]
    for model in models.values() if isinstance(models, dict) else [models]:
        check_model(model)
    assert asked["source"] in (*FOLDERS, *DATASETS)


@pytest.mark.parametrize(
    "command", sorted({each for page in PAGES for each in commands(page, "sh", "")})
)
def test_commands_for_other_data_parse(command: str) -> None:
    check(command)


def test_commands_for_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each study is on the page once, with its commands and an estimate of the time."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    made = importlib.import_module("reproduce")
    page = "\n".join(made.pages()["reproduce"])
    for name, study in STUDIES.items():
        if study.real:
            assert page.count(f"### {name}\n") == 1
            assert "\n".join(["```sh", *study.real, "```"]) in page
        else:
            assert f"(study.md#{name.replace('_', '-')})" in page
    counts = {"coco": (5000, 25_014), "flickr8k": (1000, 5000), "sun397": (19_850, 0)}
    assert {name: made.items(name) for name in counts} == counts
    assert made.items("roxford5k") == (4993, 0)
    assert made.items("cc3m") == (0, 0)  # unknown: links that no longer work
    found = made.model("open_clip:ViT-B-32/openai")
    assert found.parameters == 151_277_313
    # 50 positions, 12 layers of 12 w² weights and attention, and the patches and projection
    w, n = 768, 50
    assert found.image == 2 * (12 * (12 * w * w * n + 2 * w * n * n) + 49 * 3072 * w + w * 512)
    line = "modalgap encode coco -m open_clip:ViT-B-32/openai -o x.npz"
    operations = 5000 * found.image + 25_014 * found.text
    assert made.work(line).minutes == pytest.approx(operations / made.RATE / 60)


def test_readme_tree_is_the_tree() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(DATASETS)} data sets" in readme
    package = ROOT / "src" / "modalgap"
    for folder in sorted(path for path in package.iterdir() if (path / "__init__.py").exists()):
        assert f"{folder.name}/" in readme
    names = {path.name for path in package.glob("*.py") if not path.name.startswith("_")}
    assert names <= set(re.findall(r"^  (\S+\.py) ", readme, re.M))


def test_measures_are_in_the_paragraph_of_their_interval() -> None:
    page = (ROOT / "docs" / "intervals.md").read_text(encoding="utf-8").partition("## Coverage")[0]
    kinds = {"jackknife": {"Functions", "Means", "Kernels"}, "normal": {"Means", "Counts"}}
    kinds |= {"Wilson": {"Fractions"}, "none": {"No"}}
    paragraphs = re.findall(r"\*\*(\w+) .*?\*\*(.*?)\n\n|\*\*(\w+)\.\*\*(.*?)\n\n", page, re.S)
    places = {a or b: set(re.findall(r"\w+", text or other)) for a, text, b, other in paragraphs}
    assert places.keys() >= {"Functions", "Fractions", "Means", "Kernels", "Counts", "No"}
    for name, measure in MEASURES.items():
        kind = re.split(r"\W", measure.card.interval)[0]
        found = {head for head, words in places.items() if name in words}
        assert found <= kinds[kind], name  # a new measure need not be named: explain names it
