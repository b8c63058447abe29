"""Files of weights: archives of TorchScript, and weights that need other settings."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import tiny
import torch
from encode.checkpoint_cases import archive, openai_state, rewritten, training
from encode.transformers_cases import TEXTS, encode_media, encode_text, far, image, near
from safetensors.torch import save_file
from torch import Tensor

from modalgap.encode import load_model
from modalgap.encode.libraries.open_clip_weights import settings_of
from modalgap.encode.quiet import quiet
from modalgap.encode.torchscript import is_torchscript, read_torchscript
from modalgap.errors import FileError, OptionError

CONFIG = {  # heads of 64 dimensions, which open_clip expects of OpenAI's archives
    "embed_dim": 16,
    "vision_cfg": tiny.VISION | {"width": 64, "head_width": 64},
    "text_cfg": tiny.TEXT | {"width": 64, "heads": 1},
}
IMAGES = [image(40, 50), image(33, 90, 1)]


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    tiny.add_configs(folder)
    (folder / "tiny-openai.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder)


def noisy(name: str) -> Any:
    """A model with weights far from their start, so that its activation matters."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        model = open_clip.create_model(name)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A small archive as OpenAI's, saved on a GPU."""
    path = archive(openai_state(noisy("tiny-openai")), tmp_path / "ViT-B-32.pt")
    on_gpu = b"X\x06\0\0\0cuda:0"
    return rewritten(path, lambda _, part: part.replace(b"X\x03\0\0\0cpu", on_gpu))


@torch.inference_mode()
def features(model: Any, encoder: Any) -> tuple[Tensor, Tensor]:
    """What the library itself computes from the inputs of an encoder."""
    pixels = torch.stack([encoder.prepare(each) for each in IMAGES])
    return model.encode_image(pixels), model.encode_text(encoder.tokenize(TEXTS).ids)


def same(encoder: Any, wanted: tuple[Tensor, Tensor]) -> None:
    near(encode_media(encoder, IMAGES), wanted[0])
    near(encode_text(encoder, TEXTS), wanted[1])


class TestArchive:
    def test_features_are_the_librarys_own(self, released: Path) -> None:
        """The name of the architecture has no QuickGELU; OpenAI's weights need it."""
        ours: Any = load_model(f"open_clip:tiny-openai@{released}")
        with quiet():
            theirs = open_clip.load_openai_model(str(released), precision="fp32", device="cpu")
        wanted = features(theirs, ours)
        same(ours, wanted)
        for block in (*theirs.transformer.resblocks, *theirs.visual.transformer.resblocks):
            block.mlp.gelu = torch.nn.GELU()
        for right, wrong in zip(wanted, features(theirs, ours), strict=True):
            far(right, wrong)

    def test_names_and_numbers_are_those_of_the_library(self, released: Path) -> None:
        with quiet():
            wanted = torch.jit.load(released, map_location="cpu").state_dict()
        found = read_torchscript(released)
        assert found.keys() == wanted.keys()
        for name, each in wanted.items():
            assert found[name].dtype == each.dtype
            assert torch.equal(found[name], each)
        assert {each.dtype for each in found.values()} == {
            torch.float16,
            torch.float32,
            torch.int64,
        }

    def test_its_code_is_not_read(self, released: Path) -> None:
        before = load_model(f"open_clip:tiny-openai@{released}")
        rewritten(released, lambda name, part: b"(" if name.startswith("code/") else part)
        with quiet(), pytest.raises(RuntimeError):
            torch.jit.load(released)
        after = load_model(f"open_clip:tiny-openai@{released}")
        assert after.provenance["weights_hash"] == before.provenance["weights_hash"]

    def test_views_and_weights_in_common(self, tmp_path: Path) -> None:
        whole = torch.arange(24.0).reshape(4, 6)
        state = {"a.weight": whole.T, "b.weight": whole[1:3, ::2], "c": torch.tensor(3.0)}
        found = read_torchscript(archive(state | {"d": state["c"]}, tmp_path / "views.pt"))
        assert found.keys() == {*state, "d"}
        for name, each in state.items():
            assert torch.equal(found[name], each)

    def test_a_traced_model_of_open_clip(self, tmp_path: Path) -> None:
        """Its mask is among the buffers of the archive; its activation is the named one."""
        model = noisy("tiny-clip")
        inputs = (torch.ones(1, 3, 32, 32), torch.ones(1, 77, dtype=torch.int64))
        with quiet():
            traced = torch.jit.trace(model, inputs, check_trace=False)
            torch.jit.save(traced, tmp_path / "traced.pt")
        assert "attn_mask" in read_torchscript(tmp_path / "traced.pt")
        ours = load_model(f"open_clip:tiny-clip@{tmp_path / 'traced.pt'}")
        same(ours, features(model, ours))

    def test_its_entries_without_an_archive(self, released: Path, tmp_path: Path) -> None:
        torch.save(read_torchscript(released), tmp_path / "state.pt")
        paths = (released, tmp_path / "state.pt")
        found = [load_model(f"open_clip:tiny-openai@{path}") for path in paths]
        near(*(encode_text(each, TEXTS) for each in found), within=0)

    def test_other_files_are_not_archives(self, tmp_path: Path) -> None:
        torch.save({"a": torch.ones(1)}, tmp_path / "plain.pt")
        (tmp_path / "junk.pt").write_bytes(b"junk")
        assert not is_torchscript(tmp_path / "plain.pt")
        assert not is_torchscript(tmp_path / "junk.pt")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("executed",))


def only(member: str, content: bytes | None) -> Callable[[str, bytes], bytes | None]:
    return lambda name, part: content if name == member else part


def swapped(old: bytes, new: bytes) -> Callable[[str, bytes], bytes | None]:
    def change(name: str, part: bytes) -> bytes:
        assert name != "data.pkl" or old in part
        return part.replace(old, new) if name == "data.pkl" else part

    return change


CALL = b"\x80\x02cos\nmkdir\n(X\x08\0\0\0executedtR."  # pickle.loads would make a folder
NESTED = b")q\0" + b"".join(bytes([*b"(h", i, *b"h", i, *b"tq", i + 1]) for i in range(50))
BROKEN = {
    "a key whose hash takes years": (
        only("data.pkl", b"\x80\x02}(" + NESTED + b"K\x01u."),
        "a key that is no name",
    ),
    "a call in place of the module": (only("data.pkl", CALL), "describes no module"),
    "no description": (only("data.pkl", None), "it has no data.pkl"),
    "a damaged description": (only("data.pkl", b"\x80\x02}"), "exhausted before seeing STOP"),
    "an instruction": (only("data.pkl", pickle.dumps({1}, 4)), "instruction"),
    "no numbers": (only("data/3", None), "it has no data/3"),
    "fewer numbers": (only("data/3", b"\0"), "numbers"),
    "another byte order": (only("byteorder", b"big"), "byte order"),
    "another type": (
        swapped(b"HalfStorage", b"unknown type, torch CharStorage"),
        "unknown type, torch CharStorage",
    ),
}


class TestRefusals:
    def refused(self, rest: str) -> str:
        with pytest.raises(FileError, match="does not hold weights of this model") as caught:
            load_model(f"open_clip:{rest}")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600
        return str(caught.value)

    @pytest.mark.parametrize("case", BROKEN)
    def test_archives_that_are_not(
        self, case: str, released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        change, reason = BROKEN[case]
        rewritten(released, change)
        assert reason in self.refused(f"tiny-openai@{released}")
        assert not Path("executed").exists()

    @pytest.mark.parametrize("size", [0, 100, 30_000, -1])
    def test_archives_that_end_early(self, size: int, released: Path) -> None:
        released.write_bytes(released.read_bytes()[:size])
        self.refused(f"tiny-openai@{released}")

    def test_archives_with_other_bytes(self, released: Path) -> None:
        with zipfile.ZipFile(released) as stored:
            where = next(each for each in stored.infolist() if each.filename.endswith("data/5"))
        content = bytearray(released.read_bytes())
        content[where.header_offset + 200] ^= 1
        released.write_bytes(content)
        assert "CRC" in self.refused(f"tiny-openai@{released}")

    def test_archives_that_are_compressed(self, released: Path) -> None:
        rewritten(released, lambda _, part: part, compression=zipfile.ZIP_DEFLATED)
        assert "must not be compressed" in self.refused(f"tiny-openai@{released}")

    def test_files_that_expand(self, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        torch.save(noisy("tiny-clip").state_dict(), path)
        load_model(f"open_clip:tiny-clip@{path}")
        rewritten(path, lambda _, part: part, compression=zipfile.ZIP_DEFLATED)
        assert "must not be compressed" in self.refused(f"tiny-clip@{path}")

    @pytest.mark.parametrize("scale", [1000.0, -1000.0])
    def test_temperatures_that_are_none(self, scale: float, tmp_path: Path) -> None:
        state = noisy("tiny-clip").state_dict() | {"logit_scale": torch.tensor(scale)}
        torch.save(state, tmp_path / "model.pt")
        assert f"it is {scale:g}" in self.refused(f"tiny-clip@{tmp_path / 'model.pt'}")

    def test_archives_of_another_model(self, released: Path) -> None:
        assert "must be (77, 32)" in self.refused(f"tiny-clip@{released}")
        state = read_torchscript(released)
        del state["ln_final.weight"]
        assert "ln_final.weight" in self.refused(f"tiny-openai@{archive(state, released)}")


class TestSettings:
    """NAME/TAG@PATH: the file has weights of the registry, and gets what they need."""

    @pytest.fixture(autouse=True)
    def registry(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        tags = {"quick": {"quick_gelu": True}, "plain": {}, "grey": {"mean": (0.5, 0.5, 0.5)}}
        registry = open_clip.pretrained._PRETRAINED
        monkeypatch.setitem(
            registry, "tiny-clip", {tag: {"url": "x"} | each for tag, each in tags.items()}
        )
        self.path = tmp_path / "model.safetensors"
        self.model = noisy("tiny-clip")
        save_file(self.model.state_dict(), self.path)

    def test_the_activation_is_that_of_the_tag(self) -> None:
        ours = load_model(f"open_clip:tiny-clip/quick@{self.path}")
        theirs = open_clip.create_model(
            "tiny-clip", pretrained=str(self.path), force_quick_gelu=True
        )
        same(ours, features(theirs, ours))
        plain = load_model(f"open_clip:tiny-clip/plain@{self.path}")
        same(plain, features(self.model, plain))
        far(encode_text(ours, TEXTS), encode_text(plain, TEXTS))

    def test_the_preprocessing_is_that_of_the_tag(self) -> None:
        found = [
            load_model(f"open_clip:tiny-clip{tag}@{self.path}").provenance["preprocessing"]
            for tag in ("", "/plain", "/grey")
        ]
        assert found[0] == found[1]
        assert "mean=(0.5, 0.5, 0.5)" in found[2]

    def test_without_a_tag_the_others_are_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        load_model(f"open_clip:tiny-clip@{self.path}")
        said = capsys.readouterr().err
        assert "loaded with GELU and the usual preprocessing of tiny-clip; quick and grey" in said
        assert f"open_clip:tiny-clip/quick@{self.path}" in said
        for spec in (f"tiny-clip/plain@{self.path}", f"tiny-quick@{self.path}"):
            load_model(f"open_clip:{spec}")
            assert not capsys.readouterr().err

    def test_tags_that_are_none(self) -> None:
        for tag in ("fast", "random"):
            with pytest.raises(OptionError, match=r"unknown weights of tiny-clip"):
                load_model(f"open_clip:tiny-clip/{tag}@{self.path}")
        with pytest.raises(OptionError, match="unknown architecture"):
            load_model(f"open_clip:tiny-clap/quick@{self.path}")

    def test_every_registered_weight_has_settings(self) -> None:
        """Those of the library's own way to load them."""
        for name, tag in open_clip.list_pretrained():
            config = open_clip.pretrained.get_pretrained_cfg(name, tag)
            found = settings_of(name, tag)
            assert found is not None
            assert found.quick >= bool(config.get("quick_gelu"))
        assert settings_of("ViT-B-32", "openai").quick
        assert not settings_of("ViT-B-32", "laion2b_s34b_b79k").quick
        assert settings_of("ViT-L-14", "laion2b_s32b_b82k").preprocessing["mean"] == (0.5, 0.5, 0.5)


class TestForms:
    def test_a_checkpoint_of_training(self, tmp_path: Path) -> None:
        model = noisy("tiny-clip")
        ours = load_model(f"open_clip:tiny-clip@{training(model, tmp_path / 'epoch_32.pt')}")
        same(ours, features(model, ours))

    def test_safetensors_that_are_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        save_file(noisy("tiny-clip").state_dict(), path)
        content = path.read_bytes()
        for damaged in (b"", b"not weights", content[:1000], content[:-1000]):
            path.write_bytes(damaged)
            with pytest.raises(FileError, match="does not hold weights of this model"):
                load_model(f"open_clip:tiny-clip@{path}")

    @pytest.mark.parametrize(
        "file", ["open_clip_pytorch_model.bin", "open_clip_model.safetensors", "model.pth"]
    )
    def test_a_folder_of_the_hub(self, file: str, tmp_path: Path) -> None:
        """Its configuration has the activation."""
        model = noisy("tiny-quick")
        config = {"model_cfg": tiny.CONFIGS["quick"], "preprocess_cfg": {"mean": [0.5] * 3}}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
        save = save_file if file.endswith("safetensors") else torch.save
        save(model.state_dict(), tmp_path / file)
        ours = load_model(f"open_clip:{tmp_path}")
        same(ours, features(model, ours))

    def test_a_folder_with_code(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        config = {"model_cfg": tiny.CONFIGS["clip"]}
        Path("open_clip_config.json").write_text(json.dumps(config))
        torch.save({"state_dict": Evil()}, "open_clip_pytorch_model.bin")
        with pytest.raises(FileError, match="does not hold weights of this model"):
            load_model(f"open_clip:{tmp_path}")
        assert not Path("executed").exists()
