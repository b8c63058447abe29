"""LanceDB tables of images and texts with RaBitQ: raw, closed, and with standardised scores."""

import sys
import tempfile
import warnings
from typing import Any

import lancedb
import numpy as np
from lancedb.index import IvfRq
from numpy.typing import NDArray

import modalgap as mg
from modalgap.embeddings import pick_images

Rows = NDArray[np.float32]


def recall(pair: mg.Pair) -> dict[str, float]:
    """Fraction of queries whose match is among the first ten rows of a mixed table."""
    n = pair.image.n
    sample, stored = (pick_images(pair, np.arange(start, n, 2)) for start in (0, 1))
    closing = mg.close.fit(sample, "center")  # the sample is not stored
    images, texts = stored.image.unit().numpy(), stored.text.unit().numpy()
    is_image = np.arange(len(images)) % 2 == 0  # each item is stored once

    shares = {}
    for name, map_ in (("before", mg.close.fit(sample, "none")), ("after", closing)):
        image, text = map_.image(images), map_.text(texts)
        rows = [
            {"item": i, "vector": image[i] if as_image else text[i]}
            for i, as_image in enumerate(is_image)
        ]
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few rows for an index of partitions
            table = lancedb.connect(folder).create_table("documents", rows)
            table.create_index("vector", config=IvfRq(distance_type="cosine", num_partitions=1))
            hits = []
            for i, as_image in enumerate(is_image):
                query = text[i] if as_image else image[i]  # the query is the other modality
                search: Any = table.search(query)
                answer = search.distance_type("cosine").nprobes(1).limit(10).to_list()
                hits.append(i in [row["item"] for row in answer])
        shares[name] = float(np.mean(hits))
    shares["standardised"] = standardised(sample, images, texts, is_image)
    return shares


def standardised(sample: mg.Pair, images: Rows, texts: Rows, is_image: NDArray[np.bool_]) -> float:
    """The same fraction of raw vectors: search each modality, rescale the scores, merge."""
    scaler = mg.close.ScoreScaler.fit(sample)
    rows = [
        {"item": i, "form": form, "vector": vectors[i]}
        for form, vectors in (("image", images), ("text", texts))
        for i in np.flatnonzero(is_image == (form == "image"))
    ]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few rows for an index of partitions
        table = lancedb.connect(folder).create_table("documents", rows)
        table.create_index("vector", config=IvfRq(distance_type="cosine", num_partitions=1))
        hits = []
        for i, as_image in enumerate(is_image):
            role, query = ("text", texts[i]) if as_image else ("image", images[i])
            scored = []
            for form in ("image", "text"):
                search: Any = table.search(query)
                search = search.distance_type("cosine").nprobes(1)
                search = search.refine_factor(5)  # exact distances
                answer = search.where(f"form = '{form}'", prefilter=True).limit(10).to_list()
                scores = scaler([1 - row["_distance"] for row in answer], role, form)
                scored += [(-s, row["item"]) for s, row in zip(scores, answer, strict=True)]
            hits.append(i in [item for _, item in sorted(scored)[:10]])
    return float(np.mean(hits))


if __name__ == "__main__":
    path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"
    print(recall(mg.load(path)))
