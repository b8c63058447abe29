"""The layers of timm's vision transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from timm.models import vision_transformer
from timm.models.eva import Eva
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from modalgap.encode.towers import Layer, Stack

ATTENTION: Any = vision_transformer.Attention  # type: ignore[attr-defined] # it is imported there


def entrance(trunk: Any) -> nn.Module | None:
    """The layer from pixels to patches, if the trunk has patches."""
    if not isinstance(trunk, VisionTransformer | Eva):
        return None
    found = getattr(trunk.patch_embed, "proj", None)
    return found if isinstance(found, nn.Conv2d) else None


def timm_stack(trunk: Any, head: Callable[[Tensor], Tensor]) -> Stack | None:
    """A trunk and its head as layers; None if it has another structure."""
    usual = (
        type(trunk) is VisionTransformer
        and not trunk.dynamic_img_size
        and isinstance(trunk.patch_embed.norm, nn.Identity)
    )
    found = _layers(trunk.blocks) if usual else None
    if found is None:
        return None
    alone = trunk.global_pool == "token" and trunk.attn_pool is None
    return Stack(
        lambda patches, _start: trunk.norm_pre(trunk._pos_embed(patches)),
        found,
        lambda read: head(trunk.forward_head(trunk.norm(read))),
        "first" if alone else "all",
    )


def _layers(blocks: Iterable[Any]) -> tuple[Layer, ...] | None:
    found = []
    for block in blocks:
        attention: Any = getattr(block, "attn", None)
        if type(block) is not Block or type(attention) is not ATTENTION or not _plain(attention):
            return None
        found.append(
            Layer(
                block.norm1,
                attention.qkv.weight,
                attention.qkv.bias,
                attention.num_heads,
                nn.Sequential(attention.proj, block.ls1),
                block.norm2,
                nn.Sequential(block.mlp, block.ls2),
            )
        )
    return tuple(found)


def _plain(attention: Any) -> bool:
    parts = (attention.q_norm, attention.k_norm, attention.norm)
    ungated = getattr(attention, "gate", None) is None  # older versions have none
    return ungated and all(isinstance(part, nn.Identity) for part in parts)
