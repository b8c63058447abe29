"""Which model encodes which modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from modalgap.data.media import Kind
from modalgap.encode.base import Encoder
from modalgap.encode.registry import load_model
from modalgap.errors import InputError, OptionError, quoted
from modalgap.modality import listed

KINDS: tuple[str, ...] = get_args(Kind)


def models_of(options: Sequence[str]) -> str | dict[str, str]:
    """The models that command-line options name: one of all modalities, or a model of each.

    Args:
        options: one LIBRARY:MODEL; or any number of NAMES=LIBRARY:MODEL, where NAMES are
            modalities or kinds, separated by commas.

    Raises:
        OptionError: several models without names.
    """
    found: dict[str, str] = {}
    for option in options:
        names, equals, spec = option.partition("=")
        if not equals or ":" in names:  # a path may contain "="
            if len(options) == 1:
                return option
            raise OptionError(
                "--model: each of several models must name its modalities, such as"
                f" image,text=open_clip:ViT-B-32/openai; got {quoted(option)}"
            )
        if names in found:
            raise OptionError(f"--model: {quoted(names)} must have one model; got two")
        found[names] = spec
    return found


def assigned(models: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The model of each modality that has one, in the order of ``kinds``.

    Args:
        models: maps names, separated by commas, to a model. A name is that of a modality; or, if
            there is no such modality, of a kind, for all modalities of the kind that are not named.
        kinds: the kind of each modality.

    Raises:
        OptionError: an unknown name, or a modality with two models.
    """
    wanted = [(name.strip(), model) for names, model in models.items() for name in names.split(",")]
    found: dict[str, Any] = {}
    for name, model in wanted:
        if name in kinds:
            _add(found, name, model)
    named = set(found)
    for name, model in wanted:
        if name in kinds:
            continue
        own = [side for side, kind in kinds.items() if kind == name]
        if not own or name not in KINDS:
            raise OptionError.unknown("modality of model", name, list(kinds))
        for side in own:
            if side not in named:
                _add(found, side, model)
    return {side: found[side] for side in kinds if side in found}


def _add(found: dict[str, Any], side: str, model: Any) -> None:
    if side in found:
        raise OptionError(f"model: {side} must have one model; got two")
    found[side] = model


def encoders(
    model: str | Encoder | Mapping[str, Any], kinds: Mapping[str, Kind], name: str, seed: int
) -> dict[str, Encoder]:
    """The encoder of each modality to encode; a model of several modalities is loaded once.

    Args:
        model: one model for every modality that it has a tower for; or models by modality.
        kinds: the kind of each modality.
        name: the name of the source, for messages.
        seed: seed of the weights of a model named ``random``.

    Raises:
        OptionError: an error of ``assigned`` or of ``load_model``.
        InputError: a model without a tower for a modality, models of different widths, or fewer
            than two modalities.
    """
    loaded: dict[Any, Encoder] = {}

    def load(each: Any) -> Encoder:
        key = each if isinstance(each, str) else id(each)
        if key not in loaded:
            loaded[key] = load_model(each, seed=seed)
        return loaded[key]

    if isinstance(model, Mapping):
        found = {side: load(each) for side, each in assigned(model, kinds).items()}
    else:
        one = load(model)
        found = {side: one for side, kind in kinds.items() if kind in _towers(one)}
    for side, encoder in found.items():
        if kinds[side] not in _towers(encoder):
            raise InputError(
                f"model: {encoder.spec} takes {' and '.join(encoder.modalities)}; {side} of {name}"
                f" holds {kinds[side]}"
            )
    if len(found) < 2:
        raise InputError(
            f"model: must encode at least two of the modalities of {name}, {listed(list(kinds))};"
            f" found a model for {listed(list(found)) or 'none'}"
        )
    first = next(iter(found.values()))
    for encoder in found.values():
        if encoder.dim != first.dim:
            raise InputError(
                "model: models must have the same width, because modalities share one space;"
                f" {first.spec} has {first.dim} and {encoder.spec} has {encoder.dim}"
            )
    return found


def _towers(encoder: Encoder) -> tuple[str, ...]:
    return tuple(encoder.modalities)
