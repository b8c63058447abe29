"""A closed model as a folder that its own library loads.

Models of sentence-transformers get the map as modules after their own (any map). Into checkpoints
of transformers and open_clip a map folds if it is linear: the last layer W of a tower becomes A W.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from modalgap.arguments import checked
from modalgap.atomic import made_folder, temporary_folder
from modalgap.close.affine import AffineMap
from modalgap.close.step import Floats
from modalgap.errors import InputError, ModalgapError, NotApplicable, OutputError, reason

CLOSE = 1e-5  # largest error of an entry of a unit row


@checked
def to_model(map_: AffineMap, model: Any, folder: str | Path, *, force: bool = False) -> Path:
    """Save a model with a map in it, in the format of the model's own library.

    The normalised features of the saved model are the closed rows. Two generated items per
    modality check this before the folder gets its name: each entry must agree within 1e-5. The
    library loads the model without modalgap.

    Args:
        map_: the map.
        model: LIBRARY:MODEL of ``st``, ``hf`` or ``open_clip``, or such an encoder.
        folder: the folder to make; it must not exist, or must be empty.
        force: save the model even if the map was fitted on the embeddings of another model.

    Returns:
        The folder.

    Raises:
        InputError: the map takes rows of another width, or was fitted on another model.
        NotApplicable: the format of the model cannot express the map, such as an offset for ``hf``
            and ``open_clip``; the error says why.
        OutputError: the folder is not empty, or cannot be written.
    """
    folder = Path(folder)
    target = _target(folder)
    from modalgap.encode import load_model  # imports what maps alone do not need
    from modalgap.encode.closed import Savable

    encoder: Any = load_model(model)
    if not isinstance(encoder, Savable):
        raise NotApplicable(
            f"{encoder.spec}: must be a model of st:, hf: or open_clip: to be saved closed"
        )
    check_fit(map_.dims, map_.fitted_on, encoder, "the map", force=force)
    steps = {
        role: tuple((_tensor(each.matrix), _tensor(each.offset), each.unit) for each in own)
        for role, own in map_.roles.items()
    }
    try:
        with made_folder(target), temporary_folder(target.parent) as part:
            encoder.save_closed(steps, part)
            for path in part.rglob("*"):  # libraries write weights that nobody else can read
                if path.is_file():
                    path.chmod(part.stat().st_mode & 0o666)
            _check_saved(map_, encoder, part)
            part.rename(target)
    except ModalgapError:
        raise
    except (OSError, SafetensorError) as error:  # the latter on a full disk
        raise OutputError(f"{folder}: cannot be written ({reason(error)})") from error
    return folder


def _target(folder: Path) -> Path:
    """Where the new folder goes: a link still points to the same path.

    Raises:
        OutputError: something is there, or it is the current folder, which cannot be replaced.
    """
    try:
        target = Path(os.path.realpath(folder))
        free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
        current = target == Path(os.path.realpath("."))
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ENAMETOOLONG:
            raise
        raise OutputError(f"{folder}: cannot be made ({reason(error)})") from error
    if not free:
        raise OutputError(f"{folder}: must not exist, or be an empty folder")
    if current:
        raise OutputError(f"{folder}: must be another folder than the current one")
    return target


def check_fit(
    dims: Mapping[str, int],
    fitted_on: Mapping[str, Mapping[str, str]],
    encoder: Any,
    what: str,
    *,
    force: bool,
) -> None:
    """Refuse a map, or a score scaler, of another width, or that was fitted on another model.

    Args:
        dims: role to width.
        fitted_on: role to facts about the vectors that it was fitted on.
        encoder: the model.
        what: "the map", or another name for messages.
        force: accept another model.

    Raises:
        InputError: it is one.
    """
    for role, width in dims.items():
        if width != encoder.dim:
            raise InputError(
                f"{encoder.spec}: has {encoder.dim} columns; {what} takes {width} of {role}s"
            )
        known = fitted_on.get(role, {})
        fitted, own = known.get("weights_hash", ""), encoder.provenance.get("weights_hash", "")
        if fitted and own and fitted != own and not force:
            raise InputError(
                f"{encoder.spec}: must be the model on whose {role}s {what} was fitted,"
                f" {known.get('model', 'another')} (to use it anyway, use --force or force=True)"
            )


def _check_saved(map_: AffineMap, encoder: Any, folder: Path) -> None:
    """Load the folder as anyone would, and compare its features with the closed rows."""
    from modalgap.encode import load_model

    try:
        saved = load_model(f"{encoder.spec.partition(':')[0]}:{folder}")
    except ModalgapError as error:
        why = str(error.__cause__ or error).replace(str(folder), "the folder")
        raise NotApplicable(
            f"{encoder.spec}: its library cannot load the model with this map ({why[:200]})"
        ) from error
    for role in map_.roles:
        if role in encoder.modalities:
            wanted, found = (_features(each, role) for each in (encoder, saved))
            largest = float(np.abs(map_(wanted, role) - found / _norms(found)).max())
            if not largest < CLOSE:
                raise NotApplicable(
                    f"{encoder.spec}: the saved {role} tower must give the closed rows; an entry"
                    f" differs by {largest:.1e}"
                )


@torch.inference_mode()
def _features(encoder: Any, role: str) -> NDArray[np.float32]:
    """Features (2, d) of two made items."""
    from PIL import Image

    random = np.random.default_rng(0)
    if role == "text":
        texts: NDArray[np.float32] = encoder.encode_text(
            encoder.tokenize(["a cat", "two dogs on a beach"])
        ).numpy()
        return texts
    items: list[Any] = [(random.normal(0, 0.1, 16_000).astype(np.float32), 16_000) for _ in "ab"]
    if role == "image":
        noise = random.integers(0, 255, (2, 64, 48, 3), np.uint8)
        items = [Image.fromarray(each) for each in noise]
    join = getattr(encoder.prepare, "join", torch.stack)
    media: NDArray[np.float32] = encoder.encode_media(
        join([encoder.prepare(each) for each in items])
    ).numpy()
    return media


def _norms(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 1) Euclidean lengths."""
    found: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def _tensor(array: Floats | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(array.copy())
