import numpy as np

import modalgap as mg
from modalgap.embeddings import pair_moments

random = np.random.default_rng(0)
shards = [
    mg.Pair(
        mg.Embeddings(random.normal(size=(200, 32)) + 1, "image"),
        mg.Embeddings(random.normal(size=(200, 32)) - 1, "text"),
    )
    for _ in range(3)
]
total = pair_moments(shards[0], scatter=True)
for shard in shards[1:]:
    total = total.merge(pair_moments(shard, scatter=True))
print(total.image.n, np.linalg.norm(total.image.mean - total.text.mean))
print(total.image.covariance.shape)
