import wave
from pathlib import Path

import numpy as np
import torch
from encode_functions import prepare, read, see
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import modalgap as mg

folder = Path("clips")
folder.mkdir(exist_ok=True)
random = np.random.default_rng(0)
for i in range(24):  # a colour as an image, as a caption and as the pitch of a sound
    colour = random.integers(60, 255, 3) * np.eye(3, dtype=int)[i % 3]
    Image.new("RGB", (32, 32), tuple(map(int, colour))).save(folder / f"{i}.png")
    (folder / f"{i}.txt").write_text(f"number {i} is {['red', 'green', 'blue'][i % 3]}")
    tone = np.sin(2 * np.pi * (200, 400, 800)[i % 3] * np.arange(8000) / 16_000)
    noise = random.normal(0, 0.3, 8000)
    with wave.open(str(folder / f"{i}.speech.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((8000 * (tone + noise)).astype("<i2").tobytes())


def listen(sound: tuple[NDArray[np.float32], int]) -> Tensor:
    """Convert (samples, rate) to the energy (1000,) of each frequency."""
    samples, rate = sound
    return torch.from_numpy(np.abs(np.fft.rfft(samples[: rate // 2]))[:1000].astype(np.float32))


def hear(batch: Tensor) -> Tensor:
    """Features (b, 3) of sounds (b, 1000): the energy at 200, 400 and 800 Hz."""
    return torch.stack([batch[:, hz // 2 - 5 : hz // 2 + 5].sum(1) for hz in (200, 400, 800)], 1)


function = mg.encode.FunctionEncoder
colours = function(media=see, texts=read, prepare=prepare, dim=3, spec="colour")
pitches = function(
    media=hear, texts=read, prepare=listen, dim=3, spec="pitch", modalities=("audio", "text")
)

items = mg.data.read_items("clips")
print(items, items.incomplete)  # how many items lack a modality
mods = mg.encode(
    items, {"image,text": colours, "audio": pitches}, "clips.safetensors", overwrite=True
)
assert isinstance(mods, mg.Modalities)  # for one model of a source: Pair or Embeddings
print(mods, mods["speech"].provenance["model"])
print(mg.measure(mods, only=["rmg", "l2m"]))
mg.report(mods, "clips.html", overwrite=True)
