"""SLIP, and the CLIP trained for comparison: checkpoints of Mu et al. 2021, arXiv 2112.12750.

Source: https://github.com/facebookresearch/SLIP (MIT). The image towers are vision transformers of
timm, the text tower is CLIP's with QuickGELU. ``image_mlp``, SLIP's second head, serves training
only. Unlike in CLIP, a truncated text loses its end-of-text token; its feature is then read at the
highest remaining id, as in training.
"""

from __future__ import annotations

import argparse
import math
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import open_clip
import timm
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from open_clip.transformer import QuickGELU, TextTransformer
from PIL import Image
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from modalgap._version import __version__
from modalgap.encode.libraries.causal_tower import CausalTextTower
from modalgap.encode.libraries.open_clip_towers import layers, words_of
from modalgap.encode.libraries.timm_towers import timm_stack
from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, Stack, TextTower
from modalgap.encode.weights import (
    check_archive,
    check_weights,
    describe,
    reading_weights,
    unavailable,
    weights_hash,
)
from modalgap.errors import OptionError, quoted

ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "ViT-S-16": {"embed_dim": 384, "depth": 12, "num_heads": 12},  # as MoCo v3; timm has 6 heads
    "ViT-B-16": {"embed_dim": 768, "depth": 12, "num_heads": 12},
    "ViT-L-16": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}
DIM = 512
PREPROCESSING = {
    "size": 224,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": "bilinear",
    "resize_mode": "shortest",
}


class Towers(TextTransformer):  # type: ignore[misc] # open_clip has no types
    """Both towers, with the names of the checkpoints: the text tower has no prefix."""

    def __init__(self, name: str) -> None:
        super().__init__(output_dim=DIM, act_layer=QuickGELU, **TEXT)
        sizes = ARCHITECTURES[name]
        self.visual = VisionTransformer(patch_size=16, num_classes=0, **sizes)
        width = sizes["embed_dim"]
        self.image_projection = nn.Parameter(torch.randn(width, DIM) * width**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))


class SlipEncoder:
    """SLIP or its CLIP as an ``Encoder``.

    Args:
        towers: both towers, with their weights.
        spec: the name of the model.
        weights: the origin of the weights.
    """

    modalities = ("image", "text")

    def __init__(self, towers: Towers, spec: str, weights: str) -> None:
        self.towers = towers.eval().requires_grad_(False)
        self.tokenizer = open_clip.SimpleTokenizer()
        self.spec = spec
        self.prepare = image_transform_v2(PreprocessCfg(**PREPROCESSING), is_train=False)
        self.dim = DIM
        self.logit_scale = float(towers.logit_scale.exp())
        self._tower = CausalTextTower(
            towers.token_embedding,
            towers.positional_embedding,
            lambda x, mask: towers.transformer(x, attn_mask=mask),
            towers.ln_final,
            towers.text_projection.__rmatmul__,
        )
        self.provenance = {
            "model": spec,
            "weights": weights,
            "weights_hash": weights_hash(towers),
            "preprocessing": describe(PREPROCESSING),
            "libraries": f"timm {timm.__version__}, open_clip {open_clip.__version__},"
            f" torch {torch.__version__}, modalgap {__version__}",
        }

    def to(self, device: torch.device) -> None:
        self.towers.to(device)

    def encode_media(self, batch: Tensor) -> Tensor:
        features: Tensor = self.towers.visual(batch) @ self.towers.image_projection
        return features

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        context = self._tower.context
        ids = torch.zeros(len(texts), context, dtype=torch.int64)
        cut = torch.zeros(len(texts), dtype=torch.bool)
        start, end = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id
        for row, text in enumerate(texts):
            found = [start, *self.tokenizer.encode(text), end]
            ids[row, : len(found)] = torch.tensor(found[:context])
            cut[row] = len(found) > context
        return Tokens(ids, ids.argmax(1) + 1, cut)

    def encode_text(self, tokens: Tokens) -> Tensor:
        return self._tower(tokens)

    def projections(self) -> Mapping[str, Tensor] | None:
        return {
            "image": self.towers.image_projection.detach().T,
            "text": self.towers.text_projection.detach().T,
        }

    def text_tower(self) -> TextTower | None:
        text = self.towers
        stack = Stack(
            lambda embedded, start: (
                embedded + text.positional_embedding[start : start + embedded.shape[1]]
            ),
            layers(text.transformer.resblocks) or (),
            lambda read: text.ln_final(read)[:, 0] @ text.text_projection,
            "end",
            causal=True,
        )
        words = partial(words_of, self.tokenizer)
        context = self._tower.context
        return TextTower(text.token_embedding, self.encode_text, context, words, stack)

    def image_tower(self) -> ImageTower | None:
        trunk = self.towers.visual
        blank = self.prepare(Image.new("RGB", (8, 8)))[None]
        stack = timm_stack(trunk, self.towers.image_projection.__rmatmul__)
        return ImageTower(trunk.patch_embed.proj, self.encode_media, blank, stack)


def load(rest: str, spec: str, seed: int) -> SlipEncoder:
    """Load the encoder ``NAME@PATH`` or ``NAME/random``, with NAME in ``ARCHITECTURES``.

    Raises:
        OptionError: the architecture does not exist.
        FileError: the checkpoint is missing, or belongs to another model.
    """
    name, at, path = rest.partition("@")
    if not at:
        name, _, weights = rest.rpartition("/")
        if not name or weights != "random":
            raise OptionError(f"model: slip needs NAME@PATH or NAME/random; got {quoted(rest)}")
    if name not in ARCHITECTURES:
        raise OptionError.unknown("architecture of slip", name, ARCHITECTURES)
    if not at:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            towers = Towers(name)
        return SlipEncoder(towers, spec, f"random, seed {seed}")
    file = Path(path).expanduser()
    if not file.is_file():
        how = "use the path of an existing file, from github.com/facebookresearch/SLIP"
        raise unavailable(spec, str(file), how)
    with reading_weights(spec, file):
        state = _state(file, name)
        towers = Towers(name)
        check_weights(state, towers)
        towers.load_state_dict(state)
    return SlipEncoder(towers, spec, file.name)


def _state(file: Path, name: str) -> dict[str, Tensor]:
    """The weights by name, without training-only weights and the prefix of parallel training."""
    check_archive(file)
    with torch.serialization.safe_globals(_harmless()):
        found = torch.load(
            file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)
        )
    if not isinstance(found, dict) or not isinstance(found.get("state_dict"), dict):
        raise ValueError("it has no state_dict")
    stored = {key.removeprefix("module."): each for key, each in found["state_dict"].items()}
    if "token_embedding.weight" not in stored and "image_mlp.layer1.weight" in stored:
        raise ValueError("it is a SimCLR model, which has no text tower")
    first = stored.get("visual.cls_token")
    width = None if first is None else first.shape[-1]
    of = [known for known, sizes in ARCHITECTURES.items() if sizes["embed_dim"] == width]
    if of and name not in of:
        raise ValueError(f"it is of {of[0]}")
    return {key: each for key, each in stored.items() if not key.startswith("image_mlp.")}


def _harmless() -> list[Any]:
    """The types other than tensors that checkpoints hold, by their names in all versions.

    They are arguments of the training, such as paths, and a learning rate as a numpy number.
    """
    number = np.float64()
    scalar = number.__reduce__()[0]
    return [
        argparse.Namespace,
        # other systems cannot create a PosixPath
        *((PurePosixPath, f"{module}.PosixPath") for module in ("pathlib", "pathlib._local")),
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        np.dtype,
        type(number.dtype),
    ]
