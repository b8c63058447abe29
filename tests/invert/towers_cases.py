"""Small towers of both libraries, and the definition in plain loops."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import encode.transformers_cases as hf_models
import open_clip
import pytest
import tiny
import torch
import trained
import transformers
import xxhash
from open_clip.transformer import text_global_pool
from torch import Tensor, nn
from torch.nn.functional import normalize

from modalgap.encode import load_model
from modalgap.encode.base import Encoder
from modalgap.encode.libraries import slip as slip_library
from modalgap.encode.libraries.open_clip import OpenClipEncoder
from modalgap.encode.libraries.transformers import load as load_hf
from modalgap.encode.trainable import build
from modalgap.invert import METHODS
from modalgap.invert.base import InversionBatch, InversionContext
from modalgap.invert.optimise import Descender

NAMES = ["one.jpg", "two.jpg", "drei"]
SENTENCE = "a photo of {}"
WORDS = ["cat", "dog", "red", "blue", "photo", "a", "of"]  # of the model that reads whole words


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


def noise(names: Sequence[str], count: int, width: int, seed: int = 0) -> Tensor:
    """N(0, .02²) of each name alone."""
    made = []
    for name in names:
        digest = xxhash.xxh3_64_intdigest(f"{seed}|{name}".encode())
        own = torch.Generator().manual_seed(digest % 2**63)
        made.append(torch.randn(count, width, generator=own) * 0.02)
    return torch.stack(made)


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
