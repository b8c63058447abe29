"""A LanceDB table of images and texts with a RaBitQ index, before and after closing the gap."""

import sys
import tempfile
import warnings
from typing import Any

import lancedb
import numpy as np
from lancedb.index import IvfRq

import modalgap as mg
from modalgap.embeddings import pick_images


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
    return shares


if __name__ == "__main__":
    path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"
    print(found(mg.load(path)))
