"""Images and sounds to what the towers of transformers take, with the library's own processors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class _Pixels:
    """An image to the pixels that its tower takes, (3, h, w)."""

    processor: Any

    def __call__(self, image: Image.Image) -> Tensor:
        pixels: Tensor = _processed(self.processor, image)["pixel_values"][0]
        return pixels


@dataclass(frozen=True)
class _Patches:
    """An image to patches (n, p), as many as its shape gives, and one row that says the shape."""

    processor: Any

    def __call__(self, image: Image.Image) -> Tensor:
        found = _processed(self.processor, image)
        patches: Tensor = found["pixel_values"][0]
        shape = patches.new_zeros(1, patches.shape[1])
        shape[0, :2] = found["spatial_shapes"][0]  # rows and columns
        return torch.cat([patches, shape])


@dataclass(frozen=True)
class _Sound:
    """The beginning of a sound, as long as the tower takes, to mel spectra (c, frames, mels)."""

    extractor: Any

    def __call__(self, sound: tuple[NDArray[np.float32], int]) -> Tensor:
        samples, rate = sound
        wanted = int(self.extractor.sampling_rate)
        common = math.gcd(rate, wanted)
        from scipy.signal import resample_poly  # of half a second, which images do not need

        samples = resample_poly(samples, wanted // common, rate // common)
        samples = samples[: int(self.extractor.nb_max_samples)]
        found = self.extractor(samples, sampling_rate=wanted, return_tensors="pt")
        mels: Tensor = found["input_features"][0].float()
        return mels


def _processed(processor: Any, image: Image.Image) -> Any:
    # channels are said to be last, lest an image three pixels high be taken for one of three rows
    return processor(image.convert("RGB"), input_data_format="channels_last", return_tensors="pt")


def preprocessing(processor: Any) -> dict[str, Any]:
    """The settings that decide how media are prepared, in the words of the library."""
    said = processor.to_dict()
    if "sampling_rate" in said:
        keys = ["sampling_rate", "feature_size", "hop_length", "padding", "truncation"]
        return {"cut": f"first {said['max_length_s']} s"} | {key: said[key] for key in keys}
    keys = ["size", "crop_size", "patch_size", "max_num_patches"]
    if not said.get("do_center_crop"):
        keys.remove("crop_size")
    shape = {key.removesuffix("_size"): said[key] for key in keys if said.get(key)}
    return {
        **shape,
        "mean": tuple(said["image_mean"]),
        "std": tuple(said["image_std"]),
        "resample": Image.Resampling(said["resample"]).name.lower(),
    }


def filling(processor: Any) -> tuple[int, int]:
    """The size of an image that fills all places for patches, where their number is a limit."""
    most = getattr(processor, "max_num_patches", None)
    if most is None:
        return 64, 64
    rows = next(each for each in range(math.isqrt(most), 0, -1) if most % each == 0)
    return most // rows * 64, rows * 64


def prepared(kind: str, processor: Any) -> Callable[[Any], Tensor]:
    """What turns the media of a kind of model into its input."""
    if kind == "clap":
        return _Sound(processor)
    return _Patches(processor) if kind == "siglip2" else _Pixels(processor)
