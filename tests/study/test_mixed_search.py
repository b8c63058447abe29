"""The study mixed_search: the table of SCIENCE 3b on CLIP's embeddings, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import find_shared
from reference.cases import two_cones

import modalgap as mg
from modalgap import errors
from modalgap.result import Table
from modalgap.study import embedded, judge, mixed_search

# scores: text NDCG@10, its fractions of images, texts, fused; the same of image queries
TABLE = {
    "raw": (0.000, 0.0, 0.93, 0.07, 0.000, 0.94, 0.0, 0.06),
    "center": (0.329, 0.06, 0.53, 0.42, 0.338, 0.53, 0.07, 0.40),
    "zscore": (0.767, 0.43, 0.27, 0.30, 0.777, 0.27, 0.44, 0.29),
    "center ÷ sd": (0.699, 0.31, 0.36, 0.33, 0.705, 0.35, 0.33, 0.32),
    "center + zscore": (0.728, 0.35, 0.33, 0.32, 0.738, 0.33, 0.36, 0.31),
    "center + zscore, best hits": (0.748, 0.32, 0.35, 0.33, 0.756, 0.34, 0.34, 0.32),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    path = str(find_shared("clip_coco500.npy"))
    return mixed_search(tmp_path_factory.mktemp("study"), pair=path, few=[20])


@pytest.mark.slow
@pytest.mark.parametrize("scores", TABLE)
def test_the_table_of_clip(scores: str, table: Table) -> None:
    found = [value.value for value in table.rows[scores].values()]
    assert found == pytest.approx(TABLE[scores], abs=0.025)


@pytest.mark.slow
def test_maps_for_rows_of_unknown_modality_rank_as_center_does(table: Table) -> None:
    for number in ("text_ndcg10", "image_ndcg10"):
        center, erased = (table.rows[name][number].value for name in ("center", "erase_gap"))
        assert erased == pytest.approx(center, abs=0.02)
    shared = [table.rows["shared_subspace"][f"{q}_ndcg10"].value for q in ("text", "image")]
    assert shared == pytest.approx([0.543, 0.537], abs=0.025)
    assert all(each["verdict"] == "agrees" for each in table.verdicts)


def test_a_small_pair_of_other_modalities(tmp_path: Path) -> None:
    x, y = two_cones(60, 12)
    pair = mg.Pair(mg.Embeddings(x, "audio"), mg.Embeddings(y, "text"))
    path = mg.save(pair, tmp_path / "pair.safetensors")
    table = mixed_search(tmp_path / "out", pair=str(path), splits=2, few=[10])
    assert set(table.rows["zscore, 10 rows"]) == set(table.heads)
    for values in table.rows.values():
        shares = [values[f"text_share10_{form}"].value for form in ("image", "text", "fused")]
        assert sum(shares) == pytest.approx(1)
    assert (tmp_path / "out" / "report.html").exists()
    again = mixed_search(tmp_path / "out", pair=str(path), splits=2, few=[10])
    assert again.to_dict() == table.to_dict()


@pytest.mark.slow
def test_the_embedded_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("steps=2", "batch=32", "data.limit=200", "watch.measure=0", "watch.tensorboard=false")
    monkeypatch.setattr(embedded, "SETTINGS", few)
    monkeypatch.setattr(judge, "IMAGES", 1)
    table = mixed_search(tmp_path / "out", splits=1, few=[10], models=tmp_path / "models")
    assert table.settings["embedded"] == ["short"]
    assert table.notes[0].startswith("MAD, short captions: mean over 1 splits")
    assert {"raw", "zscore", "zscore, 10 rows"} <= set(table.rows)
    assert (tmp_path / "out" / "report.html").exists()


def test_without_a_file_a_model_is_trained() -> None:
    plan = mixed_search.planned({})
    assert plan.models == embedded.models("short")
    assert plan.settings["embedded"] == ["short"]


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(errors.FileError):
        mixed_search(tmp_path / "out", pair=str(tmp_path / "none.npz"))
    x, y = two_cones(30, 8)
    classes = mg.save(mg.Pair(x, y[:5], labels=np.arange(30) % 5), tmp_path / "c.safetensors")
    with pytest.raises(errors.OptionError, match="must hold images and captions"):
        mixed_search(tmp_path / "out", pair=str(classes))
    with pytest.raises(errors.OptionError, match="splits must be an integer of at least 1"):
        mixed_search(tmp_path / "out", pair=str(classes), splits=0)
