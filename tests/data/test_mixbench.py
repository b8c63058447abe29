"""MixBench: documents of three forms, queries, and the judgements that join them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.collection_cases import media, read, refusal
from layouts.items import png, put

from modalgap import errors
from modalgap.data import DATASETS, read_items

SUBSETS = ("MSCOCO", "Google_WIT", "VisualNews", "OVEN")
RELEVANT = [f"d{5 - i}" for i in range(6)]  # of query i


@pytest.fixture
def folder(built: Callable[[str], Path]) -> Path:
    return built("mixbench")


@pytest.mark.parametrize("number", range(4))
def test_documents_and_queries(number: int, folder: Path) -> None:
    subset = SUBSETS[number]
    source = read("mixbench", folder, subset)
    assert list(media(source).names) == ["d1", "d2", "d4", "d5"]
    assert [media(source)[i] for i in range(4)] == [png(100 * number + i) for i in (1, 2, 4, 5)]
    assert source.texts == [f"{subset} text {'a' * i}" for i in (0, 2, 3, 5)]
    assert source.factors == {"document": ["d1", "d2", "d4", "d5"]}
    assert source.text_factors == {"document": ["d0", "d2", "d3", "d5"]}
    assert source.matches.tolist() == [[1, 1], [3, 3]]
    assert source.missing == ()
    asked = read("mixbench", folder, f"{subset}-queries")
    texts = [f"{subset} query {'b' * i}" for i in range(6)]
    assert list(media(asked).names) == [f"query q{i}" for i in range(6)]
    assert asked.factors == {"document": RELEVANT}
    if subset == "OVEN":
        assert asked.texts == texts
        assert asked.text_factors == {"document": RELEVANT}
        assert [media(asked)[i] for i in range(6)] == [png(310 + i) for i in range(6)]
        assert asked.matches.tolist() == [[i, i] for i in range(6)]
    else:
        assert (asked.texts, asked.modality) == (None, "text")
        assert [media(asked)[i] for i in range(6)] == texts


def test_items(folder: Path) -> None:
    items = read_items("mixbench", root=folder.parent)
    assert items.kinds == {"image": "image", "text": "text", "query": "text"}
    assert items.ids["query"] == RELEVANT
    assert items.incomplete == {"image": 2, "text": 2, "query": 0}
    oven = read_items("mixbench", root=folder, split="OVEN")
    assert list(oven.sides) == ["image", "text", "query_image", "query"]
    assert oven.ids["query_image"] == RELEVANT
    assert oven.sides["query_image"][2] == png(312)
    asked = read_items("mixbench", root=folder, split="OVEN-queries")
    assert list(asked.sides) == ["query_image", "query"]
    assert asked.provenance == {"data": "mixbench", "split": "OVEN-queries"}


def test_rows_and_judgements_that_do_not_fit_together(folder: Path) -> None:
    place = folder / "MSCOCO"
    columns = {"id": [7, 8, 9, 10], "text": ["a", " ", None, "b"]}
    nulls = {**columns, "image": pa.nulls(4)}  # a column of the type null
    pq.write_table(pa.table(nulls), place / "queries.parquet")
    judged = ["7\td1\t1", "7\td2\t0", "8\td2\t1", "9\td3\t1", "10\td77\t1", "11\td4\t1"]
    put(place / "qrels" / "qrels.tsv", "\n".join(["query_id\tcorpus_id\tscore", *judged]))
    asked = read("mixbench", folder, "MSCOCO-queries")
    assert list(media(asked).names) == ["query 7"]
    assert asked.factors == {"document": ["d1"]}
    assert dict(asked.missing) == {
        "d77": "is relevant to a query, but not in mixed_corpus.parquet",
        "query 11": "is not in queries.parquet",
        "query 10": "no relevant document",
        "query 8": "neither a text nor an image",
        "query 9": "neither a text nor an image",
    }
    assert len(read_items("mixbench", root=folder).missing) == 5
    pq.write_table(pa.table(columns), place / "queries.parquet")  # without the column
    assert list(media(read("mixbench", folder, "MSCOCO-queries")).names) == ["query 7"]
    path = place / "mixed_corpus.parquet"
    table = pq.read_table(path)
    texts = np.array(table.column("text").to_pylist())
    texts[0] = None
    changed = table.set_column(1, "text", pa.array(list(texts), pa.string()))
    pq.write_table(changed, path)
    source = read("mixbench", folder, "MSCOCO")
    assert source.missing == (("d0", "neither a text nor an image"),)
    assert source.text_factors == {"document": ["d2", "d3", "d5"]}


def test_files_that_cannot_be_read(folder: Path) -> None:
    place = folder / "MSCOCO"
    path = place / "queries.parquet"
    kept = path.read_bytes()
    for columns, why in (
        ({"id": ["q1", "q1"], "text": ["a", "b"]}, "each id must occur once"),
        ({"query_id": ["q1"], "text": ["a"]}, "must have the columns id and text or image"),
        ({"id": ["q1"], "caption": ["a"]}, "must have the columns id and text or image"),
        ({"id": ["q1"], "text": [3]}, "column 'text' must hold texts"),
        ({"id": ["q1"], "image": ["a.jpg"]}, "must hold the bytes of images"),
    ):
        pq.write_table(pa.table(columns), path)
        assert why in refusal("mixbench", folder, "MSCOCO-queries")
    path.write_bytes(kept)
    head = "query_id\tcorpus_id\tscore\n"
    for text, why in (
        ("query-id\tcorpus-id\tscore\nq0\td0\t1\n", "must have the column query_id"),
        (f"{head}q0\td0\t1\nq0\td1\t1\n", "query 'q0' has 'd0' and 'd1'"),
        (f"{head}q0\td0\t0\n", "must have queries with a relevant document; found none"),
        (f"{head}q0\td0\n", "row 2 must have as many cells"),
        (f"{head}q0\td0\tyes\n", "a score must be a number"),
        ("", "found none"),
    ):
        put(place / "qrels" / "qrels.tsv", text)
        assert why in refusal("mixbench", folder, "MSCOCO-queries")
    with pytest.raises(errors.InputError, match="split of mixbench"):
        DATASETS["mixbench"].source(folder, "COCO")


def test_a_corpus_without_documents_of_both(folder: Path) -> None:
    table = pq.read_table(folder / "MSCOCO" / "mixed_corpus.parquet")
    apart = table.take([0, 1, 3, 4])
    pq.write_table(apart, folder / "MSCOCO" / "mixed_corpus.parquet")
    assert "must have rows with an image and a text" in refusal("mixbench", folder)
