"""The study of figure 1 of Liang et al. 2022."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import find_shared
from reference.cases import two_cones

import modalgap as mg
from modalgap import errors
from modalgap.study import embedded, trained_and_untrained
from modalgap.study.plan import Work


def made(folder: Path, name: str, dim: int = 8) -> str:
    return str(mg.save(mg.Pair(*two_cones(60, dim)), folder / f"{name}.safetensors"))


def test_the_stated_gaps_of_clip(tmp_path: Path) -> None:
    files = {
        "pair": str(find_shared("clip_coco500.npy")),
        "untrained": str(find_shared("clip_random_coco500.npy")),
    }
    table = trained_and_untrained(tmp_path / "out", **files, more=[made(tmp_path, "other")])
    assert list(table.rows) == ["clip_coco500", "clip_random_coco500", "other"]
    assert [each["verdict"] for each in table.verdicts[:2]] == ["agrees", "agrees"]
    assert all(each["verdict"].startswith("not computed") for each in table.verdicts[2:])
    rows = np.load(files["untrained"]).astype(np.float64)
    both = rows.reshape(-1, rows.shape[-1])
    spectrum = np.linalg.svd(both - both.mean(0), compute_uv=False) ** 2
    first = table.rows["clip_random_coco500"]["first"].value
    assert first == pytest.approx(spectrum[0] / spectrum.sum(), abs=1e-6)
    assert (tmp_path / "out" / "report.html").read_text().count("<svg") == 3


def test_embedded_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = {
        title: mg.Pair(*two_cones(rows, 8))
        for title, rows in (("MAD, full", 60), ("MAD, untrained", 50), ("MAD, short", 40))
    }
    monkeypatch.setattr(embedded, "pairs", lambda _work: pairs)
    plan = trained_and_untrained.plan()
    assert set(plan.models) == {"full", "untrained", "short"}
    table = trained_and_untrained.run(Work(settings=plan.settings, folder=tmp_path))
    assert list(table.rows) == ["trained", "untrained", "trained, short captions"]
    saved = mg.load(tmp_path / "untrained.safetensors")
    assert saved.fingerprint == pairs["MAD, untrained"].fingerprint


def test_refusals(tmp_path: Path) -> None:
    one = made(tmp_path, "one")
    (tmp_path / "sub").mkdir()
    same = made(tmp_path / "sub", "one")
    for options, said in (
        ({"pair": one}, "untrained is missing"),
        ({"untrained": one}, "pair is missing"),
        ({"pair": one, "untrained": same}, "got one more than once"),
        ({"pair": one, "untrained": made(tmp_path, "thin", 1)}, "at least two columns"),
        ({"more": [str(tmp_path / "none.npy")]}, "none"),
    ):
        with pytest.raises(errors.InputError, match=said):
            trained_and_untrained(tmp_path / "out", **options)
