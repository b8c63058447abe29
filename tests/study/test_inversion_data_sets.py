"""Inversion on many data sets: rows of files against the verb search, means and published rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modalgap as mg
from modalgap.errors import InputError
from modalgap.study import inversion_data_sets
from modalgap.study.mistretta2025.published_numbers import MEANS, PER_SET, SETS, TABLE_4, THIRTEEN

random = np.random.default_rng(0)
PROMPTS = random.standard_normal((3, 8))
LABELS = np.arange(24) % 3


def images(labels: np.ndarray, noise: float) -> np.ndarray:
    return PROMPTS[labels] + noise * random.standard_normal((len(labels), 8))


def classes(noise: float = 1.0) -> mg.Pair:
    names = [str(i) for i in range(24)]
    return mg.Pair(mg.Embeddings(images(LABELS, noise), "image", names), PROMPTS, labels=LABELS)


def inverted(rows: np.ndarray, source: str = "image", **factors: np.ndarray) -> mg.Embeddings:
    """Rows as modalgap invert writes them."""
    into = "text" if source == "image" else "image"
    names = [str(i) for i in range(len(rows))]
    return mg.Embeddings(rows, into, names, factors, {"inverted_from": source})


def written(folder: Path, name: str, gallery: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    mg.save(classes(), folder / f"{name}.native.safetensors")
    mg.save(inverted(images(LABELS, 0.7), label=LABELS), folder / f"{name}.safetensors")
    if gallery:
        mg.save(classes(), folder / f"{name}.gallery.safetensors")


def test_rows_are_those_of_search(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    written(folder, "b32-cub")
    written(folder, "b32-stanford-cars", gallery=True)
    captions = random.standard_normal((20, 8))
    pair = mg.Pair(
        random.standard_normal((4, 8)),
        captions,
        text_to_image=np.arange(20) // 5,
    )
    mg.save(pair, folder / "b32-coco-captions.native.safetensors")
    near = inverted(captions + 0.1, "text", row=np.arange(20))
    mg.save(near, folder / "b32-coco-captions.safetensors")
    table = inversion_data_sets(tmp_path / "s", inverted=str(folder))
    assert list(table.rows) == ["b32-coco-captions", "b32-cub", "b32-stanford-cars"]
    for name, protocol, other in (
        ("b32-cub", "self_removed", "native"),
        ("b32-stanford-cars", "split", "gallery"),
        ("b32-coco-captions", "first_caption", "native"),
    ):
        row = table.rows[name]
        gallery = mg.load(folder / f"{name}.{other}.safetensors")
        queries = mg.load_embeddings(folder / f"{name}.safetensors")
        after = mg.search(queries, gallery, protocol)
        assert row["inverted"].value == after["map"].value
        assert row["inverted_r_precision"].value == after["r_precision"].value
        assert row["gain"].value == pytest.approx(after["map"].value - row["map"].value)
    native = mg.load(folder / "b32-cub.native.safetensors")
    assert isinstance(native, mg.Pair)
    cosines = native.image.unit() @ native.text.unit().T
    right = cosines.argmax(1).numpy() == LABELS
    assert table.rows["b32-cub"]["top1"].value == pytest.approx(right.mean())
    assert "top1" not in table.rows["b32-coco-captions"]


def test_means_and_published_rows(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    for each in SETS["5 data sets"]:
        written(folder, f"tau1-{each}")
    table = inversion_data_sets(tmp_path / "s", inverted=str(folder))
    mean = table.rows["tau1, mean of 5 data sets"]
    found = [table.rows[f"tau1-{each}"]["inverted"].value for each in SETS["5 data sets"]]
    assert mean["inverted"].value == pytest.approx(np.mean(found))
    computed = [v for v in table.verdicts if not v["verdict"].startswith("not computed")]
    assert len(computed) == 12  # five data sets and the mean, native and inverted
    assert all("table 4" in each["where"] for each in computed)


def test_published_numbers_are_whole() -> None:
    """Each mean is that of its data sets, up to rounding; table 4 has 24.2 where they give 24.3."""
    for table, count in ((PER_SET, len(THIRTEEN)), (TABLE_4, 5)):
        for model, lines in table.items():
            for line in lines:
                *numbers, mean = map(float, line.split())
                assert len(numbers) == count
                assert np.mean(numbers) == pytest.approx(mean, abs=0.13), model
    assert {len(models) for models in MEANS.values()} == {5, 7}
    assert len(SETS["15 data sets"]) == 15


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="made by modalgap invert"):
        inversion_data_sets(tmp_path / "s", inverted=str(tmp_path))
    mg.save(classes(), tmp_path / "a.native.safetensors")
    mg.save(classes().image, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="holds no inversion"):
        inversion_data_sets(tmp_path / "s", inverted=str(tmp_path))
    with pytest.raises(InputError, match="steps"):
        inversion_data_sets(tmp_path / "s", steps=0)
