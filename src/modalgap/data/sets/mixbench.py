"""MixBench: one corpus of texts, images, and images with text, and the queries for it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from modalgap.data.dataset import DataCard, ItemDataset
from modalgap.data.items import Items
from modalgap.data.media import Chosen, Documents, Media
from modalgap.data.source import Source
from modalgap.data.sources.item_columns import ids_of
from modalgap.data.sources.item_typed import column_media
from modalgap.data.sources.parquet import ParquetTable
from modalgap.data.sources.shards import check_whole
from modalgap.data.sources.typed import holds_string
from modalgap.data.tables import table
from modalgap.errors import FileError, quoted

_SUBSETS = ("MSCOCO", "Google_WIT", "VisualNews", "OVEN")
_QUERIES = "-queries"
_FILES = ("mixed_corpus.parquet", "queries.parquet", "qrels/qrels.tsv")
DOCUMENT = "document"  # of a document its id, of a query that of its relevant document
Lost = list[tuple[str, str]]


class MixBench(ItemDataset):
    """The documents of a subset, or its queries; the factor ``document`` joins them.

    The factor of a query is the id of the document that is relevant to it, so that ``search`` with
    the protocol mixed ranks the documents of one file for the queries of another. A document with
    an image and a text has a row of each, and the two match.

    ``read_items`` gives documents and queries together, as modalities of the same items: an item is
    a document with the queries that it is relevant to.
    """

    card = DataCard(
        name="mixbench",
        title="MixBench",
        task="retrieval",
        about="Four corpora, each a third texts, a third images and a third images with text, and"
        " queries with one relevant document each: texts, for OVEN images with text. A split is a"
        " corpus or its queries. modalgap has not read the real files: columns and counts are those"
        " that MTEB's pull request 5144 checks.",
        size="documents and queries: MSCOCO 984 and 984, Google_WIT 4,421 and 1,000, VisualNews 981"
        " and 981, OVEN 1,000 and 1,000",
        splits=(*_SUBSETS, *(f"{subset}{_QUERIES}" for subset in _SUBSETS)),
        licence="MIT for the benchmark; images and texts are from COCO, WIT, VisualNews and OVEN,"
        " which have their own licences",
        home="https://huggingface.co/datasets/mixed-modality-search/MixBench2026",
        folder="mixbench",
        layout=(
            *(f"MSCOCO/{name}" for name in _FILES),
            "the same in Google_WIT, VisualNews and OVEN",
        ),
        citation="Li et al., Closing the Modality Gap for Mixed Modality Search, arXiv 2507.19054,"
        " 2025",
    )

    def needs(self, split: str) -> Sequence[str]:
        return tuple(f"{split.removesuffix(_QUERIES)}/{name}" for name in _FILES)

    def read(self, folder: Path, split: str) -> Source:
        documents, queries, relevant, lost = _subset(folder, split)
        if split.endswith(_QUERIES):
            return _source(queries, relevant, [*lost, *queries.empty()])
        return _source(documents, {each: each for each in documents.ids}, documents.empty())

    def read_items(self, folder: Path, split: str) -> Items:
        documents, queries, relevant, lost = _subset(folder, split)
        own = {each: each for each in documents.ids}
        sides: dict[str, Media] = {}
        ids: dict[str, Sequence[str]] = {}
        wanted = [("query_image", "query", queries, relevant)]
        if not split.endswith(_QUERIES):
            wanted.insert(0, ("image", "text", documents, own))
            lost += documents.empty()
        for image, text, rows, item in wanted:
            for side, (media, names) in (
                (image, rows.images(item)),
                (text, rows.documents(item)),
            ):
                if names:
                    sides[side], ids[side] = media, [item[name] for name in names]
        return Items(
            name="",
            sides=sides,
            ids=ids,
            missing=(*lost, *queries.empty()),
            rule=f"an item is a document of {split.removesuffix(_QUERIES)} with its queries",
        )


class _Rows:
    """The rows of a file: an id, and a text, an image or both.

    Args:
        path: the Parquet file.
        prefix: what precedes an id in the name of a row, so that a query has no document's name.
    """

    def __init__(self, path: Path, prefix: str = "") -> None:
        check_whole([path])
        self.file, self.prefix = path.name, prefix
        self.table = ParquetTable([path], str(path))
        types = self.table.types
        if "id" not in types or not {"text", "image"} & {*types}:
            there = ", ".join(types) or "none"
            raise FileError(f"{path}: must have the columns id and text or image; has {there}")
        self.ids = ids_of(self.table.values("id"))
        if len(set(self.ids)) < len(self.ids):
            raise FileError(f"{path}: each id must occur once; one occurs twice")
        self.texts = [""] * len(self.ids)
        if "text" in types:
            self.table.check("text", holds_string, "texts")
            self.texts = [each or "" for each in self.table.values("text")]

    @cached_property
    def _media(self) -> tuple[Media, list[str]]:
        """All images, and the id of each; a column of nulls has none."""
        if pa.types.is_null(self.table.types.get("image", pa.null())):
            return Documents([], []), []
        names = [f"{self.prefix}{each}" for each in self.ids]
        media, own = column_media(self.table, "image", names, "image")
        return media, [name.removeprefix(self.prefix) for name in own]

    def images(self, kept: Collection[str]) -> tuple[Media, list[str]]:
        """The images of the rows ``kept``, and the id of each."""
        media, own = self._media
        rows = np.array([i for i, each in enumerate(own) if each in kept], np.int64)
        return Chosen(media, rows), [own[i] for i in rows]

    def documents(self, kept: Collection[str]) -> tuple[Documents, list[str]]:
        """The texts of the rows ``kept``, and the id of each; blank texts are none."""
        every = zip(self.ids, self.texts, strict=True)
        found = {each: text for each, text in every if text.strip() and each in kept}
        names = [f"{self.prefix}{each}" for each in found]
        return Documents(list(found.values()), names), list(found)

    def empty(self) -> Lost:
        """The rows with neither a text nor an image."""
        held = {*self._media[1], *self.documents(set(self.ids))[1]}
        reason = "neither a text nor an image"
        return [(f"{self.prefix}{each}", reason) for each in self.ids if each not in held]


def _subset(folder: Path, split: str) -> tuple[_Rows, _Rows, dict[str, str], Lost]:
    """Documents, queries, the relevant document of each query, and invalid judgements."""
    corpus, asked, judged = (folder / need for need in MixBench().needs(split))
    documents, queries = _Rows(corpus), _Rows(asked, "query ")
    relevant, lost = _relevant(judged, queries.ids, documents.ids)
    return documents, queries, relevant, lost


def _relevant(
    path: Path, queries: Sequence[str], documents: Sequence[str]
) -> tuple[dict[str, str], Lost]:
    """The relevant document of each query that has one, and what is invalid.

    Raises:
        FileError: no query has one, or one has several: a factor holds one.
    """
    rows = table(path, "\t")
    columns = ("query_id", "corpus_id", "score")
    for name in columns:
        if name not in rows[0]:
            raise FileError(f"{path}: must have the column {name}; has {', '.join(rows[0])}")
    asked, known = set(queries), set(documents)
    found: dict[str, str] = {}
    lost: Lost = []
    for row in rows:
        query, document, score = (row[name] for name in columns)
        if not _number(path, score) > 0:
            continue  # judged not relevant
        if query not in asked:
            lost.append((f"query {query}", f"is not in {_FILES[1]}"))
        elif document not in known:
            lost.append((document, f"is relevant to a query, but not in {_FILES[0]}"))
        elif found.setdefault(query, document) != document:
            raise FileError(
                f"{path}: a query must have one relevant document; query {quoted(query)} has"
                f" {quoted(found[query])} and {quoted(document)}"
            )
    lost += [(f"query {each}", "no relevant document") for each in queries if each not in found]
    if not found:
        raise FileError(f"{path}: must have queries with a relevant document; found none")
    return found, lost


def _number(path: Path, score: str) -> float:
    """A score.

    Raises:
        FileError: it is not a number.
    """
    try:
        found = float(score)
    except ValueError:
        found = math.nan
    if math.isnan(found):
        raise FileError(f"{path}: a score must be a number; found {quoted(score[:40])}")
    return found


def _source(rows: _Rows, document: Mapping[str, str], lost: Lost) -> Source:
    """The rows that have a document; images and texts of one row match."""
    media, image_ids = rows.images(document)
    texts, text_ids = rows.documents(document)
    factors = {DOCUMENT: [document[each] for each in image_ids]}
    text_factors = {DOCUMENT: [document[each] for each in text_ids]}
    if not image_ids:  # named by ids: named by its text, a query would be taken for a document
        return Source(
            name="", media=texts, modality="text", factors=text_factors, missing=tuple(lost)
        )
    if not text_ids:
        return Source(name="", media=media, factors=factors, missing=tuple(lost))
    position = {each: i for i, each in enumerate(image_ids)}
    pairs = [(position[each], i) for i, each in enumerate(text_ids) if each in position]
    if not pairs:
        raise FileError(f"{rows.file}: must have rows with an image and a text; found none")
    return Source(
        name="",
        media=media,
        texts=list(texts.texts),
        pairs=pairs,
        factors=factors,
        text_factors=text_factors,
        missing=tuple(lost),
    )
