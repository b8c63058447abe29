"""Small models: open_clip architectures of a few thousand weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip

from modalgap.encode.libraries.open_clip import OpenClipEncoder

VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
SHORT = TEXT | {"context_length": 20}

CONFIGS: dict[str, dict[str, Any]] = {
    "clip": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT},
    "quick": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": True},
    "custom": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT, "custom_text": True},
    "short": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": SHORT},
    "eos": {  # pooled where the end-of-text token stands, rather than at the largest id
        "embed_dim": 16,
        "vision_cfg": VISION,
        "text_cfg": TEXT | {"pool_type": "eos", "eos_id": 49407},
        "custom_text": True,
    },
    "sig": {  # both ways, read at the last position, which is padding
        "embed_dim": 16,
        "vision_cfg": VISION,
        "text_cfg": TEXT | {"no_causal_mask": True, "pool_type": "last", "proj_bias": True},
        "custom_text": True,
        "init_logit_bias": -10.0,
    },
    "both_ways": {  # read at end-of-text, but what follows reaches back
        "embed_dim": 16,
        "vision_cfg": VISION,
        "text_cfg": TEXT | {"no_causal_mask": True, "pool_type": "argmax"},
        "custom_text": True,
    },
    "last": {  # causal, but read at the last position
        "embed_dim": 16,
        "vision_cfg": VISION,
        "text_cfg": TEXT | {"pool_type": "last"},
        "custom_text": True,
    },
    "coca": {  # a class token after the text
        "embed_dim": 16,
        "vision_cfg": VISION | {"attentional_pool": True, "attn_pooler_heads": 2,
                                "output_tokens": True},
        "text_cfg": SHORT | {"embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2,
                           "layers": 1, "attn_pooler_heads": 2},
        "custom_text": True,
    },
    "timm": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "timm_model_name": "test_efficientnet", "timm_pool": "avg",
                       "timm_proj": "linear"},
        "text_cfg": TEXT,
    },
    "resnet": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
        "text_cfg": TEXT,
    },
}  # fmt: skip


def add_configs(folder: Path) -> None:
    """Make the small architectures known to open_clip, as ``tiny-NAME``."""
    for name, config in CONFIGS.items():
        (folder / f"tiny-{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def encoder(name: str = "clip", seed: int = 0) -> OpenClipEncoder:
    """A small untrained model of open_clip behind our protocol; ``add_configs`` comes first."""
    from modalgap.encode import load_model

    found = load_model(f"open_clip:tiny-{name}/random", seed=seed)
    assert isinstance(found, OpenClipEncoder)
    return found
