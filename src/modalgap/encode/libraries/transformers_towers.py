"""The layers of the towers of transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, Layer, Stack, TextTower

PATCHED = ("altclip", "chinese_clip", "clip", "siglip", "siglip2")  # image towers with patches


def text_tower(
    model: Any, encode: Callable[[Tokens], Tensor], context: int, tokenizer: Any
) -> TextTower:
    """The text tower of a model."""
    kind = model.config.model_type
    text = model.text_model
    stack = None
    if kind in ("clip", "siglip"):
        positions = text.embeddings.position_embedding.weight
        project = model.text_projection if kind == "clip" else text.head
        stack = Stack(
            lambda embedded, start: embedded + positions[start : start + embedded.shape[1]],
            _layers(text.encoder.layers),
            lambda read: project(text.final_layer_norm(read)[:, 0]),
            "end" if kind == "clip" else "last",
            kind == "clip",
        )

    def words(ids: Sequence[int]) -> list[str]:
        return [tokenizer.decode([each]).strip() for each in ids]

    if kind in ("clip", "siglip", "siglip2"):  # up to version 4 without get_input_embeddings
        embedding = text.embeddings.token_embedding
    else:
        embedding = text.get_input_embeddings()
    return TextTower(embedding, encode, context, words, stack)


def image_tower(model: Any, encode: Callable[[Tensor], Tensor], blank: Tensor) -> ImageTower | None:
    """The image tower of a model, or None if it has no patches."""
    kind = model.config.model_type
    if kind not in PATCHED:
        return None
    vision = model.vision_model
    embedding = vision.embeddings.patch_embedding
    stack = None
    if kind == "clip":
        stack = _clip_stack(model)
    elif kind == "siglip":
        positions = vision.embeddings.position_embedding.weight
        stack = Stack(
            lambda patches, _start: patches + positions,
            _layers(vision.encoder.layers),
            lambda read: vision.head(vision.post_layernorm(read)),
            "all",
        )
    return ImageTower(embedding, encode, blank, stack)


def _clip_stack(model: Any) -> Stack:
    vision = model.vision_model
    embeddings = vision.embeddings

    def enter(patches: Tensor, _start: int) -> Tensor:
        first = embeddings.class_embedding.expand(len(patches), 1, -1)
        entered: Tensor = vision.pre_layrnorm(
            torch.cat([first, patches], 1) + embeddings.position_embedding.weight
        )
        return entered

    return Stack(
        enter,
        _layers(vision.encoder.layers),
        lambda read: model.visual_projection(vision.post_layernorm(read[:, 0])),
        "first",
    )


def _layers(blocks: Iterable[Any]) -> tuple[Layer, ...]:
    found = []
    for block in blocks:
        attention = block.self_attn
        three = (attention.q_proj, attention.k_proj, attention.v_proj)
        found.append(
            Layer(
                block.layer_norm1,
                torch.cat([each.weight for each in three]),
                torch.cat([each.bias for each in three]),
                attention.num_heads,
                attention.out_proj,
                block.layer_norm2,
                block.mlp,
            )
        )
    return tuple(found)
