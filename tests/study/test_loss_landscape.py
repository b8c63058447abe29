"""The study of figure 3 of Liang et al. 2022: on CLIP's embeddings, and on a made-up pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import find_shared
from reference.cases import two_cones

import modalgap as mg
from modalgap import errors
from modalgap.study import loss_landscape
from modalgap.study.plan import Work


def shifted_loss(x: np.ndarray, y: np.ndarray, shift: float, scale: float) -> tuple[float, float]:
    """Signed distance and loss after moving every row, by plain numpy."""
    gap = x.mean(0) - y.mean(0)
    gap /= np.linalg.norm(gap)
    x, y = x - shift / 2 * gap, y + shift / 2 * gap
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    logits = scale * x @ y.T
    rows = np.log(np.exp(logits).sum(1)) - np.diag(logits)
    columns = np.log(np.exp(logits).sum(0)) - np.diag(logits)
    between = x.mean(0) - y.mean(0)
    sign = np.sign(between @ gap)
    return float(sign * np.linalg.norm(between)), float((rows + columns).mean() / 2)


def test_against_moved_rows(tmp_path: Path) -> None:
    x, y = (np.asarray(each, np.float64) for each in two_cones(40, 12))
    path = mg.save(mg.Pair(x, y), tmp_path / "mine.safetensors")
    table = loss_landscape(tmp_path / "out", pair=str(path), batch=40)
    assert next(iter(table.rows)) == "mine, 1/τ = 100"
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    for scale in (20, 1):
        want = sorted(shifted_loss(x, y, shift, scale) for shift in np.arange(-5, 5.1, 0.25))
        row = table.rows[f"mine, 1/τ = {scale}"]
        assert row["file"].details["x"] == pytest.approx([d for d, _ in want], abs=1e-5)
        assert row["file"].details["y"] == pytest.approx([loss for _, loss in want], abs=1e-4)
        distance, lowest = min(want, key=lambda each: each[1])
        assert row["lowest_loss"].value == pytest.approx(lowest, abs=1e-4)
        assert row["lowest_distance"].value == pytest.approx(distance, abs=1e-5)
    assert all(each["verdict"].startswith("not computed") for each in table.verdicts)
    assert (tmp_path / "out" / "report.html").read_text().count("<svg") == 1


def test_the_stated_numbers_of_clip(tmp_path: Path) -> None:
    table = loss_landscape(tmp_path, pair=str(find_shared("clip_coco500.npy")))
    judged = [each for each in table.verdicts if not each["verdict"].startswith("not computed")]
    assert len(judged) == 14
    assert {each["verdict"] for each in judged} == {"agrees"}


def test_two_embedded_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows and curves of embedded models, with made-up pairs in their place."""
    from modalgap.study import embedded

    pairs = {title: mg.Pair(*two_cones(60, 8)) for title in ("MAD, full", "MAD, short")}
    monkeypatch.setattr(embedded, "pairs", lambda _work: pairs)
    settings = {"embedded": ["full", "short"], "batch": 20}
    table = loss_landscape.run(Work(settings=settings, folder=tmp_path))
    assert [row.partition(",")[0] for row in table.rows] == ["full"] * 6 + ["short"] * 6
    assert "full" in table.rows["full, 1/τ = 1"]
    assert "short" in table.rows["short, 1/τ = 1"]
    assert len(loss_landscape.plan().models) == 2


def test_a_row_of_the_temperature_of_the_model(tmp_path: Path) -> None:
    x, y = two_cones(40, 8)
    image = mg.Embeddings(x, "image", provenance={"logit_scale": "20"})
    path = mg.save(mg.Pair(image, mg.Embeddings(y, "text")), tmp_path / "mine.safetensors")
    rows = loss_landscape(tmp_path / "out", pair=str(path), batch=40).rows
    own, same = rows["mine, own τ"], rows["mine, 1/τ = 20"]
    assert own["scale"].value == pytest.approx(20)
    assert own["lowest_distance"].value == abs(same["lowest_distance"].value)
    assert own["present_loss"].value == pytest.approx(same["present_loss"].value, abs=1e-5)


def test_refusals(tmp_path: Path) -> None:
    x, y = two_cones(30, 8)
    classes = mg.save(mg.Pair(x, y[:5], labels=np.arange(30) % 5), tmp_path / "c.safetensors")
    with pytest.raises(errors.InputError, match="not class prompts"):
        loss_landscape(tmp_path / "out", pair=str(classes))
    with pytest.raises(errors.OptionError, match="batch must be"):
        loss_landscape(tmp_path / "out", batch=1)
    with pytest.raises(errors.FileError):
        loss_landscape(tmp_path / "out", pair=str(tmp_path / "none.npz"))
