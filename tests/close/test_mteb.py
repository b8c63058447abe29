"""Closed and standardised models in MTEB: its own mock tasks, and rankings that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import modalgap as mg
from modalgap.close import AffineMap, ScoreScaler, Step, to_mteb
from modalgap.close.exports import MtebModel
from modalgap.encode.libraries.functions import FunctionEncoder
from modalgap.errors import InputError, NotApplicable

mteb = pytest.importorskip("mteb")
datasets = pytest.importorskip("datasets")

WORDS = ["a cat", "two dogs", "a red car", "rain on a window"]


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 40, 3), np.uint8))


PICTURES = [picture(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))
    return tiny.encoder("short")


@pytest.fixture(scope="module")
def pair(encoder: Any) -> mg.Pair:
    with torch.inference_mode():
        pixels = torch.stack([encoder.prepare(picture(seed)) for seed in range(30)])
        texts = encoder.tokenize([f"text {number} of {number**2}" for number in range(30)])
        return mg.Pair(encoder.encode_media(pixels), encoder.encode_text(texts))


def unit_features(encoder: Any, kind: str) -> Any:
    with torch.inference_mode():
        if kind == "text":
            rows = encoder.encode_text(encoder.tokenize(WORDS))
        else:
            rows = encoder.encode_media(torch.stack([encoder.prepare(each) for each in PICTURES]))
    return torch.nn.functional.normalize(rows).numpy()


class Told:
    """The parts of a task's metadata that the model reads."""

    def __init__(self, category: str) -> None:
        self.category, self.name = category, "a task"


def rows_of(
    model: MtebModel, batch: dict[str, Any], kind: str | None, category: str = "t2i"
) -> Any:
    return model.encode([batch], task_metadata=Told(category), prompt_type=kind, hf_split="test")


class TestRows:
    def test_a_map_closes_both_sides(self, encoder: Any, pair: mg.Pair) -> None:
        map_ = mg.close.fit(pair, "center")
        model = to_mteb(map_, encoder, device="cpu")
        for kind, batch in (("text", {"text": WORDS}), ("image", {"image": PICTURES})):
            wanted = map_(unit_features(encoder, kind), kind)
            for role in (None, "query", "document"):
                np.testing.assert_allclose(rows_of(model, batch, role), wanted, atol=1e-6)

    def test_documents_of_both_are_fused(self, encoder: Any, pair: mg.Pair) -> None:
        map_ = mg.close.fit(pair, "center")
        image, text = unit_features(encoder, "image"), unit_features(encoder, "text")
        both = {"image": PICTURES, "text": WORDS, "id": list("abcd")}
        found = rows_of(to_mteb(map_, encoder, device="cpu"), both, "document")
        np.testing.assert_allclose(found, map_.fuse(image, text), atol=1e-6)
        raw = rows_of(to_mteb(None, encoder, device="cpu"), both, "document")
        mean = (image + text) / np.linalg.norm(image + text, axis=1, keepdims=True)
        np.testing.assert_allclose(raw, mean, atol=1e-6)

    def test_one_batch_may_hold_every_form(self, encoder: Any, pair: mg.Pair) -> None:
        map_ = mg.close.fit(pair, "center")
        image, text = unit_features(encoder, "image"), unit_features(encoder, "text")
        batch = {
            "image": [PICTURES[0], None, PICTURES[2], None],
            "text": [WORDS[0], WORDS[1], "", None],
        }
        model = to_mteb(map_, encoder, device="cpu")
        found = rows_of(model, {name: each[:3] for name, each in batch.items()}, "document")
        np.testing.assert_allclose(found[0], map_.fuse(image[:1], text[:1])[0], atol=1e-6)
        np.testing.assert_allclose(found[1], map_.text(text[1]), atol=1e-6)
        np.testing.assert_allclose(found[2], map_.image(image[2]), atol=1e-6)

    def test_queries_have_their_own_role(self, encoder: Any) -> None:
        offset = np.random.default_rng(0).normal(size=16)
        map_ = AffineMap(
            dims={"image": 16, "text": 16, "query": 16},
            roles={"image": (), "text": (), "query": (Step(None, offset),)},
            method="hand",
        )
        model = to_mteb(map_, encoder, device="cpu")
        text = unit_features(encoder, "text")
        np.testing.assert_allclose(rows_of(model, {"text": WORDS}, "document"), text, atol=1e-6)
        np.testing.assert_allclose(
            rows_of(model, {"text": WORDS}, "query"), map_(text, "query"), atol=1e-6
        )

    def test_products_are_standardised_scores(self, encoder: Any, pair: mg.Pair) -> None:
        scaler = ScoreScaler.fit(pair)
        model = to_mteb(scaler, encoder, device="cpu")
        image, text = unit_features(encoder, "image"), unit_features(encoder, "text")
        queries = rows_of(model, {"text": WORDS}, "query")
        for form, batch, rows in (
            ("image", {"image": PICTURES}, image),
            ("text", {"text": WORDS}, text),
        ):
            scores = model.similarity(queries, rows_of(model, batch, "document"))
            wanted = scaler(text @ rows.T, "text", form)
            np.testing.assert_allclose(scores, wanted, atol=1e-4)
        both = rows_of(model, {"image": PICTURES, "text": WORDS}, "document")
        fused = (image + text) / np.linalg.norm(image + text, axis=1, keepdims=True)
        scores = model.similarity(queries, both)
        np.testing.assert_allclose(scores, scaler(text @ fused.T, "text", "fused"), atol=1e-4)
        pairwise = model.similarity_pairwise(queries, both)
        np.testing.assert_allclose(pairwise, np.diag(scores), atol=1e-5)
        # other tasks have no queries: the unit features
        np.testing.assert_allclose(rows_of(model, {"text": WORDS}, None), text, atol=1e-6)

    def test_sounds(self) -> None:
        seen: list[Any] = []

        def prepare(sound: Any) -> torch.Tensor:
            seen.append(sound)
            return torch.as_tensor(sound[0][:2])

        model = to_mteb(
            None,
            FunctionEncoder(
                media=lambda batch: batch,
                texts=lambda texts: torch.ones(len(texts), 2),
                prepare=prepare,
                dim=2,
                spec="mine",
                modalities=("audio", "text"),
            ),
            device="cpu",
        )
        sounds = [{"array": np.array([[3.0, 4.0], [3.0, 4.0]]), "sampling_rate": 8}] * 2
        found = rows_of(model, {"audio": sounds}, "document")
        np.testing.assert_allclose(found, [[0.6, 0.8]] * 2, atol=1e-6)
        assert seen[0][1] == 8
        assert model.mteb_model_meta.modalities == ["audio", "text"]

    def test_refusals(self, encoder: Any, pair: mg.Pair) -> None:
        model = to_mteb(ScoreScaler.fit(pair), encoder, device="cpu")
        with pytest.raises(
            NotApplicable, match="need queries of one modality; the category is it2i"
        ):
            rows_of(model, {"text": WORDS}, "query", "it2i")
        with pytest.raises(InputError, match="takes image and text; the batch has video"):
            rows_of(model, {"video": [1]}, None)
        with pytest.raises(InputError, match="must have an image or a text"):
            rows_of(model, {"image": [None]}, None)
        wide = mg.Pair(torch.randn(9, 8), torch.randn(9, 8))
        with pytest.raises(InputError, match="has 16 columns; the map takes 8 of images"):
            to_mteb(mg.close.fit(wide, "center"), encoder)
        with pytest.raises(InputError, match="has 16 columns; the scaler takes 8 of images"):
            to_mteb(ScoreScaler.fit(wide), encoder)

    @pytest.mark.parametrize(
        ("batch", "words"),
        [
            ({"text": "a cat"}, "text must be a list; found a str"),
            ({"text": None}, "text must be a list; found a NoneType"),
            ({"text": WORDS, "image": PICTURES[:1]}, "same length; has 1 images and 4 texts"),
            ({"text": WORDS[:1], "image": [None] * 2}, "same length; has 2 images and 1 texts"),
            ([1], "batches that map modalities to lists; found a list"),
        ],
    )
    def test_damaged_batches(self, encoder: Any, batch: Any, words: str) -> None:
        with pytest.raises(InputError, match=words):
            rows_of(to_mteb(None, encoder, device="cpu"), batch, None)

    def test_results_are_kept_apart(self, encoder: Any, pair: mg.Pair) -> None:
        map_ = mg.close.fit(pair, "center")
        scalers = [ScoreScaler.fit(pair, estimate) for estimate in ("closed", "best")]
        metas = [
            to_mteb(closing, encoder, device="cpu").mteb_model_meta
            for closing in (None, map_, map_.then(map_), *scalers)
        ]
        assert metas[1].name == "modalgap/open_clip-tiny-short-random-center"
        assert metas[1].revision.endswith(map_.fingerprint[:12])
        assert len({(meta.name, meta.revision) for meta in metas}) == 5


class TestRuns:
    def test_mock_tasks(self, encoder: Any, pair: mg.Pair) -> None:
        from mteb.mocks import mock_tasks
        from mteb.models.models_protocols import EncoderProtocol

        names = ("Any2AnyRetrievalT2ITask", "Any2AnyRetrievalI2TTask", "STSTask", "RetrievalTask")
        for closing in (mg.close.fit(pair, "center"), ScoreScaler.fit(pair)):
            model = to_mteb(closing, encoder, device="cpu")
            assert isinstance(model, EncoderProtocol)
            tasks = [getattr(mock_tasks, f"Mock{name}")() for name in names]
            found = mteb.evaluate(model, tasks, cache=None, show_progress_bar=False)
            assert len(found.task_results) == 4
            assert not found.exceptions
            for each in found.task_results:
                assert -1 <= each.get_score() <= 1
