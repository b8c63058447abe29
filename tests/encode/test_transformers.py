"""Models of transformers through the encoder protocol: they must say what the library says."""

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
import transformers
from encode.transformers_cases import (
    CASES,
    IMAGES,
    LONG,
    SOUNDS,
    TEXTS,
    Made,
    encode_media,
    encode_text,
    far,
    image,
    media,
    media_features,
    near,
    settings,
    sound,
    tensor,
    text_features,
)
from PIL import Image
from scipy.signal import resample_poly

from modalgap.encode.base import Encoder
from modalgap.encode.libraries.transformers import TransformersEncoder, load
from modalgap.encode.tokens import Tokens


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
