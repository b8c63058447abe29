"""Small models of sentence-transformers, saved as theirs are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import tokenizers
import torch
import transformers
from encode.transformers_cases import (
    LONG,
    SMALL,
    SQUARE,
    TEXTS,
    bert_tokenizer,
    image,
    make_clap,
    make_siglip,
    pieces_tokenizer,
    save,
)
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding, Transformer
from tokenizers import decoders, models, pre_tokenizers, trainers

from modalgap.encode.libraries.sentence_transformers import SentenceTransformersEncoder, load
from modalgap.encode.quiet import quiet

SPECIALS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
)


def make_qwen(folder: Path) -> None:
    """A language model that reads texts, images and videos: Qwen2-VL."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [*TEXTS, LONG],
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=list(SPECIALS),
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    ids = {name: made.token_to_id(name) for name in SPECIALS}
    ends = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        **ends,
        additional_special_tokens=list(SPECIALS[2:]),
        model_max_length=128,
        padding_side="right",
    )
    config = transformers.Qwen2VLConfig(
        text_config={
            **SMALL,
            "vocab_size": made.get_vocab_size(),
            "num_key_value_heads": 2,
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 32,
            "num_heads": 2,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "mlp_ratio": 2,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    model = transformers.Qwen2VLModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder)
    sizes: dict[str, Any] = {
        "patch_size": 8,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "min_pixels": 256,
        "max_pixels": 4096,
    }
    images = transformers.Qwen2VLImageProcessor(**sizes)
    videos = transformers.Qwen2VLVideoProcessor(**sizes)
    transformers.Qwen2VLProcessor(images, tokenizer, videos, chat_template=CHAT).save_pretrained(
        folder
    )


def make_bert(folder: Path) -> None:
    """A model of texts with a prompt, as the library saves it: BERT and means of tokens."""
    plain = folder / "plain"
    plain.mkdir()
    size = bert_tokenizer(plain)
    config = transformers.BertConfig(**SMALL, vocab_size=size, max_position_embeddings=40)
    transformers.BertModel(config).save_pretrained(plain)
    made = SentenceTransformer(
        str(plain), device="cpu", prompts={"query": "find: "}, default_prompt_name="query"
    )
    made.save_pretrained(str(folder), create_model_card=False)


def make_static(folder: Path) -> None:
    """A model of texts without a transformer."""
    plain = folder / "plain"
    plain.mkdir()
    specials = {"unk_token": "<unk>", "pad_token": "<pad>"}
    pieces_tokenizer(plain, 64, "$A", ["input_ids"], **specials)
    tokenizer = tokenizers.Tokenizer.from_file(str(plain / "tokenizer.json"))
    made = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=12)], device="cpu")
    made.save_pretrained(str(folder), create_model_card=False)


def make_padded(folder: Path) -> None:
    """SigLIP with texts padded to the context, as in its training."""
    plain = folder / "plain"
    plain.mkdir()
    make_siglip(plain)
    settings = json.loads((plain / "tokenizer_config.json").read_text())
    settings["model_max_length"] = 16
    (plain / "tokenizer_config.json").write_text(json.dumps(settings))
    full: Any = {"text": {"padding": "max_length", "truncation": True, "max_length": 16}}
    made = SentenceTransformer(
        modules=[Transformer(str(plain), processing_kwargs=full)], device="cpu"
    )
    made.save_pretrained(str(folder), create_model_card=False)


def make_small_clip(folder: Path) -> None:
    """CLIP with a small vocabulary, which loads faster than its own."""
    specials = {"unk_token": "<unk>", "pad_token": "<pad>", "eos_token": "</s>"}
    names = ["input_ids", "attention_mask"]
    size = pieces_tokenizer(folder, 77, "$A </s>", names, **specials)
    end = transformers.AutoTokenizer.from_pretrained(folder).eos_token_id
    ends = {"eos_token_id": end, "bos_token_id": None, "pad_token_id": None}
    config = transformers.CLIPConfig(
        text_config={**SMALL, "vocab_size": size, **ends},
        vision_config={**SMALL, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    save(folder, config, transformers.CLIPImageProcessor(**SQUARE))


MADE: dict[str, Callable[[Path], Any]] = {
    "clip": make_small_clip,
    "clap": make_clap,
    "siglip": make_padded,
    "qwen": make_qwen,
    "bert": make_bert,
    "static": make_static,
}
MODALITIES = {
    "clip": ("image", "text"),
    "clap": ("audio", "text"),
    "siglip": ("image", "text"),
    "qwen": ("image", "text"),
    "bert": ("text",),
    "static": ("text",),
}


@dataclass(frozen=True)
class MadeModel:
    """One tiny model: the library's own, and ours, loaded from the same folder."""

    name: str
    folder: Path
    model: SentenceTransformer
    ours: SentenceTransformersEncoder

    @property
    def spec(self) -> str:
        return f"st:{self.folder}"


def made_model(name: str, folder: Path) -> MadeModel:
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(3)
        MADE[name](folder)
        model = SentenceTransformer(str(folder), device="cpu")
        ours = load(str(folder), f"st:{folder}", 0)
    return MadeModel(name, folder, model, ours)


def library_features(
    model: SentenceTransformer, items: Sequence[Any], **options: Any
) -> np.ndarray[Any, Any]:
    """What the library says of texts, images, or sounds (samples, rate)."""
    given = [
        {"array": each[0], "sampling_rate": each[1]} if isinstance(each, tuple) else each
        for each in items
    ]
    with quiet():
        return np.asarray(model.encode(given, show_progress_bar=False, **options))


VERSION = sentence_transformers.__version__


def photos(folder: Path, count: int = 40) -> Path:
    """Images of noise, each with another caption of words that the small models know."""
    folder.mkdir()
    words = LONG.split()[:11]
    for number in range(count):
        image(40, 40, number).save(folder / f"{number:02d}.png")
        order = np.random.default_rng(number).permutation(len(words))[:5]
        text = " ".join(words[place] for place in order)
        (folder / f"{number:02d}.txt").write_text(f"{text} {'cat ' * (number % 7)}{number}")
    return folder
