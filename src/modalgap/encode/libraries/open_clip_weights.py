"""Checkpoints of open_clip's architectures: what they hold, and the settings that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
from open_clip.convert import convert_state_dict
from open_clip.factory import load_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.transform import PreprocessCfg
from torch import nn

from modalgap.encode.torchscript import is_torchscript, read_torchscript
from modalgap.encode.weights import SCALARS, check_archive, check_weights

PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")
OPENAI = {"input_resolution", "context_length", "vocab_size"}  # only OpenAI's weights have them


@dataclass(frozen=True)
class Settings:
    """What weights need and do not contain.

    Attributes:
        quick: whether they need QuickGELU.
        preprocessing: values of open_clip's ``PreprocessCfg``.
    """

    quick: bool = False
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    def same(self, other: Settings) -> bool:
        """Whether both give the same features."""
        both = (PreprocessCfg(**each.preprocessing) for each in (self, other))
        return self.quick == other.quick and next(both) == next(both)


def settings_of(name: str, tag: str) -> Settings | None:
    """The settings of registered weights; None if there are none of this name."""
    config = open_clip.pretrained.get_pretrained_cfg(name, tag)
    if not config:
        return None
    used = {key: config[key] for key in PREPROCESSING if config.get(key) is not None}
    return Settings(_own(name) or bool(config.get("quick_gelu")), used)


def registered(name: str) -> dict[str, Settings]:
    """The settings of all registered weights of an architecture."""
    tags = open_clip.pretrained.list_pretrained_tags_by_model(name)
    return {tag: found for tag in tags if (found := settings_of(name, tag)) is not None}


def shared(name: str) -> Settings:
    """The settings of weights of unknown origin.

    Their activation is that of the architecture, their preprocessing the one that all registered
    weights share, else open_clip's default.
    """
    first, *others = [each.preprocessing for each in registered(name).values()] or [{}]
    return Settings(_own(name), first if all(each == first for each in others) else {})


def _own(name: str) -> bool:
    """Whether an architecture has QuickGELU by its name."""
    return bool((open_clip.get_model_config(name) or {}).get("quick_gelu"))


def is_foreign(path: Path) -> bool:
    """Whether a file has the names of big_vision."""
    return path.suffix in (".npz", ".npy")


def read_weights(path: Path) -> tuple[dict[str, Any], bool]:
    """The tensors of a checkpoint by name, and whether OpenAI's entries were among them."""
    if is_torchscript(path):
        stored = read_torchscript(path)
    else:
        check_archive(path)
        stored = dict(load_state_dict(str(path), weights_only=True))
    openai = stored.keys() >= OPENAI
    return {name: each for name, each in stored.items() if name not in OPENAI}, openai


def fill(model: Any, stored: dict[str, Any]) -> None:
    """Load weights that fit exactly: open_clip itself would interpolate positions."""
    stored = convert_state_dict(model, stored)
    if "positional_embedding" in stored and not hasattr(model, "positional_embedding"):
        stored = convert_to_custom_text_state_dict(stored)
    check_weights(stored, model)
    wanted = model.state_dict()
    for name in SCALARS:
        if name in stored and name in wanted:
            stored[name] = stored[name].reshape(wanted[name].shape)
    if "logit_bias" in wanted and "logit_bias" not in stored:
        stored["logit_bias"] = wanted["logit_bias"] * 0  # as open_clip; features do not need it
    computed = {name for name, _ in model.named_buffers()} - wanted.keys()  # masks and positions
    model.load_state_dict({name: each for name, each in stored.items() if name not in computed})


def fill_foreign(model: nn.Module, path: Path) -> None:
    """Load weights with the names of big_vision."""
    open_clip.load_checkpoint(model, str(path))
    check_weights(model.state_dict(), model)
