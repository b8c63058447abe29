"""The layers of open_clip's towers, and of its image towers from timm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import open_clip
import torch
from open_clip.transformer import ResidualAttentionBlock, TextTransformer, VisionTransformer
from torch import Tensor, nn

from modalgap.encode.libraries.timm_towers import entrance, timm_stack
from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, Layer, Stack, TextTower


def text_tower(model: Any, encode: Callable[[Tokens], Tensor], tokenizer: Any) -> TextTower | None:
    """The text tower of a model, or None if its type is unknown."""
    words = partial(words_of, tokenizer)
    text = getattr(model, "text", model)  # CLIP is its own text tower; CustomTextCLIP has one
    if isinstance(text, open_clip.hf_model.HFTextEncoder):
        inner = text.transformer
        # T5 has no position embeddings, and so no maximum length
        context = int(getattr(inner.config, "max_position_embeddings", 2**31))
        return TextTower(inner.get_input_embeddings(), encode, context, words)
    if not isinstance(text, TextTransformer | open_clip.CLIP):
        return None
    return TextTower(
        text.token_embedding, encode, int(text.context_length), words, _text_stack(text)
    )


def image_tower(model: Any, blank: Tensor) -> ImageTower | None:
    """The image tower of a model, or None if it has no patches."""
    visual = model.visual
    encode = model.encode_image
    if isinstance(visual, VisionTransformer):
        return ImageTower(visual.conv1, encode, blank, _image_stack(visual))
    trunk = getattr(visual, "trunk", None)
    if (embedding := entrance(trunk)) is None:
        return None
    return ImageTower(embedding, encode, blank, timm_stack(trunk, visual.head))


def words_of(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Readable tokens, from open_clip's tokenizer or one of transformers."""
    if isinstance(tokenizer, open_clip.SimpleTokenizer):
        return [tokenizer.decode([each]).strip() for each in ids]
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    return [inner.decode([each]).strip() for each in ids]


def projected(weights: Any) -> Callable[[Tensor], Tensor]:
    """``x @ weights``, for a layer or a matrix; the identity if ``weights`` is None."""
    if weights is None:
        return nn.Identity()
    project: Callable[[Tensor], Tensor] = (
        weights if isinstance(weights, nn.Module) else weights.__rmatmul__
    )
    return project


def layers(blocks: Iterable[Any]) -> tuple[Layer, ...] | None:
    """The layers of open_clip's blocks; None if one has another structure."""
    found = []
    for block in blocks:
        if type(block) is not ResidualAttentionBlock or not block.attn.batch_first:
            return None
        attention = block.attn
        found.append(
            Layer(
                block.ln_1,
                attention.in_proj_weight,
                attention.in_proj_bias,
                attention.num_heads,
                nn.Sequential(attention.out_proj, block.ls_1),
                block.ln_2,
                nn.Sequential(block.mlp, block.ls_2),
            )
        )
    return tuple(found)


def _text_stack(text: Any) -> Stack | None:
    pool = getattr(text, "pool_type", None) or getattr(text, "text_pool_type", None)
    reads = {"argmax": "end", "eos": "end", "first": "first", "last": "last"}.get(str(pool))
    unusual = getattr(text, "cls_emb", None) is not None or getattr(text, "use_pad_mask", False)
    found = layers(text.transformer.resblocks)
    if found is None or reads is None or unusual:
        return None
    causal = text.attn_mask is not None
    if reads == "end" and not causal:  # later positions have an effect, and end is not the last
        return None
    project, norm, positions = projected(text.text_projection), text.ln_final, _positions(text)
    return Stack(
        lambda embedded, start: embedded + positions(start, embedded),
        found,
        lambda read: project(norm(read)[:, 0]),
        reads,  # type: ignore[arg-type] # one of the values above
        causal,
    )


def _positions(text: Any) -> Callable[[int, Tensor], Tensor]:
    def positions(start: int, embedded: Tensor) -> Tensor:
        result: Tensor = text.positional_embedding[start : start + embedded.shape[1]]
        return result

    return positions


def _image_stack(visual: Any) -> Stack | None:
    found = layers(visual.transformer.resblocks)
    if found is None:
        return None

    def enter(patches: Tensor, _start: int) -> Tensor:
        first = visual.class_embedding.expand(len(patches), 1, -1)
        entered: Tensor = visual.ln_pre(
            torch.cat([first, patches], 1) + visual.positional_embedding
        )
        return entered

    alone = visual.attn_pool is None and visual.pool_type == "tok"
    return Stack(
        enter,
        found,
        lambda read: projected(visual.proj)(visual._pool(read)[0]),
        "first" if alone else "all",
    )
