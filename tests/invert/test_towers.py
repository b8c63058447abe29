"""Inversion against loops written from its definition, on the libraries' own models."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import encode.test_encoders_transformers as hf_models
import numpy as np
import open_clip
import pytest
import tiny
import torch
import trained
import transformers
import xxhash
from open_clip.timm_model import TimmModel
from open_clip.transformer import text_global_pool
from PIL import Image
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from modalgap import errors
from modalgap.embeddings import Embeddings
from modalgap.encode import load_model
from modalgap.encode.base import Encoder
from modalgap.encode.libraries import slip as slip_library
from modalgap.encode.libraries.open_clip import OpenClipEncoder
from modalgap.encode.libraries.transformers import load as load_hf
from modalgap.encode.trainable import build
from modalgap.invert import METHODS, invert, oti, ovi
from modalgap.invert.base import InversionBatch, InversionContext
from modalgap.invert.optimise import Descender, SearchOptions
from modalgap.invert.optimisers import Lbfgs
from modalgap.invert.prompt import Prompt, text_tower_of
from modalgap.invert.pseudo_inputs import FromPatches, FromTokens

STEPS = 12
NAMES = ["one.jpg", "two.jpg", "drei"]
SENTENCE = "a photo of {}"
SEVERAL = "{} and, a {} ."
WORDS = ["cat", "dog", "red", "blue", "photo", "a", "of"]  # of the model that reads whole words


# the models, and how their libraries see them -----------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A text tower.

    Attributes:
        encoder: ours.
        ids: texts to ids (b, context), by the library's tokenizer.
        embedding: the library's, of tokens.
        features: embedded tokens (b, context, width) and ids to features, by the library's modules.
        fast: whether we go layer by layer.
        word: one that is a single token.
        template: one that fits into the context.
    """

    encoder: Encoder
    ids: Callable[[list[str]], Tensor]
    embedding: nn.Module
    features: Callable[[Tensor, Tensor], Tensor]
    fast: bool
    word: str = "cat"
    template: str = SENTENCE


@dataclass(frozen=True)
class Picture:
    """An image tower.

    Attributes:
        encoder: ours.
        features: patches (b, n, width) to features, by the library's modules.
        shape: (n, width).
        fast: whether we go layer by layer.
    """

    encoder: Encoder
    features: Callable[[Tensor], Tensor]
    shape: tuple[int, int]
    fast: bool


def stir(model: nn.Module, noise: float = 0.1) -> nn.Module:
    """Weights far from their starting values, among which are many zeros and ones."""
    own = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=own) * noise)
    return model.eval().requires_grad_(False)


def given_by(module: nn.Module, vectors: Tensor, call: Callable[[], Any]) -> Tensor:
    """What a call gives when ``module`` gives ``vectors``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "forward", lambda *_, **__: vectors)
        return hf_models.tensor(call())


def open_clip_features(text: Any, embedded: Tensor, ids: Tensor) -> Tensor:
    """As the forward pass of open_clip's text towers, without its first line."""
    x, mask, cls = embedded, text.attn_mask, getattr(text, "cls_emb", None)
    if cls is not None:
        x = torch.cat([x, cls.expand(len(x), 1, -1)], 1)
        mask = mask + text._build_additive_mask(ids, x.shape[1], x.dtype)
    x = text.transformer(x + text.positional_embedding, attn_mask=mask)
    if cls is not None:
        pooled = text.ln_final(x[:, -1])
    elif isinstance(text, open_clip.CLIP):
        pooled = text_global_pool(text.ln_final(x), ids, text.text_pool_type, text.text_eos_id)
    else:
        pooled = text_global_pool(text.ln_final(x), ids, text.pool_type, text.eos_id)
    last = text.text_projection
    return last(pooled) if isinstance(last, nn.Module) else pooled @ last


def open_clip_text(name: str, fast: bool, _folder: Path) -> Text:
    encoder = tiny.encoder(name)
    model: Any = stir(encoder.model)
    text = getattr(model, "text", model)
    ids = open_clip.get_tokenizer(f"tiny-{name}")
    return Text(encoder, ids, text.token_embedding, partial(open_clip_features, text), fast)


def words_text(folder: Path) -> Text:
    made = build(trained.VIT, words=WORDS, seed=3)
    stir(made.model)
    made.save(folder / "words")
    encoder = load_model(f"open_clip:{folder / 'words'}")
    text: Any = made.model
    features = partial(open_clip_features, text.requires_grad_(False).eval())
    ids = open_clip.get_tokenizer(f"local-dir:{folder / 'words'}")
    return Text(encoder, ids, text.token_embedding, features, True, template="{}")


class Letters:
    """A tokenizer of letters, as open_clip has them for towers of transformers."""

    def __init__(self, pad: int, start: list[int]) -> None:
        self.pad, self.start = pad, start
        self.tokenizer = self
        self.pad_token_id = pad

    def __call__(self, texts: Any) -> Any:
        if isinstance(texts, str):
            return argparse.Namespace(input_ids=[0] * (len(texts) + 2))
        rows = [[*self.start, *(3 + ord(c) % 90 for c in text), 2][:30] for text in texts]
        return torch.tensor([row + [self.pad] * (30 - len(row)) for row in rows])


def hf_inside_text(kind: str, _folder: Path) -> Text:
    """A tower of transformers inside a model of open_clip."""
    if kind == "roberta":
        config: Any = transformers.RobertaConfig(
            vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=40, pad_token_id=1,
        )  # fmt: skip
        tokenizer = Letters(pad=1, start=[0])
    else:
        config = transformers.MT5Config(
            vocab_size=100, d_model=32, d_kv=16, d_ff=32, num_layers=2, num_heads=2
        )
        tokenizer = Letters(pad=0, start=[])
    tower: Any = open_clip.hf_model.HFTextEncoder(
        kind, output_dim=16, config=config, pooler_type="mean_pooler", proj_type="linear",
        pretrained=False,
    )  # fmt: skip
    if kind == "mt5":
        tower.transformer = tower.transformer.encoder  # as open_clip does where it loads by name
    model: Any = open_clip.create_model("tiny-custom")
    model.text = tower
    stir(model)

    def features(embedded: Tensor, ids: Tensor) -> Tensor:
        mask = (ids != tokenizer.pad).long()
        found = tower.transformer(inputs_embeds=embedded, attention_mask=mask)
        pooled: Tensor = tower.proj(tower.pooler(found, mask))
        return pooled

    encoder = OpenClipEncoder(model, tokenizer, f"tiny-{kind}", "random")
    embedding = tower.transformer.get_input_embeddings()
    return Text(encoder, tokenizer, embedding, features, False, word="x")


def hf_model(name: str, folder: Path) -> Any:
    """The library's own, whose tokenizer has learned the words of our sentences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hf_models, "TEXTS", [*hf_models.TEXTS, *["a photo of a cat, a dog"] * 99])
        return hf_models.CASES[name].make(folder).requires_grad_(False)


def hf_text(name: str, fast: bool, folder: Path) -> Text:
    case = hf_models.CASES[name]
    model = hf_model(name, folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def ids(texts: list[str]) -> Tensor:
        found: Tensor = tokenizer(
            texts, padding="max_length", max_length=case.context, return_tensors="pt"
        )["input_ids"]
        return found

    def features(embedded: Tensor, ids: Tensor) -> Tensor:
        text, kind = model.text_model, model.config.model_type
        if kind in ("clip", "siglip", "siglip2"):  # which take no embeddings
            embedding = text.embeddings.token_embedding
            return given_by(embedding, embedded, lambda: model.get_text_features(ids))
        mask = (ids != tokenizer.pad_token_id).long()
        found = text(inputs_embeds=embedded, attention_mask=mask, return_dict=True)
        if kind == "clap":
            return model.text_projection(found.pooler_output)
        return model.text_projection(found.last_hidden_state[:, 0])

    encoder = load_hf(str(folder), f"hf:{name}", 0)
    found = [each for each in model.text_model.modules() if isinstance(each, nn.Embedding)]
    return Text(encoder, ids, found[0], features, fast)


def slip() -> Any:
    sizes = {"ViT-B-16": {"embed_dim": 64, "depth": 2, "num_heads": 4}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slip_library, "ARCHITECTURES", sizes)
        patch.setattr(slip_library, "TEXT", tiny.TEXT)
        encoder = slip_library.load("ViT-B-16/random", "slip:ViT-B-16/random", 0)
    stir(encoder.towers, 0.05)
    return encoder


def slip_text(_folder: Path) -> Text:
    encoder = slip()
    towers = encoder.towers
    features = partial(open_clip_features, towers)
    ids = open_clip.get_tokenizer("tiny-clip")
    return Text(encoder, ids, towers.token_embedding, features, True)


TEXTS: dict[str, Callable[[Path], Text]] = {
    "open_clip": partial(open_clip_text, "clip", True),
    "open_clip-quick_gelu": partial(open_clip_text, "quick", True),
    "open_clip-custom": partial(open_clip_text, "custom", True),
    "open_clip-eos": partial(open_clip_text, "eos", True),
    "open_clip-causal_last": partial(open_clip_text, "last", True),
    "open_clip-siglip": partial(open_clip_text, "sig", True),
    "open_clip-both_ways": partial(open_clip_text, "both_ways", False),
    "open_clip-coca": partial(open_clip_text, "coca", False),
    "open_clip-roberta": partial(hf_inside_text, "roberta"),
    "open_clip-mt5": partial(hf_inside_text, "mt5"),
    "open_clip-words": words_text,
    "hf-clip": partial(hf_text, "clip", True),
    "hf-clip_eos_2": partial(hf_text, "clip, eos 2", True),
    "hf-siglip": partial(hf_text, "siglip", True),
    "hf-align": partial(hf_text, "align", False),
    "hf-altclip": partial(hf_text, "altclip", False),
    "hf-chinese_clip": partial(hf_text, "chinese_clip", False),
    "hf-clap": partial(hf_text, "clap", False),
    "slip": slip_text,
}
if "siglip2" in hf_models.CASES:
    TEXTS["hf-siglip2"] = partial(hf_text, "siglip2", False)
FAST_TEXTS = [
    "open_clip", "open_clip-custom", "open_clip-eos", "open_clip-causal_last", "open_clip-siglip",
    "open_clip-words", "hf-clip", "hf-siglip", "slip",
]  # fmt: skip


def open_clip_picture(changes: dict[str, Any], fast: bool, _folder: Path) -> Picture:
    config = tiny.CONFIGS["clip"]
    # far from every rounding: towers of no layer norm before would else be led by positions alone
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.CLIP(**config | {"vision_cfg": tiny.VISION | changes})
    visual: Any = stir(model).visual
    visual.preprocess_cfg = {"size": 32}

    def features(patches: Tensor) -> Tensor:
        first = visual.class_embedding.expand(len(patches), 1, -1)
        x = visual.ln_pre(torch.cat([first, patches], 1) + visual.positional_embedding)
        x = visual.transformer(x)
        average = visual.pool_type == "avg"
        if visual.attn_pool is not None:
            x = visual.attn_pool(x)
        if not visual.final_ln_after_pool:
            x = visual.ln_post(x)
        x = x[:, 1:].mean(1) if average else x[:, 0]
        if visual.final_ln_after_pool:
            x = visual.ln_post(x)
        return x @ visual.proj

    encoder = OpenClipEncoder(model, open_clip.get_tokenizer("tiny-clip"), "tiny", "random")
    return Picture(encoder, features, (16, 32), fast)


def with_trunk(trunk: Any, head: nn.Module) -> OpenClipEncoder:
    """A trunk of timm in a model of open_clip."""
    model: Any = open_clip.create_model("tiny-custom")
    visual: Any = TimmModel("test_vit", 16, 32, pool="token")
    visual.trunk, visual.head = trunk, head
    visual.preprocess_cfg = {"size": 32}
    model.visual = visual
    stir(model)
    return OpenClipEncoder(model, open_clip.get_tokenizer("tiny-custom"), "tiny-timm", "random")


SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2,
         "num_classes": 0}  # fmt: skip


def timm_picture(
    make: Callable[..., Any], changes: dict[str, Any], fast: bool, _folder: Path
) -> Picture:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        trunk, head = make(**SMALL | changes), nn.Linear(32, 16, bias=False)
    encoder = with_trunk(trunk, head if changes.get("global_pool") != "map" else nn.Sequential())
    visual: Any = encoder.model.visual

    def features(patches: Tensor) -> Tensor:
        if changes.get("dynamic_img_size"):  # then the library keeps rows and columns
            patches = patches.unflatten(1, (4, 4))
        pixels = torch.zeros(len(patches), 3, 32, 32)
        return given_by(trunk.patch_embed, patches, lambda: visual(pixels))

    return Picture(encoder, features, (16, 32), fast)


def hf_picture(name: str, fast: bool, folder: Path) -> Picture:
    model = hf_model(name, folder)
    vision, kind = model.vision_model, model.config.model_type
    encoder: Any = load_hf(str(folder), f"hf:{name}", 0)
    if kind == "siglip2":  # a square: whatever number is not one is filled up with masked patches
        encoder.prepare.processor.max_num_patches = 16

    def features(patches: Tensor) -> Tensor:
        if kind == "siglip2":
            b = len(patches)
            pixels, mask = torch.zeros(b, 16, 192), torch.ones(b, 16, dtype=torch.int64)
            shapes = torch.full((b, 2), 4)
            embedding = vision.embeddings.patch_embedding
            return given_by(
                embedding, patches, lambda: model.get_image_features(pixels, mask, shapes)
            )
        positions = vision.embeddings.position_embedding.weight
        if kind == "siglip":
            x = vision.encoder(inputs_embeds=patches + positions).last_hidden_state
            return vision.head(vision.post_layernorm(x))
        first = vision.embeddings.class_embedding.expand(len(patches), 1, -1)
        x = vision.pre_layrnorm(torch.cat([first, patches], 1) + positions)
        x = vision.encoder(inputs_embeds=x).last_hidden_state
        return model.visual_projection(vision.post_layernorm(x[:, 0]))

    return Picture(encoder, features, (16, 32), fast)


def slip_picture(_folder: Path) -> Picture:
    encoder = slip()
    trunk, last = encoder.towers.visual, encoder.towers.image_projection

    def features(patches: Tensor) -> Tensor:
        x = torch.cat([trunk.cls_token.expand(len(patches), -1, -1), patches], 1)
        return trunk.norm(trunk.blocks(x + trunk.pos_embed))[:, 0] @ last

    return Picture(encoder, features, (196, 64), True)


POOLER = {"attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 4}
EVA = {"use_rot_pos_emb": True, "swiglu_mlp": True, "global_pool": "avg"}
PICTURES: dict[str, Callable[[Path], Picture]] = {
    "open_clip": partial(open_clip_picture, {}, True),
    "open_clip-average": partial(open_clip_picture, {"pool_type": "avg"}, True),
    "open_clip-average_then_norm": partial(
        open_clip_picture, {"pool_type": "avg", "final_ln_after_pool": True}, True
    ),
    "open_clip-norm_after_pool": partial(open_clip_picture, {"final_ln_after_pool": True}, True),
    "open_clip-no_norm_before": partial(open_clip_picture, {"no_ln_pre": True}, True),
    "open_clip-layer_scale": partial(open_clip_picture, {"ls_init_value": 0.3}, True),
    "open_clip-coca": partial(open_clip_picture, POOLER, True),
    "open_clip-custom_blocks": partial(open_clip_picture, {"block_type": "custom"}, False),
    "timm-token": partial(timm_picture, VisionTransformer, {"global_pool": "token"}, True),
    "timm-registers": partial(
        timm_picture, VisionTransformer, {"reg_tokens": 2, "no_embed_class": True}, True
    ),
    "timm-average": partial(
        timm_picture, VisionTransformer, {"global_pool": "avg", "init_values": 0.3}, True
    ),
    "timm-siglip": partial(
        timm_picture,
        VisionTransformer,
        {"global_pool": "map", "class_token": False, "embed_dim": 16},
        True,
    ),
    "timm-normed_keys": partial(timm_picture, VisionTransformer, {"qk_norm": True}, False),
    "timm-any_size": partial(timm_picture, VisionTransformer, {"dynamic_img_size": True}, False),
    "timm-eva": partial(timm_picture, Eva, EVA, False),
    "hf-clip": partial(hf_picture, "clip", True),
    "hf-siglip": partial(hf_picture, "siglip", True),
    "hf-altclip": partial(hf_picture, "altclip", False),
    "hf-chinese_clip": partial(hf_picture, "chinese_clip", False),
    "slip": slip_picture,
}
if "siglip2" in hf_models.CASES:
    PICTURES["hf-siglip2"] = partial(hf_picture, "siglip2", False)


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], Any]:
    """make(name, cases): a case, made once."""
    known: dict[tuple[str, int], Any] = {}

    def made(name: str, cases: Any) -> Any:
        if (name, id(cases)) not in known:
            known[name, id(cases)] = cases[name](tmp_path_factory.mktemp("model"))
        return known[name, id(cases)]

    return made


@pytest.fixture(params=list(TEXTS))
def text(request: pytest.FixtureRequest, make: Callable[[str, Any], Text]) -> Text:
    return make(request.param, TEXTS)


@pytest.fixture(params=list(PICTURES))
def picture(request: pytest.FixtureRequest, make: Callable[[str, Any], Picture]) -> Picture:
    return make(request.param, PICTURES)


# the definition -----------------------------------------------------------------------------------


def noise(names: Sequence[str], count: int, width: int, seed: int = 0) -> Tensor:
    """N(0, .02²) of each name alone."""
    made = []
    for name in names:
        digest = xxhash.xxh3_64_intdigest(f"{seed}|{name}".encode())
        own = torch.Generator().manual_seed(digest % 2**63)
        made.append(torch.randn(count, width, generator=own) * 0.02)
    return torch.stack(made)


def plain_descent(
    features: Callable[[Tensor], Tensor], targets: Tensor, start: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Unit features and vectors after so many steps of AdamW."""
    vectors = nn.Parameter(start.clone())
    optimiser = torch.optim.AdamW([vectors], lr=0.02, weight_decay=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (1 - cosine_similarity(features(vectors), targets)).sum()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return normalize(features(vectors), dim=1), vectors.detach()


def marked(text: Text, template: str, count: int) -> tuple[Tensor, list[int]]:
    """Ids (1, context) of a template with words in its places, and where these stand."""
    with_it, without = text.ids([f"a of {text.word}", "a of a"]).tolist()
    alone = set(with_it) - set(without)
    assert len(alone) == 1, "the word must be a single token"
    ids = text.ids([template.replace("{}", " ".join([text.word] * count))])
    places = torch.nonzero(ids[0] == alone.pop()).flatten().tolist()
    assert len(places) == template.count("{}") * count
    return ids, places


def plain_tokens(text: Text, template: str, vectors: Tensor) -> Tensor:
    """Features of a prompt, tokenised and embedded anew, over the whole context."""
    b, count, _ = vectors.shape
    ids, places = marked(text, template, count)
    embedded = text.embedding(ids).repeat(b, 1, 1)
    for i, place in enumerate(places):
        embedded[:, place] = vectors[:, i % count]
    return text.features(embedded, ids.repeat(b, 1))


def plain_patches(picture: Picture, vectors: Tensor) -> Tensor:
    """Features of pseudo-patches, the nearest in each place."""
    n, count = picture.shape[0], vectors.shape[1]
    return picture.features(torch.stack([vectors[:, i * count // n] for i in range(n)], 1))


# how ours is asked --------------------------------------------------------------------------------


def inverter_of(method: str, encoder: Encoder, seed: int = 0, **options: Any) -> Descender:
    sides = tuple(encoder.modalities)
    modality, into = sides if method == "oti" else sides[::-1]
    given = InversionContext(
        encoder=encoder, device=torch.device("cpu"), seed=seed, dim=encoder.dim,
        modality=modality, into=into,
    )  # fmt: skip
    made = METHODS[method].prepare(given, {"optimiser": "adamw", **options})
    assert isinstance(made, Descender)
    return made


def targets_of(encoder: Encoder, n: int = len(NAMES), seed: int = 5) -> Tensor:
    return normalize(torch.randn(n, encoder.dim, generator=torch.Generator().manual_seed(seed)))


def run(
    made: Descender, targets: Tensor, names: Sequence[str] = NAMES, at: Any = ()
) -> InversionBatch:
    return made(names, targets, lambda _: None, at)


def near(ours: Tensor, theirs: Tensor, within: float) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=within)


def fast_of(made: Descender) -> bool:
    objective = made.objective
    assert isinstance(objective, FromTokens | FromPatches)
    return objective.stack is not None


def slow(objective: Any) -> Any:
    """The same through the library's own pass."""
    found = object.__new__(type(objective))
    found.__dict__.update(objective.__dict__, stack=None)
    return found


# 1: the loops agree -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_textual_inversion_is_what_it_is_defined_as(text: Text, count: int) -> None:
    steps = 4 if "mt5" in text.encoder.spec else STEPS  # its toy weights multiply rounding
    made = inverter_of("oti", text.encoder, steps=steps, tokens=count, template=text.template)
    targets = targets_of(text.encoder)
    done = run(made, targets)
    start = noise(NAMES, count, text.embedding.weight.shape[1])  # type: ignore[union-attr, index]
    features, vectors = plain_descent(
        partial(plain_tokens, text, text.template), targets, start, steps
    )
    near(done.features, features, 1e-4)
    assert done.vectors is not None
    near(done.vectors, vectors, 1e-3)
    near(done.cosines, (features * targets).sum(1), 1e-4)
    assert fast_of(made) == text.fast
    assert (features - plain_tokens(text, text.template, start)).abs().max() > 0.05  # it moved


@pytest.mark.parametrize("count", [1, 5])
def test_visual_inversion_is_what_it_is_defined_as(picture: Picture, count: int) -> None:
    made = inverter_of("ovi", picture.encoder, steps=STEPS, tokens=count)
    targets = targets_of(picture.encoder)
    done = run(made, targets)
    start = noise(NAMES, count, done.vectors.shape[2])  # type: ignore[union-attr]
    features, vectors = plain_descent(partial(plain_patches, picture), targets, start, STEPS)
    near(done.features, features, 1e-4)
    assert done.vectors is not None
    near(done.vectors, vectors, 1e-3)
    assert fast_of(made) == picture.fast
    assert (features - plain_patches(picture, start)).abs().max() > 0.02


def test_of_many_steps_and_another_seed(make: Callable[[str, Any], Any]) -> None:
    text, picture = make("open_clip", TEXTS), make("open_clip", PICTURES)
    targets = targets_of(text.encoder)
    words = run(inverter_of("oti", text.encoder, seed=9, steps=40, template=SEVERAL), targets)
    start = noise(NAMES, 1, 32, seed=9)
    features, _ = plain_descent(partial(plain_tokens, text, SEVERAL), targets, start, 40)
    near(words.features, features, 1e-4)
    patches = run(inverter_of("ovi", picture.encoder, seed=9, steps=40, tokens=2), targets)
    start = noise(NAMES, 2, 32, seed=9)
    features, _ = plain_descent(partial(plain_patches, picture), targets, start, 40)
    near(patches.features, features, 1e-4)


def no_patches(name: str, folder: Path) -> Encoder:
    if name == "resnet":
        return tiny.encoder("resnet")
    if name == "efficientnet":
        build("mad_cnn", words=WORDS).save(folder / "cnn")
        return load_model(f"open_clip:{folder / 'cnn'}")
    hf_models.CASES[name].make(folder)
    return load_hf(str(folder), f"hf:{name}", 0)


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "align", "clap"])
def test_towers_without_patches(name: str, tmp_path: Path) -> None:
    encoder = no_patches(name, tmp_path)
    texts = Embeddings(targets_of(encoder).numpy(), "text")
    with pytest.raises(errors.NotApplicable) as caught:
        ovi(texts, model=encoder)
    assert str(caught.value).startswith(encoder.spec)
    assert encoder.modalities[0] in str(caught.value)


# 2: vectors that are words or patches give what the encoder gives ---------------------------------


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2])
def test_the_vectors_of_words_give_the_features_of_words(text: Text, count: int) -> None:
    encoder = text.encoder
    sentence = text.template.replace("{}", " ".join([text.word] * count))
    wanted = normalize(encoder.encode_text(encoder.tokenize([sentence])), dim=1)
    objective = FromTokens(
        text_tower_of(encoder), Prompt.of(text.template, count, encoder), torch.device("cpu")
    )
    ids, places = marked(text, text.template, count)
    vectors = text.embedding(ids)[:, places]
    near(normalize(objective(vectors), dim=1), wanted, 1e-5)
    near(normalize(slow(objective)(vectors), dim=1), wanted, 1e-5)
    others = vectors + 50 * noise(["n"], count, vectors.shape[2])
    assert (normalize(objective(others), dim=1) - wanted).abs().max() > 1e-2


@torch.no_grad()
def test_the_patches_of_images_give_the_features_of_images(picture: Picture) -> None:
    encoder = picture.encoder
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    images = torch.stack([encoder.prepare(Image.fromarray(each)) for each in pixels])
    wanted = normalize(encoder.encode_media(images), dim=1)
    tower = encoder.image_tower()
    assert tower is not None
    patches = tower.patches(images)
    assert tower.shape == patches.shape[1:] == (picture.shape[0], patches.shape[2])
    near(normalize(tower.features(patches), dim=1), wanted, 1e-5)
    near(normalize(picture.features(patches), dim=1), wanted, 1e-5)
    assert (tower.stack is not None) == picture.fast
    if tower.stack is not None:
        near(normalize(tower.stack.features(patches), dim=1), wanted, 1e-5)
    assert (wanted[0] - wanted[1]).abs().max() > 1e-2


# 3: what is computed once -------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("template", [SENTENCE, SEVERAL, "{}"])
@pytest.mark.parametrize("name", FAST_TEXTS)
def test_a_kept_prefix_changes_nothing(
    name: str, template: str, count: int, make: Callable[[str, Any], Text]
) -> None:
    text = make(name, TEXTS)
    tower = text_tower_of(text.encoder)
    if tower.context < 20 and len(template) > 3:
        count, template = 2, template.replace("and, a", "red")  # it has eight positions
    objective = FromTokens(tower, Prompt.of(template, count, text.encoder), torch.device("cpu"))
    assert objective.stack is not None
    if objective.stack.causal:
        first = marked(text, template, count)[1][0]
        assert objective.start == first  # what stands before is not computed again
        assert len(objective.pasts) == len(objective.stack.layers)
        assert objective.pasts[0][0].shape[2] == first
    vectors = noise(["p", "q"], count, objective.width) * 20
    found = []
    for way in (objective, slow(objective), partial(plain_tokens, text, template)):
        own = vectors.clone().requires_grad_()
        features = normalize(way(own), dim=1)
        weights = torch.linspace(-1, 1, features.shape[1])
        found.append((features.detach(), torch.autograd.grad((features @ weights).sum(), own)[0]))
    for features, gradient in found[1:]:
        near(found[0][0], features, 1e-5)
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[0][1], gradient, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.parametrize("name", ["open_clip", "open_clip-coca", "timm-siglip", "hf-clip", "slip"])
def test_gradients_of_patches(name: str, make: Callable[[str, Any], Picture]) -> None:
    picture = make(name, PICTURES)
    tower = picture.encoder.image_tower()
    assert tower is not None
    objective = FromPatches(tower, 3, torch.device("cpu"))
    found = []
    for way in (objective, slow(objective), partial(plain_patches, picture)):
        own = (noise(["p", "q"], 3, objective.width) * 20).requires_grad_()
        features = normalize(way(own), dim=1)
        weights = torch.linspace(-1, 1, features.shape[1])
        found.append(torch.autograd.grad((features @ weights).sum(), own)[0])
    for gradient in found[1:]:
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[0], gradient, rtol=1e-3, atol=1e-4 * scale)


# 4: an item's own result --------------------------------------------------------------------------


# each step of L-BFGS makes differences of rounding about three times as large
@pytest.mark.parametrize(("optimiser", "steps"), [("adamw", 20), ("lbfgs", 6)])
@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_neighbours_and_order_are_of_no_account(
    method: str, optimiser: str, steps: int, make: Callable[[str, Any], Any]
) -> None:
    encoder = make("open_clip", TEXTS if method == "oti" else PICTURES).encoder
    names = [f"item {i}" for i in range(7)]
    rows = targets_of(encoder, len(names)).numpy()
    side = "image" if method == "oti" else "text"
    data = Embeddings(rows, side, names=names)
    options: dict[str, Any] = {"model": encoder, "optimiser": optimiser, "steps": steps}
    whole = invert(data, method, **options)
    for size in (1, 3):
        found = invert(data, method, batch_size=size, **options)
        near(found.cosines, whole.cosines, 1e-4)
        near(features_of(found), features_of(whole), 1e-4)
    order = [4, 0, 6, 2, 5, 1, 3]
    turned = Embeddings(rows[order], side, names=[names[i] for i in order])
    found = invert(turned, method, batch_size=2, **options)
    near(features_of(found), features_of(whole)[order], 1e-4)
    other = invert(data, method, seed=1, **options)
    assert (features_of(other) - features_of(whole)).abs().max() > 1e-3  # noise is of the seed


@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_what_lbfgs_makes_of_neighbours_is_rounding(
    method: str, make: Callable[[str, Any], Any]
) -> None:
    """In double precision, where there is next to none of it, items go their ways alone."""
    case = make("open_clip", TEXTS if method == "oti" else PICTURES)
    model: Any = case.encoder.model
    targets = targets_of(case.encoder, 7).double()
    start = noise([str(i) for i in range(7)], 1, 32).double()
    plain = (
        partial(plain_tokens, case, SENTENCE) if method == "oti" else partial(plain_patches, case)
    )

    def found(rows: slice) -> Tensor:
        rule = Lbfgs(start[rows], 0.0, 0.0)
        for _ in range(20):
            at = rule.at.detach().requires_grad_()
            loss = 1 - cosine_similarity(plain(at), targets[rows])
            rule.observe(loss.detach(), torch.autograd.grad(loss.sum(), at)[0])
        return rule.x

    model.double()
    try:
        whole = found(slice(None))
        for row in range(7):
            near(found(slice(row, row + 1))[0], whole[row], 1e-6)
    finally:
        model.float()


def features_of(found: Any) -> Tensor:
    rows: Tensor = found.features.unit(0, found.features.n)
    return rows


@pytest.mark.slow
def test_processes_change_nothing(tmp_path: Path) -> None:
    words_text(tmp_path)
    spec = f"open_clip:{tmp_path / 'words'}"
    encoder = load_model(spec)
    data = Embeddings(targets_of(encoder, 9).numpy(), "image", names=[f"i{i}" for i in range(9)])
    one, two = (oti(data, model=spec, steps=10, batch_size=4, jobs=jobs) for jobs in (1, 2))
    near(features_of(one), features_of(two), 1e-5)
    assert two.losses is not None
    assert one.losses is not None
    near(one.losses, two.losses, 1e-5)


# 5: when it stops, and what it keeps --------------------------------------------------------------


def test_items_stop_by_themselves(make: Callable[[str, Any], Text]) -> None:
    encoder = make("open_clip", TEXTS).encoder
    names = [f"item {i}" for i in range(6)]
    start = run(inverter_of("oti", encoder, steps=0), targets_of(encoder, 6), names).features
    targets = targets_of(encoder, 6)
    targets[2] = start[2]  # there at once
    free = run(inverter_of("oti", encoder, steps=30), targets, names, at=range(31))
    assert free.losses is not None
    cosines = 1 - free.losses
    wanted = 0.4
    there = cosines >= wanted
    expected = torch.where(there.any(1), there.int().argmax(1), 30)
    assert expected[2] == 0
    assert 0 < int((expected < 30).sum()) < 6
    assert len(set(expected.tolist())) >= 3
    made = inverter_of("oti", encoder, steps=30, wanted=wanted)
    told = []
    done = made(names, targets, told.append)
    assert sum(told) == 6 * 31  # progress counts what need not be done any more
    assert torch.equal(done.steps, expected)  # type: ignore[arg-type]
    for row, step in enumerate(expected.tolist()):
        near(done.features[row], free.recorded[step][row], 1e-5)
        assert (done.cosines[row] >= wanted) == bool(there[row].any())
        assert done.losses is not None
        near(done.losses[row, : step + 1], free.losses[row, : step + 1], 1e-5)
        assert bool((done.losses[row, step:] == done.losses[row, step]).all())
        alone = run(made, targets[row : row + 1], [names[row]])
        near(alone.features[0], done.features[row], 1e-5)
        assert alone.steps is not None
        assert int(alone.steps[0]) == step


def test_the_best_is_never_worse_than_the_last(make: Callable[[str, Any], Text]) -> None:
    encoder = make("open_clip", TEXTS).encoder
    targets = targets_of(encoder)
    # more than all of a vector decays, so that it comes and goes
    options: dict[str, Any] = {"steps": 25, "lr": 1.0, "weight_decay": 1.8}
    last = run(inverter_of("oti", encoder, **options), targets, at=range(26))
    best = run(inverter_of("oti", encoder, keep="best", **options), targets, at=range(26))
    assert last.losses is not None
    assert best.losses is not None
    assert bool((last.losses[:, 1:] > last.losses[:, :-1] + 1e-3).any())
    near(best.losses, last.losses.cummin(1).values, 1e-5)
    for step in range(26):
        ours = (best.recorded[step] * targets).sum(1)
        assert bool((ours >= (last.recorded[step] * targets).sum(1) - 1e-5).all())
        near(1 - ours, best.losses[:, step], 1e-5)
    rows = last.losses.argmin(1).tolist()
    for item, step in enumerate(rows):
        near(best.features[item], last.recorded[step][item], 1e-5)


# 6: L-BFGS ----------------------------------------------------------------------------------------


def quadratics(b: int = 5, size: int = 12) -> tuple[Tensor, Tensor]:
    """Curvatures (b, 12, 12), of conditions from 1 to 1,000, and minima (b, 12)."""
    own = torch.Generator().manual_seed(2)
    turns = torch.linalg.qr(torch.randn(b, size, size, generator=own))[0]
    conditions = torch.logspace(0, 3, b)
    values = torch.stack([torch.logspace(0, float(c.log10()), size) for c in conditions])
    return turns @ torch.diag_embed(values) @ turns.mT, torch.randn(b, size, generator=own)


def descend(
    curvature: Tensor, minimum: Tensor, looks: int, keep: tuple[int, list[int]] | None = None
) -> tuple[Lbfgs, Tensor]:
    """The rule after so many looks, and the losses of the points that it held."""
    start = noise([str(i) for i in range(len(minimum))], 3, 4)
    start[:] = start[:1]  # as if each were the first
    rule = Lbfgs(start, 0.0, 0.0)
    held = []
    for look in range(looks):
        if keep is not None and look == keep[0]:
            index = torch.tensor(keep[1])
            rule.keep(index)
            curvature, minimum = curvature[index], minimum[index]
        away = rule.at.flatten(1) - minimum
        gradient = torch.einsum("bij,bj->bi", curvature, away)
        rule.observe((away * gradient).sum(1) / 2, gradient.unflatten(1, (3, 4)))
        held.append(rule.loss.clone())
        away = rule.x - minimum
        loss = torch.einsum("bi,bij,bj->b", away, curvature, away) / 2
        torch.testing.assert_close(rule.loss, loss, rtol=1e-4, atol=1e-6)
    return rule, torch.stack(held[keep[0] :] if keep else held)


def test_lbfgs_reaches_the_minimum_of_a_quadratic() -> None:
    curvature, minimum = quadratics()
    rule, held = descend(curvature, minimum, 120)
    assert bool((held[1:] <= held[:-1]).all())  # what it holds never becomes worse
    assert float(rule.loss.max()) < 1e-4 * float(held[0].min())
    near(rule.x[:3], minimum[:3], 1e-3)
    assert bool((held[15, :2] < 1e-3 * held[0, :2]).all())  # the easy ones at once


def test_lbfgs_goes_at_each_items_own_pace() -> None:
    curvature, minimum = quadratics()
    whole, held = descend(curvature, minimum, 40)
    for row in range(len(minimum)):
        alone, losses = descend(curvature[row : row + 1], minimum[row : row + 1], 40)
        near(alone.x[0], whole.x[row], 1e-4)
        torch.testing.assert_close(losses[:, 0], held[:, row], rtol=1e-2, atol=1e-4)
    some, _ = descend(curvature, minimum, 40, keep=(17, [3, 1]))
    near(some.x, whole.x[[3, 1]], 1e-4)


def test_lbfgs_needs_fewer_steps(make: Callable[[str, Any], Any]) -> None:
    text = make("open_clip", TEXTS)
    targets = targets_of(text.encoder)
    quick = run(inverter_of("oti", text.encoder, optimiser="lbfgs", steps=30), targets)
    slower = run(inverter_of("oti", text.encoder, steps=60), targets)
    assert float(quick.cosines.mean()) > float(slower.cosines.mean())
    assert quick.losses is not None
    assert bool((quick.losses[:, 1:] <= quick.losses[:, :-1]).all())
    near(quick.losses[:, -1], 1 - quick.cosines, 1e-5)
    assert quick.vectors is not None
    with torch.no_grad():
        near(normalize(plain_tokens(text, SENTENCE, quick.vectors), dim=1), quick.features, 1e-5)


# 7: how many go together --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_room_grows_with_the_budget(method: str, make: Callable[[str, Any], Any]) -> None:
    encoder = make("open_clip", TEXTS if method == "oti" else PICTURES).encoder
    made = inverter_of(method, encoder)
    each = 2**30 / made.room(2**30)
    assert 1e3 < each < 1e6
    for power in range(20, 34):
        assert made.room(2**power) == pytest.approx(2**power / each, rel=1e-2, abs=1.5)
    assert made.room(0) == made.room(1) == 1
    more = inverter_of(method, encoder, tokens=4)
    assert more.room(2**30) <= made.room(2**30) * 1.05


def test_what_is_no_number_is_refused() -> None:
    """Whichever of its steps an item keeps."""
    given = InversionContext(
        encoder=None, device=torch.device("cpu"), dim=4, modality="image", into="text"
    )
    for optimiser, keep in (("adamw", "last"), ("adamw", "best"), ("lbfgs", "last")):
        search = SearchOptions(
            optimiser=optimiser, steps=3, lr=0.1, weight_decay=0.0, std=0.02, wanted=None,
            keep=keep, loss="cosine",
        )  # fmt: skip
        made = Descender(
            given, lambda x: x[:, 0] * torch.nan, count=1, width=4, search=search, settings={}
        )
        with pytest.raises(errors.Diverged, match=r"one\.jpg"):
            run(made, normalize(torch.ones(3, 4)))
