"""The examples of integrations with model libraries, run as scripts against the real ones."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
import tiny
from encode.sentence_transformers_cases import made_model, photos

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "models"
RUNS = {
    "closed_sentence_transformer": ["photos", "st:model", "closed"],
    "closed_checkpoint": ["photos", "open_clip:tiny-clip/random", "closed"],
    "evaluate_mteb": ["photos", "st:model"],
}


def test_every_example_has_a_run_and_is_shown() -> None:
    assert sorted(RUNS) == sorted(path.stem for path in EXAMPLES.glob("*.py"))
    page = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
    assert all(f"examples/models/{name}.py" in page for name in RUNS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    photos(folder / "photos")
    (folder / "model").mkdir()
    made_model("clip", folder / "model")
    (folder / "configs").mkdir()
    tiny.add_configs(folder / "configs")
    return folder


@pytest.mark.parametrize("name", list(RUNS))
def test_example(
    name: str,
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for each in ("photos", "model"):
        (tmp_path / each).symlink_to(place / each)
    monkeypatch.setattr(sys, "argv", [name, *RUNS[name]])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    said = capsys.readouterr().out
    if name.startswith("closed"):
        found = re.search(r"largest difference: (\S+)", said)
        assert found is not None
        assert float(found[1]) < 1e-5
    if name == "closed_sentence_transformer":
        before, after = (float(each) for each in re.findall(r"l2m +(\S+)", said))
        assert after < 0.5 * before
    if name == "evaluate_mteb":
        assert [line.split()[0] for line in said.splitlines() if "T2I" in line] == [
            "raw",
            "closed",
            "standardised",
        ]
