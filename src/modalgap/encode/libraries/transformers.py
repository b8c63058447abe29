"""Models of transformers: CLIP, SigLIP and SigLIP 2, ALIGN, AltCLIP, Chinese-CLIP and CLAP.

Source: https://github.com/huggingface/transformers. This adapter avoids four errors of the library.
Transformers initialises missing weights at random; here they raise an error. It may read images
with torchvision; here with PIL, as open_clip. It crops long sounds at random; here the beginning is
used. SigLIP was trained on lower case and without an attention mask; only some of its tokenizers do
this.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from huggingface_hub import try_to_load_from_cache
from PIL import Image
from torch import Tensor

from modalgap._version import __version__
from modalgap.encode.closed import AffineStep
from modalgap.encode.libraries.causal_tower import CausalTextTower
from modalgap.encode.libraries.heads import Head, fold, head_of
from modalgap.encode.libraries.sentence_transformers_folder import clip_folder
from modalgap.encode.libraries.transformers_loading import check_complete, silent
from modalgap.encode.libraries.transformers_media import filling, prepared, preprocessing
from modalgap.encode.libraries.transformers_towers import PATCHED, image_tower, text_tower
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
from modalgap.errors import InputError, NotApplicable, OptionError, quoted

hf: Any = transformers  # only half of it has types, which fails a strict check


@dataclass(frozen=True)
class Family:
    """Facts of a model family that its configuration does not contain.

    Attributes:
        padding: effect of padding on the feature of a text. "causal": none, the tower reads at
            end-of-text and attends to earlier positions. "masked": none, attention masks it.
            "seen": padding affects the feature, as in training.
        scale: the factor of the cosines.
        context: the maximum number of tokens of the processor, if lower than the positions.
        offset: whether positions start after the padding id, as in RoBERTa.
    """

    padding: Literal["causal", "masked", "seen"]
    scale: Callable[[Any], Tensor] = lambda model: model.logit_scale.exp()
    context: int = 2**31
    offset: bool = False


FAMILIES: Mapping[str, Family] = {
    "align": Family("masked", lambda model: 1 / model.temperature, context=64),
    "altclip": Family("masked", offset=True),
    "chinese_clip": Family("masked"),
    # CLAP learns one scale per direction; this one is for audio queries of texts
    "clap": Family("masked", lambda model: model.logit_scale_a.exp(), offset=True),
    "clip": Family("causal"),
    "siglip": Family("seen"),
    "siglip2": Family("seen"),
}


PROJECTED = ("clip", "altclip", "chinese_clip")  # both towers end in a projection without bias


class TransformersEncoder:
    """A model of transformers as an ``Encoder``.

    CLAP's features are normalised; other features are the direct output of the towers.

    Args:
        model: a model of one of the ``FAMILIES``.
        tokenizer: a tokenizer from ``AutoTokenizer``.
        processor: an image processor with PIL, or CLAP's feature extractor.
        spec: the name of the model.
        weights: the origin of the weights.
    """

    def __init__(self, model: Any, tokenizer: Any, processor: Any, spec: str, weights: str) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.spec = spec
        self.kind: str = model.config.model_type
        self.modalities = ("audio" if self.kind == "clap" else "image", "text")
        self.prepare = prepared(self.kind, processor)
        if "image" in self.modalities:
            with reading_preprocessing(spec):
                check_preprocessing(self.prepare)
        self._processor = processor
        self._family = FAMILIES[self.kind]
        self._context = _context(model.config.text_config, tokenizer, self._family)
        self._tower = _causal_tower(model) if self._family.padding == "causal" else None
        self.logit_scale = float(self._family.scale(model))
        self.provenance = {
            "model": spec,
            "weights": weights,
            "weights_hash": weights_hash(model),
            "preprocessing": describe(preprocessing(processor)),
            "libraries": f"transformers {hf.__version__}, torch {torch.__version__},"
            f" modalgap {__version__}",
        }
        with torch.inference_mode():
            self.dim = int(self.encode_text(self.tokenize(["a"])).shape[1])

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    def encode_media(self, batch: Tensor) -> Tensor:
        if self.kind == "clap":
            # if no sound is too long, the library marks a random one as too long
            longer = torch.zeros(len(batch), 1, dtype=torch.bool, device=batch.device)
            return _features(self.model.get_audio_features(batch, is_longer=longer))
        if self.kind == "siglip2":
            patches, shapes = batch[:, :-1], batch[:, -1, :2].long()
            mask = _first(shapes.prod(1), patches.shape[1])
            return _features(self.model.get_image_features(patches, mask, shapes))
        return _features(self.model.get_image_features(batch))

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        padding = self._family.padding
        small = padding == "seen" and self.tokenizer.init_kwargs.get("do_lower_case", True)
        texts = [text.lower() if small else text for text in texts]
        found = self.tokenizer(
            texts,
            padding="max_length",
            padding_side="right",
            truncation=True,
            max_length=self._context,
            return_attention_mask=True,
            return_tensors="pt",
        )
        ids, real = found["input_ids"], found["attention_mask"].sum(1)
        cut = self._was_cut(texts, real)
        if padding == "causal":
            lengths = _ends(self.model.config.text_config, ids) + 1
        else:
            lengths = real if padding == "masked" else torch.full_like(real, ids.shape[1])
        return Tokens(ids, lengths, cut)

    def encode_text(self, tokens: Tokens) -> Tensor:
        if self._tower is not None:
            return self._tower(tokens)
        masked = self._family.padding == "masked"
        mask = _first(tokens.lengths, tokens.ids.shape[1]) if masked else None
        return _features(self.model.get_text_features(tokens.ids, attention_mask=mask))

    def projections(self) -> Mapping[str, Tensor] | None:
        if self.kind != "clip":
            return None
        both = (self.model.visual_projection, self.model.text_projection)
        return {
            name: layer.weight.detach() for name, layer in zip(self.modalities, both, strict=True)
        }

    def text_tower(self) -> TextTower | None:
        return text_tower(self.model, self.encode_text, self._context, self.tokenizer)

    def image_tower(self) -> ImageTower | None:
        if self.kind not in PATCHED:
            return None
        blank = self.prepare(Image.new("RGB", filling(self._processor)))[None]
        return image_tower(self.model, self.encode_media, blank)

    def save_closed(self, steps: Mapping[str, Sequence[AffineStep]], folder: Path) -> None:
        """Save the model with linear maps folded into its projections; see ``heads.fold``."""
        model = copy.deepcopy(self.model)
        heads = dict(zip(self.modalities, _heads(model, self.kind), strict=True))
        width = fold(heads, steps, self.dim, self.spec)
        if width != self.dim:
            if self.kind not in PROJECTED:
                raise NotApplicable(
                    f"{self.spec}: the map must not change the width of a model of type"
                    f" {self.kind}; it gives {width} of {self.dim} columns"
                )
            config = model.config
            for each in (config, config.text_config, config.vision_config):
                each.projection_dim = width
        with silent():
            model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            self._processor.save_pretrained(folder)

    def _was_cut(self, texts: Sequence[str], real: Tensor) -> Tensor:
        """Whether each text was truncated: only full contexts are tokenised again."""
        cut = torch.zeros(len(real), dtype=torch.bool)
        for row in torch.nonzero(real == self._context).flatten().tolist():
            with quiet():
                cut[row] = len(self.tokenizer(texts[row]).input_ids) > self._context
        return cut


def load(rest: str, spec: str, seed: int) -> TransformersEncoder:
    """Load the encoder ``ORG/NAME`` or a folder, with ``/random`` for untrained weights.

    Raises:
        OptionError: not a name, or a model outside the ``FAMILIES``.
        FileError: a file is missing, or belongs to another model.
        InputError: the tokenizer needs a library that is not installed.
    """
    source = rest.removesuffix("/random")
    if (Path(rest).expanduser() / "config.json").is_file():  # a folder with the name "random"
        source = rest
    folder = Path(source).expanduser()
    local = folder.is_dir()
    if local:
        folder, named = clip_folder(folder, spec), folder
        found_in, how = str(folder), "use a folder in the format of transformers"
    elif re.fullmatch(r"\w[\w.-]*/[\w.-]+", source):
        found_in = f"{source} in the cache of Hugging Face, and the network"
        how = "download it on a machine with network, or use its folder: hf:/path/to/folder"
    elif "/" in source:
        raise unavailable(spec, source, "use an existing folder")
    else:
        raise OptionError(f"model: hf needs ORG/NAME, or a folder; got {quoted(rest)}")
    place = str(folder) if local else source
    with _finding(spec, f"config.json of {found_in}", how):
        config_dict = hf.PretrainedConfig.get_config_dict(place)[0]
        if not config_dict:  # an error of the library up to version 4
            raise FileNotFoundError("it does not exist")
        kind = config_dict.get("model_type")
    if kind not in FAMILIES:
        raise OptionError(
            f"{spec}: model_type must be one of {', '.join(FAMILIES)}; got {quoted(kind)}"
        )
    with _finding(spec, f"configuration, tokenizer and preprocessing of {found_in}", how):
        config = hf.AutoConfig.from_pretrained(place, trust_remote_code=False)
        tokenizer = hf.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        processor = _processor(kind, place)
    if source != rest:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            with silent(), reading_weights(spec, place):
                model = hf.AutoModel.from_config(config, trust_remote_code=False)
        weights = f"random, seed {seed}"
    else:
        with silent(), reading_weights(spec, place) if local else _finding(spec, found_in, how):
            model = _read(place, config)
        weights = _relative_name(folder, named) if local else _with_commit(source)
    with reading_weights(spec, place):
        # weights may be stored in half precision; the towers compute in float32
        return TransformersEncoder(model.float(), tokenizer, processor, spec, weights)


def _read(place: str, config: Any) -> Any:
    """The model, from safetensors if available, else from a weights-only pickle."""
    model, found = hf.AutoModel.from_pretrained(
        place,
        config=config,
        trust_remote_code=False,
        weights_only=True,
        ignore_mismatched_sizes=True,  # they raise an error below, with their names
        output_loading_info=True,
    )
    check_complete(model, found)
    return model


def _with_commit(name: str) -> str:
    """The name of a model on the hub, and the commit in the cache."""
    path = try_to_load_from_cache(name, "config.json")
    return f"{name} at {Path(path).parent.name}" if isinstance(path, str) else name


def _relative_name(folder: Path, named: Path) -> str:
    """The name of a folder, relative to the parent of the folder that the user named."""
    return named.name if folder == named else f"{named.name}/{folder.name}"


def _processor(kind: str, place: str) -> Any:
    if kind == "clap":
        return hf.AutoFeatureExtractor.from_pretrained(place, trust_remote_code=False)
    five = int(hf.__version__.split(".")[0]) >= 5
    pil: dict[str, Any] = {"backend": "pil"} if five else {"use_fast": False}
    return hf.AutoImageProcessor.from_pretrained(place, trust_remote_code=False, **pil)


@contextmanager
def _finding(spec: str, looked: str, how: str) -> Iterator[None]:
    """Turn every error of a hub or folder into an error about missing files."""
    try:
        with silent():
            yield
    except MemoryError:
        raise
    except ImportError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{spec}: {looked} needs a library that is missing ({reason})") from error
    except Exception as error:
        raise unavailable(spec, looked, how, error) from error


def _heads(model: Any, kind: str) -> tuple[Head | None, Head | None]:
    """The last linear layers of the tower of media and of that of texts, if they are linear."""
    if kind in PROJECTED:
        return head_of(model, "visual_projection"), head_of(model, "text_projection")
    if kind == "clap":
        return head_of(model, "audio_projection", "linear2"), head_of(
            model, "text_projection", "linear2"
        )
    if kind == "align":
        return None, head_of(model, "text_projection")
    return None, head_of(model, "text_model", "head")  # SigLIP's images end in attention pooling


def _features(found: Any) -> Tensor:
    """The features in a tower's output: the output itself up to version 4, a field of it later."""
    features: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return features


def _first(lengths: Tensor, width: int) -> Tensor:
    """A mask (b, width) with ones at the first ``lengths`` of each row."""
    return (torch.arange(width, device=lengths.device) < lengths[:, None]).int()


def _context(config: Any, tokenizer: Any, family: Family) -> int:
    """The maximum number of tokens of positions, tokenizer and processor."""
    positions = config.max_position_embeddings
    if family.offset:
        positions -= config.pad_token_id + 1
    return int(min(positions, tokenizer.model_max_length, family.context))


def _causal_tower(model: Any) -> CausalTextTower:
    text = model.text_model
    return CausalTextTower(
        text.embeddings.token_embedding,
        text.embeddings.position_embedding.weight,
        lambda x, mask: text.encoder(inputs_embeds=x, attention_mask=mask[None, None])[0],
        text.final_layer_norm,
        model.text_projection,
    )


def _ends(config: Any, ids: Tensor) -> Tensor:
    """The position of CLIP's feature (b,), by the rule of the library."""
    if config.eos_token_id == 2:  # a wrong value in old configurations: use the highest id
        return ids.argmax(1)
    ends: Tensor = (ids == config.eos_token_id).int().argmax(1)
    return ends
