"""Encoder: the protocol of a two-tower model, whichever library it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, TextTower


@runtime_checkable
class Encoder(Protocol):
    """A model that maps two modalities into one space.

    Adapters move to a device with ``to``. They do not switch off gradients: that is the caller's
    task.
    """

    @property
    def spec(self) -> str:
        """The name that loads the model, such as ``open_clip:ViT-B-32/openai``."""
        ...

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of the towers, text last, such as ("image", "text")."""
        ...

    @property
    def dim(self) -> int:
        """Width of the features."""
        ...

    @property
    def logit_scale(self) -> float | None:
        """The factor of cosines in training, 1/τ; None if the model has none."""
        ...

    @property
    def provenance(self) -> Mapping[str, str]:
        """Model, hash of the weights, preprocessing, libraries: enough to reproduce the encoder."""
        ...

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        ...

    @property
    def prepare(self) -> Callable[[Any], Tensor]:
        """A function from one decoded item, an RGB image or (samples, rate), to a tower's input.

        Workers call it: it must be picklable, and holds no weights. If its results differ in shape,
        it has an attribute ``join``, which makes a batch of a list of them; without it, they are
        stacked.
        """
        ...

    def encode_media(self, batch: Tensor) -> Tensor:
        """Map (b, …) prepared items to features (b, dim), not normalised."""
        ...

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts, padded to the context of the tower."""
        ...

    def encode_text(self, tokens: Tokens) -> Tensor:
        """Map tokenised texts to features (b, dim), not normalised."""
        ...

    def projections(self) -> Mapping[str, Tensor] | None:
        """Weights (d, p) of the last linear layers, by modality; None if there are none."""
        ...

    def text_tower(self) -> TextTower | None:
        """The layers of the text tower, or None if vectors cannot replace its tokens."""
        ...

    def image_tower(self) -> ImageTower | None:
        """The layers of the image tower, or None if vectors cannot replace patches."""
        ...
