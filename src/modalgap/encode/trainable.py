"""A model of open_clip that is to be trained: built, turned, and kept as a folder.

The folder is open_clip's own (``open_clip_config.json``, ``open_clip_model.safetensors``, the
tokenizer's files): what was trained here is loaded with ``open_clip:/path/to/folder``, by us and by
open_clip itself.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import AugmentationCfg, PreprocessCfg, image_transform_v2
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import transforms

from modalgap.encode.libraries.open_clip import (
    LOCAL,
    _fetching,
)
from modalgap.encode.libraries.open_clip import load as load_encoder
from modalgap.encode.quiet import quiet
from modalgap.encode.weights import reading_weights
from modalgap.encode.word_tokenizer import size_of, write_tokenizer
from modalgap.errors import FileError, NotApplicable, OptionError, OutputError, quoted

OWN = Path(__file__).parent / "architectures"
CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


@dataclass(frozen=True, eq=False)
class Trainable:
    """A model in training.

    Attributes:
        model: open_clip's; ``logit_scale`` holds log 1/τ, ``logit_bias`` SigLIP's bias or None.
        config: the contents of ``open_clip_config.json``.
        tokenizer: texts to ids (b, l).
        files: the tokenizer's files by name.
    """

    model: nn.Module
    config: Mapping[str, Any]
    tokenizer: Callable[[Sequence[str]], Tensor]
    files: Mapping[str, bytes]

    @property
    def preprocessing(self) -> PreprocessCfg:
        """Size, mean, standard deviation and way of resizing."""
        return PreprocessCfg(**self.model.visual.preprocess_cfg)  # type: ignore[union-attr, arg-type]

    def prepare(self, *, augment: bool = False) -> Callable[[Any], Tensor]:
        """From an RGB image to what the tower takes; with ``augment``, randomly cropped."""
        found: Callable[[Any], Tensor] = image_transform_v2(
            self.preprocessing, is_train=augment, aug_cfg=AugmentationCfg() if augment else None
        )
        return found

    def prepare_view(self) -> Callable[[Any], Tensor]:
        """From an RGB image to a view of it as SimCLR makes them (Chen et al. 2020, appendix A)."""
        like = self.preprocessing
        side = like.size if isinstance(like.size, int) else like.size[0]
        found: Callable[[Any], Tensor] = transforms.Compose(
            [
                transforms.RandomResizedCrop(side, scale=(0.08, 1.0)),
                transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
                transforms.RandomGrayscale(p=0.2),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(like.mean, like.std),
            ]
        )
        return found

    def turn_texts(self, turn: Tensor) -> None:
        """Let every text feature y become ``turn`` y, by its last layer's weights.

        Args:
            turn: (d, d).

        Raises:
            NotApplicable: the text tower does not end in a linear layer.
        """
        text = getattr(self.model, "text", self.model)
        last = getattr(text, "text_projection", None)
        with torch.no_grad():
            if isinstance(last, nn.Linear):
                last.weight.copy_(turn.to(last.weight) @ last.weight)
                if last.bias is not None:
                    last.bias.copy_(turn.to(last.bias) @ last.bias)
            elif isinstance(last, Tensor):
                last.copy_(last @ turn.to(last).T)
            else:
                raise NotApplicable("this text tower does not end in a linear layer to turn")

    def save(self, folder: Path) -> None:
        """Write the folder, whole or not at all; one that is there is replaced.

        Raises:
            OutputError: it cannot be written.
        """
        part = folder.with_name(f".modalgap-{folder.name}.part")
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            (part / CONFIG).write_text(json.dumps(self.config, indent=1), encoding="utf-8")
            for name, data in self.files.items():
                (part / name).write_bytes(data)
            tensors = {key: each.contiguous() for key, each in self.model.state_dict().items()}
            save_file(tensors, part / WEIGHTS)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        except Exception as error:  # safetensors has errors of its own for a full disk
            shutil.rmtree(part, ignore_errors=True)
            raise OutputError(f"{folder}: cannot be written ({error})") from error


def own_architectures() -> list[str]:
    """Names of the small architectures that come with this package."""
    return sorted(path.stem for path in OWN.glob("*.json"))


def build(
    architecture: str | Mapping[str, Any], *, words: Sequence[str] | None = None, seed: int = 0
) -> Trainable:
    """An untrained model.

    Args:
        architecture: a name of open_clip's or one of ``own_architectures()``; the path of a JSON
            file in open_clip's format; or the contents of one.
        words: the vocabulary, for an architecture whose ``hf_tokenizer_name`` is "words".
        seed: of the weights.

    Raises:
        OptionError: no such architecture, or one that open_clip refuses.
        FileError: its tokenizer is not there and cannot be fetched.
    """
    config, said = _config(architecture)
    model_cfg = config["model_cfg"]
    text = model_cfg.setdefault("text_cfg", {})
    for key in ("vision_cfg", "text_cfg"):
        if not isinstance(model_cfg.get(key), dict):
            raise OptionError(f"architecture {quoted(said)}: {key} must be a mapping")
    with tempfile.TemporaryDirectory(prefix="modalgap-") as made:
        folder = Path(made)
        wordy = text.get("hf_tokenizer_name") == "words"
        if wordy:
            if not words:
                raise OptionError(
                    f"architecture {quoted(said)}: reads whole words, and is for MAD alone; take"
                    " small_vit, or an architecture of open_clip such as ViT-B-32"
                )
            text["vocab_size"] = size_of(words)
            write_tokenizer(words, folder)
        elif "hf_tokenizer_name" in text:
            with _fetching(said, text["hf_tokenizer_name"], "fetch it where there is a network"):
                HFTokenizer(text["hf_tokenizer_name"]).save_pretrained(str(folder))
        files = _files(folder)
        (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
        try:
            with quiet(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = open_clip.create_model(
                    f"{LOCAL}{folder}", load_weights=False, pretrained_text=False
                )
        except Exception as error:  # open_clip raises whatever its parts raise
            reason = " ".join(str(error).split())[:160]
            raise OptionError(
                f"architecture {quoted(said)}: open_clip cannot build it ({reason})"
            ) from (error)
        tokenizer = _tokenizer(folder)
        try:
            with torch.inference_mode():
                model.encode_text(tokenizer(["a"]))
        except Exception as error:  # whatever a tower does to tokens that it has not
            reason = " ".join(str(error).split())[:160]
            raise OptionError(
                f"architecture {quoted(said)}: its text tower does not take its tokenizer's tokens"
                f" ({reason})"
            ) from error
    return Trainable(model, _whole(config, model), tokenizer, files)


def resume_from(spec: str, *, seed: int = 0) -> Trainable:
    """A trained model of open_clip, to train on.

    Args:
        spec: as ``load_model`` takes it: ``open_clip:NAME/TAG``, ``open_clip:/path/to/folder``, …
        seed: of weights named ``random``.

    Raises:
        OptionError: another library, or an unknown name.
        FileError: weights that are not there, or are of another model.
    """
    library, _, rest = spec.partition(":")
    if library != "open_clip":
        raise OptionError(f"start: must be a model of open_clip, open_clip:…; got {quoted(spec)}")
    encoder = load_encoder(rest, spec, seed)
    encoder.model.requires_grad_(True)
    place = Path(rest.partition("@")[2] or rest).expanduser()
    if (place / CONFIG).is_file():
        with reading_weights(spec, place):
            config = json.loads((place / CONFIG).read_text(encoding="utf-8"))
    else:
        name = rest.partition("@")[0].rpartition("/")[0] or rest.partition("@")[0]
        model_cfg = open_clip.get_model_config(name)
        if model_cfg is None:
            raise OptionError(
                f"start: the architecture of {quoted(spec)} is not one that open_clip lists"
            )
        quick = any(type(each).__name__ == "QuickGELU" for each in encoder.model.modules())
        config = {"model_cfg": {**model_cfg, "quick_gelu": quick}}
    with tempfile.TemporaryDirectory(prefix="modalgap-") as made:
        if hasattr(encoder.tokenizer, "save_pretrained"):
            encoder.tokenizer.save_pretrained(made)
        files = _files(Path(made))
    return Trainable(encoder.model, _whole(config, encoder.model), encoder.tokenizer, files)


def _config(architecture: str | Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The contents of a configuration file, and what to call it."""
    if not isinstance(architecture, str):
        return _wrapped(architecture, "given"), "given"
    path = OWN / f"{architecture}.json" if architecture in own_architectures() else None
    if path is None and architecture.endswith(".json"):
        path = Path(architecture).expanduser()
    if path is None:
        found = open_clip.get_model_config(architecture)
        if found is None:
            known = [*open_clip.list_models(), *own_architectures()]
            raise OptionError.unknown("architecture", architecture, known)
        return {"model_cfg": found}, architecture
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{path}: must be JSON, as open_clip's configurations are") from error
    return _wrapped(found, str(path)), architecture


def _wrapped(found: object, said: str) -> dict[str, Any]:
    found = json.loads(json.dumps(found))  # a copy that is plain
    if isinstance(found, dict) and "model_cfg" not in found:
        found = {"model_cfg": found}
    if not isinstance(found, dict) or not isinstance(found["model_cfg"], dict):
        raise OptionError(f"architecture {quoted(said)}: must be a mapping with model_cfg")
    return found


def _whole(config: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """The configuration with the preprocessing that the model was given."""
    known = {each.name for each in fields(PreprocessCfg)} - {"size"}  # the architecture has it
    used = asdict(PreprocessCfg(**model.visual.preprocess_cfg))
    return {**config, "preprocess_cfg": {key: used[key] for key in sorted(known)}}


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _tokenizer(folder: Path) -> Callable[[Sequence[str]], Tensor]:
    with quiet():
        found: Callable[[Sequence[str]], Tensor] = open_clip.get_tokenizer(f"{LOCAL}{folder}")
    return found
