import numpy as np
from encode_functions import encoder

import modalgap as mg

images = np.random.default_rng(0).integers(0, 255, (20, 32, 32, 3), np.uint8)
source = mg.data.Source(
    name="squares",
    media=mg.data.Pixels(images, names=[f"square {i}" for i in range(20)]),
    texts=["red square", "blue square"],
    labels=[i % 2 for i in range(20)],
    templates=("a photo of a {}.",),
)
print(mg.encode(source, encoder))
