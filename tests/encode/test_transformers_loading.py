"""Models of transformers through the encoder protocol: they must say what the library says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import safetensors.torch
import torch
import transformers
from encode.transformers_cases import (
    LONG,
    SOUNDS,
    SQUARE,
    TEXTS,
    Made,
    clip_tokenizer,
    encode_media,
    encode_text,
    far,
    image,
    media,
    media_features,
    near,
    one_line,
    text_features,
)
from torch import Tensor

from modalgap.encode.libraries.open_clip import OpenClipEncoder
from modalgap.encode.libraries.transformers import TransformersEncoder, load
from modalgap.encode.quiet import quiet
from modalgap.errors import FileError


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


def test_a_damaged_preprocessing_is_refused(make: Callable[[str], Made], tmp_path: Path) -> None:
    folder = shutil.copytree(make("clip").folder, tmp_path / "x")
    path = folder / "preprocessor_config.json"
    stored = json.loads(path.read_text())
    for damage in ({"image_mean": ["x"] * 3}, {"image_std": [0.0] * 3}, {"size": -1}):
        path.write_text(json.dumps({**stored, **damage}))
        with pytest.raises(FileError, match="its preprocessing cannot be used"):
            load(str(folder), f"hf:{folder}", 0)
