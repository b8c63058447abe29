import numpy as np

import modalgap as mg

random = np.random.default_rng(0)
images = random.normal(size=(6, 8)).astype(np.float16)
texts = random.normal(size=(12, 8)).astype(np.float16)

# two arrays, and for each text the row of its image
np.save("images.npy", images)
np.save("texts.npy", texts)
np.save("pairs.npy", np.arange(12) // 2)
pair = mg.load(image="images.npy", text="texts.npy", pairs="pairs.npy")

# the same in one file, with names and provenance
about = {"model": "ViT-B-32", "logit_scale": "100"}
named = mg.Pair(
    mg.Embeddings(images, "image", names=[f"{i}.jpg" for i in range(6)], provenance=about),
    mg.Embeddings(texts, "text", provenance=about),
    pair.text_to_image,
)
mg.save(named, "part_0.safetensors", overwrite=True)
mg.save(named, "part_1.safetensors", overwrite=True)

# shards, concatenated
both = mg.load("part_*.safetensors")
print(both.image.n, both.text.n, (both.image.names or ())[:2], both.image.provenance["model"])

# one modality
print(mg.load_embeddings("texts.npy", modality="text"))
