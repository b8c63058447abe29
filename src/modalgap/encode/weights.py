"""Weights: their hash, checks before they are loaded, and errors for missing weights."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import xxhash
from PIL import Image
from torch import Tensor, nn

from modalgap.encode.quiet import quiet
from modalgap.errors import FileError, ModalgapError

SCALARS = ("logit_scale", "logit_bias")  # one number each, of shape () or (1,)
MOST_SCALE = 80.0  # of log(1/τ): beyond it τ is 0 or infinite in float32


def weights_hash(model: nn.Module) -> str:
    """A 128-bit hash of the names, shapes, types and bytes of every parameter and buffer."""
    digest = xxhash.xxh3_128()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        if flat.numel():
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_archive(path: Path) -> None:
    """Check that a file of ``torch.save`` needs about as much memory as its size.

    Raises:
        ValueError: it is an archive with a compressed member, which ``torch.save`` never writes.
        zipfile.BadZipFile: it is damaged.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for each in archive.infolist():
                if each.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{each.filename} must not be compressed")


def check_weights(stored: object, model: nn.Module) -> None:
    """Check for weights that a model would load silently with other values, or as NaN.

    ``load_state_dict`` reports names that only one of the two has.

    Raises:
        ValueError: a tensor has another shape or type, or holds nan or infinity.
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
            raise ValueError(f"{name} must be {own.dtype}; it is {found.dtype}")
        if not found.to(own.dtype).isfinite().all():
            raise ValueError(f"{name} must be finite; it holds nan or infinity")
        if name == "logit_scale" and abs(float(found)) > MOST_SCALE:
            raise ValueError(
                f"{name} must be log(1/τ), from -{MOST_SCALE:g} to {MOST_SCALE:g};"
                f" it is {float(found):g}"
            )


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
    """The error for weights that are not on disk and cannot be fetched."""
    reason = "" if error is None else f" ({_brief(_root(error))})"
    return FileError(f"{spec}: weights not found: searched {looked}{reason}; {how}")


@contextmanager
def reading_weights(spec: str, path: object) -> Iterator[None]:
    """Turn every error of a wrong or damaged checkpoint into one line; log nothing."""
    try:
        with quiet():
            yield
    except (MemoryError, ModalgapError):
        raise
    except Exception as error:
        raise FileError(
            f"{spec}: {path} does not hold weights of this model ({_brief(_root(error))})"
        ) from error


@contextmanager
def reading_preprocessing(spec: str) -> Iterator[None]:
    """Turn every error of a preprocessing that cannot be used into one line."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise FileError(f"{spec}: its preprocessing cannot be used ({_brief(error)})") from error


def check_preprocessing(prepare: Callable[[Any], Any]) -> None:
    """Prepare an image, so that damaged settings are an error when a model is loaded.

    Raises:
        ValueError: the result is no tensor of finite numbers; damaged settings raise others too.
    """
    found = prepare(Image.new("RGB", (8, 8)))
    if not isinstance(found, Tensor) or not found.numel() or not bool(found.isfinite().all()):
        raise ValueError("an image becomes no tensor of finite numbers")


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text if len(text) <= 120 else f"{text[:117]}...") or type(error).__name__


def _root(error: BaseException) -> BaseException:
    """The innermost error of a chain."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error
