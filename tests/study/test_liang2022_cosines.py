"""The study random_cosines: cosines of all pairs against numpy, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import find_shared
from reference.cases import two_cones

import modalgap as mg
from modalgap import errors
from modalgap.study import random_cosines
from modalgap.study.liang2022.random_cosines import cosines


def test_all_pairs() -> None:
    rows = torch.nn.functional.normalize(torch.randn(40, 6), dim=1)
    unit = rows.double().numpy()
    every = (unit @ unit.T)[~np.eye(40, dtype=bool)]
    found = cosines(rows)
    assert found["cosine"].value == pytest.approx(every.mean(), abs=1e-6)
    assert found["sd"].value == pytest.approx(every.std(), abs=1e-6)
    for name, at in (("low", 0.25), ("middle", 0.5), ("high", 0.75)):
        assert found[name].value == pytest.approx(np.quantile(every, at), abs=0.01)
    details = found["cosine"].details
    assert sum(details["counts"]) == 40 * 39 / 2
    assert len(details["edges"]) == len(details["counts"]) + 1
    inside, _ = np.histogram(every, details["edges"])
    assert inside / 2 == pytest.approx(np.array(details["counts"]), abs=2)


def test_two_files_and_the_first_caption(tmp_path: Path) -> None:
    x, y = two_cones(30, 8)
    pair = mg.Pair(
        mg.Embeddings(x[:10]), mg.Embeddings(y, "text"), text_to_image=np.repeat(np.arange(10), 3)
    )
    files = [str(mg.save(pair, tmp_path / f"{name}.safetensors")) for name in ("a", "b")]
    table = random_cosines(tmp_path / "out", pair=files[0], untrained=files[1])
    assert list(table.rows) == ["a image", "a text", "b image", "b text"]
    assert table.rows["a text"]["items"].value == 10
    first = pair.text.unit()[::3]
    assert table.rows["a text"]["cosine"].value == pytest.approx(
        mg.measure(mg.Pair(mg.Embeddings(first), mg.Embeddings(first, "text")), ["cone"])[
            "cone_image"
        ].value,
        abs=1e-5,
    )
    assert all(each["verdict"].startswith("not computed: needs") for each in table.verdicts)


def test_stated_means_of_clip(tmp_path: Path) -> None:
    files = [str(find_shared(f"{name}.npy")) for name in ("clip_coco500", "clip_random_coco500")]
    table = random_cosines(tmp_path, pair=files[0], untrained=files[1])
    judged = [each for each in table.verdicts if not each["verdict"].startswith("not computed")]
    assert len(judged) == 4
    assert all(each["verdict"] == "agrees" for each in judged)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match="items"):
        random_cosines(tmp_path, items=2)
    with pytest.raises(errors.OptionError, match="untrained"):
        random_cosines(tmp_path, untrained="a.npy")
    with pytest.raises(errors.OptionError, match="untrained"):
        random_cosines(tmp_path, pair="x/a.npy", untrained="y/a.npy")
