"""Models of open_clip: our features are the library's own; where texts are cut, exactly so."""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import tiny
import torch
from PIL import Image
from safetensors.torch import save_file

import modalgap as mg
from modalgap import errors
from modalgap.encode import ENCODERS, load_model
from modalgap.encode.base import Encoder
from modalgap.encode.libraries.open_clip import OpenClipEncoder
from modalgap.encode.libraries.open_clip_weights import shared

CUT = ("clip", "quick", "custom", "short", "eos", "resnet")
WHOLE = ("sig", "both_ways", "last", "coca")
CAPTIONS = [
    "a man riding a wave on top of a surfboard",
    "a dog",
    "Ein kleines Hündchen, 犬, собака 🐕 läuft",
    "said <end_of_text> in the middle of it",
    "word " * 200,
    "x",
]


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


def images(size: int = 3) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    shapes = [(40, 50), (33, 90), (64, 32)]
    return [Image.fromarray(rng.integers(0, 255, (*s, 3), np.uint8)) for s in shapes[:size]]


@pytest.mark.parametrize("name", [*CUT, *WHOLE])
def test_features_are_the_librarys_own(name: str) -> None:
    encoder = tiny.encoder(name)
    _, _, preprocess = open_clip.create_model_and_transforms(f"tiny-{name}")
    batch = torch.stack([encoder.prepare(image) for image in images()])
    with torch.inference_mode():
        theirs = encoder.model.encode_image(torch.stack([preprocess(i) for i in images()]))
        torch.testing.assert_close(encoder.encode_media(batch), theirs, atol=1e-5, rtol=0)
        ids = open_clip.get_tokenizer(f"tiny-{name}")(CAPTIONS)
        theirs = encoder.model.encode_text(ids)
        tokens = encoder.tokenize(CAPTIONS)
        torch.testing.assert_close(encoder.encode_text(tokens), theirs, atol=1e-5, rtol=0)
        for row in range(len(CAPTIONS)):  # alone, and so as short as can be
            alone = encoder.encode_text(tokens.take(torch.tensor([row])))
            torch.testing.assert_close(alone[0], theirs[row], atol=1e-5, rtol=0)
    assert encoder.dim == theirs.shape[1] == 16
    assert isinstance(encoder, Encoder)


@pytest.mark.parametrize("name", CUT)
def test_what_is_cut(name: str) -> None:
    encoder = tiny.encoder(name)
    tokens = encoder.tokenize(CAPTIONS)
    words = [len(encoder.tokenizer.encode(text)) + 2 for text in CAPTIONS]
    words[3] = 3  # its own <end_of_text> ends it, as it does for the library: start, said, end
    assert tokens.lengths.tolist() == [min(count, tokens.ids.shape[1]) for count in words]
    assert tokens.take(torch.tensor([1])).ids.shape == (1, 4)
    assert tokens.cut.tolist() == [False, False, name == "short", False, True, False]
    tower = encoder.text_tower()
    assert tower is not None
    with torch.inference_mode():
        embedded = tower.embedding(tokens.ids)
        found = tower.features(embedded, tokens)
        torch.testing.assert_close(found, encoder.encode_text(tokens), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", WHOLE)
def test_cutting_would_be_wrong_elsewhere(name: str) -> None:
    encoder = tiny.encoder(name)
    tokens = encoder.tokenize(CAPTIONS)
    context = tokens.ids.shape[1]
    assert tokens.lengths.tolist() == [context] * len(CAPTIONS)
    text = encoder.model.text
    with torch.inference_mode():
        whole = encoder.model.encode_text(tokens.ids[1:2])
        mask = text.attn_mask
        if mask is not None and name != "coca":
            text.attn_mask = mask[:4, :4]
        short = encoder.model.encode_text(tokens.ids[1:2, :4])
        if mask is not None:
            text.attn_mask = mask
    assert (whole - short).abs().max() > 1e-3


def test_a_tower_of_transformers_masks_its_padding() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.RobertaConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    text = open_clip.hf_model.HFTextEncoder(
        "roberta-base", output_dim=16, config=config, pooler_type="mean_pooler", proj_type="linear",
        pretrained=False,
    )  # fmt: skip
    model = open_clip.create_model("tiny-custom")
    model.text = text.eval()

    class Tokenizer:
        class tokenizer:  # noqa: N801 - as transformers' is called
            pad_token_id = 1

            def __new__(cls, text: str) -> argparse.Namespace:  # type: ignore[misc]
                return argparse.Namespace(input_ids=[0] * (len(text) + 2))

        def __call__(self, texts: list[str]) -> torch.Tensor:
            rows = [[0, *(3 + ord(c) % 90 for c in t), 2][:30] for t in texts]
            return torch.tensor([row + [1] * (30 - len(row)) for row in rows])

    encoder = OpenClipEncoder(model, Tokenizer(), "x", "random")
    tokens = encoder.tokenize(["a dog", "a longer text", "z" * 60])
    assert tokens.lengths.tolist() == [7, 15, 30]
    assert tokens.cut.tolist() == [False, False, True]
    with torch.inference_mode():
        whole = model.encode_text(tokens.ids)
        found = encoder.encode_text(tokens.take(torch.tensor([0, 1])))
    torch.testing.assert_close(found, whole[:2], atol=1e-5, rtol=0)


# weights --------------------------------------------------------------------------------------


def same(one: OpenClipEncoder, two: OpenClipEncoder) -> bool:
    return one.provenance["weights_hash"] == two.provenance["weights_hash"]


def test_random_weights_have_a_seed() -> None:
    one, two, other = tiny.encoder(seed=3), tiny.encoder(seed=3), tiny.encoder(seed=4)
    assert same(one, two)
    assert not same(one, other)
    assert one.provenance["weights"] == "random, seed 3"
    before = torch.random.get_rng_state()
    tiny.encoder(seed=5)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_checkpoint_comes_back(tmp_path: Path, wrapped: bool) -> None:
    made = tiny.encoder(seed=7)
    state = made.model.state_dict()
    path = tmp_path / "epoch_1.pt"
    if wrapped:  # as open_clip's training writes it, distributed
        state = {"epoch": 1, "state_dict": {f"module.{k}": v for k, v in state.items()}}
    torch.save(state, path)
    found = load_model(f"open_clip:tiny-clip@{path}")
    assert isinstance(found, OpenClipEncoder)
    assert same(made, found)
    assert found.provenance["weights"] == "epoch_1.pt"


def test_a_folder_comes_back(tmp_path: Path) -> None:
    made = tiny.encoder("custom", seed=7)
    config = {"model_cfg": tiny.CONFIGS["custom"], "preprocess_cfg": {"mean": [0.5] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(made.model.state_dict(), tmp_path / "adapter.safetensors")
    found = load_model(f"open_clip:{tmp_path}")
    assert isinstance(found, OpenClipEncoder)
    assert same(made, found)
    assert "mean=[0.5, 0.5, 0.5]" in found.provenance["preprocessing"]


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        ({"mean": "x"}, "its preprocessing cannot be used"),
        ({"interpolation": "x"}, "its preprocessing cannot be used"),
        ({"resize_mode": -1}, "its preprocessing cannot be used"),
        ({"std": [0, 0, 0]}, "its preprocessing cannot be used"),
        ({"std": [float("nan")] * 3}, "no tensor of finite numbers"),
    ],
)
def test_a_damaged_preprocessing_is_refused(
    tmp_path: Path, damaged: dict[str, object], words: str
) -> None:
    model = tiny.encoder("short").model
    config = {"model_cfg": tiny.CONFIGS["short"], "preprocess_cfg": damaged}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(errors.FileError, match=words):
        load_model(f"open_clip:{tmp_path}")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("executed",))


def test_checkpoints_that_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(tiny.encoder("quick").model.state_dict() | {"more": torch.ones(1)}, "more.pt")
    torch.save(tiny.encoder("resnet").model.state_dict(), "resnet.pt")
    torch.save({"state_dict": Evil()}, "evil.pt")
    Path("junk.pt").write_bytes(b"junk")
    Path("empty.pt").write_bytes(b"")
    torch.save([1, 2], "list.pt")
    for name in ("more", "resnet", "evil", "junk", "empty", "list"):
        with pytest.raises(errors.FileError, match="does not hold weights of this model") as caught:
            load_model(f"open_clip:tiny-clip@{name}.pt")
        assert len(str(caught.value)) < 500, name
    assert not Path("executed").exists()
    with pytest.raises(
        errors.FileError, match=r"searched nowhere\.pt; use the path of an existing"
    ):
        load_model("open_clip:tiny-clip@nowhere.pt")
    with pytest.raises(errors.FileError, match=r"open_clip_config\.json"):
        load_model(f"open_clip:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("positional_embedding", lambda x: torch.cat([x, x]), "must be (77, 32); it is (154, 32)"),
        ("visual.positional_embedding", lambda x: x[:5], "must be (17, 32); it is (5, 32)"),
        ("ln_final.weight", lambda x: x.to(torch.int32), "it is torch.int32"),
        ("ln_final.weight", lambda x: x.to(torch.complex64), "it is torch.complex64"),
        ("ln_final.weight", lambda x: x / 0, "ln_final.weight must be finite"),
        ("ln_final.weight", lambda x: x.double() * 1e300, "ln_final.weight must be finite"),
        ("ln_final.weight", lambda _: 3, "must be a dense tensor; it is int"),
    ],
)
@pytest.mark.parametrize("folder", [False, True])
def test_tensors_that_do_not_fit(
    tmp_path: Path, name: str, change: Callable[[torch.Tensor], object], reason: str, folder: bool
) -> None:
    """open_clip itself interpolates positions of another length, and takes what is no number."""
    state = tiny.encoder().model.state_dict()
    state[name] = change(state[name])
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "model.pth")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": tiny.CONFIGS["clip"]}))
    spec = f"local-dir:{tmp_path}" if folder else f"tiny-clip@{tmp_path / 'model.pth'}"
    with pytest.raises(errors.FileError, match=re.escape(reason)):
        load_model(f"open_clip:{spec}")


def test_halves_and_flat_scales_are_taken(tmp_path: Path) -> None:
    state = {k: v.half() for k, v in tiny.encoder().model.state_dict().items()}
    state["logit_scale"] = state["logit_scale"].reshape(1)
    torch.save(state, tmp_path / "a.pt")
    assert load_model(f"open_clip:tiny-clip@{tmp_path / 'a.pt'}").dim == 16
    assert load_model(f"open_clip:tiny-custom@{tmp_path / 'a.pt'}").dim == 16  # of the old format


def test_seeds_that_are_none() -> None:
    for seed in (-1, 2**63, 1.5, True, "3"):
        with pytest.raises(errors.OptionError, match=r"seed:? must be an integer"):
            load_model("open_clip:tiny-clip/random", seed=seed)  # type: ignore[arg-type]


def test_a_local_checkpoint_gets_the_preprocessing_of_its_architecture() -> None:
    """SigLIP squashes to -1 … 1; CLIP crops and normalises with its own statistics."""
    from modalgap.encode.libraries import open_clip as adapter

    found = []
    real = open_clip.create_model

    def record(name: str, **options: object) -> torch.nn.Module:
        found.append(options["force_preprocess_cfg"])
        return real("tiny-clip")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapter.open_clip, "create_model", record)
        for name in ("ViT-B-16-SigLIP", "ViT-B-32"):
            adapter._untrained(name, "x", shared(name))
    assert found[0] == {
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "interpolation": "bicubic",
        "resize_mode": "squash",
    }
    assert found[1].get("resize_mode", "shortest") == "shortest"


def test_weights_get_the_activation_they_were_trained_with(monkeypatch: pytest.MonkeyPatch) -> None:
    from modalgap.encode.libraries import open_clip as adapter

    asked = {}

    def record(name: str, **options: object) -> torch.nn.Module:
        asked[name, options["pretrained"]] = options["force_quick_gelu"]
        return open_clip.CLIP(**tiny.CONFIGS["clip"])

    monkeypatch.setattr(adapter.open_clip, "create_model", record)
    for tag in ("openai", "laion2b_s34b_b79k"):
        # the small model has no preprocessing on it
        with pytest.raises(errors.FileError, match="preprocess_cfg"):
            load_model(f"open_clip:ViT-B-32/{tag}")
    assert asked == {("ViT-B-32", "openai"): True, ("ViT-B-32", "laion2b_s34b_b79k"): False}


def test_weights_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(open_clip.pretrained, "download_pretrained_from_hf", refuse)
    monkeypatch.setattr(open_clip.factory, "download_pretrained", refuse)
    with pytest.raises(errors.FileError) as caught:
        load_model("open_clip:ViT-B-32/openai")
    assert str(caught.value).startswith(
        "open_clip:ViT-B-32/openai: weights not found: searched"
        " timm/vit_base_patch32_clip_224.openai in the caches of Hugging Face and"
        " open_clip, and the network"
    )
    assert "open_clip:ViT-B-32/openai@/path/to/weights" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("ViT-B-32/openai", "must be LIBRARY:MODEL, such as open_clip:ViT-B-32/openai"),
        ("ViT-B-32", "must be LIBRARY:MODEL, such as open_clip:ViT-B-32/openai; got"),
        ("open_clip", "must be LIBRARY:MODEL"),
        ("openclip:ViT-B-32/openai", "did you mean 'open_clip'"),
        ("open_clip:ViT-B-33/openai", "did you mean 'ViT-B-32'"),
        ("open_clip:ViT-B-32/opena", "did you mean 'openai'"),
        ("open_clip:ViT-B-32", "needs NAME/TAG"),
        ("open_clip:local-dir:/nowhere/x", "searched /nowhere/x/open_clip_config.json"),
        (3, "must be a string or an Encoder; got int"),
    ],
)
def test_specs_that_name_nothing(spec: str, reason: str) -> None:
    with pytest.raises(errors.InputError, match=reason):
        load_model(spec)


@pytest.mark.parametrize(
    "path", ["../demo/runs/nope/model", "/nowhere/model", "/nowhere", "~/nowhere/x", "runs/nope"]
)
def test_a_folder_that_does_not_exist(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.FileError) as caught:
        load_model(f"open_clip:{path}")
    assert str(caught.value) == f"open_clip:{path}: no such folder"


def test_libraries_are_imported_when_asked_for() -> None:
    libraries = Path(mg.__file__).parent / "encode" / "libraries"
    for library in ENCODERS.values():
        assert (libraries / f"{library.module}.py").is_file()
