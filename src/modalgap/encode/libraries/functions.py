"""Any model at all, as two Python functions."""

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
    """An encoder made of functions.

    Args:
        media: prepared items (b, …) to features (b, d).
        texts: a list of b strings to features (b, d).
        prepare: one RGB image, or (samples, rate), to a tensor of fixed shape. It is called in
            workers, so it must pickle: a function of a module, not a lambda.
        dim: the width d of the features.
        spec: what to call the model.
        logit_scale: what cosines are multiplied with in training, 1/τ, if known.
        modalities: ("image", "text") or ("audio", "text").
        provenance: what to write beside the vectors: weights, revision ...

    Raises:
        InputError: an argument of a wrong type.
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
        """Where prepared items go; the functions look after their own weights."""
        self._device = device

    def encode_media(self, batch: Tensor) -> Tensor:
        """Features (b, dim) by the function given."""
        return self._checked(self._media(batch), len(batch), "media")

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Numbers that stand for the texts: the function takes strings."""
        self._known = list(texts)
        n = len(texts)
        ones = torch.ones(n, dtype=torch.int64)
        return Tokens(torch.arange(n)[:, None], ones, torch.zeros(n, dtype=torch.bool))

    def encode_text(self, tokens: Tokens) -> Tensor:
        """Features (b, dim) by the function given."""
        texts = [self._known[i] for i in tokens.ids[:, 0].tolist()]
        return self._checked(self._texts(texts), len(texts), "texts")

    def projections(self) -> Mapping[str, Tensor] | None:
        """None: there is no way in."""
        return None

    def text_tower(self) -> TextTower | None:
        """None: there is no way in."""
        return None

    def image_tower(self) -> ImageTower | None:
        """None: there is no way in."""
        return None

    def _checked(self, found: Any, n: int, what: str) -> Tensor:
        try:
            features = torch.as_tensor(found)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{what}: must give a tensor of features; gave {type(found).__name__}"
            ) from error
        if features.is_complex() or features.dtype == torch.bool:
            raise InputError(f"{what}: must give real numbers; gave {features.dtype}")
        if features.shape != (n, self.dim):
            raise InputError(
                f"{what}: must give features of shape ({n}, {self.dim}); gave"
                f" {tuple(features.shape)}"
            )
        return features
