"""Small models of transformers, saved as their checkpoints are."""

from __future__ import annotations

import gzip
import json
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import tokenizers
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

from modalgap.encode.base import Encoder
from modalgap.encode.libraries.transformers import TransformersEncoder
from modalgap.encode.quiet import quiet

FIVE = int(transformers.__version__.split(".")[0]) >= 5
TEXTS = [
    "a photo of a cat",
    "",
    "two dogs running along the beach in the morning",
    "кошка сидит на окне",
    "一只猫坐在窗边",
    "naïve café 🐈",
]
LONG = " ".join(["a very long story of one cat and many dogs"] * 30)
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
SQUARE = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}


@dataclass(frozen=True)
class Case:
    """A tiny model of one family: how to make it, and how many tokens its texts may have."""

    make: Callable[[Path], Any]
    context: int


def save(folder: Path, config: Any, processor: Any, noise: float = 0.1) -> Any:
    """The model of a configuration, with weights far from their starting values."""
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(7)
        model = transformers.AutoModel.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * noise)
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return model


def settings(folder: Path, kind: str, length: int, **more: Any) -> None:
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": kind, "model_max_length": length, **more})
    )


def clip_tokenizer(folder: Path) -> None:
    """CLIP's own vocabulary, as a folder of the hub has it."""
    packed = Path(open_clip.tokenizer.default_bpe()).read_bytes()
    merges = gzip.decompress(packed).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    text = "\n".join(["#version: 0.2", *merges])
    (folder / "merges.txt").write_text(text, encoding="utf-8")
    vocabulary = dict(open_clip.SimpleTokenizer().encoder)
    for end in ("start", "end"):
        vocabulary[f"<|{end}oftext|>"] = vocabulary.pop(f"<{end}_of_text>")
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    end = "<|endoftext|>"
    ends = {"bos_token": "<|startoftext|>", "eos_token": end, "unk_token": end, "pad_token": end}
    settings(folder, "CLIPTokenizer", 77, **ends)


def bert_tokenizer(folder: Path) -> int:
    """WordPiece with [CLS] and [SEP]; the size of its vocabulary."""
    unknown = {"unk_token": "[UNK]"}
    made = tokenizers.Tokenizer(models.WordPiece(**unknown))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        [*TEXTS, LONG], trainers.WordPieceTrainer(vocab_size=300, special_tokens=specials)
    )
    vocabulary = made.get_vocab()
    lines = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(lines), encoding="utf-8")
    settings(folder, "BertTokenizer", 512, do_lower_case=True)
    return len(lines)


def roberta_tokenizer(folder: Path) -> int:
    """Bytes in pairs, with <s> and </s>; padded with id 1."""
    made = tokenizers.ByteLevelBPETokenizer()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator([*TEXTS, LONG], vocab_size=400, special_tokens=specials)
    made.save_model(str(folder))
    settings(folder, "RobertaTokenizer", 512)
    return int(made.get_vocab_size())


def pieces_tokenizer(
    folder: Path, length: int, ends: str, names: list[str], **specials: str
) -> int:
    """Unigram pieces between ``ends``; the special tokens get the first ids."""
    made = tokenizers.Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    unknown = {"unk_token": "<unk>"}
    first = list(dict.fromkeys(specials.values()))
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=first, **unknown)
    made.train_from_iterator([*TEXTS, LONG, string.ascii_letters], trainer)
    finish(made, folder, ends, model_max_length=length, model_input_names=names, **specials)
    return int(made.get_vocab_size())


def finish(made: tokenizers.Tokenizer, folder: Path, ends: str, **more: Any) -> None:
    used = [(each, made.token_to_id(each)) for each in ends.split() if each != "$A"]
    made.post_processor = processors.TemplateProcessing(single=ends, special_tokens=used)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, padding_side="right", **more
    ).save_pretrained(folder)


def make_clip(folder: Path, end: int = 49407) -> Any:
    clip_tokenizer(folder)
    config = transformers.CLIPConfig(
        text_config={**SMALL, "eos_token_id": end},
        vision_config={**SMALL, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    return save(folder, config, transformers.CLIPImageProcessor(**SQUARE))


def make_siglip(folder: Path) -> Any:
    specials = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "</s>"}
    size = pieces_tokenizer(folder, 64, "$A </s>", ["input_ids"], **specials)
    config = transformers.SiglipConfig(
        text_config={**SMALL, "vocab_size": size, "max_position_embeddings": 16},
        vision_config={**SMALL, "image_size": 32, "patch_size": 8},
    )
    look = {"size": {"height": 32, "width": 32}}
    return save(folder, config, transformers.SiglipImageProcessor(**look))


def gemma_tokenizer(folder: Path) -> None:
    """Pairs of characters, bytes for the others; the tokenizer of SigLIP 2."""
    specials = {
        "pad_token": "<pad>",
        "eos_token": "<eos>",
        "bos_token": "<bos>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    unknown = {"unk_token": "<unk>"}
    made = tokenizers.Tokenizer(models.BPE(byte_fallback=True, **unknown))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    all_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=[*specials.values(), *all_bytes], show_progress=False
    )
    made.train_from_iterator([*TEXTS, LONG, string.ascii_lowercase], trainer)
    made.pre_tokenizer = None
    finish(made, folder, "$A <eos>", model_input_names=["input_ids"], **specials)


def make_siglip2(folder: Path) -> Any:
    gemma_tokenizer(folder)
    config = transformers.Siglip2Config(
        text_config={**SMALL, "vocab_size": 400, "max_position_embeddings": 16},
        vision_config={**SMALL, "patch_size": 8, "num_patches": 16},
    )
    look = {"patch_size": 8, "max_num_patches": 20}
    return save(folder, config, transformers.Siglip2ImageProcessor(**look))


def make_align(folder: Path) -> Any:
    size = bert_tokenizer(folder)
    config = transformers.AlignConfig(
        text_config={**SMALL, "vocab_size": size},
        vision_config={
            "image_size": 32,
            "hidden_dim": 24,
            "width_coefficient": 1.0,
            "depth_coefficient": 1.0,
            "num_block_repeats": [1, 1],
            "in_channels": [32, 8],
            "out_channels": [8, 24],
            "kernel_sizes": [3, 3],
            "strides": [1, 2],
            "expand_ratios": [1, 2],
            "depthwise_padding": [],
        },
        projection_dim=24,
    )
    look = {"size": {"height": 40, "width": 40}, "crop_size": {"height": 32, "width": 32}}
    return save(
        folder,
        config,
        transformers.EfficientNetImageProcessor(
            do_center_crop=True, resample=2, rescale_offset=True, include_top=False, **look
        ),
        noise=0.4,
    )


def make_altclip(folder: Path) -> Any:
    specials = {
        "bos_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    names = ["input_ids", "attention_mask"]
    size = pieces_tokenizer(folder, 512, "<s> $A </s>", names, **specials)

    config = transformers.AltCLIPConfig(
        text_config={
            **SMALL,
            "vocab_size": size,
            "project_dim": 16,
            "max_position_embeddings": 50,
        },
        vision_config={**SMALL, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    return save(folder, config, transformers.CLIPImageProcessor(**SQUARE))


def make_chinese_clip(folder: Path) -> Any:
    size = bert_tokenizer(folder)
    config = transformers.ChineseCLIPConfig(
        text_config={**SMALL, "vocab_size": size, "max_position_embeddings": 52},
        vision_config={**SMALL, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    look = {"size": {"height": 32, "width": 32}, "do_center_crop": False}
    return save(folder, config, transformers.ChineseCLIPImageProcessor(**look))


def make_clap(folder: Path, *, fusion: bool = False) -> Any:
    size = roberta_tokenizer(folder)
    config = transformers.ClapConfig(
        text_config={**SMALL, "vocab_size": size, "max_position_embeddings": 60},
        audio_config={
            "spec_size": 64,
            "num_mel_bins": 16,
            "window_size": 4,
            "hidden_size": 32,
            "patch_size": 4,
            "patch_stride": [4, 4],
            "patch_embeds_hidden_size": 8,
            "depths": [1, 1, 1],
            "num_attention_heads": [1, 2, 2],
            "num_hidden_layers": 3,
            "projection_dim": 24,
            "enable_fusion": fusion,
        },
        projection_dim=24,
    )
    extractor = transformers.ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=16_000,
        hop_length=160,
        fft_window_size=400,
        max_length_s=2,
        frequency_max=8_000,
        truncation="fusion" if fusion else "rand_trunc",
    )
    return save(folder, config, extractor)


CASES = {
    "clip": Case(make_clip, 77),
    "clip, eos 2": Case(lambda folder: make_clip(folder, end=2), 77),
    "siglip": Case(make_siglip, 16),
    "align": Case(make_align, 64),
    "altclip": Case(make_altclip, 48),
    "chinese_clip": Case(make_chinese_clip, 52),
    "clap": Case(make_clap, 58),
    "clap, fusion": Case(lambda folder: make_clap(folder, fusion=True), 58),
}
if hasattr(transformers, "Siglip2Config"):  # since 4.50
    CASES["siglip2"] = Case(make_siglip2, 16)


@dataclass(frozen=True)
class Made:
    """One tiny model: the library's, and ours, loaded from its folder."""

    folder: Path
    model: Any
    tokenizer: Any
    processor: Any
    context: int
    ours: TransformersEncoder


def tensor(found: Any) -> Tensor:
    return found if isinstance(found, Tensor) else found.pooler_output


@torch.inference_mode()
def text_features(made: Made, texts: list[str]) -> Tensor:
    """What the library says, texts padded to the context."""
    found = made.tokenizer(
        texts,
        padding="max_length",
        max_length=made.context,
        truncation=True,
        return_tensors="pt",
    )
    return tensor(made.model.get_text_features(**found))


def image(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with some noise: resizing one way or another shows."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = [np.sin(random.uniform(1, 9) * x + random.uniform(1, 9) * y) for _ in range(3)]
    noisy = 120 * np.stack(waves, -1) + 128 + random.normal(0, 20, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


IMAGES = [image(*size, seed) for seed, size in enumerate([(64, 64), (97, 61), (33, 120), (20, 9)])]


def sound(seconds: float, rate: int, seed: int = 0) -> tuple[NDArray[np.float32], int]:
    noise = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate))
    return noise.astype(np.float32), rate


SOUNDS = [sound(seconds, 16_000, seed) for seed, seconds in enumerate([2, 0.7, 0.01, 1.99])]


def media(made: Made) -> list[Any]:
    return SOUNDS if made.ours.modalities[0] == "audio" else IMAGES


@torch.inference_mode()
def media_features(made: Made, items: list[Any]) -> Tensor:
    """What the library says."""
    if made.ours.modalities[0] == "audio":
        found = made.processor(
            [samples for samples, _ in items], sampling_rate=16_000, return_tensors="pt"
        )
        longer = torch.zeros(len(items), 1, dtype=torch.bool)
        return tensor(made.model.get_audio_features(found["input_features"], longer))
    return tensor(made.model.get_image_features(**made.processor(items, return_tensors="pt")))


@torch.inference_mode()
def encode_media(encoder: Encoder, items: list[Any]) -> Tensor:
    return encoder.encode_media(torch.stack([encoder.prepare(item) for item in items]))


@torch.inference_mode()
def encode_text(encoder: Encoder, texts: list[str]) -> Tensor:
    return encoder.encode_text(encoder.tokenize(texts))


def near(ours: Tensor, theirs: Tensor, within: float = 1e-5) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=within)


def far(ours: Tensor, theirs: Tensor) -> None:
    assert (ours - theirs).abs().max() > 1e-3


def one_line(error: Exception) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 600
