"""ENCODERS: the model libraries. Each is imported only when it is used."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

from modalgap.arguments import checked
from modalgap.data.source import check_seed
from modalgap.encode.base import Encoder
from modalgap.errors import InputError, OptionError, quoted
from modalgap.extras import import_extra


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library that provides models.

    Attributes:
        module: the module that defines ``load(rest, spec, seed)``.
        forms: the forms of the name after the colon.
        models: description of the models.
        extra: the extra of modalgap that installs it.
    """

    module: str
    forms: tuple[str, ...]
    models: str
    extra: str = "models"


ENCODERS: dict[str, Library] = {
    "open_clip": Library(
        module="open_clip",
        forms=(
            "ARCHITECTURE/WEIGHTS",
            "ARCHITECTURE/WEIGHTS@/path/to/checkpoint",
            "ARCHITECTURE@/path/to/checkpoint",
            "hf-hub:ORG/NAME",
            "/path/to/folder",
            "ARCHITECTURE/random",
        ),
        models="all models of open_clip's registry, and checkpoints of its architectures",
    ),
    "hf": Library(
        module="transformers",
        forms=("ORG/NAME", "/path/to/folder", "ORG/NAME/random", "/path/to/folder/random"),
        models="CLIP, SigLIP, SigLIP 2, ALIGN, AltCLIP, Chinese-CLIP and, for audio, CLAP",
    ),
    "st": Library(
        module="sentence_transformers",
        forms=("NAME", "ORG/NAME", "/path/to/folder"),
        models="any SentenceTransformer: of texts, of images and texts, or LLM-based embedders of"
        " text, image and audio; weights in safetensors",
        extra="st",
    ),
    "slip": Library(
        module="slip",
        forms=("ViT-B-16@/path/to/checkpoint.pt", "ViT-B-16/random"),
        models="SLIP and CLIP of Mu et al. 2022: ViT-S-16, ViT-B-16, ViT-L-16",
    ),
}


@checked
def load_model(spec: str | Encoder, *, seed: int = 0) -> Encoder:
    """Load the encoder with the name ``spec``.

    Args:
        spec: LIBRARY:MODEL, such as ``open_clip:ViT-B-32/openai``,
            ``hf:openai/clip-vit-base-patch32`` or ``open_clip:ViT-B-32/openai@/path/to/weights.pt``;
            or an encoder, which is returned unchanged.
        seed: seed of the weights of a model named ``random``.

    Raises:
        OptionError: an unknown library, architecture or name of weights, or an invalid seed.
        FileError: weights that do not exist and cannot be fetched, or belong to another model.
        InputError: the library is not installed.
    """
    check_seed(seed)
    if isinstance(spec, Encoder):
        return spec
    if not isinstance(spec, str):
        raise InputError(f"model: must be a string or an Encoder; got {type(spec).__name__}")
    name, colon, rest = spec.partition(":")
    if not colon or not rest:
        raise OptionError(f"model: must be LIBRARY:MODEL{_near(spec)}; got {quoted(spec)}")
    if name not in ENCODERS:
        raise OptionError.unknown("library of models", name, ENCODERS)
    library = ENCODERS[name]
    module = import_extra(f"modalgap.encode.libraries.{library.module}", library.extra, spec)
    result: Encoder = module.load(rest, spec, seed)
    return result


def expand_model(spec: str) -> list[str]:
    """The models that a pattern matches, such as ``open_clip:ViT-B-*/laion*``; else the spec.

    Patterns are those of file names; they match models with weights in the registry of open_clip.

    Raises:
        OptionError: no model matches the pattern.
        InputError: the library is not installed.
    """
    library, _, pattern = spec.partition(":")
    if library != "open_clip" or not set("*?") & set(pattern) or Path(pattern).exists():
        return [spec]
    module = import_extra("modalgap.encode.libraries.open_clip", "models", spec)
    names: list[str] = module.names()
    found = [f"open_clip:{name}" for name in names if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        raise OptionError(
            f"models: a pattern must match a model of open_clip.list_pretrained(); got"
            f" {quoted(spec)}"
        )
    return found


def _near(spec: str) -> str:
    """The probable complete form of a name without a library."""
    if Path(spec).is_dir():
        library = "open_clip" if (Path(spec) / "open_clip_config.json").is_file() else "hf"
        return f", such as {library}:{spec}"
    if re.match(r"(ViT|RN|EVA|conv|coca|roberta|xlm|nllb|Mobile)", spec):
        return f", such as open_clip:{spec if '/' in spec else f'{spec}/openai'}"
    return ", such as open_clip:ViT-B-32/openai"
