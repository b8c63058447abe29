"""A trainable model of open_clip: build it, rotate its text features, save it as a folder.

The folder has open_clip's format (``open_clip_config.json``, ``open_clip_model.safetensors`` and
the files of the tokenizer). Both modalgap and open_clip load a trained model with
``open_clip:/path/to/folder``.
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
OTHERS = "other_towers"
CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


@dataclass(frozen=True, eq=False)
class Trainable:
    """A model in training.

    Attributes:
        model: the open_clip model; ``logit_scale`` holds log 1/τ, ``logit_bias`` SigLIP's bias or
            None.
        config: the contents of ``open_clip_config.json``.
        tokenizer: maps texts to ids (b, l).
        files: the files of the tokenizer, by name.
    """

    model: nn.Module
    config: Mapping[str, Any]
    tokenizer: Callable[[Sequence[str]], Tensor]
    files: Mapping[str, bytes]

    @property
    def preprocessing(self) -> PreprocessCfg:
        """Size, mean, standard deviation and resize mode."""
        return PreprocessCfg(**self.model.visual.preprocess_cfg)  # type: ignore[union-attr, arg-type]

    @property
    def dim(self) -> int:
        """Width of the features."""
        return int(self.config["model_cfg"]["embed_dim"])

    def add_tower(self, name: str, tower: nn.Module) -> None:
        """Add the tower of a further modality: it is trained and saved with the model.

        Args:
            name: the modality.
            tower: maps its inputs to features (b, d).
        """
        self.model.add_module(OTHERS, nn.ModuleDict({**other_towers(self.model), name: tower}))

    def prepare(self, *, augment: bool = False) -> Callable[[Any], Tensor]:
        """A function from an RGB image to a tower's input; with ``augment``, a random crop."""
        result: Callable[[Any], Tensor] = image_transform_v2(
            self.preprocessing, is_train=augment, aug_cfg=AugmentationCfg() if augment else None
        )
        return result

    def prepare_view(self) -> Callable[[Any], Tensor]:
        """A function from an RGB image to a SimCLR view of it (Chen et al. 2020, appendix A)."""
        like = self.preprocessing
        side = like.size if isinstance(like.size, int) else like.size[0]
        result: Callable[[Any], Tensor] = transforms.Compose(
            [
                transforms.RandomResizedCrop(side, scale=(0.08, 1.0)),
                transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
                transforms.RandomGrayscale(p=0.2),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(like.mean, like.std),
            ]
        )
        return result

    def turn_texts(self, turn: Tensor) -> None:
        """Replace every text feature y by ``turn`` y, through the weights of the last layer.

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
        """Write the folder atomically; replace an existing folder.

        The tower of a further modality is a file of its own, ``NAME.safetensors``.

        Raises:
            OutputError: the folder cannot be written.
        """
        part = folder.with_name(f".modalgap-{folder.name}.part")
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            (part / CONFIG).write_text(json.dumps(self.config, indent=1), encoding="utf-8")
            for name, data in self.files.items():
                (part / name).write_bytes(data)
            tensors = {
                key: each.contiguous()
                for key, each in self.model.state_dict().items()
                if not key.startswith(f"{OTHERS}.")
            }
            save_file(tensors, part / WEIGHTS)
            for name, tower in other_towers(self.model).items():
                own = {key: each.contiguous() for key, each in tower.state_dict().items()}
                save_file(own, part / f"{name}.safetensors")
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        except Exception as error:  # safetensors raises its own errors for a full disk
            shutil.rmtree(part, ignore_errors=True)
            raise OutputError(f"{folder}: cannot be written ({error})") from error


def other_towers(model: nn.Module) -> dict[str, nn.Module]:
    """Name to the tower of each further modality of a model; empty for most models."""
    return dict(getattr(model, OTHERS, {}))


def own_architectures() -> list[str]:
    """Names of the small architectures in this package."""
    return sorted(path.stem for path in OWN.glob("*.json"))


def build(
    architecture: str | Mapping[str, Any],
    *,
    words: Sequence[str] | Callable[[], Sequence[str]] | None = None,
    seed: int = 0,
) -> Trainable:
    """Build an untrained model.

    Args:
        architecture: a name from open_clip or from ``own_architectures()``; the path of a JSON
            file in open_clip's format; or the contents of such a file.
        words: the vocabulary, for an architecture whose ``hf_tokenizer_name`` is "words"; or a
            function that finds it, which is called for such an architecture only.
        seed: seed of the weights.

    Raises:
        OptionError: the architecture does not exist, or open_clip cannot build it.
        FileError: its tokenizer does not exist and cannot be fetched.
    """
    config, label = _config(architecture)
    model_cfg = config["model_cfg"]
    text = model_cfg.setdefault("text_cfg", {})
    for key in ("vision_cfg", "text_cfg"):
        if not isinstance(model_cfg.get(key), dict):
            raise OptionError(f"architecture {quoted(label)}: {key} must be a mapping")
    with tempfile.TemporaryDirectory(prefix="modalgap-") as made:
        folder = Path(made)
        wordy = text.get("hf_tokenizer_name") == "words"
        if wordy:
            known = words() if callable(words) else words
            if not known:
                raise OptionError(
                    f"architecture {quoted(label)}: reads whole words, and needs captions with"
                    " words; use small_vit, or an architecture of open_clip such as ViT-B-32"
                )
            text["vocab_size"] = size_of(known)
            write_tokenizer(known, folder)
        elif "hf_tokenizer_name" in text:
            with _fetching(
                label, text["hf_tokenizer_name"], "download it on a machine with network"
            ):
                HFTokenizer(text["hf_tokenizer_name"]).save_pretrained(str(folder))
        files = _files(folder)
        (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
        try:
            with quiet(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = open_clip.create_model(
                    f"{LOCAL}{folder}", load_weights=False, pretrained_text=False
                )
        except Exception as error:  # open_clip raises any error of its parts
            reason = " ".join(str(error).split())[:160]
            raise OptionError(
                f"architecture {quoted(label)}: open_clip cannot build it ({reason})"
            ) from (error)
        tokenizer = _tokenizer(folder)
        try:
            with torch.inference_mode():
                model.encode_text(tokenizer(["a"]))
        except Exception as error:  # a tower can fail in many ways on ids out of its vocabulary
            reason = " ".join(str(error).split())[:160]
            raise OptionError(
                f"architecture {quoted(label)}: its text tower cannot read its tokenizer's tokens"
                f" ({reason})"
            ) from error
    return Trainable(model, _whole(config, model), tokenizer, files)


def resume_from(spec: str, *, seed: int = 0) -> Trainable:
    """Load a trained model of open_clip, to continue training.

    Args:
        spec: as for ``load_model``: ``open_clip:NAME/TAG``, ``open_clip:/path/to/folder``, …
        seed: seed of the weights of a model named ``random``.

    Raises:
        OptionError: another library, or an unknown name.
        FileError: weights that do not exist, or belong to another model.
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
            raise OptionError(f"start: open_clip does not list the architecture of {quoted(spec)}")
        quick = any(type(each).__name__ == "QuickGELU" for each in encoder.model.modules())
        config = {"model_cfg": {**model_cfg, "quick_gelu": quick}}
    with tempfile.TemporaryDirectory(prefix="modalgap-") as made:
        if hasattr(encoder.tokenizer, "save_pretrained"):
            encoder.tokenizer.save_pretrained(made)
        files = _files(Path(made))
    return Trainable(encoder.model, _whole(config, encoder.model), encoder.tokenizer, files)


def _config(architecture: str | Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The contents of a configuration file, and its name for messages."""
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
        raise FileError(f"{path}: must be a JSON configuration of open_clip") from error
    return _wrapped(found, str(path)), architecture


def _wrapped(found: object, name: str) -> dict[str, Any]:
    found = json.loads(json.dumps(found))  # a copy of plain JSON types
    if isinstance(found, dict) and "model_cfg" not in found:
        found = {"model_cfg": found}
    if not isinstance(found, dict) or not isinstance(found["model_cfg"], dict):
        raise OptionError(f"architecture {quoted(name)}: must be a mapping with model_cfg")
    return found


def _whole(config: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """The configuration, completed with the preprocessing of the model."""
    known = {each.name for each in fields(PreprocessCfg)} - {"size"}  # in the architecture
    used = asdict(PreprocessCfg(**model.visual.preprocess_cfg))
    return {**config, "preprocess_cfg": {key: used[key] for key in sorted(known)}}


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _tokenizer(folder: Path) -> Callable[[Sequence[str]], Tensor]:
    with quiet():
        result: Callable[[Sequence[str]], Tensor] = open_clip.get_tokenizer(f"{LOCAL}{folder}")
    return result
