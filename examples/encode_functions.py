import numpy as np
import torch
from PIL import Image
from torch import Tensor

import modalgap as mg


def prepare(image: Image.Image) -> Tensor:
    """An RGB image to a tensor; called in workers."""
    return torch.from_numpy(np.asarray(image.resize((8, 8)), np.float32).reshape(-1) / 255)


def see(batch: Tensor) -> Tensor:
    """(b, 192) prepared images to (b, 3) features: their mean colour."""
    return batch.reshape(len(batch), -1, 3).mean(1)


def read(texts: list[str]) -> Tensor:
    """b texts to (b, 3) features: how red, green and blue they sound."""
    return torch.tensor([[text.count(c) + 0.1 for c in ("red", "green", "blue")] for text in texts])


encoder = mg.encode.FunctionEncoder(
    media=see, texts=read, prepare=prepare, dim=3, spec="mean colour"
)
pair = mg.encode("photos", encoder)
assert isinstance(pair, mg.Pair)  # a source of one modality gives Embeddings
print(pair.image.provenance["model"], pair.captions_per_image)
