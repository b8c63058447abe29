"""The study of inversion: what its table says is what its parts say, and it is made once.

The small version trains for three steps and searches for a few; ``MODALGAP_FULL=1`` runs it whole.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run
from patience import in_full

import modalgap as mg
from modalgap.data.mad import build, digits, source
from modalgap.errors import InputError, OptionError
from modalgap.result import Table
from modalgap.study import inversion
from modalgap.train.captions import captions_of

SMALL = {"steps": 3, "batch": 32, "data.limit": 200, "watch.measure": 0}
METHODS: dict[str, dict[str, Any]] = {
    "native": {},
    "OTI": {"method": "oti", "steps": 3},
    "OVI": {"method": "ovi", "steps": 3},
    "ridge map": {"method": "ridge_map"},
}
module = sys.modules["modalgap.study.mistretta2025.inversion"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Path]:
    folder = tmp_path_factory.mktemp("inversion")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "METHODS", METHODS)
        return inversion(folder, attributes=[2], train=SMALL), folder


def test_rows_and_gains(made: tuple[Table, Path]) -> None:
    table, _ = made
    assert list(table.rows) == [
        f"k2 {side}, {way}"
        for side, own in (("images", "OTI"), ("texts", "OVI"))
        for way in ("native", own, "ridge map")
    ]
    native = table.rows["k2 images, native"]
    assert "gain_object" not in native
    for row, values in table.rows.items():
        for name in ("map_object", "map_attributes"):
            low, high = values[name].interval or (0, 0)
            assert low <= values[name].value <= high
        assert ("zero_shot" in values) == ("images" in row)
        if "native" not in row:
            before = table.rows[row.partition(",")[0] + ", native"]["map_object"].value
            gain = values["map_object"].value - before
            assert values["gain_object"].value == pytest.approx(gain)
            assert values["cosine"].value < 1


def test_numbers_are_those_of_the_verbs(made: tuple[Table, Path]) -> None:
    """Made again with encode, invert and search alone."""
    table, folder = made
    mad = build(digits(limit=200))
    spec = f"open_clip:{folder / 'runs' / 'k2' / 'model'}"
    pair = mg.encode(source(mad, captions_of("object_attribute_2"), images=6), spec, batch_size=256)
    assert isinstance(pair, mg.Pair)
    digit = np.array([int(name.partition("/")[0]) for name in pair.image.names or ()])
    every, first = np.unique(digit, return_index=True)
    asks, searched = first[::2], np.flatnonzero(np.isin(digit, every[1::2]))

    def some(index: Any) -> mg.Embeddings:
        names = [str(i) for i in index]
        factors = {key: values[index] for key, values in pair.image.factors.items()}
        return mg.Embeddings(pair.image.take(index), "image", names, factors)

    found = mg.invert(some(asks), "oti", spec, steps=3)
    judged = mg.search(found.features, some(searched), factor="object")
    ours = table.rows["k2 images, OTI"]
    assert judged["map"].value == pytest.approx(ours["map_object"].value, abs=1e-6)
    assert float(found.cosines.mean()) == pytest.approx(ours["cosine"].value, abs=1e-6)


def test_it_is_made_once(made: tuple[Table, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    table, folder = made
    monkeypatch.setattr(module, "METHODS", METHODS)
    monkeypatch.setattr(module, "_of_model", None)
    again = inversion(folder, attributes=[2], train=SMALL)
    assert again.to_dict() == table.to_dict()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attributes": [0]}, "attributes must be an integer of at least 1"),
        ({"attributes": [2, 2]}, "attributes must be different numbers"),
        (
            {"train": {"model.architecture": "mad_cnn"}},
            "train.model.architecture: is set by the study",
        ),
    ],
)
def test_what_cannot_be_studied(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises((InputError, OptionError), match=said):
        inversion(tmp_path, **options)


def test_from_the_shell(
    made: tuple[Table, Path], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, folder = made
    monkeypatch.setattr(module, "METHODS", METHODS)
    asked = [word for name, value in SMALL.items() for word in ("--set", f"train.{name}={value}")]
    status, out, _ = run("study", "inversion", "-o", folder, "--set", "attributes=2", *asked)
    assert not status
    assert "k2 texts, OVI" in out
    rows = list(csv.reader((folder / "table.csv").read_text().splitlines()))
    assert [row[0] for row in rows[1:]] == list(table.rows)  # names with commas are one cell
    assert float(rows[1][1]) == table.rows["k2 images, native"]["cosine"].value
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "OTI raises the mAP of image queries" in page


@pytest.mark.slow
@in_full
def test_the_paper_s_cosine_is_reached(tmp_path: Path) -> None:
    """With captions that tell all, both ways reach .95 within their default steps."""
    table = inversion(tmp_path, attributes=[5])
    for row in ("k5 images, OTI", "k5 texts, OVI"):
        assert table.rows[row]["cosine"].value >= 0.95
