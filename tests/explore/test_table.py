"""The Parquet table: every row, the same map, and neighbours as the plain definition gives them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import modalgap as mg
from modalgap.data.media import Pixels
from modalgap.errors import OutputError
from modalgap.explore import table as tables
from modalgap.explore import write_table
from modalgap.explore.frames import frame
from modalgap.explore.maps import maps
from modalgap.explore.scene import Scene
from modalgap.explore.steps import Step


def pair(n: int = 30) -> mg.Pair:
    random = np.random.default_rng(0)
    image, text = random.normal(size=(2, n, 6)) + np.eye(6)[:2, None] * 3
    image_side = mg.Embeddings(
        image, names=[f"i{k}" for k in range(n)], factors={"kind": np.arange(n) % 3}
    )
    return mg.Pair(image_side, mg.Embeddings(text, "text"))


def test_every_row_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", 7)  # several groups
    data = pair()
    pixels = np.zeros((30, 4, 4), np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None]
    media = Pixels(pixels, list(data.image.names or ()))
    found = pq.read_table(write_table(data, tmp_path / "t.parquet", media=media)).to_pydict()
    assert found["id"] == list(range(60))
    assert found["modality"] == ["image"] * 30 + ["text"] * 30
    assert found["row"] == [*range(30), *range(30)]
    assert found["name"] == [*(f"i{k}" for k in range(30)), *[None] * 30]
    assert found["factor_kind"] == [*(str(k % 3) for k in range(30)), *[None] * 30]
    x = np.array(found["x"])
    gap = mg.measure(data, only="l2m")["l2m"].value
    assert x[30:].mean() - x[:30].mean() == pytest.approx(gap, abs=1e-6)
    closed = np.array(found["x_closed"])
    assert abs(closed[30:].mean() - closed[:30].mean()) < gap / 5
    with Image.open(io.BytesIO(found["image"][9]["bytes"])) as picture:
        assert picture.convert("L").getpixel((0, 0)) == 9
    assert found["image"][40] is None


def test_neighbours_begin_with_the_match(tmp_path: Path) -> None:
    data = pair()
    found = pq.read_table(write_table(data, tmp_path / "t.parquet")).to_pydict()
    rows = np.concatenate([side.unit().numpy() for side in data.sides])
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    for i in range(60):
        match = (i + 30) % 60
        others = [j for j in np.argsort(-scores[i]) if j != match][: tables.NEAREST - 1]
        near = found["neighbors"][i]
        assert near["ids"] == [match, *others]
        np.testing.assert_allclose(near["distances"], 1 - scores[i][near["ids"]], atol=1e-6)
        own = scores[i][30:] if i < 30 else scores[i][:30]
        assert found["match_rank"][i] == 1 + int((own > scores[i, match] + 1e-9).sum())


def test_large_data_have_no_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LARGEST", 59)
    names = pq.read_schema(write_table(pair(), tmp_path / "t.parquet")).names
    assert "neighbors" not in names
    assert "match_rank" not in names
    assert "x" in names


def test_one_and_many_modalities(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 12, 5))
    one = pq.read_table(write_table(mg.Embeddings(rows[0]), tmp_path / "one.parquet"))
    assert one.num_rows == 12
    many = mg.Modalities(dict(zip(("image", "text", "audio"), rows, strict=True)))
    assert pq.read_table(write_table(many, tmp_path / "many.parquet")).num_rows == 36


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="parquet"):
        write_table(pair(), tmp_path / "t.csv")
    write_table(pair(), tmp_path / "t.parquet")
    with pytest.raises(OutputError, match="exists"):
        write_table(pair(), tmp_path / "t.parquet")
    write_table(pair(), tmp_path / "t.parquet", overwrite=True)


def test_ranks_are_those_of_the_page_with_ties(tmp_path: Path) -> None:
    rows = np.repeat(np.random.default_rng(0).normal(size=(6, 5)), 5, 0)
    data = mg.Pair(rows, rows + 0.1)
    found = pq.read_table(write_table(data, tmp_path / "t.parquet")).to_pydict()
    scene = Scene.of(data, 100, 0)
    shown = frame(scene, maps([side.unit() for side in scene.sides]), Step("none"))
    assert found["match_rank"] == [*shown.ranks[0, 1].tolist(), *shown.ranks[1, 0].tolist()]
    assert min(found["match_rank"]) == 5


def test_without_centring_its_columns_are_empty(tmp_path: Path) -> None:
    data = mg.Pair(np.ones((5, 4)), -np.ones((5, 4)))
    found = pq.read_table(write_table(data, tmp_path / "t.parquet")).to_pydict()
    assert found["x_closed"] == [None] * 10
