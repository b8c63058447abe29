"""Models of transformers through the encoder protocol: they must say what the library says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import torch
import transformers
from encode.transformers_cases import (
    FIVE,
    Made,
    one_line,
)
from torch import Tensor

from modalgap.encode.libraries.transformers import load
from modalgap.errors import FileError, InputError, OptionError


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

    def test_shards(self, make: Callable[[str], Made], tmp_path: Path) -> None:
        made = make("siglip")
        folder = shutil.copytree(made.folder, tmp_path / "shards")
        stored = safetensors.torch.load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        parts = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
        for at, part in enumerate(parts):
            own = {name: stored[name] for name in list(stored)[at::2]}
            safetensors.torch.save_file(own, folder / part, {"format": "pt"})
        where = {name: parts[at % 2] for at, name in enumerate(stored)}
        index = folder / "model.safetensors.index.json"

        def write(changed: dict[str, str]) -> None:
            found = {"metadata": {"total_size": 1}, "weight_map": where | changed}
            index.write_text(json.dumps(found))

        write({})
        ours = load(str(folder), "hf:shards", 0)
        assert ours.provenance["weights_hash"] == made.ours.provenance["weights_hash"]
        write({"logit_scale": "model-00003-of-00002.safetensors"})
        self.refused(str(folder))
        index.write_text("{")
        self.refused(str(folder))
        write({})
        content = (folder / parts[1]).read_bytes()
        (folder / parts[1]).write_bytes(content[:-100])
        self.refused(str(folder))
        (folder / parts[1]).unlink()
        self.refused(str(folder))

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
