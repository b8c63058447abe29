"""Inversion against loops written from its definition, on the libraries' own models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import encode.transformers_cases as hf_models
import numpy as np
import pytest
import tiny
import torch
from invert.picture_towers_cases import PICTURES, Picture, plain_patches
from invert.towers_cases import (
    NAMES,
    SENTENCE,
    TEXTS,
    WORDS,
    Text,
    inverter_of,
    marked,
    near,
    noise,
    plain_tokens,
    run,
    targets_of,
)
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from modalgap import errors
from modalgap.embeddings import Embeddings
from modalgap.encode import load_model
from modalgap.encode.base import Encoder
from modalgap.encode.libraries.transformers import load as load_hf
from modalgap.encode.trainable import build
from modalgap.invert import ovi
from modalgap.invert.optimise import Descender
from modalgap.invert.prompt import Prompt, text_tower_of
from modalgap.invert.pseudo_inputs import FromPatches, FromTokens

STEPS = 12
SEVERAL = "{} and, a {} ."


FAST_TEXTS = [
    "open_clip", "open_clip-custom", "open_clip-eos", "open_clip-causal_last", "open_clip-siglip",
    "open_clip-words", "hf-clip", "hf-siglip", "slip",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


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
