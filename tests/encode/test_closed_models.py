"""Closed models: what their own library says of them equals the closed embeddings."""

from __future__ import annotations

import json
import resource
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import tiny
import torch
import transformers
from commands import Run
from encode.sentence_transformers_cases import MODALITIES, MadeModel, library_features, photos
from encode.transformers_cases import IMAGES, SOUNDS, TEXTS, Made, image
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

import modalgap as mg
from modalgap.close import AffineMap, Step, to_model
from modalgap.encode.quiet import quiet
from modalgap.errors import InputError, NotApplicable, OutputError

Floats = NDArray[np.float32]
Make = Callable[[str], MadeModel]
WORDS = [text for text in TEXTS if text]
RANDOM = np.random.default_rng(5)


def unit(rows: Any) -> Floats:
    found = np.asarray(rows, np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def hand_made(roles: Mapping[str, tuple[Step, ...]], dim: int) -> AffineMap:
    return AffineMap(dims=dict.fromkeys(roles, dim), roles=roles, method="hand")


def normal(*shape: int) -> NDArray[np.float64]:
    return RANDOM.normal(size=shape)


def fitted(name: str, roles: tuple[str, str], dim: int) -> AffineMap:
    shared = normal(60, dim)
    sides = {role: shared + 0.5 * normal(60, dim) + i for i, role in enumerate(roles)}
    pair = mg.Pair(*sides.values())
    found = mg.close.fit(pair, name)
    if roles == ("image", "text"):
        return found
    names = dict(zip(("image", "text"), roles, strict=True))
    return AffineMap(
        dims={names[role]: each for role, each in found.dims.items()},
        roles={names[role]: each for role, each in found.roles.items()},
        method=name,
    )


def items_of(kind: str) -> list[Any]:
    return {"image": [image(64, 40), *IMAGES], "audio": SOUNDS, "text": WORDS}[kind]


CLOSERS = ["center", "pca_text", "realign"]


class TestSentenceTransformers:
    @pytest.mark.parametrize("name", ["clip", "clap", "siglip", "qwen"])
    def test_every_kind_of_map(self, make_st: Make, tmp_path: Path, name: str) -> None:
        made = make_st(name)
        media, text = MODALITIES[name]
        for closer in CLOSERS if name == "clip" else ["whiten"]:
            map_ = fitted(closer, (media, text), made.ours.dim)
            folder = to_model(map_, made.ours, tmp_path / closer)
            with quiet():
                closed = SentenceTransformer(str(folder), device="cpu")
            for kind in (media, text):
                wanted = map_(library_features(made.model, items_of(kind)), kind)
                found = library_features(closed, items_of(kind))
                np.testing.assert_allclose(found, wanted, atol=1e-5)
                assert closed.get_embedding_dimension() == map_.width(kind)

    def test_no_class_is_ours(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("qwen")
        to_model(fitted("center", ("image", "text"), made.ours.dim), made.ours, tmp_path / "x")
        listings = [*tmp_path.rglob("modules.json"), *tmp_path.rglob("router_config.json")]
        assert len(listings) == 3
        text = "".join(path.read_text() for path in listings)
        assert "modalgap" not in text
        assert text.count("sentence_transformers.") == 10
        weights = [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]
        assert not weights

    def test_chains_of_steps(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("clip")
        first = fitted("center", ("image", "text"), 24)
        map_ = first.then(fitted("shared_subspace", ("image", "text"), 24))
        folder = to_model(map_, made.ours, tmp_path / "x")
        with quiet():
            closed = SentenceTransformer(str(folder), device="cpu")
        wanted = map_(library_features(made.model, WORDS), "text")
        np.testing.assert_allclose(library_features(closed, WORDS), wanted, atol=1e-5)

    def test_a_map_without_roles_needs_no_router(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("clip")
        same = (Step(normal(24, 24), normal(24)),)
        folder = to_model(hand_made({"image": same, "text": same}, 24), made.ours, tmp_path / "x")
        kinds = [each["type"] for each in json.loads((folder / "modules.json").read_text())]
        names = [kind.rpartition(".")[2] for kind in kinds]
        assert names == ["Transformer", "Normalize", "Dense", "Normalize"]

    def test_texts_and_images_in_one_chat_model_are_not_mistaken(
        self, make_st: Make, tmp_path: Path
    ) -> None:
        made = make_st("qwen")
        map_ = fitted("center", ("image", "text"), made.ours.dim)
        with quiet():
            folder = to_model(map_, made.ours, tmp_path / "x")
            closed = SentenceTransformer(str(folder), device="cpu")
        video = {"video": np.zeros((4, 3, 32, 32), np.uint8)}
        for other in ([WORDS[0], IMAGES[0]], [{"text": "a", "image": IMAGES[0]}], [video]):
            with pytest.raises(ValueError, match="Could not determine route"):
                library_features(closed, other)

    def test_videos(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("qwen")
        dim = made.ours.dim
        roles = {
            role: (Step(normal(dim, dim), normal(dim)),) for role in ("image", "text", "video")
        }
        map_ = hand_made(roles, dim)
        with quiet():
            folder = to_model(map_, made.ours, tmp_path / "x")
            closed = SentenceTransformer(str(folder), device="cpu")
        frames = RANDOM.integers(0, 255, (4, 3, 32, 32), np.uint8)
        settings: Any = {"video": {"cap_pixels_per_frame": True}}
        found, raw = (
            library_features(each, [{"video": frames}], processing_kwargs=settings)
            for each in (closed, made.model)
        )
        np.testing.assert_allclose(found, map_(raw, "video"), atol=1e-5)

    def test_queries_are_a_task(self, make_st: Make, tmp_path: Path) -> None:
        for name in ("clip", "qwen", "bert", "static"):
            made = make_st(name)
            dim = made.ours.dim
            map_ = hand_made({role: (Step(None, normal(dim)),) for role in ("text", "query")}, dim)
            with quiet():
                folder = to_model(map_, made.ours, tmp_path / name)
                closed = SentenceTransformer(str(folder), device="cpu")
                raw = library_features(made.model, WORDS)
                found = closed.encode_query(WORDS), closed.encode_document(WORDS)
                asked = made.model.encode_query(WORDS)
                stored = made.model.encode_document(WORDS)
            np.testing.assert_allclose(found[0], map_(asked, "query"), atol=1e-5)
            np.testing.assert_allclose(found[1], map_(stored, "text"), atol=1e-5)
            np.testing.assert_allclose(
                library_features(closed, WORDS), map_(raw, "text"), atol=1e-5
            )

    def test_prompts_stay(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("bert")
        map_ = hand_made({"text": (Step(None, normal(32)),)}, 32)
        folder = to_model(map_, made.ours, tmp_path / "x")
        with quiet():
            closed = SentenceTransformer(str(folder), device="cpu")
        assert closed.prompts["query"] == "find: "
        assert closed.default_prompt_name == "query"
        wanted = map_(library_features(made.model, WORDS), "text")
        np.testing.assert_allclose(library_features(closed, WORDS), wanted, atol=1e-5)

    def test_half_precision(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("qwen")
        map_ = fitted("center", ("image", "text"), made.ours.dim)
        with quiet():
            folder = to_model(map_, made.ours, tmp_path / "x")
            half: Any = {"dtype": torch.bfloat16}
            closed = SentenceTransformer(str(folder), device="cpu", model_kwargs=half)
        wanted = map_(library_features(made.model, WORDS), "text")
        found = library_features(closed, WORDS)
        np.testing.assert_allclose(found, wanted, atol=0.05)

    def test_the_closed_model_is_a_model_of_ours(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("clip")
        map_ = fitted("center", ("image", "text"), 24)
        folder = to_model(map_, made.ours, tmp_path / "x")
        again = mg.encode.load_model(f"st:{folder}")
        assert again.modalities == ("image", "text")
        with torch.inference_mode():
            rows = again.encode_text(again.tokenize(WORDS))
        wanted = map_(library_features(made.model, WORDS), "text")
        np.testing.assert_allclose(rows, wanted, atol=1e-5)


def linear(media: str, dim: int, width: int) -> AffineMap:
    """A map that folds: one linear step, and two."""
    roles = {
        media: (Step(normal(width, dim)),),
        "text": (Step(normal(dim)), Step(normal(width, dim))),
    }
    return hand_made(roles, dim)


def features_of(encoder: Any, kind: str) -> Floats:
    with torch.inference_mode():
        if kind == "text":
            return encoder.encode_text(encoder.tokenize(WORDS)).numpy()
        batch = torch.stack([encoder.prepare(each) for each in items_of(kind)])
        return encoder.encode_media(batch).numpy()


class TestTransformers:
    @pytest.mark.parametrize("name", ["clip", "altclip", "chinese_clip", "clap"])
    def test_a_linear_map_folds(
        self, make: Callable[[str], Made], tmp_path: Path, name: str
    ) -> None:
        ours = make(name).ours
        media = ours.modalities[0]
        for width in (ours.dim, 7) if name == "chinese_clip" else (ours.dim,):
            map_ = linear(media, ours.dim, width)
            folder = to_model(map_, ours, tmp_path / f"{width}")
            with quiet():  # the library alone
                model = transformers.AutoModel.from_pretrained(folder).eval()
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            given = tokenizer(
                WORDS, padding="max_length", truncation=True, max_length=ours._context,
                return_tensors="pt",
            )  # fmt: skip
            with torch.inference_mode():
                found = model.get_text_features(**given)
                batch = torch.stack([ours.prepare(each) for each in items_of(media)])
                none = torch.zeros(len(batch), 1, dtype=torch.bool)
                seen = (
                    model.get_image_features(batch)
                    if media == "image"
                    else model.get_audio_features(batch, is_longer=none)
                )
            for kind, own in (("text", found), (media, seen)):
                rows = own if isinstance(own, torch.Tensor) else own.pooler_output
                wanted = map_(features_of(ours, kind), kind)
                np.testing.assert_allclose(unit(rows), wanted, atol=1e-5)

    def test_the_model_itself_is_unchanged(
        self, make: Callable[[str], Made], tmp_path: Path
    ) -> None:
        ours = make("clip").ours
        before = features_of(ours, "text")
        to_model(linear("image", ours.dim, 7), ours, tmp_path / "x")
        np.testing.assert_array_equal(features_of(ours, "text"), before)
        assert ours.model.config.projection_dim == ours.dim

    @pytest.mark.parametrize("name", ["siglip", "siglip2", "align"])
    def test_images_without_a_last_layer(
        self, make: Callable[[str], Made], tmp_path: Path, name: str
    ) -> None:
        ours = make(name).ours
        with pytest.raises(NotApplicable, match="the image tower does not end in a linear layer"):
            to_model(linear("image", ours.dim, ours.dim), ours, tmp_path / "x")
        assert not list(tmp_path.iterdir())
        only = hand_made({"image": (), "text": (Step(normal(ours.dim, ours.dim)),)}, ours.dim)
        folder = to_model(only, ours, tmp_path / "x")
        again = mg.encode.load_model(f"hf:{folder}")
        wanted = only(features_of(ours, "text"), "text")
        np.testing.assert_allclose(unit(features_of(again, "text")), wanted, atol=1e-5)

    def test_an_offset_does_not_fold(self, make: Callable[[str], Made], tmp_path: Path) -> None:
        ours = make("clip").ours
        with pytest.raises(NotApplicable, match="has an offset, which does not fold") as caught:
            to_model(fitted("center", ("image", "text"), ours.dim), ours, tmp_path / "x")
        assert "\n" not in str(caught.value)
        # and rightly so: features of different lengths need different offsets
        lengths = np.linalg.norm(features_of(ours, "text"), axis=1)
        assert lengths.max() > 1.01 * lengths.min()

    def test_other_maps_that_do_not_fold(self, make: Callable[[str], Made], tmp_path: Path) -> None:
        clip, clap = make("clip").ours, make("clap").ours
        dim = clip.dim
        free = hand_made({"image": (Step(normal(dim, dim), unit=False),), "text": ()}, dim)
        with pytest.raises(NotApplicable, match="must end in a normalisation"):
            to_model(free, clip, tmp_path / "x")
        with pytest.raises(NotApplicable, match="one width after the map; found 7, 24"):
            to_model(hand_made({"image": (Step(normal(7, dim)),)}, dim), clip, tmp_path / "x")
        with pytest.raises(NotApplicable, match=r"must not change the width of .* clap"):
            to_model(linear("audio", clap.dim, 7), clap, tmp_path / "x")
        with pytest.raises(NotApplicable, match="must have a role among image, text; has sound"):
            to_model(hand_made({"sound": ()}, dim), clip, tmp_path / "x")


@pytest.fixture(scope="module")
def _small(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


@pytest.mark.usefixtures("_small")
class TestOpenClip:
    @pytest.mark.parametrize(
        "name",
        ["clip", "quick", "custom", "short", "eos", "sig", "both_ways", "coca", "resnet", "timm"],
    )
    def test_a_linear_map_folds(self, tmp_path: Path, name: str) -> None:
        ours = tiny.encoder(name)
        if name == "coca":  # open_clip leaves it uninitialised
            ours.model.text_decoder.text_projection.data.zero_()
        for width in (16,) if name in ("coca", "quick") else (7,):
            map_ = linear("image", 16, width)
            folder = to_model(map_, ours, tmp_path / f"{width}")
            with quiet():  # the library alone
                model, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
                tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
            with torch.inference_mode():
                found = model.eval().encode_text(tokenizer(WORDS))
                seen = model.encode_image(
                    torch.stack([prepare(each) for each in items_of("image")])
                )
            for kind, rows in (("text", found), ("image", seen)):
                wanted = map_(features_of(ours, kind), kind)
                np.testing.assert_allclose(unit(rows), wanted, atol=1e-5)
            assert sorted(path.name for path in folder.iterdir()) == [
                "open_clip_config.json",
                "open_clip_model.safetensors",
            ]

    def test_a_decoder_does_not_bear_another_width(self, tmp_path: Path) -> None:
        ours = tiny.encoder("coca")
        ours.model.text_decoder.text_projection.data.zero_()
        with pytest.raises(NotApplicable, match="cannot load the model with this map") as caught:
            to_model(linear("image", 16, 7), ours, tmp_path / "x")
        assert ".modalgap" not in str(caught.value)
        assert not list(tmp_path.iterdir())


class TestFolders:
    def test_what_is_there_stays(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("clip")
        map_ = fitted("center", ("image", "text"), 24)
        (tmp_path / "file").write_text("x")
        for folder in (tmp_path, tmp_path / "file"):
            with pytest.raises(OutputError, match="must not exist, or be an empty folder"):
                to_model(map_, made.ours, folder)
        (tmp_path / "empty").mkdir()
        to_model(map_, made.spec, tmp_path / "empty")
        to_model(map_, made.spec, tmp_path / "new" / "deep")
        assert (tmp_path / "new" / "deep" / "modules.json").is_file()
        assert not list(tmp_path.rglob(".modalgap*"))
        modes = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
        assert modes == {(tmp_path / "file").stat().st_mode & 0o777}

    def test_a_file_that_becomes_too_large(self, tmp_path: Path) -> None:
        """As on a full disk: libraries write weights through safetensors, which has own errors."""
        tiny.add_configs(tmp_path)
        ours, out = tiny.encoder("short"), tmp_path / "out"
        out.mkdir()
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            with pytest.raises(OutputError, match=r"x: cannot be written .*too large"):
                to_model(linear("image", 16, 7), ours, out / "x")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert not list(out.iterdir())

    def test_links_and_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tiny.add_configs(tmp_path)
        encoder = tiny.encoder("short")
        map_ = hand_made({"image": (), "query": ()}, 16)
        (tmp_path / "empty").mkdir()
        for name in ("empty", "new"):  # a folder, and nothing
            (tmp_path / f"to {name}").symlink_to(name)
            to_model(map_, encoder, tmp_path / f"to {name}")
            assert (tmp_path / f"to {name}").is_symlink()
            assert (tmp_path / name / "open_clip_config.json").is_file()
        said = capsys.readouterr().err
        assert "takes no query; this part of the map is not saved" in said
        assert "the map has no text; the closed model leaves them as they are" in said
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        for folder in (".", tmp_path / "here"):
            with pytest.raises(OutputError, match="another folder than the current one"):
                to_model(map_, encoder, folder)

    def test_another_model_is_refused(self, make_st: Make, tmp_path: Path) -> None:
        made = make_st("clip")
        with pytest.raises(InputError, match="has 24 columns; the map takes 8 of images"):
            to_model(fitted("center", ("image", "text"), 8), made.ours, tmp_path / "x")
        source = tmp_path / "photos"
        source.mkdir()
        for number in range(6):
            image(40, 40, number).save(source / f"{number}.png")
            (source / f"{number}.txt").write_text(f"image {number}")
        map_ = mg.close.fit(mg.encode(source, made.spec), "center")
        other = shutil.copytree(made.folder, tmp_path / "other")
        to_model(map_, f"st:{other}", tmp_path / "same")  # the same weights under another name
        known = {"image": {**map_.fitted_on["image"], "weights_hash": "0"}}
        foreign = AffineMap(dims=map_.dims, roles=map_.roles, method="center", fitted_on=known)
        with pytest.raises(
            InputError, match="must be the model on whose images the map was fitted"
        ):
            to_model(foreign, made.ours, tmp_path / "x")
        to_model(foreign, made.ours, tmp_path / "x", force=True)

    def test_models_that_cannot_be_saved(self, tmp_path: Path) -> None:
        functions = mg.encode.FunctionEncoder(
            media=torch.flatten, texts=len, prepare=torch.as_tensor, dim=24, spec="mine"
        )
        with pytest.raises(NotApplicable, match="mine: must be a model of st:, hf: or open_clip:"):
            to_model(fitted("center", ("image", "text"), 24), functions, tmp_path / "x")

    def test_roles_that_a_model_does_not_have(
        self, make_st: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = make_st("bert")
        map_ = fitted("center", ("image", "text"), 32)
        to_model(map_, made.ours, tmp_path / "x")
        assert "takes no image; this part of the map is not saved" in capsys.readouterr().err
        with pytest.raises(NotApplicable, match="must have a role among text, which the model"):
            to_model(hand_made({"image": ()}, 32), made.ours, tmp_path / "y")


class TestCommand:
    def test_encode_fit_and_save(self, make_st: Make, tmp_path: Path, run: Run) -> None:
        made = make_st("clip")
        source, folder = photos(tmp_path / "photos", 12), tmp_path / "closed"
        rows, map_ = tmp_path / "rows.safetensors", tmp_path / "map.safetensors"
        assert run("encode", source, "--model", made.spec, "-o", rows)[0] == 0
        assert run("close", "fit", "center", rows, "-o", map_)[0] == 0
        export = ("close", "export", map_, "--to", "model", "--model", made.spec)
        assert run(*export, "-o", folder)[:2] == (0, f"{folder}\n")
        again = mg.encode(source, f"st:{folder}", keep_repeats=True)
        wanted = mg.close.load(map_).apply(mg.encode(source, made.spec, keep_repeats=True))
        for one, other in zip(again.sides, wanted.sides, strict=True):
            np.testing.assert_allclose(one.unit(), other.unit(), atol=1e-5)

    def test_options_that_do_not_fit(self, tmp_path: Path, run: Run) -> None:
        map_ = fitted("center", ("image", "text"), 24).save(tmp_path / "map.safetensors")
        for more in (("--to", "model"), ("--model", "st:x"), ("--to", "onnx", "--model", "st:x")):
            code, _, err = run("close", "export", map_, *more)
            assert code == 2
            assert "--model: must be given with --to model" in err
