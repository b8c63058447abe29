"""Prepare images and sounds for the towers of transformers, with the library's processors."""

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
    """Map an image to pixels (3, h, w)."""

    processor: Any

    def __call__(self, image: Image.Image) -> Tensor:
        pixels: Tensor = _processed(self.processor, image)["pixel_values"][0]
        return pixels


@dataclass(frozen=True)
class _Patches:
    """Map an image to patches (n, p), in its aspect ratio, and one row with the shape."""

    processor: Any

    def __call__(self, image: Image.Image) -> Tensor:
        found = _processed(self.processor, image)
        patches: Tensor = found["pixel_values"][0]
        shape = patches.new_zeros(1, patches.shape[1])
        shape[0, :2] = found["spatial_shapes"][0]  # rows and columns
        return torch.cat([patches, shape])


@dataclass(frozen=True)
class _Sound:
    """Map the beginning of a sound, up to the tower's limit, to mel spectra (c, frames, mels)."""

    extractor: Any

    def __call__(self, sound: tuple[NDArray[np.float32], int]) -> Tensor:
        wanted = int(self.extractor.sampling_rate)
        samples = resampled(*sound, wanted)[: int(self.extractor.nb_max_samples)]
        found = self.extractor(samples, sampling_rate=wanted, return_tensors="pt")
        mels: Tensor = found["input_features"][0].float()
        return mels


def resampled(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """A sound at another number of samples per second."""
    common = math.gcd(rate, wanted)
    from scipy.signal import resample_poly  # takes half a second; images do not need it

    found: NDArray[np.float32] = resample_poly(samples, wanted // common, rate // common)
    return found


def _processed(processor: Any, image: Image.Image) -> Any:
    # channels are last; without this, an image three pixels high would be read as channels first
    return processor(image.convert("RGB"), input_data_format="channels_last", return_tensors="pt")


def preprocessing(processor: Any) -> dict[str, Any]:
    """The settings that determine how media are prepared, with the library's keys."""
    config = processor.to_dict()
    if "sampling_rate" in config:
        keys = ["sampling_rate", "feature_size", "hop_length", "padding", "truncation"]
        return {"cut": f"first {config['max_length_s']} s"} | {key: config[key] for key in keys}
    keys = ["size", "crop_size", "patch_size", "max_num_patches"]
    if not config.get("do_center_crop"):
        keys.remove("crop_size")
    shape = {key.removesuffix("_size"): config[key] for key in keys if config.get(key)}
    return {
        **shape,
        "mean": tuple(config["image_mean"]),
        "std": tuple(config["image_std"]),
        "resample": Image.Resampling(config["resample"]).name.lower(),
    }


def filling(processor: Any) -> tuple[int, int]:
    """The size of an image that fills all patch positions, if the processor limits them."""
    most = getattr(processor, "max_num_patches", None)
    if most is None:
        return 64, 64
    rows = next(each for each in range(math.isqrt(most), 0, -1) if most % each == 0)
    return most // rows * 64, rows * 64


def prepared(kind: str, processor: Any) -> Callable[[Any], Tensor]:
    """The function that prepares the media for a kind of model."""
    if kind == "clap":
        return _Sound(processor)
    return _Patches(processor) if kind == "siglip2" else _Pixels(processor)
