"""Encoder: what a two-tower model must offer, whichever library it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
import xxhash
from torch import Tensor, nn

from modalgap.encode.quiet import quiet
from modalgap.errors import FileError

if TYPE_CHECKING:
    from modalgap.encode.inside import ImageTower, TextTower

SCALARS = ("logit_scale", "logit_bias")  # of one number, whether () or (1,)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokenised texts, padded on the right.

    Attributes:
        ids: (b, l) integers.
        lengths: (b,) how many positions of each row count towards its feature. Whoever holds
            tokens may cut ``ids`` after the longest. A tower whose padding takes part in its
            feature says l for every row, and so is never cut.
        cut: (b,) whether the text was longer than the tower's context and lost its end.
    """

    ids: Tensor
    lengths: Tensor
    cut: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Tensor) -> Tokens:
        """The texts at ``index`` (k,), cut after the longest of them."""
        lengths = self.lengths[index]
        longest = int(lengths.max())
        return Tokens(self.ids[index, :longest], lengths, self.cut[index])

    def to(self, device: torch.device) -> Tokens:
        """The same on another device."""
        return Tokens(self.ids.to(device), self.lengths.to(device), self.cut)


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


def weights_hash(model: nn.Module) -> str:
    """A 128-bit hash of every parameter and buffer: names, shapes, types and bytes."""
    digest = xxhash.xxh3_128()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        if flat.numel():
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_weights(stored: object, model: nn.Module) -> None:
    """Refuse weights that a model would take, changed in silence or as no numbers.

    Names that only one of the two has are for ``load_state_dict`` to say.

    Raises:
        ValueError: a tensor has another shape or kind, or holds nan or infinity.
    """
    if not isinstance(stored, Mapping):
        raise ValueError(f"it holds {type(stored).__name__}, not tensors by name")
    for name, own in model.state_dict().items():
        if name not in stored:
            continue
        found = stored[name]
        if not isinstance(found, Tensor) or found.layout != torch.strided:
            what = found.layout if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"{name} must be a dense tensor; it is {what}")
        scalar = name in SCALARS and found.numel() == own.numel()
        if found.shape != own.shape and not scalar:
            raise ValueError(f"{name} must be {tuple(own.shape)}; it is {tuple(found.shape)}")
        if _sort(found) != _sort(own):
            raise ValueError(f"{name} must be of {own.dtype}; it is of {found.dtype}")
        if not found.to(own.dtype).isfinite().all():
            raise ValueError(f"{name} must be finite; it holds nan or infinity")


def _sort(tensor: Tensor) -> str:
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_complex():
        return "complex"
    return "float" if tensor.is_floating_point() else "integer"


def describe(values: Mapping[str, Any]) -> str:
    """Preprocessing as one line: ``size=224, mean=(0.48, 0.46, 0.41)``."""
    return ", ".join(f"{key}={value}" for key, value in values.items())


def unavailable(spec: str, looked: str, how: str, error: BaseException | None = None) -> FileError:
    """The one line for weights that are not on the disk and cannot be fetched."""
    reason = "" if error is None else f" ({_brief(_root(error))})"
    return FileError(f"{spec}: no weights: looked for {looked}{reason}; {how}")


@contextmanager
def reading_weights(spec: str, path: object) -> Iterator[None]:
    """Turn whatever a wrong or damaged checkpoint causes into one line; nothing is logged."""
    try:
        with quiet():
            yield
    except MemoryError:
        raise
    except Exception as error:
        raise FileError(
            f"{spec}: {path} does not hold weights of this model ({_brief(_root(error))})"
        ) from error


def _brief(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return (said if len(said) <= 120 else f"{said[:117]}...") or type(error).__name__


def _root(error: BaseException) -> BaseException:
    """What libraries wrap in errors of errors."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error
