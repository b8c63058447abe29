import numpy as np
import torch
from PIL import Image
from torch import Tensor

import modalgap as mg


def prepare(image: Image.Image) -> Tensor:
    """Convert an RGB image to a tensor; called in worker processes."""
    return torch.from_numpy(np.asarray(image.resize((8, 8)), np.float32).reshape(-1) / 255)


def see(batch: Tensor) -> Tensor:
    """Features (b, 3) of prepared images (b, 192): their mean colour."""
    return batch.reshape(len(batch), -1, 3).mean(1)


def read(texts: list[str]) -> Tensor:
    """Features (b, 3) of b texts: the colours that they name."""
    return torch.tensor([[text.count(c) + 0.1 for c in ("red", "green", "blue")] for text in texts])


encoder = mg.encode.FunctionEncoder(
    media=see, texts=read, prepare=prepare, dim=3, spec="mean colour"
)
pair = mg.encode("photos", encoder)
assert isinstance(pair, mg.Pair)  # for one modality: Embeddings
print(pair.image.provenance["model"], pair.captions_per_image)
