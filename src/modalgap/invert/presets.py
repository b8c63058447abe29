"""Numbers of pseudo-patches that the paper found for each backbone.

Source: Mistretta et al. 2025. OTI takes one pseudo-token throughout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SENTENCE = "a photo of {}"
ALONE = "{}"
SHORT = 16  # positions: a tower with no more, such as MAD's, has words and no sentences


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A backbone and its setting.

    Attributes:
        title: for people.
        pattern: what names of its models match.
        patches: how many pseudo-patches.
    """

    title: str
    pattern: str
    patches: int


BACKBONES = (
    Backbone(title="CLIP ViT-B/32", pattern=r"ViT-B-32(-quickgelu)?/openai|clip-vit-base-patch32",
             patches=1),
    Backbone(title="CLIP ViT-L/14", pattern=r"ViT-L-14(-quickgelu)?/openai|clip-vit-large-patch14",
             patches=4),
    Backbone(title="OpenCLIP ViT-B/32", pattern=r"ViT-B-32|CLIP-ViT-B-32", patches=1),
    Backbone(title="OpenCLIP ViT-L/14", pattern=r"ViT-L-14|CLIP-ViT-L-14", patches=2),
    Backbone(title="SigLIP B/16", pattern=r"ViT-B-16-SigLIP|siglip2?-base-patch16", patches=4),
    Backbone(title="SLIP ViT-B/16", pattern=r"slip:ViT-B-16", patches=1),
    Backbone(title="SLIP ViT-L/16", pattern=r"slip:ViT-L-16", patches=2),
)  # fmt: skip


def patches_of(spec: str) -> int:
    """How many pseudo-patches a model takes; one where the paper has none like it."""
    for each in BACKBONES:
        if re.search(each.pattern, spec):
            return each.patches
    return 1


def template_of(context: int) -> str:
    """The sentence of a tower with so many positions."""
    return ALONE if context <= SHORT else SENTENCE
