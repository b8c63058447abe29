"""Results of a zoo that are read from files of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modalgap.errors import FileError
from modalgap.zoo import Zoo

ROW = {"model": "a:1", "data": "x", "number": "rmg", "value": 0.5, "low": None, "high": None}
ABOUT = {"model": "a:1", "width": 4.0}


def write(folder: Path, rows: list[dict[str, Any]], models: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), folder / "results.parquet")
    pq.write_table(pa.Table.from_pylist(models), folder / "models.parquet")
    return folder


def test_read(tmp_path: Path) -> None:
    found = Zoo.read(write(tmp_path, [ROW, ROW | {"number": "l2m"}], [ABOUT]))
    assert {name: each.value for name, each in found.values["a:1"]["x"].items()} == {
        "rmg": 0.5,
        "l2m": 0.5,
    }
    assert found.models == {"a:1": {"width": 4.0}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": None}, "finite numbers"),
        ({"value": float("nan")}, "finite numbers"),
        ({"value": [1.0]}, "finite numbers"),
        ({"value": "0.5"}, "finite numbers"),
        ({"low": 0.1}, "finite numbers"),
        ({"number": None}, "3 names"),
        ({"model": 1}, "3 names"),
        ({"model": "b:2"}, "must name every model"),
    ],
)
def test_rows_that_are_none(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=said):
        Zoo.read(write(tmp_path, [ROW | change], [ABOUT]))


def test_what_is_there_twice(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="rows must differ"):
        Zoo.read(write(tmp_path, [ROW, ROW | {"value": 0.7}], [ABOUT]))
    with pytest.raises(FileError, match="every model once"):
        Zoo.read(write(tmp_path, [ROW], [ABOUT, ABOUT]))


def test_failures_that_are_none(tmp_path: Path) -> None:
    write(tmp_path, [ROW], [ABOUT])
    for content in (b"\xff\xfe\0", b"model,data,reason\na,b," + b"x" * 200_000):
        (tmp_path / "failed.csv").write_bytes(content)
        with pytest.raises(FileError, match=r"failed.csv: cannot be read"):
            Zoo.read(tmp_path)
