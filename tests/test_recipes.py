"""The recipes of CONTRIBUTING.md: one file and one registry line, and everything else works."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modalgap.tabular import number

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n# (src/modalgap/\S+)\n(.*?)^```$", re.M | re.S)
METHODS = {
    "measures": ("measure", "mean_gap_cosine"),
    "closers": ("closer", "half_center"),
    "tasks": ("task", "own_caption"),
    "losses": ("loss", "cosine_distance"),
    "simulations": ("simulation", "two_cones"),
    "studies": ("study", "gap_of_noise"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package to which the recipes were applied, and a pair of embeddings."""
    folder = tmp_path_factory.mktemp("recipes")
    # with its byte code, without which the first start compiles the whole package again
    shutil.copytree(ROOT / "src" / "modalgap", folder / "src" / "modalgap")
    for path, text in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8")):
        file = folder / path
        if file.name == "registry.py":
            lines = file.read_text("utf-8").splitlines()
            last = max(
                i for i, line in enumerate(lines) if " as " in line and "_collect" not in line
            )
            assert len(text.splitlines()) == 1
            lines.insert(last + 1, text.rstrip())
            file.write_text("\n".join(lines) + "\n", "utf-8")
        else:
            assert not file.exists()
            file.write_text(text, "utf-8")
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(2, 60, 8)) + np.array([1.0, -0.5])[:, None, None]
    np.savez(folder / "pair.npz", image=image, text=text)
    return folder


def run(copy: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy / "src"), "COLUMNS": "300"}
    done = subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_kind_has_a_recipe() -> None:
    paths = [path for path, _ in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8"))]
    assert len(paths) == 2 * len(METHODS)


SCRIPT = """
import io, json, sys
from contextlib import redirect_stdout
from pathlib import Path
import modalgap as mg
from modalgap.tabular import number
from modalgap.cli.catalogue import card, methods, table
from modalgap.losses import LOSSES, Objective

sys.path.insert(0, sys.argv[1])
from cards import write_pages

pair = mg.load("pair.npz")
found = {}
for kind, name in json.loads(sys.argv[2]).items():
    assert name in methods(kind)
    assert any(row[0] == name for row in table(kind)[1]), kind
    assert json.dumps(card(methods(kind)[name]))
result = mg.measure(pair)
found["measure"] = result["mean_gap_cosine"].value
assert mg.measure.mean_gap_cosine(pair).value == found["measure"]
assert "mean_gap_cosine" in mg.report(pair, "report.html").read_text("utf-8")
map_ = mg.close.fit(pair, "half_center")
map_.save("map.safetensors")
assert mg.close.load("map.safetensors").fingerprint == map_.fingerprint
closed = mg.close.half_center(pair)
assert closed.fingerprint == mg.close(pair, "half_center").fingerprint
found["closed"] = mg.measure.l2m(closed).value
found["task"] = mg.evaluate(pair)["own_caption.cosine"].value
entries = mg.compare(pair, ["half_center", "own_caption"])
assert "own_caption.cosine" in entries["half_center"].values
found["loss"] = float(mg.losses.cosine_distance(pair))
assert float(Objective.of({"cosine_distance": 1.0}).terms[0].weight) == 1.0
write_pages(Path("pages"))
said = "".join(each.read_text("utf-8") for each in Path("pages").iterdir())
assert all(name in said for name in json.loads(sys.argv[2]).values())
print(json.dumps(found))
"""


def test_python_reports_and_docs(copy: Path) -> None:
    names = json.dumps({kind: name for kind, (_, name) in METHODS.items()})
    found = json.loads(run(copy, "-c", SCRIPT, str(ROOT / "docs"), names).splitlines()[-1])
    arrays = np.load(copy / "pair.npz")
    x, y = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in arrays.values())
    a, b = x.mean(0), y.mean(0)
    assert found["measure"] == pytest.approx(
        a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6
    )
    halves = [each - each.mean(0) / 2 for each in (x, y)]
    u, v = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in halves)
    assert found["closed"] == pytest.approx(np.linalg.norm(u.mean(0) - v.mean(0)), abs=1e-6)
    assert found["task"] == pytest.approx((x * y).sum(1).mean(), abs=1e-6)
    assert found["loss"] == pytest.approx(1 - (x * y).sum(1).mean(), abs=1e-5)


def test_the_command_line(copy: Path) -> None:
    assert re.search(r"^ *half_center ", run(copy, "-m", "modalgap", "list", "closers"), re.M)
    told = json.loads(run(copy, "-m", "modalgap", "explain", "own_caption", "--json"))
    assert (told["kind"], told["name"]) == ("task", "own_caption")
    out = run(copy, "-m", "modalgap", "measure", "pair.npz", "--only", "mean_gap_cosine", "--json")
    assert list(json.loads(out)["measures"]) == ["mean_gap_cosine"]


REUSE = """
import dataclasses
import modalgap as mg

def never(work):
    raise AssertionError("computed again")

study = dataclasses.replace(mg.study.gap_of_noise, run=never)
print(study("s").to_json())
"""


def test_a_study_of_one_file(copy: Path) -> None:
    """Command, list, page, figure, CSV, Markdown, JSON, verdicts, reuse, errors."""
    study = ("-m", "modalgap", "study", "gap_of_noise", "-o", "s")
    assert "noises=0.1,0.5,1,2" in run(copy, *study[:4], "--help")
    assert re.search(r"^ *gap_of_noise ", run(copy, "-m", "modalgap", "list", "studies"), re.M)
    assert "published results: " in run(copy, *study)
    folder = copy / "s"
    names = {"study.json", "table.csv", "table.md", "report.html", "gap_of_noise.png"}
    assert {each.name for each in folder.iterdir()} == names | {"gap_of_noise.svg"}
    found = json.loads((folder / "study.json").read_text("utf-8"))
    assert found["settings"] == {"noises": [0.1, 0.5, 1.0, 2.0], "seed": 0}
    verdicts = [each["verdict"] for each in found["verdicts"]]
    assert verdicts[:2] == ["agrees", "agrees"]
    assert verdicts[2].startswith("differs: by ")
    gap = found["rows"]["2"]["l2m"]["value"]
    lines = list(csv.reader((folder / "table.csv").read_text("utf-8").splitlines()))
    assert lines[0][:2] == ["noise", "l2m"]
    assert (lines[4][0], float(lines[4][1])) == ("2", gap)
    markdown = (folder / "table.md").read_text("utf-8")
    assert f"| 2 | {number(gap)}" in markdown
    assert "| The gap falls (an example, 2026, figure 1) | falls with each step |" in markdown
    page = (folder / "report.html").read_text("utf-8")
    assert page.count("<svg") == 1
    for part in (
        "Does noise close the gap?",
        "Published results, and checks of our implementation",
        "differs",
        number(gap),
    ):
        assert part in page
    assert (folder / "gap_of_noise.png").read_bytes().startswith(b"\x89PNG")
    # a finished study is reused; other options compute it again
    again = json.loads(run(copy, "-c", REUSE))
    assert again == found
    other = json.loads(run(copy, *study, "--set", "noises=3", "--json", "--force"))
    assert list(other["rows"]) == ["3"]
    states = [each["verdict"].partition(":")[0] for each in other["verdicts"]]
    assert states == ["not computed"] * 3
    seeded = json.loads(run(copy, *study, "--set", "noises=3", "--seed", "1", "--json", "--force"))
    assert seeded["rows"]["3"] != other["rows"]["3"]


def test_a_simulation_of_one_file(copy: Path) -> None:
    command = ("-m", "modalgap", "simulate", "two_cones", "-o", "cones.npz", "--set", "n=7")
    assert run(copy, *command).strip() == "cones.npz"
    assert np.load(copy / "cones.npz")["image"].shape == (7, 16)


def test_the_property_tests_run_over_it(copy: Path) -> None:
    """The registry tests of the suite include the new methods and pass."""
    tests = [
        "tests/measure/test_properties.py",
        "tests/test_package.py::test_cards_are_filled",
        "tests/test_package.py::test_files_say_what_they_are",
        "tests/close/test_maps.py",
    ]
    names = " or ".join(name for _, name in METHODS.values())
    options = ("-q", "-p", "no:cacheprovider", "-o", "addopts=", "--rootdir", str(ROOT))
    paths = [str(ROOT / test) for test in tests]
    out = run(copy, "-m", "pytest", *options, *paths, "-k", names)
    passed = re.search(r"(\d+) passed", out)
    assert passed is not None
    assert int(passed[1]) > 20
    assert "failed" not in out
