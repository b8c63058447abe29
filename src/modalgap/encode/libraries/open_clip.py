"""Models of open_clip: its registry, local checkpoints, and folders in the format of the hub.

Source: https://github.com/mlfoundations/open_clip. This adapter avoids two errors of loading by
name: weights that were trained with QuickGELU always use it, whatever the name of the architecture;
and a local checkpoint uses the preprocessing that all registered weights of its architecture share,
or that of the weights that ``NAME/TAG@PATH`` names.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import _find_checkpoint_in_dir, _get_hf_config
from open_clip.push_to_hf_hub import save_config_for_hf
from open_clip.transform import PreprocessCfg, image_transform_v2
from open_clip.transformer import QuickGELU
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from modalgap._version import __version__
from modalgap.encode.closed import AffineStep
from modalgap.encode.libraries.causal_tower import CausalTextTower
from modalgap.encode.libraries.heads import Head, fold, head_of
from modalgap.encode.libraries.open_clip_towers import image_tower, projected, text_tower
from modalgap.encode.libraries.open_clip_weights import (
    Settings,
    fill,
    fill_foreign,
    is_foreign,
    read_weights,
    registered,
    settings_of,
    shared,
)
from modalgap.encode.quiet import quiet
from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, TextTower
from modalgap.encode.weights import (
    check_preprocessing,
    describe,
    reading_preprocessing,
    reading_weights,
    unavailable,
    weights_hash,
)
from modalgap.errors import FileError, NotApplicable, OptionError, quoted
from modalgap.modality import listed
from modalgap.progress import note

WEIGHTS = "open_clip_model.safetensors"
LOCAL = "local-dir:"  # open_clip's prefix for a folder
PREPROCESSING = ("size", "mean", "std", "interpolation", "resize_mode")


class OpenClipEncoder:
    """A model of open_clip as an ``Encoder``.

    Args:
        model: a model from ``open_clip.create_model``; its image tower holds its preprocessing.
        tokenizer: a tokenizer from ``open_clip.get_tokenizer``.
        spec: the name of the model.
        weights: the origin of the weights.
        config: the architecture, as open_clip's ``model_cfg``; needed only to save the model.
    """

    modalities = ("image", "text")

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        spec: str,
        weights: str,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.config = config
        self.model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.spec = spec
        with reading_preprocessing(spec):
            preprocessing = PreprocessCfg(**self.model.visual.preprocess_cfg)
            self.prepare = image_transform_v2(preprocessing, is_train=False)
            check_preprocessing(self.prepare)
        self._tower = _causal_tower(self.model)
        self._pad = _masked_pad(self.model)
        self.logit_scale = float(self.model.logit_scale.exp())
        self.provenance = {
            "model": spec,
            "weights": weights,
            "weights_hash": weights_hash(model),
            "preprocessing": describe({key: getattr(preprocessing, key) for key in PREPROCESSING}),
            "libraries": f"open_clip {open_clip.__version__}, torch {torch.__version__},"
            f" modalgap {__version__}",
        }
        with torch.inference_mode():
            self.dim = int(self.encode_text(self.tokenize(["a"])).shape[1])

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    def encode_media(self, batch: Tensor) -> Tensor:
        features: Tensor = self.model.encode_image(batch)
        return features

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        ids = self.tokenizer(list(texts))
        context = ids.shape[1]
        if self._tower is not None:
            lengths = _ends(self.model, ids) + 1
        elif self._pad is not None:
            lengths = ((ids != self._pad) * torch.arange(1, context + 1)).amax(1).clamp(min=1)
        else:
            lengths = torch.full((len(ids),), context)
        return Tokens(ids, lengths, self._was_cut(texts, ids))

    def encode_text(self, tokens: Tokens) -> Tensor:
        features: Tensor
        if self._tower is not None:
            features = self._tower(tokens)
        else:
            features = self.model.encode_text(tokens.ids)
        return features

    def projections(self) -> Mapping[str, Tensor] | None:
        text = getattr(self.model, "text", self.model)
        both = (getattr(self.model.visual, "proj", None), getattr(text, "text_projection", None))
        result = {}
        for name, weights in zip(self.modalities, both, strict=True):
            if isinstance(weights, nn.Linear) and weights.bias is None:
                result[name] = weights.weight.detach()
            elif isinstance(weights, Tensor):
                result[name] = weights.detach().T
            else:
                return None
        return result

    def text_tower(self) -> TextTower | None:
        return text_tower(self.model, self.encode_text, self.tokenizer)

    def image_tower(self) -> ImageTower | None:
        return image_tower(self.model, self.prepare(Image.new("RGB", (8, 8)))[None])

    def save_closed(self, steps: Mapping[str, Sequence[AffineStep]], folder: Path) -> None:
        """Save the model with linear maps folded into its projections; see ``heads.fold``."""
        if self.config is None:
            raise NotApplicable(f"{self.spec}: the encoder must know its config to be saved")
        model = copy.deepcopy(self.model)
        width = fold(_heads(model), steps, self.dim, self.spec)
        config = {**self.config, "embed_dim": width}
        if any(isinstance(each, QuickGELU) for each in model.modules()):
            config["quick_gelu"] = True  # its weights may need it though the name does not say so
        tensors = {name: each.contiguous() for name, each in model.state_dict().items()}
        save_file(tensors, folder / WEIGHTS)
        if hasattr(self.tokenizer, "save_pretrained"):
            self.tokenizer.save_pretrained(folder)
        save_config_for_hf(model, folder / "open_clip_config.json", config)

    def _was_cut(self, texts: Sequence[str], ids: Tensor) -> Tensor:
        """Whether each text was truncated: only full contexts are tokenised again."""
        inner = getattr(self.tokenizer, "tokenizer", None)  # of transformers
        pad = 0 if inner is None else inner.pad_token_id
        cut = torch.zeros(len(ids), dtype=torch.bool)
        for row in torch.nonzero((ids[:, -2:] != pad).any(1)).flatten().tolist():
            if inner is None:
                count = len(self.tokenizer.encode(texts[row])) + 2  # start and end
            else:
                with quiet():
                    count = len(inner(texts[row]).input_ids)
            cut[row] = count > ids.shape[1]
        return cut


def _heads(model: Any) -> dict[str, Head | None]:
    """The last linear layers of both towers; None where a tower ends otherwise."""
    visual, text = model.visual, getattr(model, "text", model)
    paths = (("proj",), ("attnpool", "c_proj"), ("head", "proj"), ("head", "mlp", "fc2"))
    image = next((head for path in paths if (head := head_of(visual, *path))), None)
    return {"image": image, "text": head_of(text, "text_projection") or head_of(text, "proj")}


def names() -> list[str]:
    """Every model of the registry with pretrained weights, as ARCHITECTURE/WEIGHTS."""
    return [f"{architecture}/{tag}" for architecture, tag in open_clip.list_pretrained()]


def load(rest: str, spec: str, seed: int) -> OpenClipEncoder:
    """Load ``NAME/TAG``, ``NAME/random``, ``NAME@PATH``, ``NAME/TAG@PATH``, a hub or a folder.

    Raises:
        OptionError: the architecture or the weights do not exist.
        FileError: the folder or the weights are missing, or belong to another model.
    """
    if rest.startswith("hf-hub:"):
        return _load_hub(rest, spec)
    if rest.startswith(LOCAL):
        return _load_folder(Path(rest.removeprefix(LOCAL)).expanduser(), spec)
    if (Path(rest).expanduser() / "open_clip_config.json").is_file():
        return _load_folder(Path(rest).expanduser(), spec)  # its name may contain "@"
    name, at, path = rest.partition("@")
    if (at and not name) or (not at and Path(rest).expanduser().is_dir()):
        return _load_folder(Path(path or rest).expanduser(), spec)
    if at:
        return _load_checkpoint(name, Path(path).expanduser(), spec)
    name, _, tag = rest.rpartition("/")
    if rest.startswith(("/", "~", ".")) or "/" in name or _is_folder(name):
        raise FileError(f"{spec}: no such folder")
    if not name:
        raise OptionError(
            f"model: open_clip needs NAME/TAG, NAME/random, NAME@PATH or NAME/TAG@PATH; got"
            f" {quoted(rest)}; see open_clip.list_pretrained()"
        )
    _check_name(name)
    if tag == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = _untrained(name, spec, shared(name))
        return _encoder(model, name, spec, f"random, seed {seed}")
    return _load_tag(name, tag, spec)


def _load_tag(name: str, tag: str, spec: str) -> OpenClipEncoder:
    quick = _settings(name, tag).quick
    found = open_clip.pretrained.get_pretrained_cfg(name, tag)
    place = found.get("hf_hub", "").rstrip("/") or found.get("url", "")
    how = f"download it on a machine with network, or use open_clip:{name}/{tag}@/path/to/weights"
    with _fetching(spec, f"{place} in the caches of Hugging Face and open_clip", how):
        model = open_clip.create_model(name, pretrained=tag, force_quick_gelu=quick)
    return _encoder(model, name, spec, tag)


def _load_checkpoint(named: str, path: Path, spec: str) -> OpenClipEncoder:
    name, _, tag = named.partition("/")
    _check_name(named if open_clip.get_model_config(name) is None else name)
    settings = _settings(name, tag) if tag else shared(name)
    if not path.is_file():
        raise unavailable(spec, str(path), "use the path of an existing file")
    if is_foreign(path):
        model = _untrained(name, spec, settings)
        with reading_weights(spec, path):
            fill_foreign(model, path)
        return _encoder(model, name, spec, path.name)
    with reading_weights(spec, path):
        stored, openai = read_weights(path)
    if openai:
        settings = replace(settings, quick=True)
    elif not tag:
        _note_others(name, path, spec, settings)
    model = _untrained(name, spec, settings)
    with reading_weights(spec, path):
        fill(model, stored)
    return _encoder(model, name, spec, path.name)


def _settings(name: str, tag: str) -> Settings:
    found = settings_of(name, tag)
    if found is None:
        known = open_clip.pretrained.list_pretrained_tags_by_model(name)
        raise OptionError.unknown(f"weights of {name}", tag, [*known, "random"])
    return found


def _note_others(name: str, path: Path, spec: str, settings: Settings) -> None:
    """Say which registered weights would give other features than these settings."""
    others = [tag for tag, each in registered(name).items() if not each.same(settings)]
    if others:
        activation = "QuickGELU" if settings.quick else "GELU"
        note(
            f"{spec}: loaded with {activation} and the usual preprocessing of {name};"
            f" {listed(others)} need other settings: if the file holds such weights, name them,"
            f" as in open_clip:{name}/{others[0]}@{path}"
        )


def _load_folder(folder: Path, spec: str) -> OpenClipEncoder:
    config = folder / "open_clip_config.json"
    if not config.is_file():
        raise unavailable(spec, str(config), "use a folder in open_clip's format")
    with reading_weights(spec, folder):
        model = open_clip.create_model(
            f"{LOCAL}{folder}", load_weights=False, pretrained_text=False
        )
        weights = _find_checkpoint_in_dir(folder)
        if weights is None:
            raise ValueError("it has no file of weights")
        fill(model, read_weights(Path(weights))[0])
        tokenizer = open_clip.get_tokenizer(f"{LOCAL}{folder}")
    stored = json.loads(config.read_text(encoding="utf-8"))["model_cfg"]
    return OpenClipEncoder(model, tokenizer, spec, folder.name, stored)


def _load_hub(schema: str, spec: str) -> OpenClipEncoder:
    name = schema.removeprefix("hf-hub:")
    how = "download it on a machine with network, or use its folder: open_clip:/path/to/folder"
    with _fetching(spec, f"{name} in the cache of Hugging Face", how):
        model = open_clip.create_model(schema, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(schema)
        config = _get_hf_config(name)["model_cfg"]
    return OpenClipEncoder(model, tokenizer, spec, name, config)


def _untrained(name: str, spec: str, settings: Settings) -> nn.Module:
    how = "download its configuration on a machine with network"
    with _fetching(spec, f"{name}'s towers in the cache of Hugging Face", how):
        made: nn.Module = open_clip.create_model(
            name,
            pretrained_text=False,
            force_quick_gelu=settings.quick,
            force_preprocess_cfg=dict(settings.preprocessing),
        )
    return made


def _encoder(model: nn.Module, name: str, spec: str, weights: str) -> OpenClipEncoder:
    config = open_clip.get_model_config(name) or {}
    wanted = config.get("text_cfg", {}).get("hf_tokenizer_name", name)
    how = "download it on a machine with network"
    with _fetching(spec, f"its tokenizer {wanted} in the cache of Hugging Face", how):
        tokenizer = open_clip.get_tokenizer(name)
    return OpenClipEncoder(model, tokenizer, spec, weights, config)


@contextmanager
def _fetching(spec: str, looked: str, how: str) -> Iterator[None]:
    """Turn every error of a hub or of the network into an error about missing weights."""
    try:
        with quiet():
            yield
    except MemoryError:
        raise
    except Exception as error:
        raise unavailable(spec, f"{looked}, and the network", how, error) from error


def _is_folder(name: str) -> bool:
    """Whether a name that is no architecture is a folder, so that NAME/TAG is a path."""
    return bool(name) and open_clip.get_model_config(name) is None and Path(name).is_dir()


def _check_name(name: str) -> None:
    if open_clip.get_model_config(name) is None:
        raise OptionError.unknown("architecture of open_clip", name, open_clip.list_models())


def _causal_tower(model: Any) -> CausalTextTower | None:
    """The text tower, if truncation is exact: causal, and read at end-of-text."""
    text = getattr(model, "text", model)  # CLIP is its own text tower; CustomTextCLIP has one
    pool = getattr(text, "pool_type", None) or getattr(text, "text_pool_type", None)
    if (
        pool not in ("argmax", "eos")
        or getattr(text, "attn_mask", None) is None
        or getattr(text, "cls_emb", None) is not None
        or getattr(text, "use_pad_mask", False)
    ):
        return None
    blocks = text.transformer
    return CausalTextTower(
        text.token_embedding,
        text.positional_embedding,
        lambda x, mask: blocks(x, attn_mask=mask),
        text.ln_final,
        projected(text.text_projection),
    )


def _ends(model: Any, ids: Tensor) -> Tensor:
    """The position of the feature (b,), by the rule of the tower."""
    text = getattr(model, "text", model)
    ends = ids
    if (getattr(text, "pool_type", None) or text.text_pool_type) == "eos":
        ends = (ids == (text.eos_id if hasattr(text, "eos_id") else text.text_eos_id)).int()
    return ends.argmax(1)


def _masked_pad(model: Any) -> int | None:
    """The padding id, if the tower masks it: a text tower of transformers."""
    text = getattr(model, "text", None)
    if isinstance(text, open_clip.hf_model.HFTextEncoder):
        return int(text.config.pad_token_id)
    return None
