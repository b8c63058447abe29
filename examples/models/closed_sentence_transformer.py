"""Close a SentenceTransformer and save it as one, which loads without modalgap."""

import sys

from sentence_transformers import SentenceTransformer

import modalgap as mg

photos, model, folder = sys.argv[1:]  # photos st:sentence-transformers/clip-ViT-B-32 closed
pair = mg.encode(photos, model)
assert isinstance(pair, mg.Pair)  # of a source with one modality: Embeddings
closing = mg.close.fit(pair, "center")
mg.close.to_model(closing, model, folder)

closed = SentenceTransformer(folder, device="cpu")  # by the library alone
error = abs(closed.encode(list(pair.text.names or ())) - closing.text(pair.text.unit())).max()
print(f"largest difference: {error:.0e}")
for name, each in (("before", model), ("after", f"st:{folder}")):
    print(name, mg.measure(mg.encode(photos, each), only=["l2m", "rmg"]))
