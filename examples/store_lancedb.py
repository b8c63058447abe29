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


def found(pair: mg.Pair) -> dict[str, float]:
    """Fraction of queries whose match is among the first ten rows of a mixed table."""
    n = pair.image.n
    fitted, stored = (pick_images(pair, np.arange(start, n, 2)) for start in (0, 1))
    closing = mg.close.fit(fitted, "center")  # on a sample that is not stored
    images, texts = stored.image.unit().numpy(), stored.text.unit().numpy()
    kept_as_image = np.arange(len(images)) % 2 == 0  # each item is stored once

    shares = {}
    for name, map_ in (("before", mg.close.fit(fitted, "none")), ("after", closing)):
        image, text = map_.image(images), map_.text(texts)
        rows = [
            {"item": i, "vector": image[i] if as_image else text[i]}
            for i, as_image in enumerate(kept_as_image)
        ]
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few rows for an index of partitions
            table = lancedb.connect(folder).create_table("documents", rows)
            table.create_index("vector", config=IvfRq(distance_type="cosine", num_partitions=1))
            hits = []
            for i, as_image in enumerate(kept_as_image):
                query = text[i] if as_image else image[i]  # the query is the other modality
                asked: Any = table.search(query)
                answer = asked.distance_type("cosine").nprobes(1).limit(10).to_list()
                hits.append(i in [row["item"] for row in answer])
        shares[name] = float(np.mean(hits))
    shares["standardised"] = standardised(fitted, images, texts, kept_as_image)
    return shares


def standardised(
    fitted: mg.Pair, images: Rows, texts: Rows, kept_as_image: NDArray[np.bool_]
) -> float:
    """The same fraction of raw vectors: search each modality, rescale the scores, merge."""
    scaler = mg.close.ScoreScaler.fit(fitted)
    rows = [
        {"item": i, "form": form, "vector": vectors[i]}
        for form, vectors in (("image", images), ("text", texts))
        for i in np.flatnonzero(kept_as_image == (form == "image"))
    ]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few rows for an index of partitions
        table = lancedb.connect(folder).create_table("documents", rows)
        table.create_index("vector", config=IvfRq(distance_type="cosine", num_partitions=1))
        hits = []
        for i, as_image in enumerate(kept_as_image):
            role, query = ("text", texts[i]) if as_image else ("image", images[i])
            scored = []
            for form in ("image", "text"):
                asked: Any = table.search(query)
                asked = asked.distance_type("cosine").nprobes(1).refine_factor(5)  # exact distances
                answer = asked.where(f"form = '{form}'", prefilter=True).limit(10).to_list()
                scores = scaler([1 - row["_distance"] for row in answer], role, form)
                scored += [(-s, row["item"]) for s, row in zip(scores, answer, strict=True)]
            hits.append(i in [item for _, item in sorted(scored)[:10]])
    return float(np.mean(hits))


if __name__ == "__main__":
    path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"
    print(found(mg.load(path)))
