"""Models of sentence-transformers: texts; images and texts; LLM-based embedders of several kinds.

Source: https://github.com/huggingface/sentence-transformers. Features are those of the library's
``encode`` in float32, with the default prompt of the model if it has one. This adapter avoids five
errors of the library: weights that a file lacks are initialised at random; a text that is the
address or the path of an image is read as the image; code in a folder may be run, and weights may
be unpickled (``sentence_transformers_checks``); and models whose texts are padded to the longest
of a batch without a mask (SigLIP) give rows that depend on the batch: they are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sentence_transformers
import torch
from huggingface_hub import snapshot_download
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modality import infer_modality
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor

from modalgap._version import __version__
from modalgap.encode.closed import AffineStep
from modalgap.encode.libraries.sentence_transformers_checks import NEEDLESS, check_folder
from modalgap.encode.libraries.sentence_transformers_media import Stored, items_of
from modalgap.encode.libraries.sentence_transformers_modules import closed_model
from modalgap.encode.libraries.transformers_loading import check_complete, hf, silent
from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, TextTower
from modalgap.encode.weights import describe, reading_weights, unavailable, weights_hash
from modalgap.errors import InputError, OptionError, quoted, reason
from modalgap.progress import note

ORDER = ("image", "audio", "text")  # media that sources hold; the library's video is not among them
PREPROCESSING = ("size", "crop_size", "image_mean", "image_std", "resample", "sampling_rate")


class SentenceTransformersEncoder:
    """A ``SentenceTransformer`` as an ``Encoder``.

    Args:
        model: the model; its weights become float32.
        spec: the name of the model.
        weights: the origin of the weights.

    Raises:
        OptionError: the model takes none of image, audio and text, or draws parts of sounds.
    """

    def __init__(self, model: SentenceTransformer, spec: str, weights: str) -> None:
        self.model: Any = model.float().eval().requires_grad_(False)
        self.spec = spec
        accepted = list(model.modalities)
        self.modalities = tuple(each for each in ORDER if each in accepted)
        if not self.modalities:
            raise OptionError(f"{spec}: must take {', '.join(ORDER)}; takes {quoted(accepted)}")
        self._accepted: list[Any] = [each for each in accepted if isinstance(each, str)]
        self._processor = getattr(model[0], "processor", None)
        self.prepare = _media(self._processor, spec)
        inner = getattr(model, "transformers_model", None)
        scale = getattr(inner, "logit_scale", None)
        self.logit_scale = float(scale.exp()) if isinstance(scale, Tensor) else None
        prompt: str = self.model.prompts.get(self.model.default_prompt_name or "") or ""
        self._known: list[Any] = []
        self._extra = self._further_tokens(prompt) if "text" in self.modalities else None
        self.provenance = {
            "model": spec,
            "weights": weights,
            "weights_hash": weights_hash(model),
            "preprocessing": describe(_preprocessing(self._processor) | {"prompt": repr(prompt)}),
            "libraries": f"sentence-transformers {sentence_transformers.__version__},"
            f" transformers {hf.__version__}, torch {torch.__version__}, modalgap {__version__}",
        }
        dim = self._text_width() if "text" in self.modalities else model.get_embedding_dimension()
        self.dim = int(dim or 0)

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    def encode_media(self, batch: Tensor) -> Tensor:
        return self._encode(items_of(batch))

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        # the library takes texts, so their positions serve as tokens
        self._known = [self._as_text(text) for text in texts]
        cut = torch.tensor([self._is_cut(text) for text in texts], dtype=torch.bool)
        ones = torch.ones(len(texts), dtype=torch.int64)
        return Tokens(torch.arange(len(texts))[:, None], ones, cut)

    def encode_text(self, tokens: Tokens) -> Tensor:
        return self._encode([self._known[i] for i in tokens.ids[:, 0].tolist()])

    def projections(self) -> Mapping[str, Tensor] | None:
        return None

    def text_tower(self) -> TextTower | None:
        return None

    def image_tower(self) -> ImageTower | None:
        return None

    def save_closed(self, steps: Mapping[str, Sequence[AffineStep]], folder: Path) -> None:
        """Save the model with the map as modules of the library itself; see ``closed_model``."""
        # a tokenizer stores its last truncation, which the processor of a loaded CLAP would apply
        # to sounds
        inner = getattr(self.model.tokenizer, "backend_tokenizer", None)
        if inner is not None:
            inner.no_truncation()
            inner.no_padding()
        with silent():
            closed_model(self.model, steps, self.spec).save_pretrained(
                str(folder), create_model_card=False
            )

    def _encode(self, items: list[Any]) -> Tensor:
        try:
            with silent():
                found: Tensor = self.model.encode(
                    items, batch_size=len(items), convert_to_tensor=True, show_progress_bar=False
                )
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise InputError(f"{self.spec}: cannot encode a batch ({reason(error)})") from error
        return found

    def _text_width(self) -> int:
        """The width of the features, from two texts; they must not depend on each other."""
        alone, both = self._encode(["a"]), self._encode(["a", "a much longer text " * 3])
        if not torch.allclose(alone[0], both[0], rtol=1e-3, atol=1e-3 * float(alone.abs().max())):
            raise OptionError(
                f"{self.spec}: the features of a text depend on the other texts of its batch,"
                " because they are padded without a mask; use hf:, or set the padding of texts to"
                " max_length (processing_kwargs in sentence_bert_config.json)"
            )
        return int(alone.shape[1])

    def _as_text(self, text: str) -> Any:
        """A text that the library takes as a text, also if it is the address of an image."""
        return text if infer_modality(text, self._accepted) == "text" else {"text": text}

    def _further_tokens(self, prompt: str) -> int | None:
        """The tokens that the library adds to those of a text; None if it has no tokenizer."""
        tokenizer = self.model.tokenizer
        if not isinstance(tokenizer, hf.PreTrainedTokenizerBase):
            return None
        with silent():
            if "message" in self._accepted:  # texts become chats
                ids = self.model.preprocess(["a"], prompt=prompt or None)["input_ids"][0]
            else:
                ids = tokenizer(f"{prompt}a").input_ids
        return len(ids) - self._count("a")

    def _count(self, text: str) -> int:
        with silent():
            return len(self.model.tokenizer(text, add_special_tokens=False).input_ids)

    def _is_cut(self, text: str) -> bool:
        most = self.model.max_seq_length
        if self._extra is None or most is None or most == math.inf:
            return False
        if len(text.encode()) + self._extra <= most:  # a token has at least one byte
            return False
        return bool(self._count(text) + self._extra > most)


def load(rest: str, spec: str, _seed: int) -> SentenceTransformersEncoder:
    """Load the encoder ``ORG/NAME``, ``NAME`` of the library's own models, or a folder.

    Raises:
        OptionError: not a name, or a model of another kind.
        FileError: a file is missing, is not safetensors, or belongs to another model.
    """
    folder = Path(rest).expanduser()
    if folder.is_dir():
        weights = folder.name
    elif re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", rest):
        folder = _fetched(rest if "/" in rest else f"sentence-transformers/{rest}", spec)
        weights = f"{rest} at {folder.name}"
    elif "/" in rest:
        raise unavailable(spec, rest, "use an existing folder")
    else:
        raise OptionError(f"model: st needs NAME, ORG/NAME, or a folder; got {quoted(rest)}")
    check_folder(folder, spec)
    with silent(), reading_weights(spec, folder), _complete():
        model = SentenceTransformer(
            str(folder),
            device="cpu",
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    if not (folder / "modules.json").is_file() and isinstance(model[-1], Pooling):
        note(f"{spec}: has no modules.json; the library averages its token embeddings")
    with reading_weights(spec, folder):
        return SentenceTransformersEncoder(model, spec, weights)


def _fetched(name: str, spec: str) -> Path:
    how = "download it on a machine with network, or use its folder: st:/path/to/folder"
    try:
        with silent():
            return Path(snapshot_download(name, ignore_patterns=list(NEEDLESS)))
    except MemoryError:
        raise
    except Exception as error:
        looked = f"{name} in the cache of Hugging Face, and the network"
        raise unavailable(spec, looked, how, error) from error


@contextmanager
def _complete() -> Iterator[None]:
    """Inside the block, models of transformers whose file lacks weights are an error.

    The library does not return what transformers reports, so the method that reports it is wrapped.
    Poolers are left out: averages of tokens do not use them, and many files lack them.
    """
    plain = hf.PreTrainedModel.from_pretrained.__func__

    def whole(cls: Any, *args: Any, **kwargs: Any) -> Any:
        model, found = plain(cls, *args, **{**kwargs, "output_loading_info": True})
        check_complete(model, found, unused=("pooler.",))
        return model

    hf.PreTrainedModel.from_pretrained = classmethod(whole)
    try:
        yield
    finally:
        hf.PreTrainedModel.from_pretrained = classmethod(plain)


def _media(processor: Any, spec: str) -> Stored:
    extractor = getattr(processor, "feature_extractor", processor)
    if getattr(extractor, "truncation", None) == "fusion":
        raise OptionError(
            f"{spec}: the library marks a random sound of a batch as long, so features would differ"
            " between runs; use hf: for this model"
        )
    rate = getattr(extractor, "sampling_rate", None)
    longest = getattr(extractor, "nb_max_samples", None)  # CLAP would draw a part of longer sounds
    return Stored(rate, None if longest is None else int(longest))


def _preprocessing(processor: Any) -> dict[str, Any]:
    """The processors by class, with the settings that change their results."""
    found: dict[str, Any] = {} if processor is None else {"processor": type(processor).__name__}
    for name in ("image_processor", "feature_extractor"):
        part = getattr(processor, name, None)
        for key in PREPROCESSING:
            if (value := getattr(part, key, None)) is not None:
                found[key] = value
    return found
