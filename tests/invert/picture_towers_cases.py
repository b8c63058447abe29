"""Small image towers of both libraries, and what they give by their plain definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import encode.transformers_cases as hf_models
import open_clip
import tiny
import torch
from invert.towers_cases import given_by, hf_model, slip, stir
from open_clip.timm_model import TimmModel
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from modalgap.encode.base import Encoder
from modalgap.encode.libraries.open_clip import OpenClipEncoder
from modalgap.encode.libraries.transformers import load as load_hf


@dataclass(frozen=True)
class Picture:
    """An image tower.

    Attributes:
        encoder: ours.
        features: patches (b, n, width) to features, by the library's modules.
        shape: (n, width).
        fast: whether we go layer by layer.
    """

    encoder: Encoder
    features: Callable[[Tensor], Tensor]
    shape: tuple[int, int]
    fast: bool


def open_clip_picture(changes: dict[str, Any], fast: bool, _folder: Path) -> Picture:
    config = tiny.CONFIGS["clip"]
    # far from every rounding: towers of no layer norm before would else be led by positions alone
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.CLIP(**config | {"vision_cfg": tiny.VISION | changes})
    visual: Any = stir(model).visual
    visual.preprocess_cfg = {"size": 32}

    def features(patches: Tensor) -> Tensor:
        first = visual.class_embedding.expand(len(patches), 1, -1)
        x = visual.ln_pre(torch.cat([first, patches], 1) + visual.positional_embedding)
        x = visual.transformer(x)
        average = visual.pool_type == "avg"
        if visual.attn_pool is not None:
            x = visual.attn_pool(x)
        if not visual.final_ln_after_pool:
            x = visual.ln_post(x)
        x = x[:, 1:].mean(1) if average else x[:, 0]
        if visual.final_ln_after_pool:
            x = visual.ln_post(x)
        return x @ visual.proj

    encoder = OpenClipEncoder(model, open_clip.get_tokenizer("tiny-clip"), "tiny", "random")
    return Picture(encoder, features, (16, 32), fast)


def with_trunk(trunk: Any, head: nn.Module) -> OpenClipEncoder:
    """A trunk of timm in a model of open_clip."""
    model: Any = open_clip.create_model("tiny-custom")
    visual: Any = TimmModel("test_vit", 16, 32, pool="token")
    visual.trunk, visual.head = trunk, head
    visual.preprocess_cfg = {"size": 32}
    model.visual = visual
    stir(model)
    return OpenClipEncoder(model, open_clip.get_tokenizer("tiny-custom"), "tiny-timm", "random")


SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2,
         "num_classes": 0}  # fmt: skip


def timm_picture(
    make: Callable[..., Any], changes: dict[str, Any], fast: bool, _folder: Path
) -> Picture:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        trunk, head = make(**SMALL | changes), nn.Linear(32, 16, bias=False)
    encoder = with_trunk(trunk, head if changes.get("global_pool") != "map" else nn.Sequential())
    visual: Any = encoder.model.visual

    def features(patches: Tensor) -> Tensor:
        if changes.get("dynamic_img_size"):  # then the library keeps rows and columns
            patches = patches.unflatten(1, (4, 4))
        pixels = torch.zeros(len(patches), 3, 32, 32)
        return given_by(trunk.patch_embed, patches, lambda: visual(pixels))

    return Picture(encoder, features, (16, 32), fast)


def hf_picture(name: str, fast: bool, folder: Path) -> Picture:
    model = hf_model(name, folder)
    vision, kind = model.vision_model, model.config.model_type
    encoder: Any = load_hf(str(folder), f"hf:{name}", 0)
    if kind == "siglip2":  # a square: whatever number is not one is filled up with masked patches
        encoder.prepare.processor.max_num_patches = 16

    def features(patches: Tensor) -> Tensor:
        if kind == "siglip2":
            b = len(patches)
            pixels, mask = torch.zeros(b, 16, 192), torch.ones(b, 16, dtype=torch.int64)
            shapes = torch.full((b, 2), 4)
            embedding = vision.embeddings.patch_embedding
            return given_by(
                embedding, patches, lambda: model.get_image_features(pixels, mask, shapes)
            )
        positions = vision.embeddings.position_embedding.weight
        if kind == "siglip":
            x = vision.encoder(inputs_embeds=patches + positions).last_hidden_state
            return vision.head(vision.post_layernorm(x))
        first = vision.embeddings.class_embedding.expand(len(patches), 1, -1)
        x = vision.pre_layrnorm(torch.cat([first, patches], 1) + positions)
        x = vision.encoder(inputs_embeds=x).last_hidden_state
        return model.visual_projection(vision.post_layernorm(x[:, 0]))

    return Picture(encoder, features, (16, 32), fast)


def slip_picture(_folder: Path) -> Picture:
    encoder = slip()
    trunk, last = encoder.towers.visual, encoder.towers.image_projection

    def features(patches: Tensor) -> Tensor:
        x = torch.cat([trunk.cls_token.expand(len(patches), -1, -1), patches], 1)
        return trunk.norm(trunk.blocks(x + trunk.pos_embed))[:, 0] @ last

    return Picture(encoder, features, (196, 64), True)


POOLER = {"attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 4}
EVA = {"use_rot_pos_emb": True, "swiglu_mlp": True, "global_pool": "avg"}
PICTURES: dict[str, Callable[[Path], Picture]] = {
    "open_clip": partial(open_clip_picture, {}, True),
    "open_clip-average": partial(open_clip_picture, {"pool_type": "avg"}, True),
    "open_clip-average_then_norm": partial(
        open_clip_picture, {"pool_type": "avg", "final_ln_after_pool": True}, True
    ),
    "open_clip-norm_after_pool": partial(open_clip_picture, {"final_ln_after_pool": True}, True),
    "open_clip-no_norm_before": partial(open_clip_picture, {"no_ln_pre": True}, True),
    "open_clip-layer_scale": partial(open_clip_picture, {"ls_init_value": 0.3}, True),
    "open_clip-coca": partial(open_clip_picture, POOLER, True),
    "open_clip-custom_blocks": partial(open_clip_picture, {"block_type": "custom"}, False),
    "timm-token": partial(timm_picture, VisionTransformer, {"global_pool": "token"}, True),
    "timm-registers": partial(
        timm_picture, VisionTransformer, {"reg_tokens": 2, "no_embed_class": True}, True
    ),
    "timm-average": partial(
        timm_picture, VisionTransformer, {"global_pool": "avg", "init_values": 0.3}, True
    ),
    "timm-siglip": partial(
        timm_picture,
        VisionTransformer,
        {"global_pool": "map", "class_token": False, "embed_dim": 16},
        True,
    ),
    "timm-normed_keys": partial(timm_picture, VisionTransformer, {"qk_norm": True}, False),
    "timm-any_size": partial(timm_picture, VisionTransformer, {"dynamic_img_size": True}, False),
    "timm-eva": partial(timm_picture, Eva, EVA, False),
    "hf-clip": partial(hf_picture, "clip", True),
    "hf-siglip": partial(hf_picture, "siglip", True),
    "hf-altclip": partial(hf_picture, "altclip", False),
    "hf-chinese_clip": partial(hf_picture, "chinese_clip", False),
    "slip": slip_picture,
}
if "siglip2" in hf_models.CASES:
    PICTURES["hf-siglip2"] = partial(hf_picture, "siglip2", False)


def plain_patches(picture: Picture, vectors: Tensor) -> Tensor:
    """Features of pseudo-patches, the nearest in each place."""
    n, count = picture.shape[0], vectors.shape[1]
    return picture.features(torch.stack([vectors[:, i * count // n] for i in range(n)], 1))
