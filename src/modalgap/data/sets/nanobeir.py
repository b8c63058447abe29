"""NanoBEIR: small samples of BEIR."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.media import Documents
from modalgap.data.reading import reading
from modalgap.data.source import Source
from modalgap.embeddings.formats.parquet_footer import opened
from modalgap.embeddings.formats.parquet_sizes import read_columns
from modalgap.errors import FileError

_SUBSETS = (
    "NanoArguAna",
    "NanoClimateFEVER",
    "NanoDBPedia",
    "NanoFEVER",
    "NanoFiQA2018",
    "NanoHotpotQA",
    "NanoMSMARCO",
    "NanoNFCorpus",
    "NanoNQ",
    "NanoQuoraRetrieval",
    "NanoSCIDOCS",
    "NanoSciFact",
    "NanoTouche2020",
)


class NanoBEIR(Dataset):
    """Documents and the queries for them; a split is one of its 13 collections.

    A query matches the first document that is relevant to it; the text factor ``relevant`` is the
    JSON list of the names of all. Queries without a relevant document go to ``missing``.
    """

    card = DataCard(
        name="nanobeir",
        title="NanoBEIR",
        task="text",
        about="13 collections of BEIR with fewer documents, for quick tests of text retrieval.",
        size="about 50 queries per split; NanoMSMARCO 50 queries and 5,043 documents",
        splits=_SUBSETS,
        licence="CC BY 4.0",
        home="https://huggingface.co/collections/zeta-alpha-ai/nanobeir",
        folder="nanobeir",
        layout=tuple(
            f"NanoMSMARCO/{part}/train-00000-of-00001.parquet"
            for part in ("corpus", "queries", "qrels")
        ),
        citation="Thakur et al., BEIR: A Heterogenous Benchmark for Zero-shot Evaluation of"
        " Information Retrieval Models, NeurIPS 2021; samples: Zeta Alpha, 2024",
    )

    def needs(self, split: str) -> Sequence[str]:
        return tuple(f"{split}/{part}/*.parquet" for part in ("corpus", "queries", "qrels"))

    def read(self, folder: Path, split: str) -> Source:
        corpus = _texts(folder / split / "corpus")
        queries = _texts(folder / split / "queries")
        relevant, missing = _relevant(folder / split / "qrels", corpus, queries)
        position = {name: i for i, name in enumerate(corpus)}
        used = [query for query in queries if relevant[query]]
        missing += [(query, "no relevant document") for query in queries if not relevant[query]]
        if not used:
            raise FileError(f"{split}: must have queries with relevant documents; found none")
        return Source(
            name="",
            media=Documents(list(corpus.values()), list(corpus)),
            texts=[queries[query] for query in used],
            text_to_image=[position[relevant[query][0]] for query in used],
            text_factors={
                "id": used,
                "relevant": [json.dumps(relevant[query]) for query in used],
            },
            modality="document",
            text_modality="query",
            missing=tuple(missing),
        )


def _relevant(
    folder: Path, corpus: dict[str, str], queries: dict[str, str]
) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """The relevant documents of each query, in the order of the file; and invalid entries."""
    found: dict[str, list[str]] = {query: [] for query in queries}
    missing: list[tuple[str, str]] = []
    for row in _rows(folder, ("query-id", "corpus-id"), "score"):
        query, document = str(row["query-id"]), str(row["corpus-id"])
        if row.get("score") is not None and row["score"] <= 0:
            continue  # judged not relevant
        if query not in queries:
            missing.append((query, f"an unknown query, of document {document}"))
        elif document not in corpus:
            missing.append((document, f"not in the corpus; relevant to query {query}"))
        elif document not in found[query]:
            found[query].append(document)
    return found, missing


def _texts(folder: Path) -> dict[str, str]:
    """Texts by id, in the order of the files; a title precedes its text, as in BEIR."""
    found: dict[str, str] = {}
    for row in _rows(folder, ("_id", "text"), "title"):
        name, text = str(row["_id"]), row["text"]
        if name in found:
            raise FileError(f"{folder}: id {name} must occur once; occurs twice")
        if not isinstance(text, str):
            raise FileError(f"{folder}: {name} must have a text; found {type(text).__name__}")
        found[name] = f"{row.get('title') or ''} {text}".strip()
    return found


def _rows(folder: Path, columns: Sequence[str], optional: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.parquet")):
        with reading(str(path)), opened(path) as file:
            names = file.schema_arrow.names
            for column in columns:
                if column not in names:
                    raise FileError(f"must have the column {column}; has {', '.join(names)}")
            there = [*columns, *([optional] if optional in names else [])]
            for row in read_columns(path, file, there).to_pylist():
                if any(row[column] is None for column in columns):
                    raise FileError(f"{' and '.join(columns)} must not be empty; one is")
                result.append(row)
    return result
