"""An encoder from two Python functions, for any model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor

from modalgap._version import __version__
from modalgap.arguments import checked
from modalgap.data.media import Kind
from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, TextTower
from modalgap.errors import InputError, quoted


@checked
class FunctionEncoder:
    """An encoder from functions.

    Args:
        media: maps prepared items (b, …) to features (b, d).
        texts: maps a list of b strings to features (b, d).
        prepare: maps one RGB image, or (samples, rate), to a tensor of fixed shape. Workers call
            it, so it must be picklable: a module-level function, not a lambda.
        dim: the width d of the features.
        spec: the name of the model.
        logit_scale: the factor of cosines in training, 1/τ, if known.
        modalities: ("image", "text") or ("audio", "text").
        provenance: facts to store with the vectors: weights, revision ...

    Raises:
        InputError: an argument has the wrong type.
    """

    def __init__(
        self,
        *,
        media: Callable[[Tensor], Any],
        texts: Callable[[list[str]], Any],
        prepare: Callable[[Any], Tensor],
        dim: int,
        spec: str,
        logit_scale: float | None = None,
        modalities: tuple[str, str] = ("image", "text"),
        provenance: Mapping[str, str] | None = None,
    ) -> None:
        for name, function in (("media", media), ("texts", texts), ("prepare", prepare)):
            if not callable(function):
                raise InputError(f"{name}: must be a function; got {type(function).__name__}")
        if not isinstance(dim, int) or isinstance(dim, bool) or dim < 1:
            raise InputError(f"dim: must be an integer of at least 1; got {quoted(dim)}")
        if not isinstance(spec, str):
            raise InputError(f"spec: must be a string; got {type(spec).__name__}")
        if logit_scale is not None and not (
            isinstance(logit_scale, int | float) and 0 < logit_scale < math.inf
        ):
            raise InputError(f"logit_scale: must be a number above 0; got {quoted(logit_scale)}")
        kinds = get_args(Kind)
        if not isinstance(modalities, tuple | list) or not all(k in kinds for k in modalities):
            raise InputError(f"modalities: must be of {', '.join(kinds)}; got {quoted(modalities)}")
        for key, value in (provenance or {}).items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise InputError(f"provenance: must be strings; {quoted(key)} is {quoted(value)}")
        self._media = media
        self._texts = texts
        self.prepare = prepare
        self.dim = dim
        self.spec = spec
        self.logit_scale = logit_scale
        self.modalities = modalities
        self.provenance = {
            "model": spec,
            "libraries": f"torch {torch.__version__}, modalgap {__version__}",
            **(provenance or {}),
        }
        self._device = torch.device("cpu")
        self._known: list[str] = []

    def to(self, device: torch.device) -> None:
        """Set the device of prepared items; the functions move their own weights."""
        self._device = device

    def encode_media(self, batch: Tensor) -> Tensor:
        """Features (b, dim), from the function ``media``."""
        return self._checked(self._media(batch), len(batch), "media")

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Store the texts; their numbers serve as tokens, since the function takes strings."""
        self._known = list(texts)
        n = len(texts)
        ones = torch.ones(n, dtype=torch.int64)
        return Tokens(torch.arange(n)[:, None], ones, torch.zeros(n, dtype=torch.bool))

    def encode_text(self, tokens: Tokens) -> Tensor:
        """Features (b, dim), from the function ``texts``."""
        texts = [self._known[i] for i in tokens.ids[:, 0].tolist()]
        return self._checked(self._texts(texts), len(texts), "texts")

    def projections(self) -> Mapping[str, Tensor] | None:
        """None: the functions hide their layers."""
        return None

    def text_tower(self) -> TextTower | None:
        """None: the functions hide their layers."""
        return None

    def image_tower(self) -> ImageTower | None:
        """None: the functions hide their layers."""
        return None

    def _checked(self, found: Any, n: int, what: str) -> Tensor:
        try:
            features = torch.as_tensor(found)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{what}: must return a tensor of features; got {type(found).__name__}"
            ) from error
        if features.is_complex() or features.dtype == torch.bool:
            raise InputError(f"{what}: must return real numbers; got {features.dtype}")
        if features.shape != (n, self.dim):
            raise InputError(
                f"{what}: must return features of shape ({n}, {self.dim}); got"
                f" {tuple(features.shape)}"
            )
        return features
