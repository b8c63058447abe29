"""PostgreSQL with pgvector: maps as SQL against the maps, indexes, and the example."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from pgvector.psycopg import register_vector
from postgres import postgres, server
from stores.by_hand import ROWS, each_index_is_right, recall

import modalgap as mg

__all__ = ["server"]
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "store_pgvector.py"
D = 512


@pytest.fixture
def db(server: str) -> Iterator[Any]:
    """A connection; nothing that a test writes remains."""
    with psycopg.connect(server) as found:
        found.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(found)
        yield found
        found.rollback()


def fill(db: Any, images: NDArray[Any], texts: NDArray[Any]) -> None:
    db.execute(f"CREATE TEMP TABLE items (id int PRIMARY KEY, role text, v vector({D}))")
    rows = [("image", row) for row in images] + [("text", row) for row in texts]
    with db.cursor().copy("COPY items FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text", "vector"])
        for i, (role, row) in enumerate(rows):
            copy.write_row((i, role, row))


def vectors(db: Any) -> NDArray[Any]:
    return np.array(
        [row[0] for row in db.execute("SELECT v::real[] FROM items ORDER BY id").fetchall()]
    )


def statements() -> list[str]:
    """The SQL of docs/stores.md: scales; rows of a matrix; the matrix."""
    page = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    return [block.replace("512", str(D)) for block in re.findall(r"```sql\n(.*?)```", page, re.S)]


def test_the_example_without_arguments_and_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    rows = np.random.default_rng(0).normal(size=(2, 20, 4))
    mg.save(mg.Pair(*rows), tmp_path / "demo" / "short.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGHOST", str(tmp_path))
    monkeypatch.setattr("sys.argv", [EXAMPLE.name])
    with pytest.raises(SystemExit, match=r"^dbname=test: ") as stopped:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "\n" not in str(stopped.value)


def test_version(db: Any) -> None:
    (version,) = db.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    ).fetchone()
    assert tuple(map(int, version.split("."))) >= (0, 7)  # halfvec, binary_quantize


def test_the_example_against_the_definition(server: str, coco: NDArray[np.float32]) -> None:
    pair = mg.Pair(coco[0, :240], coco[1, :240])
    shares = runpy.run_path(str(EXAMPLE))["recall"](pair, server)
    expected = recall(pair)
    for when in ("before", "after"):
        assert shares[when]["exact"] == pytest.approx(expected[when], abs=0.009)  # one tie
    assert shares["before"]["standardised"] == pytest.approx(expected["standardised"], abs=0.009)
    for name in ("halfvec", "bits, rescored"):
        assert shares["before"][name] < 0.05
        assert shares["after"][name] > 0.65


def test_searches_use_the_indexes(db: Any, coco: NDArray[np.float32]) -> None:
    example = runpy.run_path(str(EXAMPLE))
    fill(db, coco[0, :50], coco[1, :50])
    db.execute(example["INDEXES"].format(d=D))
    for name, index in (("halfvec", "halves"), ("bits, rescored", "bits")):
        asked = "EXPLAIN " + example["SEARCH"][name].format(d=D)
        plan = "".join(row[0] for row in db.execute(asked, {"q": coco[0, 0]}).fetchall())
        assert f"Index Scan using {index} on items" in plan


@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_an_offset_as_sql(db: Any, coco: NDArray[np.float32], scale: float) -> None:
    map_ = mg.close.fit(mg.Pair(coco[0, :250], coco[1, :250]), "center")
    images, texts = coco[:, 250:300]
    fill(db, scale * images, scale * texts)
    close = runpy.run_path(str(EXAMPLE))["CLOSE"]
    db.execute(close, {role: step.offset for role, (step,) in map_.roles.items()})
    expected = np.concatenate([map_.image(images), map_.text(texts)])
    np.testing.assert_allclose(vectors(db), expected, atol=1e-6)


def test_a_scale_as_sql(db: Any, coco: NDArray[np.float32]) -> None:
    map_ = mg.close.fit(mg.Pair(coco[0, :250], coco[1, :250]), "standardize")
    images, texts = coco[:, 250:300]
    fill(db, images, texts)
    close, *_ = statements()
    for role, (step,) in map_.roles.items():
        db.execute(close, {"scale": step.matrix, "offset": step.offset, "role": role})
    expected = np.concatenate([map_.image(images), map_.text(texts)])
    np.testing.assert_allclose(vectors(db), expected, atol=2e-6)


def test_a_matrix_as_sql(db: Any, coco: NDArray[np.float32]) -> None:
    map_ = mg.close.fit(mg.Pair(coco[0, :250], coco[1, :250]), "procrustes")
    (step,) = map_.roles["text"]
    assert step.matrix is not None
    assert step.matrix.shape == (D, D)
    images, texts = coco[:, 250:260]
    fill(db, images, texts)
    _, create, close = statements()
    db.execute(create)
    offset = np.zeros(D) if step.offset is None else step.offset
    for number, (row, shift) in enumerate(zip(step.matrix, offset, strict=True)):
        db.execute("INSERT INTO map_rows VALUES (%s, %s, %s)", (number, row, shift))
    db.execute(close)
    expected = np.concatenate([images, map_.text(texts)])
    np.testing.assert_allclose(vectors(db), expected, atol=1e-6)


def test_the_store_of_the_bench(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.stores import in_postgres

    assert in_postgres.version(server).startswith("pgvector 0.")
    with closing(in_postgres.Stored(ROWS, server)) as gallery:
        each_index_is_right(gallery, in_postgres.INDEXES)
    with psycopg.connect(server) as db:
        assert db.execute("SELECT to_regclass('modalgap_bench')").fetchone() == (None,)


def test_no_server_remains() -> None:
    with postgres() as address, psycopg.connect(address) as db:
        (pid,) = db.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        folder = Path(address.split()[0].removeprefix("host="))
        assert Path(f"/proc/{pid}").exists()
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()
