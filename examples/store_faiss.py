"""Compressed FAISS indexes of images and texts: raw, closed, and with standardised scores."""

import sys

import faiss
import numpy as np
from numpy.typing import NDArray

import modalgap as mg
from modalgap.embeddings import pick_images

Rows = NDArray[np.float32]


def recall(pair: mg.Pair, spec: str = "RaBitQ") -> dict[str, float]:
    """Fraction of queries whose match is among the first ten of a mixed index."""
    n = pair.image.n
    sample, stored = (pick_images(pair, np.arange(start, n, 2)) for start in (0, 1))
    closing = mg.close.fit(sample, "center")  # the sample is not stored
    images, texts = stored.image.unit().numpy(), stored.text.unit().numpy()
    is_image = np.arange(len(images)) % 2 == 0  # each item is stored once

    shares = {}
    for name, map_ in (("before", mg.close.fit(sample, "none")), ("after", closing)):
        index = faiss.index_factory(pair.dim, spec, faiss.METRIC_INNER_PRODUCT)
        index.train(np.concatenate([map_.image(images), map_.text(texts)]))
        views = mg.close.faiss_views(map_, index)  # one index, one view per modality
        views["image"].add(images[is_image])
        views["text"].add(texts[~is_image])
        item = np.concatenate([np.flatnonzero(is_image), np.flatnonzero(~is_image)])

        hits = []
        for role, queries, targets in (
            ("text", texts, np.flatnonzero(is_image)),  # text queries for images
            ("image", images, np.flatnonzero(~is_image)),  # image queries for texts
        ):
            _, rows = views[role].search(queries[targets], 10)
            hits += [query in item[row] for query, row in zip(targets, rows, strict=True)]
        shares[name] = float(np.mean(hits))
    shares["standardised"] = standardised(sample, images, texts, is_image, spec)
    return shares


def standardised(
    sample: mg.Pair,
    images: Rows,
    texts: Rows,
    is_image: NDArray[np.bool_],
    spec: str,
) -> float:
    """The same fraction with one index per modality of raw vectors, and standardised scores."""
    scaler = mg.close.ScoreScaler.fit(sample)
    stored = {"image": np.flatnonzero(is_image), "text": np.flatnonzero(~is_image)}
    rows = {"image": images, "text": texts}
    indexes = {}
    for form, items in stored.items():
        indexes[form] = faiss.index_factory(images.shape[1], spec, faiss.METRIC_INNER_PRODUCT)
        indexes[form].train(rows[form][items])
        indexes[form].add(rows[form][items])

    hits = []
    for role, targets in (("text", stored["image"]), ("image", stored["text"])):
        lists = {form: index.search(rows[role][targets], 10) for form, index in indexes.items()}
        scores = np.hstack([scaler(each[0], role, form) for form, each in lists.items()])  # rescale
        items = np.hstack([stored[form][each[1]] for form, each in lists.items()])  # merge
        best = np.take_along_axis(items, np.argsort(-scores, axis=1)[:, :10], axis=1)
        hits += [query in row for query, row in zip(targets, best, strict=True)]
    return float(np.mean(hits))


if __name__ == "__main__":
    path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"
    print(recall(mg.load(path), *sys.argv[2:]))
