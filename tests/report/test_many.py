"""The page of three modalities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Run

import modalgap as mg
from modalgap import errors

NAMES = ("image", "text", "audio")


def three(lacking: int = 0) -> mg.Modalities:
    random = np.random.default_rng(0)
    content = random.normal(size=(40, 8))
    sides = {
        name: content + random.normal(size=(40, 8)) / 2 + random.normal(size=8) for name in NAMES
    }
    ids = {"image": range(40), "text": range(lacking, 40 + lacking), "audio": range(40)}
    return mg.Modalities(sides, items=ids)


def test_the_page(tmp_path: Path) -> None:
    mods = three()
    path = mg.report(mods, tmp_path / "a.html")
    page = path.read_text("utf-8")
    result = mg.measure(mods, only=["rmg", "gram_volume"])
    for said in (
        "40 images, 40 texts and 40 audio items in 8 dimensions",
        "The gap of every two",
        f"{float(result['rmg.text.audio']):.3f}",
        f"All modalities together: {float(result['gram_volume']):.3f}",
        "Who answers whom",
        "The first 10 results",
        "fair 33%",
        "40 items have all 3 modalities",
        "principal components of all modalities together",
        "&#34;rmg.image.text&#34;",
    ):
        assert said in page, said
    again = mg.report(mods, tmp_path / "b.html")
    assert again.read_bytes() == path.read_bytes()


def test_items_that_lack_a_modality(tmp_path: Path) -> None:
    page = mg.report(three(lacking=4), tmp_path / "a.html").read_text("utf-8")
    assert "36 items have all 3 modalities" in page
    assert "lack a modality: 4 images, 4 texts and 4 audio items" in page


def test_few_measures(tmp_path: Path) -> None:
    page = mg.report(three(), tmp_path / "a.html", only="cone").read_text("utf-8")
    assert "The gap of every two" not in page
    assert "The mean cosine between distinct items of one modality" in page


def test_a_result_of_other_data(tmp_path: Path) -> None:
    result = mg.measure(three(lacking=1), only="rmg")
    with pytest.raises(errors.InputError, match="of this data"):
        mg.report(three(), tmp_path / "a.html", result=result)


def test_two_modalities_are_the_pair(tmp_path: Path) -> None:
    pair = three().pair("image", "audio")
    one = mg.report(mg.Modalities.of(pair), tmp_path / "a.html")
    assert one.read_bytes() == mg.report(pair, tmp_path / "b.html").read_bytes()


def test_the_command(tmp_path: Path, run: Run) -> None:
    path = mg.save(three(), tmp_path / "three.npz")
    page = tmp_path / "page.html"
    code, _, _ = run("report", str(path), "-o", str(page), "--figures", str(tmp_path / "figures"))
    assert code == 0
    assert "Who answers whom" in page.read_text("utf-8")
    assert [each.name for each in (tmp_path / "figures").iterdir()] == ["pca.png"]
