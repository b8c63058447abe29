"""Inversion as a whole: what comes out, what is refused, and what is kept on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import functions
import pytest
import torch
import trained
from invert.cases import QUICK, bank, planted, same, some

from modalgap.embeddings import Pair
from modalgap.encode import Encoder, load_model, trainable
from modalgap.errors import (
    Diverged,
    InputError,
    NotApplicable,
    OptionError,
)
from modalgap.invert import (
    gap_shift,
    nearest_words,
    oti,
    ovi,
    read,
)
from modalgap.invert.optimise import LOSSES
from modalgap.invert.prompt import Prompt

# templates and settings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "count", "places"),
    [
        ("a photo of {}", 1, [[4]]),
        ("a photo of {}", 3, [[4, 5, 6]]),
        ("{}", 1, [[1]]),
        ("{} in a photo", 3, [[1, 2, 3]]),
        ("{} beside {}, or {}", 1, [[1], [3], [6]]),
        ("{} beside {}", 2, [[1, 2], [4, 5]]),
        ("({})", 2, [[2, 3]]),
        ("{}'s photo", 1, [[1]]),
        ("a {{}} photo", 1, [[3]]),
        ("{}", 18, [list(range(1, 19))]),
    ],
)
def test_places_of_pseudo_tokens(
    template: str, count: int, places: list[list[int]], short: Encoder
) -> None:
    prompt = Prompt.of(template, count, short)
    assert prompt.places.tolist() == places
    found = oti(some(), short, steps=2, template=template, tokens=count)
    assert found.vectors is not None
    assert found.vectors.shape == (5, count, 32)
    said = json.loads(found.features.provenance["inversion"])
    assert (said["template"], said["tokens"]) == (template, count)


def test_templates_that_nobody_gives(short: Encoder, model: Encoder) -> None:
    for encoder, template in ((short, "a photo of {}"), (model, "{}")):
        told = oti(some(), encoder, steps=0).features.provenance["inversion"]
        assert json.loads(told)["template"] == template


@pytest.mark.parametrize("template", ["red-{}", "{}-red", "red {} thin", "{} {}"])
def test_templates_of_a_model_of_words(template: str, model: Encoder) -> None:
    assert bool(oti(some(), model, steps=2, template=template).cosines.isfinite().all())


def test_words_joined_to_a_place(model: Encoder) -> None:
    for template in ("red{}", "{}s", "{}{}", "red {}, thin"):
        with pytest.raises(
            OptionError, match=r"template: each \{\} must be separated .* got"
        ) as error:
            Prompt.of(template, 1, model)
        assert repr(template) in str(error.value)


@pytest.mark.parametrize("template", ["{}s", "a photo of {}s", "{}ing", "pre{}ion", "a{}"])
def test_letters_at_a_place(template: str, short: Encoder) -> None:
    with pytest.raises(OptionError, match="must be separated"):
        Prompt.of(template, 1, short)


def test_a_vocabulary_without_our_markers(tmp_path: Path) -> None:
    made = trainable.build(trained.VIT, words=["red", "green", "blue"], seed=3)
    made.save(tmp_path / "m")
    encoder = load_model(f"open_clip:{tmp_path / 'm'}")
    assert oti(some(), encoder, steps=1, template="red {}").features.n == 5


def test_wanted_stops_items_early(pair: Pair, model: Encoder) -> None:
    free = oti(pair, model, optimiser="lbfgs", steps=20)
    wanted = float(free.cosines.median())
    found = oti(pair, model, optimiser="lbfgs", steps=20, wanted=wanted)
    assert found.steps is not None
    assert found.losses is not None
    early = found.steps < 20
    assert 0 < int(early.sum()) < 24
    assert bool((found.cosines[early] >= wanted).all())
    for row in torch.nonzero(early).flatten().tolist():
        step = int(found.steps[row])
        assert float(found.losses[row, step]) <= 1 - wanted + 1e-6
        assert step == 0 or float(found.losses[row, step - 1]) > 1 - wanted - 1e-6
        assert bool((found.losses[row, step:] == found.losses[row, step]).all())
    at_once = oti(pair, model, wanted=-1)
    assert at_once.steps is not None
    assert at_once.steps.tolist() == [0] * 24
    same_as = oti(pair, model, steps=0)
    assert torch.equal(at_once.features.unit(), same_as.features.unit())
    assert same_as.losses is not None
    assert same_as.losses.shape == (24, 1)


def test_keep_best(pair: Pair, model: Encoder) -> None:
    options: dict[str, Any] = {"steps": 15, "lr": 1.0, "weight_decay": 1.8}
    last, best = (oti(pair, model, keep=keep, **options) for keep in ("last", "best"))
    assert last.losses is not None
    assert best.losses is not None
    torch.testing.assert_close(best.losses[:, -1], last.losses.min(1).values, rtol=0, atol=1e-4)
    assert bool((best.cosines >= last.cosines - 1e-5).all())
    assert float((best.cosines - last.cosines).max()) > 1e-3
    torch.testing.assert_close(last.losses[:, -1], 1 - last.cosines, rtol=0, atol=1e-5)


def own_angle(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    return LOSSES["angle"](ours, theirs)


def test_losses(pair: Pair, model: Encoder) -> None:
    angle = oti(pair, model, loss="angle", **QUICK)
    own = oti(pair, model, loss=own_angle, **QUICK)
    same(angle, own)
    assert angle.losses is not None
    torch.testing.assert_close(angle.losses[:, -1].cos(), angle.cosines, rtol=0, atol=1e-5)
    assert json.loads(own.features.provenance["inversion"])["loss"] == "own_angle"
    cosine = oti(pair, model, **QUICK)
    assert float((cosine.features.unit() - angle.features.unit()).abs().max()) > 1e-4


def test_steps_that_are_too_long(short: Encoder) -> None:
    with pytest.raises(Diverged, match=r"image 0: .* lr 1e\+06; use a smaller lr") as error:
        oti(some(), short, steps=20, lr=1e6, weight_decay=1e6)
    assert "\n" not in str(error.value)


def test_bf16(pair: Pair, model: Encoder) -> None:
    half, whole = (oti(pair, model, precision=name, steps=20) for name in ("bf16", "fp32"))
    assert float((half.cosines - whole.cosines).abs().max()) < 0.05
    assert half.features.unit().dtype == torch.float32


# words --------------------------------------------------------------------------------------------


def test_nearest_words(model: Encoder, short: Encoder, tmp_path: Path) -> None:
    for encoder, words in (
        (model, [["nine", "red"], ["thin", "zero"]]),
        (short, [["cat", "photo"], ["dog", "cat"]]),
    ):
        made = planted(encoder, words)
        for found in (made, read(made.save(tmp_path / "w.safetensors", overwrite=True))):
            near = nearest_words(found, encoder, k=3)
            assert [[token[0][0] for token in item] for item in near] == words
            for token in (token for item in near for token in item):
                cosines = [cosine for _, cosine in token]
                assert cosines[0] == pytest.approx(1, abs=1e-5)
                assert cosines == sorted(cosines, reverse=True)
                assert len({word for word, _ in token}) == 3
                assert cosines[1] < 0.99


def test_words_are_refused(model: Encoder, short: Encoder, pair: Pair) -> None:
    made = planted(model, [["nine"], ["one"]])
    for k in (0, 10_000, 1.5):
        with pytest.raises(OptionError, match="k must be an integer"):
            nearest_words(made, model, k=k)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="model: must have the weights that made"):
        nearest_words(made, short)
    with pytest.raises(NotApplicable, match="nearest words need pseudo-tokens"):
        nearest_words(ovi(pair, model, steps=0), model)
    with pytest.raises(NotApplicable, match="nearest words need pseudo-tokens"):
        nearest_words(gap_shift(some(), bank=bank()), model)
    with pytest.raises(NotApplicable, match="cannot enter"):
        nearest_words(made, functions.encoder())
