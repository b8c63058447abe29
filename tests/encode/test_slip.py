"""SLIP through the encoder protocol, from checkpoints as they were released."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from encode.slip_cases import Reference, checkpoint, ids_of, release
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from modalgap.encode.base import Encoder
from modalgap.encode.libraries import slip
from modalgap.encode.libraries.slip import SlipEncoder, load
from modalgap.errors import FileError, OptionError

SIZES = {
    "ViT-S-16": {"embed_dim": 48, "depth": 2, "num_heads": 12},
    "ViT-B-16": {"embed_dim": 64, "depth": 2, "num_heads": 4},
}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
TEXTS = ["a photo of a cat", "", "two dogs on a beach, running", "кошка", "一只猫", "café 🐈"]
LONG = " ".join(["a very long story of one cat and many dogs"] * 30)


TRUE = slip.ARCHITECTURES, slip.TEXT


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Towers with few weights."""
    monkeypatch.setattr(slip, "ARCHITECTURES", SIZES)
    monkeypatch.setattr(slip, "TEXT", TEXT)


def reference(name: str = "ViT-B-16", *, slip: bool = True) -> Reference:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = Reference(SIZES[name], TEXT, (8, 4) if slip else ()).eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return made


def pictures() -> list[Image.Image]:
    random = np.random.default_rng(0)
    sizes = [(224, 224), (301, 223), (97, 460), (20, 31)]
    return [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in sizes
    ]


def near(ours: Tensor, theirs: Tensor, within: float = 1e-5) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=within)


@torch.inference_mode()
def encode_text(encoder: Encoder, texts: list[str]) -> Tensor:
    return encoder.encode_text(encoder.tokenize(texts))


@torch.inference_mode()
def encode_media(encoder: Encoder) -> Tensor:
    return encoder.encode_media(torch.stack([encoder.prepare(each) for each in pictures()]))


@pytest.fixture
def ours(tmp_path: Path) -> SlipEncoder:
    path = release(reference(), tmp_path / "slip_base_100ep.pt")
    return load(f"ViT-B-16@{path}", f"slip:ViT-B-16@{path}", 0)


class TestAgreement:
    def test_texts(self, ours: SlipEncoder) -> None:
        texts = [*TEXTS, LONG]
        with torch.inference_mode():
            theirs = reference().encode_text(ids_of(texts))
        near(encode_text(ours, texts), theirs)
        assert theirs.shape == (7, ours.dim)

    def test_images(self, ours: SlipEncoder) -> None:
        prepare = transforms.Compose(
            [
                transforms.Resize(224),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )
        pixels = torch.stack([prepare(each) for each in pictures()])
        assert torch.equal(pixels, torch.stack([ours.prepare(each) for each in pictures()]))
        with torch.inference_mode():
            near(encode_media(ours), reference().encode_image(pixels))

    @pytest.mark.parametrize("slip", [True, False])
    @pytest.mark.parametrize("name", list(SIZES))
    def test_every_kind_of_checkpoint(self, name: str, slip: bool, tmp_path: Path) -> None:
        path = release(reference(name, slip=slip), tmp_path / "released.pt")
        ours, theirs = load(f"{name}@{path}", "slip:x", 0), reference(name, slip=slip)
        with torch.inference_mode():
            near(encode_text(ours, TEXTS), theirs.encode_text(ids_of(TEXTS)))
            pixels = torch.stack([ours.prepare(each) for each in pictures()])
            near(encode_media(ours), theirs.encode_image(pixels))
        assert ours.logit_scale == pytest.approx(float(theirs.logit_scale.detach().exp()))

    def test_checkpoints_of_todays_libraries(self, ours: SlipEncoder, tmp_path: Path) -> None:
        path = checkpoint(reference(), tmp_path / "new.pt")
        found = load(f"ViT-B-16@{path}", "slip:x", 0)
        assert found.provenance["weights_hash"] == ours.provenance["weights_hash"]

    def test_what_an_encoder_says_of_itself(self, ours: SlipEncoder) -> None:
        assert isinstance(ours, Encoder)
        assert ours.modalities == ("image", "text")
        keys = ["model", "weights", "weights_hash", "preprocessing", "libraries"]
        assert list(ours.provenance) == keys
        assert ours.provenance["weights"] == "slip_base_100ep.pt"
        assert "interpolation=bilinear" in ours.provenance["preprocessing"]
        assert f"timm {timm.__version__}" in ours.provenance["libraries"]
        assert not any(parameter.requires_grad for parameter in ours.towers.parameters())
        packed = pickle.dumps(ours.prepare)
        assert len(packed) < 10_000
        first = pictures()[1]
        assert torch.equal(pickle.loads(packed)(first), ours.prepare(first))  # noqa: S301


class TestTexts:
    def test_cutting_after_the_longest_is_exact(self, ours: SlipEncoder) -> None:
        tokens = ours.tokenize(TEXTS)
        assert tokens.ids.shape == (len(TEXTS), 77)
        assert tokens.lengths[1] == 2
        whole = ours.encode_text(tokens)
        for rows in ([0], [1], [2, 0], [5, 3, 1]):
            taken = tokens.take(torch.tensor(rows))
            assert taken.ids.shape[1] < 77
            near(ours.encode_text(taken), whole[rows])

    def test_texts_that_lose_their_end(self, ours: SlipEncoder) -> None:
        fits, over = "a " * 75, "a " * 76
        tokens = ours.tokenize([LONG, fits, over, *TEXTS])
        assert tokens.cut.tolist() == [True, False, True, *[False] * len(TEXTS)]
        assert tokens.ids[1, -1] == 49407
        assert 49407 not in tokens.ids[2]
        # CLIP would put end-of-text in the last place, and say something else
        ended = tokens.ids[2:3].clone()
        ended[0, -1] = 49407
        with torch.inference_mode():
            other = reference().encode_text(ended)
        assert (other - encode_text(ours, [over])).abs().max() > 1e-3

    def test_the_tower_can_be_entered(self, ours: SlipEncoder) -> None:
        tower = ours.text_tower()
        assert tower is not None
        assert tower.context == 77
        tokens = ours.tokenize(TEXTS)
        near(tower.features(tower.embedding(tokens.ids), tokens), ours.encode_text(tokens))


class TestRandom:
    def test_weights_follow_the_seed(self) -> None:
        before = torch.random.get_rng_state()
        one, again, other = (load("ViT-S-16/random", "slip:r", seed) for seed in (1, 1, 2))
        assert torch.equal(torch.random.get_rng_state(), before)
        near(encode_text(one, TEXTS), encode_text(again, TEXTS))
        near(encode_media(one), encode_media(again))
        assert (encode_text(one, TEXTS) - encode_text(other, TEXTS)).abs().max() > 1e-3
        assert one.provenance["weights"] == "random, seed 1"
        assert len({each.provenance["weights_hash"] for each in (one, again, other)}) == 2

    def test_the_true_sizes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(slip, "ARCHITECTURES", TRUE[0])
        monkeypatch.setattr(slip, "TEXT", TRUE[1])
        sizes = {"ViT-S-16": (384, 12, 12), "ViT-B-16": (768, 12, 12), "ViT-L-16": (1024, 24, 16)}
        for name, (width, depth, heads) in sizes.items():
            with torch.device("meta"):
                towers = slip.Towers(name)
            shapes = {key: tuple(each.shape) for key, each in towers.state_dict().items()}
            assert shapes["visual.cls_token"] == (1, 1, width)
            assert shapes["visual.pos_embed"] == (1, 197, width)
            assert shapes["visual.patch_embed.proj.weight"] == (width, 3, 16, 16)
            assert shapes["image_projection"] == (width, 512)
            assert shapes["text_projection"] == (512, 512)
            assert shapes["positional_embedding"] == (77, 512)
            assert shapes["token_embedding.weight"] == (49408, 512)
            assert shapes["transformer.resblocks.11.mlp.c_fc.weight"] == (2048, 512)
            assert f"visual.blocks.{depth - 1}.attn.qkv.bias" in shapes
            assert f"visual.blocks.{depth}.attn.qkv.bias" not in shapes
            assert towers.visual.blocks[0].attn.num_heads == heads
            assert towers.visual.norm.eps == 1e-6
            assert towers.transformer.resblocks[0].attn.num_heads == 8
            size = {"S": "small", "B": "base", "L": "large"}[name[4]]
            with torch.device("meta"):
                theirs = timm.create_model(f"vit_{size}_patch16_224", num_classes=0)
            visual = {key for key in shapes if key.startswith("visual.")}
            assert visual == {f"visual.{key}" for key in theirs.state_dict()}


class TestRefusals:
    def refused(self, rest: str, kind: type[Exception] = FileError) -> str:
        with pytest.raises(kind) as caught:
            load(rest, "slip:x", 0)
        assert type(caught.value) is kind
        said = str(caught.value)
        assert "\n" not in said
        assert len(said) < 600
        return said

    def test_names(self) -> None:
        assert "unknown architecture of slip" in self.refused("ViT-H-14/random", OptionError)
        assert "unknown architecture of slip" in self.refused("ViT-H-14@x.pt", OptionError)
        for rest in ("ViT-B-16", "ViT-B-16/openai", "random"):
            assert "needs NAME@PATH or NAME/random" in self.refused(rest, OptionError)

    def test_no_file(self, tmp_path: Path) -> None:
        said = self.refused(f"ViT-B-16@{tmp_path}/none.pt")
        assert "weights not found: searched" in said
        self.refused(f"ViT-B-16@{tmp_path}")

    def test_damaged_files(self, tmp_path: Path) -> None:
        path = release(reference(), tmp_path / "slip.pt")
        stored = path.read_bytes()
        for damaged in (b"", b"nothing", stored[:1000], stored[: len(stored) // 2]):
            path.write_bytes(damaged)
            assert "does not hold weights of this model" in self.refused(f"ViT-B-16@{path}")

    @pytest.mark.parametrize("found", [[1, 2], {"epoch": 1}, {"state_dict": 3}])
    def test_other_contents(self, found: Any, tmp_path: Path) -> None:
        torch.save(found, tmp_path / "other.pt")
        assert "it has no state_dict" in self.refused(f"ViT-B-16@{tmp_path}/other.pt")

    def test_simclr(self, tmp_path: Path) -> None:
        model = reference()
        parts = nn.ModuleDict({"visual": model.visual, "image_mlp": model.image_mlp})
        path = release(parts, tmp_path / "simclr.pt")
        assert "it is a SimCLR model, which has no text tower" in self.refused(f"ViT-B-16@{path}")

    def test_another_architecture(self, tmp_path: Path) -> None:
        path = release(reference("ViT-S-16"), tmp_path / "small.pt")
        assert "it is of ViT-S-16" in self.refused(f"ViT-B-16@{path}")

    @pytest.mark.parametrize(
        "change",
        [
            lambda state: state.pop("visual.blocks.1.norm1.weight"),
            lambda state: state.update({"visual.blocks.2.norm1.weight": torch.zeros(64)}),
        ],
        ids=["missing", "more"],
    )
    def test_weights_that_do_not_fit(
        self, change: Callable[[dict[str, Tensor]], Any], tmp_path: Path
    ) -> None:
        state = dict(reference().state_dict())
        change(state)
        torch.save({"state_dict": state}, tmp_path / "odd.pt")
        assert "loading state_dict for Towers" in self.refused(f"ViT-B-16@{tmp_path}/odd.pt")

    @pytest.mark.parametrize(
        ("found", "reason"),
        [
            (torch.zeros(3, 5), "text_projection must be (32, 512); it is (3, 5)"),
            (torch.full((32, 512), torch.nan), "text_projection must be finite"),
            (
                torch.ones(32, 512, dtype=torch.int64),
                "must be torch.float32; it is torch.int",
            ),
        ],
        ids=["shape", "nan", "integers"],
    )
    def test_tensors_that_do_not_fit(self, found: Tensor, reason: str, tmp_path: Path) -> None:
        state = reference().state_dict() | {"text_projection": found}
        torch.save({"state_dict": state}, tmp_path / "odd.pt")
        assert reason in self.refused(f"ViT-B-16@{tmp_path}/odd.pt")

    def test_code_is_not_run(self, tmp_path: Path) -> None:
        before = torch.serialization.get_safe_globals()
        path = release(reference(), tmp_path / "evil.pt", more=Sneaky())
        assert "does not hold weights of this model" in self.refused(f"ViT-B-16@{path}")
        assert set(map(str, torch.serialization.get_safe_globals())) == set(map(str, before))


class Sneaky:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("code of a checkpoint was run",)
