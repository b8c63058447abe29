"""Inversion as a whole: what comes out, what is refused, and what is kept on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import functions
import numpy as np
import pytest
import safetensors.torch
import tiny
import torch
import trained
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import safe_open

import modalgap as mg
from modalgap.data.mad import Captions, build, digits, source
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, encode, load_model, trainable
from modalgap.errors import (
    Diverged,
    FileError,
    InputError,
    ModalgapError,
    NotApplicable,
    OptionError,
    OutputError,
)
from modalgap.invert import (
    METHODS,
    Inverted,
    caption_mixture,
    curve,
    gap_shift,
    invert,
    nearest_words,
    oti,
    ovi,
    parts,
    read,
    ridge_map,
)
from modalgap.invert.base import InversionContext
from modalgap.invert.inputs import known_features
from modalgap.invert.optimise import LOSSES, Descender
from modalgap.invert.prompt import Prompt
from modalgap.search import search
from modalgap.work import Parts

Floats = NDArray[np.float64]
QUICK: dict[str, Any] = {"optimiser": "lbfgs", "steps": 6}
OWN = {"method", "seed", "precision", "tokens", "optimiser", "steps", "lr", "weight_decay", "std"}
OWN |= {"wanted", "keep", "loss"}


def small_model(base: Path) -> str:
    """A model trained on MAD for some steps; where it is there already, it is taken."""
    config = trained.config(
        steps=40,
        data={"limit": 200, "captions": "object_attribute_2"},
        watch={"measure": 0, "every": 40},
        checkpoint={"every": 40},
    )
    return mg.train(config, base / "inverted-model").spec


def looks(encoder: Encoder) -> Pair:
    """24 looks of 12 digits, with a caption each."""
    found = encode(
        source(build(digits(limit=60)), Captions(attributes=2), images=2), encoder, workers=0
    )
    assert isinstance(found, Pair)
    texts = found.text
    named = Embeddings(
        texts.unit(), "text", [f"c{i}" for i in range(texts.n)], texts.factors, texts.provenance
    )
    return Pair(found.image, named)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return small_model(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def model(spec: str) -> Encoder:
    return load_model(spec)


@pytest.fixture(scope="module")
def pair(model: Encoder) -> Pair:
    return looks(model)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A model of sentences of 20 positions, not trained."""
    tiny.add_configs(tmp_path_factory.mktemp("configs"))
    return tiny.encoder("short")


def some(n: int = 5, modality: str = "image", dim: int = 16, seed: int = 0, **more: Any) -> Any:
    """Embeddings of noise."""
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    more.setdefault("names", [f"{modality} {i}" for i in range(n)])
    return Embeddings(rows, modality, **more)


def side(pair: Pair, method: str) -> Embeddings:
    return pair.image if method == "oti" else pair.text


def pick(data: Embeddings, index: Sequence[int]) -> Embeddings:
    assert data.names is not None
    return Embeddings(
        data.take(index), data.modality, [data.names[i] for i in index], provenance=data.provenance
    )


def same(ours: Inverted, theirs: Inverted, *, within: float = 0.0) -> None:
    """Equal in all that there is."""
    for name in ("cosines", "vectors", "losses", "steps"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert (one is None) == (other is None), name
        if one is not None:
            torch.testing.assert_close(one, other, rtol=0, atol=within)
    torch.testing.assert_close(ours.features.unit(), theirs.features.unit(), rtol=0, atol=within)
    assert ours.features.names == theirs.features.names
    assert ours.features.modality == theirs.features.modality


# what comes out -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_what_comes_out(method: str, pair: Pair, model: Encoder, tmp_path: Path) -> None:
    native = side(pair, method)
    output = tmp_path / "o.safetensors"
    found = invert(pair, method, model, output, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["o.safetensors"]
    features = found.features
    assert (native.modality, features.modality) == (
        ("image", "text") if method == "oti" else ("text", "image")
    )
    assert features.names == native.names
    assert set(native.factors) <= set(features.factors)
    for name, values in native.factors.items():
        assert np.array_equal(features.factors[name], values)
    more = set(features.factors) - set(native.factors)
    assert more == (set() if method == "oti" else {"row", "image"})
    told = features.provenance
    assert told["inverted_from"] == native.modality
    assert told["model"] == model.spec
    assert told["weights_hash"] == model.provenance["weights_hash"]
    assert told["data_fingerprint"] == native.provenance["data_fingerprint"]
    settings = json.loads(told["inversion"])
    assert set(settings) == (OWN | {"template"} if method == "oti" else OWN)
    assert set(METHODS[method].options) <= set(settings)
    assert (settings["method"], settings["optimiser"], settings["steps"]) == (method, "lbfgs", 6)

    there = mg.load_embeddings(output)
    assert torch.equal(there.unit(), features.unit())
    assert there.names == features.names
    assert there.provenance == told
    assert isinstance(mg.load_embeddings(output), Embeddings)
    again = read(output)
    same(again, found)
    assert again.features.provenance == told
    assert "mean cosine" in repr(again)

    ours = features.unit().double().numpy()
    theirs = native.unit().double().numpy()
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found.cosines.numpy(), (ours * theirs).sum(1), atol=1e-6)
    assert found.losses is not None
    assert found.vectors is not None
    assert found.steps is not None
    assert found.losses.shape == (native.n, 7)
    assert found.vectors.shape == (native.n, 1, 32)
    assert found.steps.tolist() == [6] * native.n
    assert bool((found.losses[:, 1:] <= found.losses[:, :-1]).all())
    assert bool((found.losses[:, -1] < found.losses[:, 0]).all())
    torch.testing.assert_close(found.losses[:, -1], 1 - found.cosines, rtol=0, atol=1e-6)


def test_the_method_is_that_of_the_modality(pair: Pair, model: Encoder) -> None:
    same(invert(pair.image, model=model, steps=1), oti(pair, model, steps=1))
    same(invert(pair.text, model=model, steps=1), ovi(pair, model, steps=1))
    same(mg.invert(pair, model=model, steps=1), oti(pair, model, steps=1))


def test_a_run_in_memory_leaves_nothing(
    pair: Pair, model: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = oti(pair, model, **QUICK)
    assert list(tmp_path.iterdir()) == []
    same(read(made.save(tmp_path / "a.safetensors")), made)
    with pytest.raises(OutputError, match="exists"):
        made.save(tmp_path / "a.safetensors")
    with pytest.raises(OutputError, match="must end in"):
        made.save(tmp_path / "a.npz")


def test_files_that_hold_no_inversion(pair: Pair, model: Encoder, tmp_path: Path) -> None:
    native = mg.save(pair.image, tmp_path / "native.safetensors")
    with pytest.raises(FileError, match="holds no inversion"):
        read(native)
    (tmp_path / "junk.safetensors").write_bytes(b"junk" * 100)
    for path in (tmp_path / "junk.safetensors", tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(FileError):
            read(path)
    made = oti(pair, model, steps=1)
    wrong = Inverted(made.features, made.cosines[1:], made.vectors)
    with pytest.raises(FileError, match="cosines must match 24 rows"):
        read(wrong.save(tmp_path / "wrong.safetensors"))


# an item's own result -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_places_and_batches_are_of_no_account(method: str, pair: Pair, model: Encoder) -> None:
    native = side(pair, method)
    whole = invert(native, method, model, steps=8)
    order = np.random.default_rng(3).permutation(native.n).tolist()
    turned = invert(pick(native, order), method, model, steps=8, batch_size=5)
    torch.testing.assert_close(
        turned.features.unit(), whole.features.unit()[order], rtol=0, atol=1e-4
    )
    torch.testing.assert_close(turned.cosines, whole.cosines[order], rtol=0, atol=1e-4)
    other = invert(native, method, model, steps=8, seed=1)
    assert float((other.features.unit() - whole.features.unit()).abs().max()) > 1e-3


def test_processes_give_the_same(pair: Pair, spec: str, tmp_path: Path) -> None:
    one = oti(pair, spec, tmp_path / "1.safetensors", steps=5, batch_size=5)
    two = oti(pair, spec, tmp_path / "2.safetensors", steps=5, batch_size=5, jobs=2)
    same(one, two, within=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.safetensors", "2.safetensors"]


def test_names_that_are_there_twice(model: Encoder) -> None:
    rows = np.random.default_rng(0).normal(size=(4, 16))
    twice = rows[[0, 1, 0, 2]]
    names = ["a", "b", "a", "c"]
    found = oti(Embeddings(twice, names=names), model, **QUICK)
    torch.testing.assert_close(found.features.unit()[0], found.features.unit()[2])
    with pytest.raises(InputError, match=r"different for different rows.*'a' occurs 2 times"):
        oti(Embeddings(rows, names=names), model, **QUICK)
    nameless = oti(Embeddings(rows), model, **QUICK)
    same_as = oti(Embeddings(rows, names=["0", "1", "2", "3"]), model, **QUICK)
    assert torch.equal(nameless.features.unit(), same_as.features.unit())


# what is kept on the way --------------------------------------------------------------------------


@pytest.fixture
def broken_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Run something, and break it off once two batches are kept."""

    def broken(work: Callable[[], Any]) -> None:
        kept: list[Any] = []
        real = parts.write

        def write(*given: Any) -> None:
            real(*given)
            kept.append(given)
            if len(kept) == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(parts, "write", write)
            with pytest.raises(KeyboardInterrupt):
                work()

    return broken


def test_broken_off_it_goes_on_under_another_batch_size(
    pair: Pair, model: Encoder, tmp_path: Path, broken_off: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "o.safetensors"
    whole = oti(pair, model, **QUICK, batch_size=5)
    broken_off(lambda: oti(pair, model, output, **QUICK, batch_size=5))
    folder = tmp_path / "o.safetensors.parts"
    assert Parts(folder, "items").spans() == [(0, 5), (5, 10)]
    sizes = []
    real = Descender.__call__

    def noted(self: Descender, names: Sequence[str], *given: Any) -> Any:
        sizes.append(len(names))
        return real(self, names, *given)

    monkeypatch.setattr(Descender, "__call__", noted)
    same(oti(pair, model, output, **QUICK, batch_size=9), whole, within=1e-4)
    assert sizes == [9, 5]  # 14 were left
    assert not folder.exists()
    same(read(output), whole, within=1e-4)


@pytest.mark.parametrize(
    "how", ["cut", "empty", "no number", "other lengths", "not of this run", "of other items"]
)
def test_a_damaged_part(
    how: str, pair: Pair, model: Encoder, tmp_path: Path, broken_off: Any
) -> None:
    output = tmp_path / "o.safetensors"

    def work(**more: Any) -> Inverted:
        made: Inverted = oti(pair, model, output, **QUICK, batch_size=5, **more)
        return made

    broken_off(work)
    folder = tmp_path / "o.safetensors.parts"
    part = folder / "items-000000005-000000010.safetensors"
    found = safetensors.torch.load(part.read_bytes())
    with safe_open(part, framework="pt") as file:
        said = file.metadata()
    damaged = {
        "cut": part.read_bytes()[:200],
        "empty": b"",
        "no number": safetensors.torch.save(
            found | {"cosines": found["cosines"] * torch.nan}, said
        ),
        "other lengths": safetensors.torch.save({k: v[1:].clone() for k, v in found.items()}, said),
        "not of this run": safetensors.torch.save(found, said | {"run": "another"}),
        "of other items": (folder / "items-000000000-000000005.safetensors").read_bytes(),
    }
    part.write_bytes(damaged[how])
    with pytest.raises(FileError, match=r"items-000000005-000000010\.safetensors: ") as error:
        work()
    assert str(error.value).count("\n") == 0
    assert not output.exists()
    part.unlink()
    same(work(), oti(pair, model, **QUICK, batch_size=5))


@pytest.mark.parametrize("key", ["features", "vectors", "losses"])
def test_parts_that_do_not_fit_together(
    key: str, pair: Pair, model: Encoder, tmp_path: Path, broken_off: Any
) -> None:
    output = tmp_path / "o.safetensors"
    broken_off(lambda: oti(pair, model, output, **QUICK, batch_size=5))
    part = tmp_path / "o.safetensors.parts" / "items-000000005-000000010.safetensors"
    found = safetensors.torch.load(part.read_bytes())
    found[key] = found[key][..., :3].contiguous()
    with safe_open(part, framework="pt") as file:
        said = file.metadata()
    part.write_bytes(safetensors.torch.save(found, said))
    with pytest.raises(FileError, match=r"damaged|do not fit together"):
        oti(pair, model, output, **QUICK, batch_size=5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 7}, r"\(steps: 6, now 7\)"),
        ({"seed": 1}, r"\(seed: 0, now 1\)"),
        ({"template": "red {}"}, r'\(template: "\{\}", now "red \{\}"\)'),
        ({"lr": 0.5, "keep": "best"}, r'\(lr: 0\.02, now 0\.5; keep: "last", now "best"\)'),
        ({"precision": "bf16"}, "precision"),
    ],
)
def test_a_run_of_other_settings(
    changes: dict[str, Any],
    said: str,
    pair: Pair,
    model: Encoder,
    tmp_path: Path,
    broken_off: Any,
) -> None:
    output = tmp_path / "o.safetensors"
    broken_off(lambda: oti(pair, model, output, **QUICK, batch_size=5))
    with pytest.raises(InputError, match=f"holds a run made with other settings .*{said}"):
        oti(pair, model, output, **(QUICK | changes))
    made = oti(pair, model, output, **(QUICK | changes), batch_size=5, overwrite=True)
    same(made, oti(pair, model, **(QUICK | changes), batch_size=5))


def test_a_run_of_other_data(pair: Pair, model: Encoder, tmp_path: Path, broken_off: Any) -> None:
    output = tmp_path / "o.safetensors"
    broken_off(lambda: oti(pair, model, output, **QUICK, batch_size=5))
    order = list(range(24))[::-1]
    with pytest.raises(InputError, match="the embeddings have changed; the names have changed"):
        oti(pick(pair.image, order), model, output, **QUICK)
    renamed = Embeddings(
        pair.image.rows, names=[f"n{i}" for i in range(24)], factors=pair.image.factors
    )
    with pytest.raises(InputError, match=r"\(the names have changed\)"):
        oti(renamed, model, output, **QUICK)
    with pytest.raises(InputError, match='method: "oti", now "ovi"'):
        ovi(pair, model, output, **QUICK)


def test_a_run_with_a_function_cannot_be_taken_up_again(
    pair: Pair, model: Encoder, tmp_path: Path
) -> None:
    def loss(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        return 1 - (ours * theirs).sum(1)

    output = tmp_path / "o.safetensors"
    with pytest.raises(OptionError, match=r"loss: a run with a function cannot be resumed.*\.save"):
        oti(pair, model, output, steps=3, loss=loss)
    assert list(tmp_path.iterdir()) == []
    oti(pair, model, steps=3, loss=loss).save(output)


FAILING = {  # options that fail once work has begun, and others that do not
    "lr": ("oti", {"steps": 20, "lr": 1e6, "weight_decay": 1e6}, {"steps": 2}),
    "amount": ("gap_shift", {"amount": 1e38}, {}),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_run_that_failed_does_not_hinder_the_next(
    what: str, model: Encoder, tmp_path: Path
) -> None:
    method, wrong, right = FAILING[what]
    output = tmp_path / "o.safetensors"
    given: dict[str, Any] = {"model": model} if method == "oti" else {"bank": bank()}
    with pytest.raises(ModalgapError):
        invert(some(), method, output=output, **given, **wrong)
    invert(some(), method, output=output, **given, **right)


# closed forms -------------------------------------------------------------------------------------


def bank(n: int = 40, dim: int = 16) -> Pair:
    """Captions, two or three of each image, in no order."""
    random = np.random.default_rng(5)
    of = random.permutation(np.concatenate([np.arange(n), np.arange(n), np.arange(0, n, 3)]))
    image = random.normal(size=(n, dim)) + 0.5
    text = image[of] @ random.normal(size=(dim, dim)) + random.normal(size=(len(of), dim)) - 0.5
    return Pair(Embeddings(image, "image"), Embeddings(text, "text"), of)


def unit(rows: Any) -> Floats:
    rows = np.asarray(rows, np.float64)
    made: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def both(pair: Pair, modality: str) -> tuple[Floats, Floats, Floats, Floats]:
    """All rows of where from and where to, and those of matches."""
    image, text = unit(pair.image.unit()), unit(pair.text.unit())
    assert pair.text_to_image is not None
    matched = (image[pair.text_to_image], text)
    if modality == "text":
        return text, image, matched[1], matched[0]
    return image, text, *matched


@pytest.mark.parametrize("modality", ["image", "text"])
def test_caption_mixture(modality: str) -> None:
    data, pairs = some(7, modality, seed=2), bank()
    x, y = unit(data.unit()), both(pairs, modality)[1]
    for k, temperature in ((1, 0.01), (4, 0.1), (len(y), 0.01)):
        expected = []
        for row in x:
            near = np.argsort(-(y @ row))[:k]
            scores = y[near] @ row / temperature
            weights = np.exp(scores - scores.max())
            expected.append((weights / weights.sum()) @ y[near])
        found = caption_mixture(data, bank=pairs, k=k, temperature=temperature)
        check(found, data, unit(expected), {"k": k, "temperature": temperature})
        alone = pairs.text if modality == "image" else pairs.image
        same(caption_mixture(data, bank=alone, k=k, temperature=temperature), found)


@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 3.0])
def test_ridge_map(modality: str, alpha: float) -> None:
    data, pairs = some(7, modality, seed=2), bank()
    x, y = both(pairs, modality)[2:]
    mx, my = x.mean(0), y.mean(0)
    if alpha == 0:
        weights = np.linalg.lstsq(x - mx, y - my, rcond=None)[0]
    else:
        within = (x - mx).T @ (x - mx)
        penalty = alpha * np.trace(within) / len(within)
        weights = np.linalg.inv(within + penalty * np.eye(len(within))) @ (x - mx).T @ (y - my)
    expected = my + (unit(data.unit()) - mx) @ weights
    check(ridge_map(data, bank=pairs, alpha=alpha), data, unit(expected), {"alpha": alpha})


@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("amount", [0.0, 1.0, -0.3])
def test_gap_shift(modality: str, amount: float) -> None:
    data, pairs = some(7, modality, seed=2), bank()
    x, y = both(pairs, modality)[:2]
    expected = unit(data.unit()) - amount * (x.mean(0) - y.mean(0))
    found = gap_shift(data, bank=pairs, amount=amount)
    check(found, data, unit(expected), {"amount": amount})


def check(found: Inverted, data: Embeddings, expected: Floats, said: dict[str, Any]) -> None:
    np.testing.assert_allclose(found.features.unit().numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(
        found.cosines.numpy(), (expected * unit(data.unit())).sum(1), atol=2e-6
    )
    assert (found.vectors, found.losses, found.steps) == (None, None, None)
    assert {data.modality, found.features.modality} == {"image", "text"}
    assert found.features.names == data.names
    told = found.features.provenance
    assert told["inverted_from"] == data.modality
    assert "model" not in told
    settings = json.loads(told["inversion"])
    assert {name: settings[name] for name in said} == said


def test_closed_forms_from_files(tmp_path: Path) -> None:
    data = mg.save(some(), tmp_path / "data.npz")
    pairs = mg.save(bank(), tmp_path / "bank.safetensors")
    for method, options in (("caption_mixture", {"k": 3}), ("ridge_map", {}), ("gap_shift", {})):
        output = tmp_path / f"{method}.safetensors"
        found = invert(data, method, output=output, bank=pairs, batch_size=2, **options)
        same(read(output), found)
        same(invert(some(), method, bank=bank(), **options), found, within=1e-6)


def test_ridge_map_of_pairs_that_are_all_alike() -> None:
    alike = Pair(*(Embeddings(np.ones((4, 16)), name) for name in ("image", "text")))
    try:
        found = ridge_map(some(), bank=alike)
    except ModalgapError:
        return
    assert bool(found.features.unit().isfinite().all())


@pytest.mark.parametrize("method", ["caption_mixture", "ridge_map", "gap_shift"])
def test_a_bank_of_another_model(method: str) -> None:
    ours = some(provenance={"weights_hash": "aa", "model": "m:a"})
    made = bank()
    told = {"weights_hash": "bb", "model": "m:b"}
    other = Pair(
        Embeddings(made.image.unit(), "image", provenance=told),
        Embeddings(made.text.unit(), "text", provenance=told),
        made.text_to_image,
    )
    with pytest.raises(InputError, match="bank"):
        invert(ours, method, bank=other)


def test_closed_forms_refuse_what_is_inverted_already() -> None:
    once = gap_shift(some(), bank=bank())
    with pytest.raises(InputError, match="already inverted"):
        gap_shift(once.features, bank=bank())


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


# refusals -----------------------------------------------------------------------------------------


def labelled(**told: Any) -> Any:
    return some(provenance=told)


def inverted() -> Any:
    return some(modality="text", provenance={"inverted_from": "image"})


REFUSED: list[tuple[str, Any, dict[str, Any], type[ModalgapError], str]] = [
    ("oti", some, {"template": "a photo"}, OptionError, r"template: must hold \{\} .*'a photo'"),
    ("oti", some, {"template": 5}, OptionError, r"template: must hold \{\} .* got 5"),
    ("oti", some, {"template": "x " * 30 + "{}"}, OptionError, "fit into the 20 positions"),
    ("oti", some, {"tokens": 16}, OptionError, "template: .* with 16 .* fit into the 20 positions"),
    ("oti", some, {"tokens": 10_001}, OptionError, "tokens must be .* got 10001"),
    ("oti", some, {"tokens": 0}, OptionError, "tokens must be .* at least 1 .* got 0"),
    ("oti", some, {"tokens": True}, OptionError, "tokens must be an integer .* got True"),
    ("ovi", lambda: some(modality="text"), {"tokens": 17}, OptionError, "at most 16, the patches"),
    ("ovi", lambda: some(modality="text"), {"tokens": 0}, OptionError, "tokens must be an integer"),
    ("oti", lambda: labelled(weights_hash="ab", model="x:y"), {}, InputError, "comes from x:y"),
    ("oti", lambda: some(dim=8), {}, InputError, "must have the width of .* 16; has 8"),
    ("oti", lambda: some(modality="text"), {}, InputError, "oti takes images; .* texts: see ovi"),
    ("ovi", some, {}, InputError, "ovi takes texts; these are images: see oti"),
    ("oti", lambda: some(modality="audio"), {}, InputError, "holds audios; .* image and text"),
    ("ovi", inverted, {}, InputError, "is already inverted, from images"),
    ("oti", some, {"foo": 1}, OptionError, "unknown option of oti 'foo'"),
    ("oti", some, {"step": 1}, OptionError, "did you mean 'steps'"),
    ("ovi", lambda: some(modality="text"), {"template": "{}"}, OptionError, "unknown option of"),
    ("otii", some, {}, OptionError, "unknown inversion 'otii'; did you mean 'oti'"),
    ("oti", some, {"optimiser": "sgd"}, OptionError, "optimiser must be one of adamw, lbfgs"),
    ("oti", some, {"loss": "cosin"}, OptionError, "unknown loss 'cosin'; did you mean 'cosine'"),
    ("oti", some, {"loss": 5}, OptionError, "unknown loss '5'"),
    ("oti", some, {"keep": "first"}, OptionError, "keep must be one of last, best; got 'first'"),
    ("oti", some, {"steps": -1}, OptionError, "steps must be an integer of at least 0 .* got -1"),
    ("oti", some, {"steps": 1.5}, OptionError, "steps must be an integer .* got 1.5"),
    ("oti", some, {"steps": True}, OptionError, "steps must be an integer .* got True"),
    ("oti", some, {"lr": float("nan")}, OptionError, "lr must be a number .* got nan"),
    ("oti", some, {"lr": float("inf")}, OptionError, "lr must be a number .* got inf"),
    ("oti", some, {"lr": -1}, OptionError, "lr must be a number of at least 0 .* got -1"),
    ("oti", some, {"lr": "fast"}, OptionError, "lr must be a number"),
    ("oti", some, {"std": -1}, OptionError, "std must be a number"),
    ("oti", some, {"weight_decay": -1}, OptionError, "weight_decay must be a number"),
    ("oti", some, {"wanted": 2}, OptionError, "wanted must be .* at most 1; got 2"),
    ("oti", some, {"wanted": float("nan")}, OptionError, "wanted must be"),
    ("oti", some, {"batch_size": 0}, OptionError, "batch_size must be .* at least 1 .* got 0"),
    ("oti", some, {"jobs": 0}, OptionError, "jobs must be .* at least 1 .* got 0"),
    ("oti", some, {"jobs": 2}, OptionError, "by name, as LIBRARY:MODEL"),
    ("oti", some, {"jobs": 2, "device": "cpu,cpu"}, OptionError, "jobs: is for the CPU"),
    ("oti", some, {"seed": -1}, OptionError, "seed must be an integer"),
    ("oti", some, {"device": "tpu9"}, OptionError, "device: cannot use 'tpu9'"),
    ("oti", some, {"device": "meta"}, OptionError, "device: cannot use 'meta'"),
    ("oti", some, {"device": ""}, OptionError, "device: cannot use ''"),
    ("oti", some, {"precision": "fp16", "device": "cpu"}, OptionError, "fp16 needs a GPU"),
    ("oti", some, {"precision": "int8"}, OptionError, "unknown precision 'int8'"),
    ("oti", some, {"model": None}, OptionError, "model: oti needs the model"),
    ("oti", some, {"model": 5}, InputError, "model: must be a string or an Encoder; got int"),
    ("oti", lambda: 5, {}, InputError, "data must be Embeddings, a Pair or a path; got 5"),
    ("oti", lambda: "nowhere.npz", {}, FileError, "nowhere.npz: no such file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "data", "options", "kind", "said"),
    REFUSED,
    ids=[f"{method}-{said[:30]}" for method, *_, said in REFUSED],
)
def test_refusals(
    method: str,
    data: Any,
    options: dict[str, Any],
    kind: type[ModalgapError],
    said: str,
    short: Encoder,
    tmp_path: Path,
) -> None:
    given = {"model": short, "steps": 1} | options
    with pytest.raises(kind, match=said) as error:
        invert(data(), method, output=tmp_path / "o.safetensors", **given)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


CLOSED: list[tuple[str, Any, dict[str, Any], type[ModalgapError], str]] = [
    ("caption_mixture", lambda: None, {}, InputError, "bank: must hold texts; got nothing"),
    ("caption_mixture", some, {}, InputError, "bank: must hold texts; got images"),
    ("caption_mixture", lambda: some(modality="text"), {"k": 6}, OptionError, "k must be at most"),
    ("caption_mixture", bank, {"k": 0}, OptionError, "k must be an integer of at least 1; got 0"),
    ("caption_mixture", bank, {"temperature": 0}, OptionError, "temperature must be a number"),
    ("caption_mixture", lambda: bank(dim=8), {"k": 1}, InputError, "rows of width 16; got 8"),
    ("ridge_map", lambda: None, {}, InputError, "pairs of images and texts; got nothing"),
    ("ridge_map", lambda: some(modality="text"), {}, InputError, "got texts only"),
    ("ridge_map", lambda: bank(dim=8), {}, InputError, "bank: must have rows of width 16; got 8"),
    ("ridge_map", bank, {"alpha": -1}, OptionError, "alpha must be .* at least 0; got -1"),
    ("ridge_map", bank, {"alpha": float("nan")}, OptionError, "alpha must be"),
    ("ridge_map", bank, {"model": "open_clip:a/b"}, OptionError, "ridge_map takes no model"),
    ("gap_shift", lambda: None, {}, InputError, "pairs of images and texts; got nothing"),
    ("gap_shift", some, {}, InputError, "pairs of images and texts; got images only"),
    ("gap_shift", bank, {"amount": float("inf")}, OptionError, "amount must be a finite number"),
    ("gap_shift", bank, {"steps": 3}, OptionError, "unknown option of gap_shift 'steps'"),
    ("gap_shift", lambda: "nowhere.npz", {}, FileError, "no such file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "held", "options", "kind", "said"),
    CLOSED,
    ids=[f"{method}-{said[:30]}" for method, *_, said in CLOSED],
)
def test_refusals_of_closed_forms(
    method: str,
    held: Any,
    options: dict[str, Any],
    kind: type[ModalgapError],
    said: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(kind, match=said) as error:
        invert(some(), method, output=tmp_path / "o.safetensors", bank=held(), **options)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_towers_that_cannot_be_entered(short: Encoder) -> None:
    plain = functions.encoder()
    with pytest.raises(NotApplicable, match=r"^functions: pseudo-tokens cannot enter"):
        oti(some(dim=8), plain)
    with pytest.raises(NotApplicable, match=r"^functions: pseudo-patches need"):
        ovi(some(modality="text", dim=8), plain)
    with pytest.raises(NotApplicable, match=r"^open_clip:tiny-resnet/random: pseudo-patches need"):
        ovi(some(modality="text"), tiny.encoder("resnet"))
    assert oti(some(), tiny.encoder("resnet"), steps=1).features.n == 5


def test_outputs_that_cannot_be(pair: Pair, model: Encoder, tmp_path: Path) -> None:
    (tmp_path / "there.safetensors").write_bytes(b"precious")
    (tmp_path / "folder.safetensors").mkdir()
    before = sorted(tmp_path.iterdir())
    for name, said in (
        ("o.npz", r"must end in \.safetensors; found \.npz"),
        ("o", "found no extension"),
        ("nowhere/o.safetensors", "must be in a folder that exists"),
        ("there.safetensors", "exists"),
        ("folder.safetensors", "must be a file; found a folder"),
    ):
        with pytest.raises(OutputError, match=said):
            oti(pair, model, tmp_path / name, steps=1)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.safetensors").read_bytes() == b"precious"
    (tmp_path / "o.safetensors.parts").mkdir()
    (tmp_path / "o.safetensors.parts" / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match=r"found thesis\.tex: move it away"):
        oti(pair, model, tmp_path / "o.safetensors", steps=1, overwrite=True)
    assert (tmp_path / "o.safetensors.parts" / "thesis.tex").exists()


def test_overwriting(pair: Pair, model: Encoder, tmp_path: Path) -> None:
    output = tmp_path / "o.safetensors"
    oti(pair, model, output, steps=1)
    made = oti(pair, model, output, steps=2, overwrite=True)
    same(read(output), made)
    assert [path.name for path in tmp_path.iterdir()] == ["o.safetensors"]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ([], {}),
        ("oti", {"output": 5}),
        ("oti", {"optimiser": ["lbfgs"], "steps": None}),
        ("oti", {"loss": ["cosine"]}),
        ("gap_shift", {"model": None, "steps": None, "bank": np.ones((5, 16))}),
        ("caption_mixture", {"model": None, "steps": None, "bank": np.ones((5, 16))}),
    ],
)
def test_arguments_of_wrong_types(method: Any, options: dict[str, Any], short: Encoder) -> None:
    asked = {"model": short, "steps": 1} | options
    with pytest.raises(InputError):
        invert(some(), method, **{name: each for name, each in asked.items() if each is not None})


@pytest.mark.parametrize("kind", ["scalar", "without gradient", "no tensor"])
def test_losses_that_are_none(kind: str, short: Encoder) -> None:
    loss: dict[str, Callable[[Any, Any], Any]] = {
        "scalar": lambda ours, theirs: (ours * theirs).sum(),
        "without gradient": lambda ours, theirs: (ours * theirs).sum(1).detach(),
        "no tensor": lambda *_: "small",
    }
    with pytest.raises(OptionError, match="loss"):
        oti(some(), short, steps=2, loss=loss[kind])


def test_a_loss_that_is_no_number(short: Encoder) -> None:
    with pytest.raises(Diverged):
        oti(some(), short, **QUICK, loss=lambda ours, theirs: (ours * theirs).sum(1) * torch.nan)


def test_a_loss_that_cannot_go_to_processes(pair: Pair, spec: str) -> None:
    with pytest.raises(OptionError, match="loss"):
        oti(pair, spec, steps=1, jobs=2, loss=lambda ours, theirs: 1 - (ours * theirs).sum(1))


def test_a_bank_where_none_is_needed(short: Encoder) -> None:
    with pytest.raises(OptionError, match="bank"):
        oti(some(), short, steps=1, bank=bank())


def test_processes_share_few_items(pair: Pair, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Shared(Exception):  # noqa: N818 - it carries what was seen
        pass

    def seen(*given: Any) -> Any:
        raise Shared(given[4], given[6])

    monkeypatch.setattr("modalgap.invert.run.batches", seen)
    with pytest.raises(Shared) as told:
        oti(pair, spec, steps=1, jobs=2)
    todo, places = told.value.args
    assert len(todo) >= 2
    assert len(places) == 2


# words --------------------------------------------------------------------------------------------


def planted(encoder: Encoder, words: Sequence[Sequence[str]], **told: str) -> Inverted:
    """Pseudo-tokens that are the embeddings of words, at any length."""
    tower = encoder.text_tower()
    assert tower is not None
    table = next(tower.embedding.parameters()).detach()
    ids = [[int(encoder.tokenize([word]).ids[0, 1]) for word in row] for row in words]
    vectors = table[torch.tensor(ids)] * 7.5
    n = len(words)
    told = told or {"weights_hash": encoder.provenance["weights_hash"], "model": encoder.spec}
    features = Embeddings(
        np.random.default_rng(0).normal(size=(n, encoder.dim)),
        "text",
        [f"item {i}" for i in range(n)],
        provenance={**told, "inverted_from": "image"},
    )
    return Inverted(features, torch.ones(n), vectors.float())


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


# the curve ----------------------------------------------------------------------------------------


def test_the_curve(pair: Pair, model: Encoder) -> None:
    asked: dict[str, Any] = {"protocol": "self_removed", "factor": "object"}
    table = curve(pair, pair, "oti", model, optimiser="lbfgs", steps=12, **asked)
    assert list(table.rows) == ["native", "0", "1", "2", "5", "10", "12"]
    cosines = [table.rows[row]["cosine"].value for row in list(table.rows)[1:]]
    assert cosines == sorted(cosines)
    assert cosines[-1] > cosines[0]
    assert set(table.rows["native"]) == {"map", "map_at_r", "r_precision", "r1"}
    native = search(pair.image, pair, **asked)
    assert table.rows["native"]["map"].value == native["map"].value
    for step in (0, 2, 12):
        alone = oti(pair, model, optimiser="lbfgs", steps=step)
        row = table.rows[str(step)]
        assert row["cosine"].value == pytest.approx(float(alone.cosines.mean()), abs=1e-4)
        assert row["cosine"].details["least"] == pytest.approx(float(alone.cosines.min()), abs=1e-4)
        found = search(alone.features, pair, **asked)
        assert row["map"].value == pytest.approx(found["map"].value, abs=0.02)
    for name in ("method", "model", "steps", "optimiser", "protocol", "factor", "seed"):
        assert name in table.settings


@pytest.mark.parametrize("optimiser", ["adamw", "lbfgs"])
@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_looks_on_the_way_are_runs_of_so_many_steps(
    method: str, optimiser: str, pair: Pair, model: Encoder
) -> None:
    native = side(pair, method)
    given = InversionContext(
        encoder=model, device=torch.device("cpu"), dim=16, modality=native.modality,
        into="text" if method == "oti" else "image",
    )  # fmt: skip
    made = METHODS[method].prepare(given, {"optimiser": optimiser, "steps": 7})
    assert native.names is not None
    done = made(native.names, native.unit(), lambda _: None, [0, 3, 7])
    for step in (0, 3, 7):
        alone = invert(native, method, model, optimiser=optimiser, steps=step)
        torch.testing.assert_close(done.recorded[step], alone.features.unit(), rtol=0, atol=1e-4)


def test_curves_of_captions_and_chosen_steps(pair: Pair, model: Encoder) -> None:
    of = np.arange(12).repeat(2)
    captions = Pair(pick(pair.image, range(12)), pair.text, of)
    table = curve(captions, captions, "ovi", model, at=[4, 0, 4], steps=4, protocol="first_caption")
    assert list(table.rows) == ["native", "0", "4"]
    table = curve(captions, captions, "ovi", model, steps=0, protocol="first_caption")
    assert list(table.rows) == ["native", "0"]


def test_curves_are_refused(pair: Pair, model: Encoder) -> None:
    asked: dict[str, Any] = {"protocol": "self_removed", "factor": "object", "steps": 5}
    for changes, said in (
        ({"at": [6]}, "at must be an integer of at least 0 and at most 5; got 6"),
        ({"at": [1.5]}, "at must be a list of integers"),
        ({"at": [-1]}, "at must be an integer"),
        ({"foo": 1}, "unknown option of oti"),
        ({"device": "tpu9"}, "device: cannot use"),
        ({"protocol": "selfremoved"}, "did you mean 'self_removed'"),
        ({"factor": "digit"}, "factor 'digit'"),
    ):
        with pytest.raises(ModalgapError, match=said):
            curve(pair, pair, "oti", model, **(asked | changes))
    for method in ("caption_mixture", "otii"):
        with pytest.raises(OptionError, match="method: must be oti or ovi"):
            curve(pair, pair, method, model)
    with pytest.raises(InputError, match="is already inverted"):
        curve(ovi(pair, model, steps=0).features, pair, "oti", model)
    with pytest.raises(InputError, match="ovi takes texts"):
        curve(pair.image, pair, "ovi", model)


@pytest.mark.parametrize("at", [["a", 5], 9, [None, 1], [], {1: 2}])
def test_steps_of_wrong_types(at: Any, pair: Pair, model: Encoder) -> None:
    with pytest.raises(OptionError, match="at"):
        curve(pair, pair, "oti", model, steps=5, at=at, protocol="self_removed", factor="object")


@pytest.mark.parametrize("changes", [{"protocol": "sought"}, {"factor": "sought"}])
def test_what_is_asked_is_checked_before_the_work(
    changes: dict[str, Any], pair: Pair, model: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*_: Any) -> Any:
        raise AssertionError("it inverts already")

    monkeypatch.setattr(Descender, "__call__", worked)
    with pytest.raises(ModalgapError, match="sought"):
        curve(pair, pair, "oti", model, **({"protocol": "self_removed"} | changes))


# whatever the rows --------------------------------------------------------------------------------


@given(n=st.integers(2, 9), seed=st.integers(0, 2**32), steps=st.integers(0, 3), data=st.data())
@settings(max_examples=8)
def test_whatever_the_rows(
    n: int, seed: int, steps: int, data: st.DataObject, short: Encoder
) -> None:
    method = data.draw(st.sampled_from(["oti", "ovi"]))
    optimiser = data.draw(st.sampled_from(["adamw", "lbfgs"]))
    names = data.draw(st.lists(st.text(max_size=5), min_size=n, max_size=n, unique=True))
    native = some(n, "image" if method == "oti" else "text", seed=seed, names=names)
    found = invert(native, method, short, optimiser=optimiser, steps=steps)
    fine(found, native)
    assert found.losses is not None
    assert found.losses.shape == (n, steps + 1)


@given(
    n=st.integers(2, 9),
    d=st.integers(2, 20),
    m=st.integers(2, 30),
    seed=st.integers(0, 2**32),
    method=st.sampled_from(["caption_mixture", "ridge_map", "gap_shift"]),
    modality=st.sampled_from(["image", "text"]),
)
@settings(max_examples=20)
def test_whatever_the_rows_of_closed_forms(
    n: int, d: int, m: int, seed: int, method: str, modality: str
) -> None:
    native = some(n, modality, d, seed)
    held = Pair(some(m, "image", d, seed + 1), some(m, "text", d, seed + 2))
    options = {"k": 2} if method == "caption_mixture" else {}
    fine(invert(native, method, bank=held, **options), native)


def fine(found: Inverted, native: Embeddings) -> None:
    rows = found.features.unit()
    assert rows.shape == (native.n, native.dim)
    assert bool(rows.isfinite().all())
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(native.n), rtol=0, atol=1e-5)
    assert bool((found.cosines.abs() <= 1 + 1e-6).all())
    assert found.features.names == native.names
    assert found.features.modality != native.modality


@pytest.mark.parametrize("name", ["label", "row"])
def test_the_pair_knows_best(name: str) -> None:
    """A factor of the same name, of something else, must not take the place of the matches."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((12, 4)).astype(np.float32)
    stale = {name: (np.arange(12) * 7) % 5}
    if name == "label":
        classes = random.standard_normal((3, 4)).astype(np.float32)
        pair = Pair(Embeddings(rows, "image", factors=stale), classes, labels=np.arange(12) % 3)
        found, right = gap_shift(pair, bank=Pair(rows, rows)), np.arange(12) % 3
        assert found.features.factors["label"].tolist() == right.tolist()
        return
    pair = Pair(rows, Embeddings(rows, "text", factors=stale))
    found = known_features(pair, pair.text, rows, None)
    assert found.factors["row"].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("pseudo_tokens", torch.full((4, 1, 8), torch.nan), "must be finite"),
        ("pseudo_tokens", torch.zeros(4, 0, 8), "must match 4 rows"),
        ("pseudo_tokens", torch.zeros(4, 1, 8, dtype=torch.float16), "must be float32"),
        ("cosines", torch.tensor([1, 1, 1, 1]), "must be float32"),
    ],
)
def test_files_that_hold_other_numbers(
    key: str, value: torch.Tensor, said: str, tmp_path: Path
) -> None:
    rows = np.eye(4, dtype=np.float32)
    features = Embeddings(rows, "text", provenance={"inverted_from": "image"})
    path = Inverted(features, torch.ones(4), torch.ones(4, 1, 8)).save(tmp_path / "x.safetensors")
    with safe_open(path, framework="pt") as file:
        told, held = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path.write_bytes(safetensors.torch.save(held | {key: value}, told))
    with pytest.raises(FileError, match=f"{key} {said}"):
        read(path)
