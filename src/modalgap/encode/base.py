"""Encoder: what a two-tower model must offer, whichever library it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, TextTower


@runtime_checkable
class Encoder(Protocol):
    """A model that puts two modalities into one space.

    Adapters move to a device with ``to``, and encode without gradients unless asked for them:
    switching gradients off is the caller's part.
    """

    @property
    def spec(self) -> str:
        """What was asked for, such as ``open_clip:ViT-B-32/openai``."""
        ...

    @property
    def modalities(self) -> tuple[str, str]:
        """The kinds of media that the towers take: ("image", "text") or ("audio", "text")."""
        ...

    @property
    def dim(self) -> int:
        """Width of the features."""
        ...

    @property
    def logit_scale(self) -> float | None:
        """What cosines are multiplied with in training, 1/τ; None where the model has none."""
        ...

    @property
    def provenance(self) -> Mapping[str, str]:
        """Model, hash of the weights, preprocessing, libraries: enough to make it again."""
        ...

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        ...

    @property
    def prepare(self) -> Callable[[Any], Tensor]:
        """From one decoded item, an RGB image or (samples, rate), to what the tower takes.

        Called in workers: it pickles, and holds no weights.
        """
        ...

    def encode_media(self, batch: Tensor) -> Tensor:
        """(b, …) prepared items to features (b, dim), not normalised."""
        ...

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Tokens of texts, padded to the context of the tower."""
        ...

    def encode_text(self, tokens: Tokens) -> Tensor:
        """Features (b, dim) of tokenised texts, not normalised."""
        ...

    def projections(self) -> Mapping[str, Tensor] | None:
        """Weights (d, p) of the last layers, by modality; None where these are more than that."""
        ...

    def text_tower(self) -> TextTower | None:
        """The inside of the text tower, or None where it cannot be entered."""
        ...

    def image_tower(self) -> ImageTower | None:
        """The inside of the image tower, or None where there are no patches to enter by."""
        ...
