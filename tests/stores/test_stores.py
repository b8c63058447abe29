"""Stores that run in this process: the examples against the definition, and the bench."""

from __future__ import annotations

import importlib
import re
import runpy
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest
import sqlite_vec
from milvus_lite.server_manager import server_manager_instance
from numpy.typing import NDArray
from stores.by_hand import ROWS, each_index_is_right, recall

import modalgap as mg

ROOT = Path(__file__).resolve().parents[2]
NEAR = 0.009  # of 250 queries: two, whose tenth and eleventh score differ by rounding


def example(name: str) -> Any:
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))


@pytest.mark.parametrize("store", ["store_faiss", "store_lancedb"])
def test_stores_on_real_pairs(
    store: str, coco: NDArray[np.float32], capfd: pytest.CaptureFixture[str]
) -> None:
    shares = example(store)["recall"](mg.Pair(coco[0], coco[1]))
    capfd.readouterr()  # faiss and lance warn that the rows are few
    assert shares["before"] < 0.1
    assert shares["after"] > 0.6
    assert shares["standardised"] > 0.8


def test_flat_faiss_is_the_definition(coco: NDArray[np.float32]) -> None:
    pair = mg.Pair(coco[0], coco[1])
    assert example("store_faiss")["recall"](pair, "Flat") == pytest.approx(recall(pair), abs=NEAR)


STORES = sorted((ROOT / "examples").glob("store_*.py"))


@pytest.mark.parametrize("path", STORES, ids=lambda path: path.stem)
def test_every_store_has_default_arguments(path: Path) -> None:
    _, main = path.read_text(encoding="utf-8").split('if __name__ == "__main__":\n')
    assert 'path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"\n' in main
    assert not re.search(r"sys\.argv\[(\d)\](?! if sys\.argv\[\1:\] else)", main)


def test_sqlite_vec(coco: NDArray[np.float32]) -> None:
    pair = mg.Pair(coco[0], coco[1])
    shares, expected = example("store_sqlite")["recall"](pair), recall(pair)
    for when in ("before", "after"):
        assert shares[when]["float32"] == pytest.approx(expected[when], abs=NEAR)
    for name in ("int8", "bits, rescored"):
        assert shares["before"][name] < 0.05
        assert shares["after"][name] > 0.65


def test_sqlite_vec_closes_as_the_map_does(coco: NDArray[np.float32]) -> None:
    map_ = mg.close.fit(mg.Pair(coco[0, :250], coco[1, :250]), "center")
    db = apsw.Connection(":memory:")
    db.enable_load_extension(True)
    db.load_extension(sqlite_vec.loadable_path())
    db.execute("CREATE VIRTUAL TABLE items USING vec0(role TEXT, v FLOAT[512])")
    for role, row in (("image", coco[0, 300]), ("text", coco[1, 300])):
        db.execute("INSERT INTO items(role, v) VALUES (?, ?)", (role, row.tobytes()))
    found = example("store_sqlite")
    offsets = {role: found["blob"](step.offset) for role, (step,) in map_.roles.items()}
    db.execute(found["CLOSE"], offsets)
    for role, row in (("image", coco[0, 300]), ("text", coco[1, 300])):
        ((stored,),) = db.execute("SELECT v FROM items WHERE role = ?", (role,)).fetchall()
        np.testing.assert_allclose(np.frombuffer(stored, np.float32), map_(row, role), atol=1e-6)
    db.close()


def test_milvus_lite(coco: NDArray[np.float32], capfd: pytest.CaptureFixture[str]) -> None:
    pair = mg.Pair(coco[0], coco[1])
    shares, expected = example("store_milvus")["recall"](pair), recall(pair)
    server_manager_instance.release_all()  # the server is a thread of this process
    capfd.readouterr()  # faiss warns that the rows are few
    for when in ("before", "after"):
        assert shares[when]["FLAT"] == pytest.approx(expected[when], abs=NEAR)
    for name in ("IVF_SQ8", "HNSW_SQ"):
        assert shares["before"][name] < 0.05
        assert shares["after"][name] > 0.65


# the bench ----------------------------------------------------------------------------------------


def test_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.stores.__main__ import main

    argv = ["x", "--only", "FAISS,sqlite-vec", "--rows", "400", "--queries", "60"]
    monkeypatch.setattr(sys, "argv", argv)
    assert main() == 0
    out = capsys.readouterr().out
    lines = [line.strip("| \n").split(" | ") for line in out.splitlines() if line[:1] == "|"]
    shares = {(line[0], line[1]): [float(each) for each in line[2:9]] for line in lines[2:]}
    flat = shares["FAISS", "Flat"]
    assert shares["sqlite-vec", "float32"] == pytest.approx(flat, abs=NEAR)
    assert flat[2:4] == [1, 1]  # exact neighbours
    assert flat[4] < 0.05
    assert min(flat[0], flat[1], flat[5], flat[6]) > 0.5
    bits = shares["sqlite-vec", "bits"]
    assert bits[2] < bits[3] < 0.9  # quantisation loses fewer neighbours without the gap


@pytest.mark.parametrize("store", ["lancedb", "milvus"])
def test_stores_of_the_bench(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    module: Any = importlib.import_module(f"bench.stores.in_{store}")
    with closing(module.Stored(ROWS, tmp_path)) as gallery:
        each_index_is_right(gallery, module.INDEXES)
    capfd.readouterr()  # lance and faiss warn that the rows are few


def test_a_store_that_the_bench_does_not_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.stores.__main__ import main

    monkeypatch.setattr(sys, "argv", ["x", "--only", "other"])
    assert main() == 2
    assert "unknown store 'other'; known: FAISS" in capsys.readouterr().err
