"""Fold a linear map into the projections of a checkpoint, which open_clip loads like any other."""

import sys

import open_clip
import torch

import modalgap as mg

photos, model, folder = sys.argv[1:]  # photos open_clip:ViT-B-32/laion2b_s34b_b79k closed
pair = mg.encode(photos, model)
assert isinstance(pair, mg.Pair)  # of a source with one modality: Embeddings
closing = mg.close.fit(pair, "drop_dims")  # linear; a map with an offset would be refused
mg.close.to_model(closing, model, folder)

closed, _ = open_clip.create_model_from_pretrained(f"local-dir:{folder}")  # the library alone
tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(list(pair.text.names or ()))
with torch.inference_mode():
    rows = closed.eval().encode_text(tokens, normalize=True).numpy()
print(f"largest difference: {abs(rows - closing.text(pair.text.unit())).max():.0e}")
