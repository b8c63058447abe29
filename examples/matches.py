import numpy as np

import modalgap as mg

random = np.random.default_rng(0)
images = random.normal(size=(100, 32))

# five captions per image
captions = np.repeat(images, 5, axis=0) + random.normal(size=(500, 32))
pair = mg.Pair(mg.Embeddings(images, "image"), mg.Embeddings(captions, "text"), np.arange(500) // 5)
print(mg.measure(pair, only=["l2i", "itr"]))

# ten class prompts
prompts = random.normal(size=(10, 32))
labels = random.integers(0, 10, size=100)
pair = mg.Pair(mg.Embeddings(images, "image"), mg.Embeddings(prompts, "text"), labels=labels)
print(mg.measure(pair, only=["prediction_gini", "prediction_entropy"]))

# factors of each row, for the object bias
factors = {"object": labels, "color": random.integers(0, 3, size=100)}
print(mg.measure(mg.Embeddings(images, "image", factors=factors), only="moad"))
