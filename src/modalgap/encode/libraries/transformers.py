"""Models of transformers: CLIP, SigLIP and SigLIP 2, ALIGN, AltCLIP, Chinese-CLIP and CLAP.

Source: https://github.com/huggingface/transformers. Traps of the library are taken care of. It
makes up weights that a checkpoint lacks; here they stop the loading. It may read images with
torchvision; here with PIL, as open_clip does. It cuts long sounds at random; here the beginning
counts. SigLIP was trained on small letters and with no attention mask; only some of its tokenizers
know.
"""

from __future__ import annotations

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
from modalgap.encode.libraries.causal_tower import CausalTextTower
from modalgap.encode.libraries.sentence_transformers_folder import clip_folder
from modalgap.encode.libraries.transformers_media import filling, prepared, preprocessing
from modalgap.encode.libraries.transformers_towers import PATCHED, image_tower, text_tower
from modalgap.encode.quiet import quiet
from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, TextTower
from modalgap.encode.weights import describe, reading_weights, unavailable, weights_hash
from modalgap.errors import InputError, OptionError, quoted

hf: Any = transformers  # half of it has types, which is too little for a strict check


@dataclass(frozen=True)
class Family:
    """What must be known of a model and does not stand in its configuration.

    Attributes:
        padding: what padding does to the feature of a text. "causal": nothing, the tower reads at
            end-of-text and looks back. "masked": nothing, attention leaves it out. "seen": it takes
            part, as it did in training.
        scale: what a model multiplies cosines with.
        context: the most tokens its own processor takes, where there are more positions than that.
        offset: whether positions begin after the id that pads, as in RoBERTa.
    """

    padding: Literal["causal", "masked", "seen"]
    scale: Callable[[Any], Tensor] = lambda model: model.logit_scale.exp()
    context: int = 2**31
    offset: bool = False


FAMILIES: Mapping[str, Family] = {
    "align": Family("masked", lambda model: 1 / model.temperature, context=64),
    "altclip": Family("masked", offset=True),
    "chinese_clip": Family("masked"),
    # CLAP learns one scale for each direction; this one is of sounds in search of texts
    "clap": Family("masked", lambda model: model.logit_scale_a.exp(), offset=True),
    "clip": Family("causal"),
    "siglip": Family("seen"),
    "siglip2": Family("seen"),
}


class TransformersEncoder:
    """A model of transformers behind the ``Encoder`` protocol.

    CLAP's features come normalised; the others as their towers give them.

    Args:
        model: one of the ``FAMILIES``.
        tokenizer: as ``AutoTokenizer`` makes it.
        processor: an image processor on PIL, or CLAP's feature extractor.
        spec: what was asked for.
        weights: where the weights come from.
    """

    def __init__(self, model: Any, tokenizer: Any, processor: Any, spec: str, weights: str) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.spec = spec
        self.kind: str = model.config.model_type
        self.modalities = ("audio" if self.kind == "clap" else "image", "text")
        self.prepare = prepared(self.kind, processor)
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
            # where no sound is too long, the library says so of one that it draws at random
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

    def _was_cut(self, texts: Sequence[str], real: Tensor) -> Tensor:
        """Which texts lost their end: only those that fill the context are tokenised again."""
        cut = torch.zeros(len(real), dtype=torch.bool)
        for row in torch.nonzero(real == self._context).flatten().tolist():
            with quiet():
                cut[row] = len(self.tokenizer(texts[row]).input_ids) > self._context
        return cut


def load(rest: str, spec: str, seed: int) -> TransformersEncoder:
    """The encoder for ``ORG/NAME`` or a folder, either with ``/random`` for untrained weights.

    Raises:
        OptionError: not a name, or a model that is not one of the ``FAMILIES``.
        FileError: something is not there, or is not of this model.
        InputError: its tokenizer needs a library that is not installed.
    """
    source = rest.removesuffix("/random")
    if (Path(rest).expanduser() / "config.json").is_file():  # a folder that is called random
        source = rest
    folder = Path(source).expanduser()
    local = folder.is_dir()
    if local:
        folder, named = clip_folder(folder, spec), folder
        found_in, how = str(folder), "give a folder as transformers saves it"
    elif re.fullmatch(r"\w[\w.-]*/[\w.-]+", source):
        found_in = f"{source} in the cache of Hugging Face, and in the network"
        how = "fetch it where there is one, or give its folder: hf:/path/to/folder"
    elif "/" in source:
        raise unavailable(spec, source, "give a folder that exists")
    else:
        raise OptionError(f"model: hf needs ORG/NAME, or a folder; got {quoted(rest)}")
    place = str(folder) if local else source
    with _finding(spec, f"config.json of {found_in}", how):
        said = hf.PretrainedConfig.get_config_dict(place)[0]
        if not said:  # up to version 4 this was an error of the library
            raise FileNotFoundError("there is none")
        kind = said.get("model_type")
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
            with _silent(), reading_weights(spec, place):
                model = hf.AutoModel.from_config(config, trust_remote_code=False)
        weights = f"random, seed {seed}"
    else:
        with _silent(), reading_weights(spec, place) if local else _finding(spec, found_in, how):
            model = _read(place, config)
        weights = _called(folder, named) if local else _with_commit(source)
    with reading_weights(spec, place):
        # half precision on the disk saves space there; the towers compute in float32
        return TransformersEncoder(model.float(), tokenizer, processor, spec, weights)


def _read(place: str, config: Any) -> Any:
    """The model, from safetensors where there are any, else from what unpickles to mere tensors."""
    model, found = hf.AutoModel.from_pretrained(
        place,
        config=config,
        trust_remote_code=False,
        weights_only=True,
        ignore_mismatched_sizes=True,  # they are found below, with their names
        output_loading_info=True,
    )
    for name, stored, wanted in sorted(found["mismatched_keys"]):
        raise ValueError(f"{name} must be {tuple(wanted)}; is {tuple(stored)}")
    # integers are positions, which the library counts by itself
    learned = {name for name, value in model.state_dict().items() if value.is_floating_point()}
    missing = sorted(learned.intersection(found["missing_keys"]))
    if missing:
        raise ValueError(f"{len(missing)} of {len(learned)} are missing, such as {missing[0]}")
    return model


def _with_commit(name: str) -> str:
    """The name of a model in the hub, and the commit that its cache holds."""
    path = try_to_load_from_cache(name, "config.json")
    return f"{name} at {Path(path).parent.name}" if isinstance(path, str) else name


def _called(folder: Path, named: Path) -> str:
    """The name of a folder, below that of the one that the user named."""
    return named.name if folder == named else f"{named.name}/{folder.name}"


def _processor(kind: str, place: str) -> Any:
    if kind == "clap":
        return hf.AutoFeatureExtractor.from_pretrained(place, trust_remote_code=False)
    five = int(hf.__version__.split(".")[0]) >= 5
    pil: dict[str, Any] = {"backend": "pil"} if five else {"use_fast": False}
    return hf.AutoImageProcessor.from_pretrained(place, trust_remote_code=False, **pil)


@contextmanager
def _finding(spec: str, looked: str, how: str) -> Iterator[None]:
    """Hubs and folders fail in many ways; all of them mean that something is not there."""
    try:
        with _silent():
            yield
    except MemoryError:
        raise
    except ImportError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{spec}: {looked} needs a library that is missing ({reason})") from error
    except Exception as error:
        raise unavailable(spec, looked, how, error) from error


@contextmanager
def _silent() -> Iterator[None]:
    """``quiet``, and no progress bars of the library inside the block."""
    bars = hf.utils.logging.is_progress_bar_enabled()
    hf.utils.logging.disable_progress_bar()
    try:
        with quiet():
            yield
    finally:
        if bars:
            hf.utils.logging.enable_progress_bar()


def _features(found: Any) -> Tensor:
    """Features out of what a tower gives: themselves up to version 4, among others since then."""
    features: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return features


def _first(lengths: Tensor, width: int) -> Tensor:
    """A mask (b, width) with ones at the first ``lengths`` of each row."""
    return (torch.arange(width, device=lengths.device) < lengths[:, None]).int()


def _context(config: Any, tokenizer: Any, family: Family) -> int:
    """The most tokens that positions, tokenizer and processor all allow."""
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
    """Where CLIP reads its feature (b,), by the rule of the library."""
    if config.eos_token_id == 2:  # a wrong value in old configurations: then at the highest id
        return ids.argmax(1)
    ends: Tensor = (ids == config.eos_token_id).int().argmax(1)
    return ends
