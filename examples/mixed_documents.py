import numpy as np

import modalgap as mg
from modalgap.embeddings import mean_by_item


def documents(corpus: mg.Pair) -> mg.Embeddings:
    """One row per document: its image, its text, or the normalised mean of both."""
    rows = np.concatenate([side.unit() for side in corpus.sides])
    owner = np.concatenate([side.factors["document"] for side in corpus.sides])
    return mean_by_item(mg.Embeddings(rows, "document", factors={"document": owner}), owner)


# as `modalgap encode mixbench` writes them: document c has an image and a text, and so has f
rng = np.random.default_rng(0)
images = mg.Embeddings(rng.normal(size=(4, 8)), factors={"document": list("bcef")})
texts = mg.Embeddings(rng.normal(size=(4, 8)), "text", factors={"document": list("acdf")})
corpus = mg.Pair(images, texts, pairs=[[1, 1], [3, 3]])
queries = mg.Embeddings(rng.normal(size=(6, 8)), "text", factors={"document": list("abcdef")})

print("two rows of a document of both:", mg.search(queries, corpus, "mixed")["ndcg10"])
print("one row per document:", mg.search(queries, documents(corpus), "mixed")["ndcg10"])
