"""Models of sentence-transformers through the encoder protocol: the features of its encode."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encode.cases import folder_of, run
from encode.sentence_transformers_cases import (
    MADE,
    MODALITIES,
    VERSION,
    MadeModel,
    library_features,
)
from encode.transformers_cases import IMAGES, LONG, SOUNDS, TEXTS, encode_text, image, make_clap
from safetensors.torch import load_file, save_file

from modalgap.encode import load_model
from modalgap.encode.base import Encoder
from modalgap.encode.closed import Savable
from modalgap.encode.libraries.sentence_transformers_media import Stored, items_of
from modalgap.errors import FileError, InputError, OptionError

Make = Callable[[str], MadeModel]
WORDS = [text for text in TEXTS if text]  # some of the models have no row for an empty text


@pytest.fixture(params=list(MADE))
def made(request: pytest.FixtureRequest, make_st: Make) -> MadeModel:
    return make_st(request.param)


@torch.inference_mode()
def encode_media(encoder: Any, items: list[Any]) -> torch.Tensor:
    return encoder.encode_media(encoder.prepare.join([encoder.prepare(each) for each in items]))


class TestAgreement:
    def test_texts_are_those_of_the_library(self, made: MadeModel) -> None:
        ours = encode_text(made.ours, WORDS)
        assert ours.shape == (len(WORDS), made.ours.dim)
        np.testing.assert_allclose(ours, library_features(made.model, WORDS), atol=1e-6)
        assert (ours[0] - ours[1]).abs().max() > 1e-3

    def test_media_are_those_of_the_library(self, made: MadeModel) -> None:
        kind = made.ours.modalities[0]
        if kind == "text":
            return
        items = SOUNDS if kind == "audio" else [image(64, 40), image(31, 70, 1), image(90, 90, 2)]
        ours = encode_media(made.ours, items)
        np.testing.assert_allclose(ours, library_features(made.model, items), atol=1e-6)
        assert (ours[0] - ours[1]).abs().max() > 1e-4

    def test_what_an_encoder_says_of_itself(self, made: MadeModel) -> None:
        assert isinstance(made.ours, Encoder)
        assert isinstance(made.ours, Savable)
        assert made.ours.modalities == MODALITIES[made.name]
        keys = ["model", "weights", "weights_hash", "preprocessing", "libraries"]
        assert list(made.ours.provenance) == keys
        assert f"sentence-transformers {VERSION}" in made.ours.provenance["libraries"]
        wanted = "'find: '" if made.name == "bert" else "''"
        assert made.ours.provenance["preprocessing"].endswith(f"prompt={wanted}")
        assert (made.ours.logit_scale is not None) == (made.name in ("clip", "siglip"))

    def test_truncated_texts_are_marked(self, made: MadeModel) -> None:
        found = made.ours.tokenize([LONG, "a cat"]).cut.tolist()
        # the static model has no limit, and that of CLAP's tokenizer is higher
        assert found == [made.name not in ("static", "clap"), False]

    def test_the_count_of_tokens_is_that_of_the_library(self, make_st: Make) -> None:
        ours = make_st("bert").ours
        words = ["cat"] * 60
        limits = []
        for count in range(1, 60):
            ids = ours.model.preprocess([" ".join(words[:count])], prompt="find: ")["input_ids"]
            limits.append(
                (int(ids.shape[1]), bool(ours.tokenize([" ".join(words[:count])]).cut[0]))
            )
        full = [count for count, cut in limits if not cut]
        assert max(full) == 40  # the last text that fits fills the context
        assert all(cut for count, cut in limits[full.index(40) + 1 :])


class TestMedia:
    def test_bytes_become_the_same_items(self) -> None:
        prepare = pickle.loads(pickle.dumps(Stored(rate=16_000, longest=8_000)))  # noqa: S301
        items = items_of(prepare.join([prepare(each) for each in IMAGES]))
        for item, wanted in zip(items, IMAGES, strict=True):
            np.testing.assert_array_equal(np.asarray(item), np.asarray(wanted.convert("RGB")))
        samples = np.linspace(-1, 1, 32_000).astype(np.float32)
        (sound,) = items_of(prepare((samples, 32_000)))
        assert sound["sampling_rate"] == 16_000
        assert sound["array"].shape == (8_000,)

    def test_images_of_different_sizes_are_one_batch(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("qwen")
        sizes = [(64, 40), (31, 70), (90, 90)]
        for number, (width, height) in enumerate(sizes):
            image(width, height, number).save(tmp_path / f"{number}.png")
            (tmp_path / f"{number}.txt").write_text(TEXTS[0 if number else 2])
        for workers in (0, 1):
            pair = run(tmp_path, made.spec, workers=workers, keep_repeats=True).data
            pictures = [image(*size, number) for number, size in enumerate(sizes)]
            wanted = library_features(made.model, pictures, normalize_embeddings=True)
            np.testing.assert_allclose(pair.image.unit().numpy(), wanted, atol=1e-6)

    def test_a_text_that_names_an_image_is_a_text(
        self, make_st: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = make_st("clip")
        monkeypatch.chdir(tmp_path)
        IMAGES[0].save("cat.png")
        ours = encode_text(made.ours, ["cat.png"])
        as_image = library_features(made.model, ["cat.png"])
        np.testing.assert_allclose(as_image, library_features(made.model, IMAGES[:1]), atol=1e-6)
        np.testing.assert_allclose(
            ours, library_features(made.model, [{"text": "cat.png"}]), atol=1e-6
        )
        assert np.abs(ours.numpy() - as_image).max() > 1e-3

    def test_texts_alone_are_encoded(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("static")
        (tmp_path / "texts.txt").write_text("\n".join(WORDS))
        found = run(tmp_path / "texts.txt", made.spec).data
        wanted = library_features(made.model, WORDS, normalize_embeddings=True)
        np.testing.assert_allclose(found.unit().numpy(), wanted, atol=1e-6)

    def test_a_model_of_texts_refuses_images(self, make_st: Make, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"takes text; .* holds image"):
            run(folder_of(tmp_path / "x", 3), make_st("bert").spec)


def copied(made: MadeModel, folder: Path) -> Path:
    shutil.copytree(made.folder, folder)
    return folder


class TestRefusals:
    def refused(self, folder: Path, words: str, kind: type[Exception] = FileError) -> None:
        with pytest.raises(kind, match=words) as caught:
            load_model(f"st:{folder}")
        assert "\n" not in str(caught.value)

    def test_pickled_weights(self, make_st: Make, tmp_path: Path) -> None:
        folder = copied(make_st("static"), tmp_path / "x")
        weights = next(folder.rglob("model.safetensors"))
        torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
        weights.unlink()
        self.refused(folder, "must be in safetensors, because nothing is unpickled")
        plain = copied(make_st("clip"), tmp_path / "y")
        torch.save(load_file(plain / "model.safetensors"), plain / "pytorch_model.bin")
        (plain / "model.safetensors").unlink()
        self.refused(plain, "must be in safetensors")

    def test_code_of_the_folder(self, make_st: Make, tmp_path: Path) -> None:
        folder = copied(make_st("bert"), tmp_path / "x")
        ran = tmp_path / "ran"
        (folder / "modeling_own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: ...\n")
        listing = json.loads((folder / "modules.json").read_text())
        listing[1]["type"] = "modeling_own.Own"
        (folder / "modules.json").write_text(json.dumps(listing))
        self.refused(folder, "code of a model is never run; found 'modeling_own.Own'")
        assert not ran.exists()

    def test_code_of_a_router(self, make_st: Make, tmp_path: Path) -> None:
        folder = copied(make_st("bert"), tmp_path / "x")
        (folder / "1_Pooling" / "router_config.json").write_text(
            json.dumps({"types": {"a": "os.system"}})
        )
        self.refused(folder, "never run; found 'os.system'")

    @pytest.mark.parametrize("path", ["../outside", "/outside"])
    def test_modules_outside(self, make_st: Make, tmp_path: Path, path: str) -> None:
        folder = copied(make_st("bert"), tmp_path / "x")
        listing = json.loads((folder / "modules.json").read_text())
        listing[1]["path"] = path
        (folder / "modules.json").write_text(json.dumps(listing))
        self.refused(folder, "modules.json must list modules with type and path inside")

    @pytest.mark.parametrize("text", ["[", "{}", '[{"type": 1, "path": ""}]', "[1]"])
    def test_a_damaged_list_of_modules(self, make_st: Make, tmp_path: Path, text: str) -> None:
        folder = copied(make_st("bert"), tmp_path / "x")
        (folder / "modules.json").write_text(text)
        self.refused(folder, "modules.json must")

    def test_other_kinds_of_models(self, make_st: Make, tmp_path: Path) -> None:
        folder = copied(make_st("bert"), tmp_path / "x")
        settings = folder / "config_sentence_transformers.json"
        settings.write_text(json.dumps({"model_type": "CrossEncoder"}))
        self.refused(folder, "must be a SentenceTransformer; found 'CrossEncoder'")

    def test_adapters(self, make_st: Make, tmp_path: Path) -> None:
        folder = copied(make_st("clip"), tmp_path / "x")
        (folder / "adapter_config.json").write_text("{}")
        self.refused(folder, "an adapter of PEFT must be merged")

    def test_missing_weights(self, make_st: Make, tmp_path: Path) -> None:
        folder = copied(make_st("bert"), tmp_path / "x")
        stored = load_file(folder / "model.safetensors")
        lost = "encoder.layer.0.output.dense.weight"
        save_file(
            {k: v for k, v in stored.items() if k != lost},
            folder / "model.safetensors",
            {"format": "pt"},
        )
        self.refused(folder, "missing, such as encoder.layer.0.output.dense.weight")

    def test_a_missing_pooler_does_not_matter(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("bert")
        folder = copied(made, tmp_path / "x")
        stored = load_file(folder / "model.safetensors")
        kept = {name: each for name, each in stored.items() if not name.startswith("pooler.")}
        assert len(kept) < len(stored)
        save_file(kept, folder / "model.safetensors", {"format": "pt"})
        ours = encode_text(load_model(f"st:{folder}"), WORDS)
        torch.testing.assert_close(ours, encode_text(made.ours, WORDS))

    def test_texts_whose_padding_is_seen(self, make_st: Make, tmp_path: Path) -> None:
        folder = copied(make_st("siglip"), tmp_path / "x")
        (folder / "modules.json").unlink()  # and with it the padding
        self.refused(folder, "depend on the other texts of its batch", OptionError)

    def test_sounds_that_the_library_draws(self, tmp_path: Path) -> None:
        make_clap(tmp_path, fusion=True)
        self.refused(tmp_path, r"marks a random sound .* use hf:", OptionError)

    def test_names_and_folders(self, tmp_path: Path) -> None:
        self.refused(tmp_path, "must be a folder with modules.json or config.json")
        self.refused(tmp_path / "none", "weights not found")
        with pytest.raises(OptionError, match="st needs NAME, ORG/NAME, or a folder"):
            load_model("st:two words")
        with pytest.raises(
            FileError, match="searched sentence-transformers/not-there in the cache"
        ):
            load_model("st:not-there")
