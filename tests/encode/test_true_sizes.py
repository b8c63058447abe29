"""Files with the names, shapes and types of the real ones, full size, with random numbers."""

from __future__ import annotations

import copy
import gc
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import pytest
import sentencepiece
import torch
import transformers
from encode.checkpoint_cases import archive, openai_state, random_state, training
from encode.slip_cases import Reference, checkpoint, ids_of
from encode.transformers_cases import (
    FIVE,
    Made,
    clip_tokenizer,
    encode_media,
    encode_text,
    far,
    gemma_tokenizer,
    image,
    media_features,
    near,
    text_features,
)
from open_clip.transform import PreprocessCfg, image_transform_v2
from patience import in_full
from safetensors.torch import save_file
from torch import Tensor

from modalgap.encode import load_model
from modalgap.encode.quiet import quiet

TEXTS = ["a photo of a cat", "", "two dogs running along the beach in the morning, naïve café 🐈"]
IMAGES = [image(500, 333), image(97, 460, 1)]
pytestmark = in_full  # test_checkpoints and test_transformers_loading have the small versions


@pytest.fixture(autouse=True)
def _free(tmp_path: Path) -> Iterator[None]:
    """Remove the files and models of each test."""
    yield
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()
    gc.collect()


def same(encoder: Any, wanted: tuple[Tensor, Tensor]) -> None:
    near(encode_media(encoder, IMAGES), wanted[0], 1e-4)
    near(encode_text(encoder, TEXTS), wanted[1], 1e-4)


def shapes_of(model: Any) -> dict[str, torch.Size]:
    return {name: each.shape for name, each in model.state_dict().items()}


@pytest.fixture(scope="module")
def model() -> Any:
    """ViT-B/32 of OpenAI: with QuickGELU, and weights that half precision holds exactly."""
    model = open_clip.create_model("ViT-B-32", force_quick_gelu=True)
    state = random_state(shapes_of(model), torch.float16)
    assert sum(each.numel() for each in state.values()) == 151_277_313
    model.load_state_dict(state)
    return model.eval()


@pytest.fixture(scope="module")
def wanted(model: Any) -> tuple[Tensor, Tensor]:
    prepare = image_transform_v2(PreprocessCfg(), is_train=False)
    with torch.inference_mode():
        return (
            model.encode_image(torch.stack([prepare(each) for each in IMAGES])),
            model.encode_text(open_clip.get_tokenizer("ViT-B-32")(TEXTS)),
        )


def test_the_archive_of_openai(model: Any, wanted: Any, tmp_path: Path) -> None:
    path = archive(openai_state(copy.deepcopy(model)), tmp_path / "ViT-B-32.pt")
    assert 300e6 < path.stat().st_size < 360e6  # that of OpenAI has 354 MB
    same(load_model(f"open_clip:ViT-B-32@{path}"), wanted)


def test_a_checkpoint_of_training(model: Any, wanted: Any, tmp_path: Path) -> None:
    path = training(model, tmp_path / "epoch_32.pt")
    assert 600e6 < path.stat().st_size < 610e6
    same(load_model(f"open_clip:ViT-B-32-quickgelu@{path}"), wanted)


def test_the_hub(model: Any, wanted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name from the cache, by its folder, and by its file."""
    commit = "0123456789" * 4
    cache = tmp_path / "models--timm--vit_base_patch32_clip_224.openai"
    folder = cache / "snapshots" / commit
    folder.mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    config = open_clip.get_model_config("ViT-B-32") | {"quick_gelu": True}
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    both = {"model_cfg": config, "preprocess_cfg": {"mean": mean, "std": std}}
    (folder / "open_clip_config.json").write_text(json.dumps(both))
    halves = {name: each.half() for name, each in model.state_dict().items()}
    save_file(halves, folder / "open_clip_model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    same(load_model("open_clip:ViT-B-32/openai"), wanted)
    same(load_model(f"open_clip:{folder}"), wanted)
    file = folder / "open_clip_model.safetensors"
    same(load_model(f"open_clip:ViT-B-32/openai@{file}"), wanted)
    plain = load_model(f"open_clip:ViT-B-32/laion2b_s34b_b79k@{file}")
    far(encode_text(plain, TEXTS), wanted[1])


def folder_of(folder: Path, files: dict[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
    """Write the configuration files, and return the weights of the model that they describe."""
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        empty = transformers.AutoModel.from_config(config)
    return random_state(shapes_of(empty), dtype)


def as_the_library(folder: Path, context: int) -> None:
    """Compare with transformers alone, reading the same folder."""
    pil: dict[str, Any] = {"backend": "pil"} if FIVE else {"use_fast": False}
    with quiet():
        model = transformers.AutoModel.from_pretrained(folder).float().eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        processor = transformers.AutoImageProcessor.from_pretrained(folder, **pil)
    ours: Any = load_model(f"hf:{folder}")
    made = Made(folder, model, tokenizer, processor, context, ours)
    same(ours, (media_features(made, IMAGES), text_features(made, TEXTS)))
    found = encode_text(ours, TEXTS)
    far(found[0], found[1])
    far(found[0], found[2])


NORMED = {"do_normalize": True, "do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255}


def test_clip_of_transformers(tmp_path: Path) -> None:
    """openai/clip-vit-base-patch32: an old configuration, and positions among the weights."""
    clip_tokenizer(tmp_path)
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    preprocessor = {
        "crop_size": 224,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": mean,
        "image_std": std,
        "resample": 3,
        "size": 224,
    }
    towers = {
        "text_config": {"bos_token_id": 0, "eos_token_id": 2, "model_type": "clip_text_model"},
        "vision_config": {"patch_size": 32, "model_type": "clip_vision_model"},
    }
    config = {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 512, **towers}
    files = {"config.json": config, "preprocessor_config.json": preprocessor}
    state = folder_of(tmp_path, files, torch.float32)
    assert sum(each.numel() for each in state.values()) == 151_277_313
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    state["vision_model.embeddings.position_ids"] = torch.arange(50)[None]
    torch.save(state, tmp_path / "pytorch_model.bin")
    as_the_library(tmp_path, 77)


def test_siglip_of_transformers(tmp_path: Path) -> None:
    """google/siglip-base-patch16-224: a tokenizer of sentencepiece, weights in one file."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*TEXTS, *map(chr, range(97, 123))] * 9),
        model_writer=model,
        vocab_size=45,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    specials = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    towers = {
        f"{side}_config": {"model_type": f"siglip_{side}_model"} for side in ("text", "vision")
    }
    files = {
        "config.json": {"architectures": ["SiglipModel"], "model_type": "siglip", **towers},
        "preprocessor_config.json": NORMED
        | {
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "SiglipImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "processor_class": "SiglipProcessor",
            "resample": 3,
            "size": {"height": 224, "width": 224},
        },
        "tokenizer_config.json": specials
        | {
            "do_lower_case": True,
            "model_input_names": ["input_ids"],
            "model_max_length": 64,
            "tokenizer_class": "SiglipTokenizer",
        },
    }
    state = folder_of(tmp_path, files, torch.float16)
    assert sum(each.numel() for each in state.values()) == 203_155_970
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    as_the_library(tmp_path, 64)


@pytest.mark.skipif(not hasattr(transformers, "Siglip2Config"), reason="since 4.50")
def test_siglip2_of_transformers(tmp_path: Path) -> None:
    """google/siglip2-base-patch16-naflex: 256,000 tokens, any aspect ratio; here in shards."""
    gemma_tokenizer(tmp_path)
    text = {"model_type": "siglip2_text_model", "vocab_size": 256_000, "projection_size": 768}
    vision = {"model_type": "siglip2_vision_model", "num_patches": 256}
    towers = {"text_config": text, "vision_config": vision}
    files = {
        "config.json": {"architectures": ["Siglip2Model"], "model_type": "siglip2", **towers},
        "preprocessor_config.json": NORMED
        | {
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "Siglip2ImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "max_num_patches": 256,
            "patch_size": 16,
            "processor_class": "Siglip2Processor",
            "resample": 2,
        },
    }
    state = folder_of(tmp_path, files, torch.float16)
    assert sum(each.numel() for each in state.values()) == 375_234_050
    parts = [f"model-{part + 1:05d}-of-00003.safetensors" for part in range(3)]
    where = {name: parts[at % 3] for at, name in enumerate(state)}
    for part in parts:
        own = {name: state[name] for name in where if where[name] == part}
        save_file(own, tmp_path / part, {"format": "pt"})
    size = sum(each.numel() * 2 for each in state.values())
    index = {"metadata": {"total_size": size}, "weight_map": where}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    del state
    as_the_library(tmp_path, 64)


def test_slip(tmp_path: Path) -> None:
    """slip_base_100ep.pt, with SLIP's second head and the arguments of its training."""
    sizes = {"embed_dim": 768, "depth": 12, "num_heads": 12}
    model = Reference(sizes, {"width": 512, "heads": 8, "layers": 12}, (4096, 256)).eval()
    model.load_state_dict(random_state(shapes_of(model), torch.float32))
    path = checkpoint(model, tmp_path / "slip_base_100ep.pt")
    ours: Any = load_model(f"slip:ViT-B-16@{path}")
    assert sum(each.numel() for each in ours.towers.parameters()) == 149_619_969
    with torch.inference_mode():
        pixels = torch.stack([ours.prepare(each) for each in IMAGES])
        same(ours, (model.encode_image(pixels), model.encode_text(ids_of(TEXTS))))
