"""Models of transformers through the encoder protocol: they must say what the library says."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import string
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import open_clip
import pytest
import safetensors.torch
import tokenizers
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import resample_poly
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

from modalgap.encode.base import Encoder
from modalgap.encode.libraries.open_clip import OpenClipEncoder
from modalgap.encode.libraries.transformers import TransformersEncoder, load
from modalgap.encode.quiet import quiet
from modalgap.encode.tokens import Tokens
from modalgap.errors import FileError, InputError, OptionError

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


def make_siglip2(folder: Path) -> Any:
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


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """make(name): one of the ``CASES``, made once."""
    known: dict[str, Made] = {}

    def made(name: str) -> Made:
        if name not in known:
            folder = tmp_path_factory.mktemp("hf") / name.replace(", ", "_").replace(" ", "_")
            folder.mkdir()
            model = CASES[name].make(folder)
            pil: dict[str, Any] = {"backend": "pil"} if FIVE else {"use_fast": False}
            with quiet():
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
                processor = (
                    transformers.ClapFeatureExtractor.from_pretrained(folder)
                    if "clap" in name
                    else transformers.AutoImageProcessor.from_pretrained(folder, **pil)
                )
            ours = load(str(folder), f"hf:{folder}", 0)
            known[name] = Made(folder, model, tokenizer, processor, CASES[name].context, ours)
        return known[name]

    return made


@pytest.fixture(params=list(CASES))
def made(request: pytest.FixtureRequest, make: Callable[[str], Made]) -> Made:
    return make(request.param)


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


class TestAgreement:
    def test_texts_are_those_of_the_library(self, made: Made) -> None:
        texts = [*TEXTS, LONG]
        ours = encode_text(made.ours, texts)
        assert ours.shape == (len(texts), made.ours.dim)
        near(ours, text_features(made, texts))
        far(ours[:1], ours[2:3])

    def test_media_are_those_of_the_library(self, made: Made) -> None:
        ours = encode_media(made.ours, media(made))
        assert ours.shape == (4, made.ours.dim)
        near(ours, media_features(made, media(made)))
        far(ours[:1], ours[1:2])

    def test_one_at_a_time_gives_the_same(self, made: Made) -> None:
        for encode, items in ((encode_text, TEXTS), (encode_media, media(made))):
            together = encode(made.ours, items)
            near(torch.cat([encode(made.ours, [item]) for item in items]), together)

    def test_the_model_in_memory_is_the_model_on_the_disk(self, made: Made) -> None:
        ours = TransformersEncoder(made.model, made.tokenizer, made.processor, "hf:x", "x")
        again = load(str(made.folder), "hf:x", 0)
        for other in (made.ours, again):
            near(encode_text(ours, TEXTS), encode_text(other, TEXTS), 1e-6)
            near(encode_media(ours, media(made)), encode_media(other, media(made)), 1e-6)
        assert again.provenance["weights_hash"] == made.ours.provenance["weights_hash"]

    def test_the_scale_is_what_logits_have_over_cosines(self, made: Made) -> None:
        ours, theirs = made.ours, made.model
        texts = ours.tokenize(TEXTS)
        inputs: dict[str, Any] = {"input_ids": texts.ids}
        if ours._family.padding == "masked":
            inputs["attention_mask"] = torch.arange(made.context) < texts.lengths[:, None]
        items = media(made)
        if ours.modalities[0] == "audio":
            inputs["input_features"] = torch.stack([ours.prepare(item) for item in items])
            inputs["is_longer"] = torch.zeros(4, 1, dtype=torch.bool)
        else:
            inputs |= made.processor(items, return_tensors="pt")
        with torch.inference_mode():
            found = theirs(**inputs)
            logits = found.logits_per_audio if "is_longer" in inputs else found.logits_per_image
            units = [
                torch.nn.functional.normalize(each)
                for each in (encode_media(ours, items), ours.encode_text(texts))
            ]
        shift = theirs.logit_bias if hasattr(theirs, "logit_bias") else 0
        near(units[0] @ units[1].T * ours.logit_scale + shift, logits, 1e-3)

    def test_what_an_encoder_says_of_itself(self, made: Made) -> None:
        assert isinstance(made.ours, Encoder)
        keys = ["model", "weights", "weights_hash", "preprocessing", "libraries"]
        assert list(made.ours.provenance) == keys
        assert made.ours.provenance["weights"] == made.folder.name
        assert f"transformers {transformers.__version__}" in made.ours.provenance["libraries"]
        parts = ["cut=first 2 s", "sampling_rate=16000"]
        if made.ours.modalities[0] == "image":
            parts = ["mean=(0.", "std=(0.", "resample=bi"]
            parts.append("patch=8" if made.ours.kind == "siglip2" else "size={'")
        assert all(part in made.ours.provenance["preprocessing"] for part in parts)
        assert not any(parameter.requires_grad for parameter in made.ours.model.parameters())

    def test_prepare_pickles_and_holds_no_weights(self, made: Made) -> None:
        packed = pickle.dumps(made.ours.prepare)
        assert len(packed) < 2**20
        for item in media(made):
            found = made.ours.prepare(item)
            assert found.dtype == torch.float32
            assert torch.equal(pickle.loads(packed)(item), found)  # noqa: S301 - our own


class TestTexts:
    def test_padding_is_counted_as_it_matters(self, made: Made) -> None:
        tokens = made.ours.tokenize(TEXTS)
        assert tokens.ids.shape == (len(TEXTS), made.context)
        if made.ours.kind.startswith("siglip"):
            assert tokens.lengths.tolist() == [made.context] * len(TEXTS)
        else:
            assert (tokens.lengths < made.context).all()
            assert tokens.lengths[1] == 2  # of nothing: start and end

    def test_cutting_after_the_longest_is_exact(self, made: Made) -> None:
        tokens = made.ours.tokenize(TEXTS)
        whole = made.ours.encode_text(tokens)
        for rows in ([0], [1], [0, 1, 2], [5, 3, 1]):
            taken = tokens.take(torch.tensor(rows))
            assert taken.ids.shape[1] == int(tokens.lengths[rows].max())
            near(made.ours.encode_text(taken), whole[rows])

    @pytest.mark.parametrize("name", [name for name in CASES if name.startswith("siglip")])
    def test_cutting_would_change_what_siglip_says(
        self, name: str, make: Callable[[str], Made]
    ) -> None:
        made = make(name)
        tokens = made.ours.tokenize(TEXTS[:1])
        real = len(made.tokenizer(TEXTS[0]).input_ids)
        assert real < made.context
        cut = Tokens(tokens.ids[:, :real], torch.tensor([real]), tokens.cut)
        far(made.ours.encode_text(cut), made.ours.encode_text(tokens))
        # and so would a mask
        mask = (torch.arange(made.context) < real)[None].int()
        with torch.inference_mode():
            masked = tensor(made.model.get_text_features(tokens.ids, attention_mask=mask))
        far(masked, made.ours.encode_text(tokens))

    def test_texts_that_lose_their_end_are_marked(self, made: Made) -> None:
        texts = [LONG, "a cat", "", "猫"]
        assert made.ours.tokenize(texts).cut.tolist() == [True, False, False, False]

    def test_a_text_that_just_fits_has_lost_nothing(self, made: Made) -> None:
        words = 1
        while len(made.tokenizer("a " * words).input_ids) < made.context:
            words += 1
        assert made.ours.tokenize(["a " * words, "a " * (words + 1)]).cut.tolist() == [False, True]

    def test_every_text_tower_can_be_entered(self, made: Made) -> None:
        tower = made.ours.text_tower()
        assert tower is not None
        tokens = made.ours.tokenize(TEXTS)
        assert tower.context == made.context
        near(tower.features(tower.embedding(tokens.ids), tokens), made.ours.encode_text(tokens))

    @pytest.mark.parametrize("name", [name for name in CASES if name.startswith("siglip")])
    def test_siglip_reads_small_letters(self, name: str, make: Callable[[str], Made]) -> None:
        ours = make(name).ours
        loud = ["A Photo of a CAT", "КОШКА"]
        assert torch.equal(ours.tokenize(loud).ids, ours.tokenize([t.lower() for t in loud]).ids)

    def test_the_tokenizer_may_keep_capitals_if_it_says_so(
        self, make: Callable[[str], Made], tmp_path: Path
    ) -> None:
        folder = shutil.copytree(make("siglip").folder, tmp_path / "capitals")
        said = json.loads((folder / "tokenizer_config.json").read_text())
        settings_of = {**said, "do_lower_case": False}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings_of))
        ours = load(str(folder), "hf:capitals", 0)
        assert not torch.equal(ours.tokenize(["CAT"]).ids, ours.tokenize(["cat"]).ids)

    def test_the_tokenizer_of_the_first_siglip(
        self, make: Callable[[str], Made], tmp_path: Path
    ) -> None:
        """As its checkpoints have it: pieces of sentencepiece, without punctuation."""
        spm = pytest.importorskip("sentencepiece")
        folder = shutil.copytree(make("siglip").folder, tmp_path / "pieces")
        (folder / "tokenizer.json").unlink()
        (tmp_path / "texts.txt").write_text("\n".join([*TEXTS, LONG]), encoding="utf-8")
        spm.SentencePieceTrainer.train(
            input=tmp_path / "texts.txt",
            model_prefix=folder / "spiece",
            vocab_size=100,
            hard_vocab_limit=False,
            add_dummy_prefix=False,
            pad_id=-1,
            bos_id=-1,
            unk_id=0,
            eos_id=1,
            minloglevel=2,
        )
        settings(folder, "SiglipTokenizer", 64, model_input_names=["input_ids"])
        ours = load(str(folder), "hf:pieces", 0)
        tokens = ours.tokenize(["A cat, and a dog!", "a cat and a dog", "", LONG])
        assert tokens.ids.shape == (4, 16)
        assert torch.equal(tokens.ids[0], tokens.ids[1])
        assert tokens.ids[2].tolist() == [1] * 16
        assert tokens.cut.tolist() == [False, False, False, True]


class TestPictures:
    def test_three_pixels_are_not_three_colours(self, make: Callable[[str], Made]) -> None:
        for name in ("clip", "siglip", "align"):
            flat = image(40, 3)
            ours = make(name).ours.prepare(flat)
            tall = make(name).ours.prepare(flat.resize((40, 40), Image.Resampling.NEAREST))
            assert ours.shape == tall.shape == (3, 32, 32)

    def test_pillow_resizes(self, make: Callable[[str], Made]) -> None:
        picture = image(111, 64)
        wanted = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC), np.float32)
        found = make("siglip").ours.prepare(picture)
        near(found, torch.from_numpy(wanted).permute(2, 0, 1) / 127.5 - 1, 1e-6)

    @pytest.mark.skipif("siglip2" not in CASES, reason="needs transformers 4.50")
    def test_patches_tell_their_shape(self, make: Callable[[str], Made]) -> None:
        made = make("siglip2")
        shapes = []
        for picture in IMAGES:
            found = made.ours.prepare(picture)
            assert found.shape == (21, 8 * 8 * 3)
            rows, columns = found[-1, :2].int().tolist()
            assert (found[: rows * columns].abs().sum(1) > 0).all()
            assert (found[rows * columns : -1] == 0).all()
            shapes.append((rows, columns))
        assert len(set(shapes)) > 1


class TestSounds:
    @pytest.mark.parametrize("name", ["clap", "clap, fusion"])
    def test_long_sounds_are_their_beginning(self, name: str, make: Callable[[str], Made]) -> None:
        ours = make(name).ours
        samples, rate = sound(5, 16_000, 3)
        found = ours.prepare((samples, rate))
        assert torch.equal(found, ours.prepare((samples[: 2 * rate], rate)))
        assert torch.equal(found, ours.prepare((samples, rate)))
        assert found.shape[0] == (4 if "fusion" in name else 1)

    def test_the_library_would_hear_another_part_each_time(
        self, make: Callable[[str], Made]
    ) -> None:
        made = make("clap")
        samples, rate = sound(5, 16_000, 3)
        parts = [made.processor(samples, sampling_rate=rate)["input_features"][0] for _ in range(4)]
        assert any(np.abs(part - parts[0]).max() > 1 for part in parts)

    def test_sounds_do_not_depend_on_their_batch(self, make: Callable[[str], Made]) -> None:
        """The library would mark one at random as long, and fuse its parts."""
        made = make("clap, fusion")
        alone = torch.cat([encode_media(made.ours, [item]) for item in SOUNDS])
        near(encode_media(made.ours, SOUNDS), alone)
        with torch.inference_mode():
            found = made.processor(SOUNDS[0][0], sampling_rate=16_000, return_tensors="pt")
            assert found["is_longer"].all()
            far(tensor(made.model.get_audio_features(**found)), alone[:1])

    @pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 11_025])
    def test_other_rates_are_resampled(self, rate: int, make: Callable[[str], Made]) -> None:
        made = make("clap")
        samples, _ = sound(1, rate)
        common = int(np.gcd(rate, 16_000))
        wanted = resample_poly(samples, 16_000 // common, rate // common)
        near(
            encode_media(made.ours, [(samples, rate)]),
            media_features(made, [(wanted, 16_000)]),
        )


class TestLoading:
    def test_random_weights_follow_the_seed(self, made: Made) -> None:
        before = torch.random.get_rng_state()
        one, again, other = (load(f"{made.folder}/random", "hf:r", seed) for seed in (1, 1, 2))
        assert torch.equal(torch.random.get_rng_state(), before)
        unit = torch.nn.functional.normalize
        for encode, items in ((encode_text, TEXTS), (encode_media, media(made))):
            found = [unit(encode(encoder, items)) for encoder in (one, again, other)]
            near(found[0], found[1], 1e-6)
            far(found[0], found[2])
        assert one.provenance["weights"] == "random, seed 1"
        hashes = {each.provenance["weights_hash"] for each in (one, again, other, made.ours)}
        assert len(hashes) == 3

    def test_a_folder_may_be_called_random(
        self, make: Callable[[str], Made], tmp_path: Path
    ) -> None:
        made = make("siglip")
        folder = shutil.copytree(made.folder, tmp_path / "random")
        ours = load(str(folder), "hf:r", 0)
        assert ours.provenance["weights_hash"] == made.ours.provenance["weights_hash"]

    def test_weights_in_half_precision_compute_in_full(
        self, make: Callable[[str], Made], tmp_path: Path
    ) -> None:
        made = make("siglip")
        folder = shutil.copytree(made.folder, tmp_path / "half")
        stored = safetensors.torch.load_file(folder / "model.safetensors")
        halves = {name: value.half() for name, value in stored.items()}
        safetensors.torch.save_file(halves, folder / "model.safetensors", {"format": "pt"})
        ours = load(str(folder), "hf:half", 0)
        found = encode_text(ours, TEXTS)
        assert found.dtype == torch.float32
        near(found, text_features(made, TEXTS), 0.1)

    def test_pickled_weights_load_if_they_are_mere_tensors(
        self, make: Callable[[str], Made], tmp_path: Path
    ) -> None:
        made = make("siglip")
        folder = shutil.copytree(made.folder, tmp_path / "bin")
        stored = safetensors.torch.load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(stored, folder / "pytorch_model.bin")
        ours = load(str(folder), "hf:bin", 0)
        assert ours.provenance["weights_hash"] == made.ours.provenance["weights_hash"]
        torch.save({**stored, "more": Path("/")}, folder / "pytorch_model.bin")
        with pytest.raises(FileError, match="does not hold weights of this model") as caught:
            load(str(folder), "hf:bin", 0)
        one_line(caught.value)

    def test_positions_need_not_be_stored(
        self, make: Callable[[str], Made], tmp_path: Path
    ) -> None:
        made = make("clap")
        folder = shutil.copytree(made.folder, tmp_path / "clap")
        stored = safetensors.torch.load_file(folder / "model.safetensors")
        learned = {name: value for name, value in stored.items() if value.is_floating_point()}
        assert len(learned) < len(stored)
        safetensors.torch.save_file(learned, folder / "model.safetensors", {"format": "pt"})
        ours = load(str(folder), "hf:clap", 0)
        near(encode_text(ours, TEXTS), text_features(made, TEXTS))
        near(encode_media(ours, SOUNDS), media_features(made, SOUNDS))

    def test_from_the_cache_of_the_hub(self, make: Callable[[str], Made], tmp_path: Path) -> None:
        made, commit = make("siglip"), "0123456789" * 4
        cache = tmp_path / "hub" / "models--some--model"
        shutil.copytree(made.folder, cache / "snapshots" / commit)
        (cache / "refs").mkdir()
        (cache / "refs" / "main").write_text(commit)
        script = (
            "from modalgap.encode.libraries.transformers import load\n"
            "print(dict(load('some/model', 'hf:some/model', 0).provenance))\n"
            "print(load('some/model/random', 'hf:some/model/random', 3).provenance['weights'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert f"'weights': 'some/model at {commit}'" in done.stdout
        assert made.ours.provenance["weights_hash"] in done.stdout
        assert "random, seed 3" in done.stdout

    def test_loading_is_silent_and_leaves_bars_as_they_were(
        self, make: Callable[[str], Made], capfd: pytest.CaptureFixture[str]
    ) -> None:
        folder = make("clip").folder
        capfd.readouterr()
        bars = transformers.utils.logging.is_progress_bar_enabled()
        load(str(folder), "hf:clip", 0)
        load(f"{folder}/random", "hf:clip", 0)
        assert transformers.utils.logging.is_progress_bar_enabled() == bars
        said = capfd.readouterr()
        assert said.out == said.err == ""


def one_line(error: Exception) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 600


class TestRefusals:
    def refused(self, rest: str, kind: type[Exception] = FileError) -> str:
        with pytest.raises(kind) as caught:
            load(rest, "hf:x", 0)
        assert type(caught.value) is kind
        one_line(caught.value)
        return str(caught.value)

    def changed(self, made: Made, target: Path, change: Callable[[dict[str, Tensor]], None]) -> str:
        folder = shutil.copytree(made.folder, target)
        stored = safetensors.torch.load_file(folder / "model.safetensors")
        change(stored)
        safetensors.torch.save_file(stored, folder / "model.safetensors", {"format": "pt"})
        return self.refused(str(folder))

    def test_no_folder(self, tmp_path: Path) -> None:
        for rest in (f"{tmp_path}/none", f"{tmp_path}/none/random", "./none", "a/b/c"):
            assert "use an existing folder" in self.refused(rest)

    def test_no_name(self) -> None:
        for rest in ("bert", "random"):
            assert "needs ORG/NAME, or a folder" in self.refused(rest, OptionError)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        said = self.refused(str(tmp_path))
        assert "weights not found: searched config.json" in said
        assert "in the format of transformers" in said

    def test_no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        if not FIVE:
            monkeypatch.setattr(transformers.utils.hub, "_is_offline_mode", True)
        for rest in ("nobody/nothing", "nobody/nothing/random"):
            said = self.refused(rest)
            assert "nobody/nothing in the cache of Hugging Face, and the network" in said
            assert "hf:/path/to/folder" in said

    def test_another_kind_of_model(self, tmp_path: Path) -> None:
        for kind in ("bert", "clip_text_model", "nobody_knows"):
            (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
            said = self.refused(str(tmp_path), OptionError)
            assert "align, altclip, chinese_clip, clap, clip, siglip, siglip2" in said
            assert kind in said
        (tmp_path / "config.json").write_text('{"architectures": ["CLIP"]}')
        assert "None" in self.refused(str(tmp_path), OptionError)
        for broken in ("[]", "{", ""):
            (tmp_path / "config.json").write_text(broken)
            assert "config.json" in self.refused(str(tmp_path))

    @pytest.mark.parametrize("file", ["tokenizer.json", "preprocessor_config.json"])
    def test_part_of_a_folder(self, file: str, make: Callable[[str], Made], tmp_path: Path) -> None:
        folder = shutil.copytree(make("siglip").folder, tmp_path / "part")
        (folder / file).unlink()
        for rest in (str(folder), f"{folder}/random"):
            with pytest.raises(InputError, match="tokenizer and preprocessing") as caught:
                load(rest, "hf:x", 0)
            one_line(caught.value)

    def test_no_weights(self, make: Callable[[str], Made], tmp_path: Path) -> None:
        folder = shutil.copytree(make("siglip").folder, tmp_path / "none")
        (folder / "model.safetensors").unlink()
        assert "no file named" in self.refused(str(folder))
        load(f"{folder}/random", "hf:x", 0)

    def test_damaged_weights(self, make: Callable[[str], Made], tmp_path: Path) -> None:
        folder = shutil.copytree(make("siglip").folder, tmp_path / "damaged")
        stored = (folder / "model.safetensors").read_bytes()
        for damaged in (b"", b"not weights", stored[:1000], stored[:-1000]):
            (folder / "model.safetensors").write_bytes(damaged)
            assert "does not hold weights of this model" in self.refused(str(folder))

    def test_weights_that_lack_one(self, made: Made, tmp_path: Path) -> None:
        stored = safetensors.torch.load_file(made.folder / "model.safetensors")
        learned = dict(made.model.named_parameters())  # of which some are stored by older names
        first = next(name for name in stored if name in learned and "layer" in name)

        def change(stored: dict[str, Tensor]) -> None:
            del stored[first]

        said = self.changed(made, tmp_path / "lack", change)
        assert f"1 of {count(made)} are missing, such as {first}" in said

    def test_weights_of_another_shape(self, made: Made, tmp_path: Path) -> None:
        first = next(name for name, each in made.model.named_parameters() if each.ndim == 2)

        def change(stored: dict[str, Tensor]) -> None:
            stored[first] = torch.zeros(3, 5)

        said = self.changed(made, tmp_path / "shape", change)
        assert f"{first} must be" in said
        assert "is (3, 5)" in said

    def test_weights_of_another_model(self, make: Callable[[str], Made], tmp_path: Path) -> None:
        folder = shutil.copytree(make("siglip").folder, tmp_path / "other")
        shutil.copy(make("clap").folder / "model.safetensors", folder)
        assert "missing" in self.refused(str(folder))

    def test_a_library_that_is_not_there(
        self, make: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing(*_: object, **__: object) -> None:
            raise ImportError("this needs\n\nsentencepiece")

        monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", missing)
        said = self.refused(str(make("siglip").folder), InputError)
        assert "needs a library that is missing (this needs sentencepiece)" in said


def count(made: Made) -> int:
    return sum(value.is_floating_point() for value in made.model.state_dict().values())


def converted(model: Any, activation: str) -> Any:
    """The CLIP of transformers with the weights of one of open_clip."""
    visual = model.visual
    sides = {
        "text_model": (model, model.transformer, model.positional_embedding),
        "vision_model": (visual, visual.transformer, visual.positional_embedding),
    }
    state = {
        "logit_scale": model.logit_scale,
        "text_projection.weight": model.text_projection.T,
        "visual_projection.weight": visual.proj.T,
        "text_model.embeddings.token_embedding.weight": model.token_embedding.weight,
        "vision_model.embeddings.class_embedding": visual.class_embedding,
        "vision_model.embeddings.patch_embedding.weight": visual.conv1.weight,
    }
    norms = {
        "text_model.final_layer_norm": model.ln_final,
        "vision_model.pre_layrnorm": visual.ln_pre,
        "vision_model.post_layernorm": visual.ln_post,
    }
    for side, (_, transformer, positions) in sides.items():
        state[f"{side}.embeddings.position_embedding.weight"] = positions
        for number, block in enumerate(transformer.resblocks):
            at = f"{side}.encoder.layers.{number}"
            norms |= {
                f"{at}.layer_norm1": block.ln_1,
                f"{at}.layer_norm2": block.ln_2,
                f"{at}.mlp.fc1": block.mlp.c_fc,
                f"{at}.mlp.fc2": block.mlp.c_proj,
                f"{at}.self_attn.out_proj": block.attn.out_proj,
            }
            weights, biases = block.attn.in_proj_weight.chunk(3), block.attn.in_proj_bias.chunk(3)
            for part, weight, bias in zip("qkv", weights, biases, strict=True):
                state[f"{at}.self_attn.{part}_proj.weight"] = weight
                state[f"{at}.self_attn.{part}_proj.bias"] = bias
    for name, module in norms.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = module.weight, module.bias
    sizes = {"num_hidden_layers": 2, "hidden_act": activation}
    config = transformers.CLIPConfig(
        text_config={
            **sizes,
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_attention_heads": 2,
        },
        vision_config={
            **sizes,
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        projection_dim=48,
    )
    with quiet():
        theirs = transformers.CLIPModel(config)
        found = theirs.load_state_dict(state, strict=False)
    assert not found.unexpected_keys
    assert all("position_ids" in name for name in found.missing_keys)
    return theirs


@pytest.fixture(scope="module", params=["quick_gelu", "gelu"])
def twins(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[OpenClipEncoder, TransformersEncoder]:
    """One model in two libraries, each through its own adapter."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = open_clip.CLIP(
            embed_dim=48,
            vision_cfg={
                "layers": 2,
                "width": 128,
                "head_width": 64,
                "image_size": 32,
                "patch_size": 8,
            },
            text_cfg={"layers": 2, "width": 64, "heads": 2},
            quick_gelu=request.param == "quick_gelu",
        ).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    look = {"size": 32, "interpolation": "bicubic", "resize_mode": "shortest"}
    model.visual.preprocess_cfg = look
    open_one = OpenClipEncoder(model, open_clip.SimpleTokenizer(), "open_clip:tiny", "tiny")
    folder = tmp_path_factory.mktemp("twin")
    clip_tokenizer(folder)
    with quiet():
        converted(model, request.param).save_pretrained(folder)
        transformers.CLIPImageProcessor(**SQUARE).save_pretrained(folder)
    return open_one, load(str(folder), "hf:tiny", 0)


def alike(one: Tensor, other: Tensor, within: float = 1e-4) -> None:
    near(one, other, within)
    unit = torch.nn.functional.normalize
    near(unit(one), unit(other), within)


def margin(width: int, height: int) -> int:
    """By how many pixels the longer side sticks out, when the shorter has 32."""
    return int(32 * max(width, height) / min(width, height)) - 32


class TestTwoLibraries:
    """What one library says of a model, the other says too."""

    def test_captions(self, twins: tuple[OpenClipEncoder, TransformersEncoder]) -> None:
        captions = [
            *TEXTS,
            LONG,
            "Two  DOGS,\tone cat's tail: 3.14!",
            "ÉCOLE façade",
            "日本語 text",
        ]
        tokens = [each.tokenize(captions) for each in twins]
        assert torch.equal(tokens[0].lengths, tokens[1].lengths)
        assert torch.equal(tokens[0].cut, tokens[1].cut)
        with torch.inference_mode():
            found = [one.encode_text(each) for one, each in zip(twins, tokens, strict=True)]
        alike(found[0], found[1])
        far(found[0][:1], found[0][2:3])
        assert twins[0].logit_scale == pytest.approx(twins[1].logit_scale, rel=1e-6)
        assert twins[0].dim == twins[1].dim

    def test_captions_by_each_others_tokens(
        self, twins: tuple[OpenClipEncoder, TransformersEncoder]
    ) -> None:
        rows = torch.tensor([2, 0, 1])
        with torch.inference_mode():
            for one in twins:
                taken = one.tokenize(TEXTS).take(rows)
                alike(twins[0].encode_text(taken), twins[1].encode_text(taken))

    def test_images_of_odd_sizes(self, twins: tuple[OpenClipEncoder, TransformersEncoder]) -> None:
        sizes = [(32, 32), (97, 61), (33, 121), (21, 9), (640, 480), (31, 477), (500, 333), (3, 7)]
        pictures = [image(*size, seed) for seed, size in enumerate(sizes)]
        for size, picture in zip(sizes, pictures, strict=True):
            near(twins[1].prepare(picture), twins[0].prepare(picture), 1e-6)
            assert margin(*size) % 4 != 3, "see the next test"
        alike(*(encode_media(one, pictures) for one in twins))

    def test_where_their_crops_differ(
        self, twins: tuple[OpenClipEncoder, TransformersEncoder]
    ) -> None:
        """Three pixels too many: torchvision leaves out two before, transformers one."""
        for more in range(12):
            picture = image(32 + more, 32)
            one, other = (each.prepare(picture) for each in twins)
            if more % 4 == 3:
                near(one[:, :, :-1], other[:, :, 1:], 1e-6)
            else:
                near(one, other, 1e-6)

    def test_where_their_tokens_differ(
        self, twins: tuple[OpenClipEncoder, TransformersEncoder]
    ) -> None:
        """open_clip mends texts with ftfy and reads HTML; the hub's tokenizers do not."""
        for text, mended in (("cats &amp; dogs", "cats & dogs"), ("a cat’s tail", "a cat's tail")):
            one, other = (each.tokenize([text, mended]).ids for each in twins)
            assert torch.equal(one[0], one[1])
            assert not torch.equal(other[0], other[1])


def test_a_folder_of_sentence_transformers(make: Callable[[str], Made], tmp_path: Path) -> None:
    plain = make("clip")
    folder = tmp_path / "clip-ViT-B-32"
    shutil.copytree(plain.folder, folder / "0_CLIPModel")
    kind = "sentence_transformers.models.CLIPModel"
    module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": kind}
    (folder / "modules.json").write_text(json.dumps([module]))
    found = load(str(folder), f"hf:{folder}", 0)
    assert found.provenance["weights"] == "clip-ViT-B-32/0_CLIPModel"
    assert found.provenance["weights_hash"] == plain.ours.provenance["weights_hash"]
    dense = {"idx": 1, "name": "1", "path": "1_Dense", "type": "sentence_transformers.models.Dense"}
    for held, reason in (
        (json.dumps([module, dense]), "must list exactly one CLIPModel; found CLIPModel, Dense"),
        (json.dumps([dense]), "must list exactly one CLIPModel; found Dense"),
        ("[3]", "must list modules with type and path"),
        ("{", "must list modules with type and path"),
    ):
        (folder / "modules.json").write_text(held)
        with pytest.raises(FileError, match=reason):
            load(str(folder), f"hf:{folder}", 0)
