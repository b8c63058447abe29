"""One compressed FAISS index of images and texts, before and after closing the gap."""

import sys

import faiss
import numpy as np

import modalgap as mg
from modalgap.embeddings import pick_images


def found(pair: mg.Pair, spec: str = "RaBitQ") -> dict[str, float]:
    """Fraction of queries whose match is among the first ten of a mixed index."""
    n = pair.image.n
    fitted, stored = (pick_images(pair, np.arange(start, n, 2)) for start in (0, 1))
    closing = mg.close.fit(fitted, "center")  # on a sample that is not stored
    images, texts = stored.image.unit().numpy(), stored.text.unit().numpy()
    kept_as_image = np.arange(len(images)) % 2 == 0  # each item is stored once

    shares = {}
    for name, map_ in (("before", mg.close.fit(fitted, "none")), ("after", closing)):
        index = faiss.index_factory(pair.dim, spec, faiss.METRIC_INNER_PRODUCT)
        index.train(np.concatenate([map_.image(images), map_.text(texts)]))
        views = mg.close.faiss_views(map_, index)  # one index, one view per modality
        views["image"].add(images[kept_as_image])
        views["text"].add(texts[~kept_as_image])
        item = np.concatenate([np.flatnonzero(kept_as_image), np.flatnonzero(~kept_as_image)])

        hits = []
        for role, queries, asked in (
            ("text", texts, np.flatnonzero(kept_as_image)),  # text queries for images
            ("image", images, np.flatnonzero(~kept_as_image)),  # image queries for texts
        ):
            _, rows = views[role].search(queries[asked], 10)
            hits += [query in item[row] for query, row in zip(asked, rows, strict=True)]
        shares[name] = float(np.mean(hits))
    return shares


if __name__ == "__main__":
    path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"
    print(found(mg.load(path), *sys.argv[2:]))
