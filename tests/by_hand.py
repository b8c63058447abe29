"""Files of embeddings, written and read as docs/format.md says, without the package's formats."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import modalgap as mg

SUFFIXES = (".npz", ".safetensors", ".parquet")
N, M, D = 6, 9, 4
T2I = np.array([0, 1, 2, 3, 4, 5, 0, 0, 3])
LABELS = np.array([0, 1, 2, 3, 0, 1])
PAIRS = np.array([[0, 0], [0, 1], [3, 2], [4, 0], [5, 6]])
KINDS: dict[str, tuple[int, dict[str, Any]]] = {  # rows of the second modality, and the matches
    "rows": (N, {}),
    "text_to_image": (M, {"text_to_image": T2I}),
    "labels": (4, {"labels": LABELS}),
    "pairs": (7, {"pairs": PAIRS}),
}


def vectors(n: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)


def write(path: Path, columns: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    """A file of any version: arrays, lists of strings, and lists of lists (Parquet)."""
    if path.suffix == ".parquet":
        length = max(map(len, columns.values()))
        table = pa.table(
            {key: [*map(plain, v), *[None] * (length - len(v))] for key, v in columns.items()}
        )
        types = {
            key: pa.list_(pa.float32()) if np.ndim(v) == 2 else table.schema.field(key).type
            for key, v in columns.items()
            if not isinstance(v, list)
        }
        schema = pa.schema(
            [(key, types.get(key, table.schema.field(key).type)) for key in columns],
            {f"modalgap.{key}": value for key, value in (metadata or {}).items()},
        )
        pq.write_table(table.cast(schema), path)
        return path
    arrays: dict[str, NDArray[Any]] = {}
    for key, values in columns.items():
        if isinstance(values, list):
            encoded = [each.encode() for each in values]
            arrays[f"{key}.bytes"] = np.frombuffer(b"".join(encoded), np.uint8)
            arrays[f"{key}.offsets"] = np.array([0, *itertools.accumulate(map(len, encoded))])
        else:
            arrays[key] = np.asarray(values)
    if path.suffix == ".safetensors":
        save_file(arrays, path, metadata)
        return path
    if metadata is not None:
        arrays["modalgap"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    np.savez(path, **arrays)
    return path


def plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The columns and the metadata of a file that the package wrote."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        about = {
            key.decode().removeprefix("modalgap."): value.decode()
            for key, value in table.schema.metadata.items()
            if key.startswith(b"modalgap.")
        }
        columns = {}
        for key in table.schema.names:
            values = table[key].to_pylist()
            while values[-1] is None:
                values.pop()
            columns[key] = values
        return columns, about
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        about = json.loads(arrays.pop("modalgap").tobytes())
    else:
        arrays = load_file(path)
        header = path.read_bytes()
        length = int.from_bytes(header[:8], "little")
        about = json.loads(header[8 : 8 + length])["__metadata__"]
    columns = {}
    for key, values in arrays.items():
        if key.endswith(".bytes"):
            ends = arrays[f"{key.removesuffix('.bytes')}.offsets"].tolist()
            text = values.tobytes()
            columns[key.removesuffix(".bytes")] = [
                text[a:b].decode() for a, b in itertools.pairwise(ends)
            ]
        elif not key.endswith(".offsets"):
            columns[key] = values.tolist()
    return columns, about


def side(modality: str, n: int, seed: int) -> mg.Embeddings:
    """A modality with everything that a file can hold of it."""
    return mg.Embeddings(
        vectors(n, seed),
        modality,
        names=[f"ü {seed} {i}" if i else "" for i in range(n)],
        factors={"color": [f"o{i % 2}" for i in range(n)], "a b/c.d": np.arange(n) % 3},
        provenance={"model": f"ViT-é {seed}", "a.b": "", "": "x"},
    )


def pair(kind: str, one: str = "image", two: str = "text") -> mg.Pair:
    m, matches = KINDS[kind]
    return mg.Pair(side(one, N, 1), side(two, m, 2), **matches)


def same(found: mg.Pair | mg.Embeddings, expected: mg.Pair | mg.Embeddings) -> None:
    assert found.fingerprint == expected.fingerprint  # vectors, factors and matches
    if isinstance(expected, mg.Pair):
        assert isinstance(found, mg.Pair)
        assert found.matched_by == expected.matched_by
        for ours, theirs in zip(found.sides, expected.sides, strict=True):
            same(ours, theirs)
        return
    assert isinstance(found, mg.Embeddings)
    assert isinstance(expected, mg.Embeddings)
    assert found.modality == expected.modality
    assert found.names == expected.names
    assert found.provenance == expected.provenance


def earlier_columns(place: str, data: mg.Embeddings, suffix: str) -> dict[str, Any]:
    """One modality as versions 1 and 2 stored it."""
    names = "name" if suffix == ".parquet" else "names"
    assert data.names is not None
    return {
        place: data.rows.read(0, data.n).numpy(),
        f"{place}_{names}": list(data.names),
        f"{place}_factor_color": data.factors["color"].tolist(),
        f"{place}_factor_a b/c.d": data.factors["a b/c.d"],
    }


def earlier_metadata(place: str, data: mg.Embeddings) -> dict[str, str]:
    about = {f"{place}.{key}": value for key, value in data.provenance.items()}
    return {f"{place}_modality": data.modality, **about}


def write_earlier(path: Path, data: mg.Pair, version: str) -> Path:
    columns = earlier_columns("image", data.image, path.suffix)
    columns |= earlier_columns("text", data.text, path.suffix)
    if data.matched_by == "pairs" and path.suffix == ".parquet":
        columns["pairs"] = [PAIRS[PAIRS[:, 1] == text, 0].tolist() for text in range(data.text.n)]
    elif data.matched_by != "rows":
        columns[data.matched_by] = getattr(data, data.matched_by)
    metadata = {"format": "modalgap", "version": version}
    for place, each in zip(("image", "text"), data.sides, strict=True):
        metadata |= earlier_metadata(place, each)
    return write(path, columns, metadata)


def columns_of(data: mg.Embeddings) -> dict[str, Any]:
    """One modality as version 3 stores it."""
    name = data.modality
    assert data.names is not None
    return {
        name: data.rows.read(0, data.n).numpy(),
        f"names.{name}": list(data.names),
        f"factors.{name}.color": data.factors["color"].tolist(),
        f"factors.{name}.a b/c.d": data.factors["a b/c.d"],
    }


def metadata_of(*sides: mg.Embeddings) -> dict[str, str]:
    found = {"format": "modalgap", "version": "3"}
    found["modalities"] = json.dumps([each.modality for each in sides])
    for each in sides:
        found |= {f"{each.modality}.{key}": value for key, value in each.provenance.items()}
    return found


def lists(pairs: NDArray[Any], n: int, column: int = 0) -> list[list[int]]:
    """For each row of one side, the rows of the other side that match it."""
    return [pairs[pairs[:, column] == row, 1 - column].tolist() for row in range(n)]


def matches(kind: str, one: str, two: str, suffix: str) -> dict[str, Any]:
    """The matches of a pair as version 3 stores them."""
    if kind == "pairs":
        if suffix == ".parquet":
            return {f"matches.{two}.{one}": lists(PAIRS, 7, column=1)}
        return {f"matches.{one}.{two}": PAIRS}
    if kind == "text_to_image":
        return {f"matches.{two}.{one}": T2I}
    return {f"matches.{one}.{two}": LABELS} if kind == "labels" else {}
