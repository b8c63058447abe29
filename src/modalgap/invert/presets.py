"""Default numbers of pseudo-patches per backbone, from the paper.

Source: Mistretta et al. 2025. OTI always takes one pseudo-token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SENTENCE = "a photo of {}"
ALONE = "{}"
SHORT = 16  # positions: the text tower of a model such as MAD's reads words, not sentences


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A backbone and its default.

    Attributes:
        title: display name.
        pattern: regular expression that matches the names of its models.
        patches: number of pseudo-patches.
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
    """Number of pseudo-patches of a model; one if the paper has no similar backbone."""
    for each in BACKBONES:
        if re.search(each.pattern, spec):
            return each.patches
    return 1


def template_of(context: int) -> str:
    """The default template of a tower with ``context`` positions."""
    return ALONE if context <= SHORT else SENTENCE
