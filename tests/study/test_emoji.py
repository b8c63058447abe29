"""The studies on emoji: their numbers against plain computations, and one small run of each."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emoji_cases import people

from modalgap.close import fit
from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import MissingData, OptionError
from modalgap.study import STUDIES, Study
from modalgap.study.emoji.emoji_groups import DIFFERENCE, PROFESSIONS, TONES, by_tone
from modalgap.study.emoji.emoji_inversion import _scores
from modalgap.study.emoji.emoji_search import SCORES, searched
from modalgap.study.emoji.models import zero_shot

NAMES = ("emoji_retrieval", "emoji_search", "emoji_inversion", "emoji_groups")


def pair(seed: int, images: int = 60, texts: int = 24, dim: int = 12) -> Pair:
    """Images and captions of objects; several images share a caption, and captions an object."""
    rng = np.random.default_rng(seed)
    objects = np.array([f"o{i % 8}" for i in range(texts)])
    text_of = np.concatenate([np.arange(texts), rng.integers(0, texts, images - texts)])
    means = rng.normal(size=(8, dim))
    y = means[np.arange(texts) % 8] + 0.8 * rng.normal(size=(texts, dim)) + 1
    x = means[text_of % 8] + 1.2 * rng.normal(size=(images, dim)) - 1
    factors = {"object": objects[text_of], "thing": text_of.astype(str)}
    own = {"object": objects, "thing": np.arange(texts).astype(str)}
    return Pair(
        Embeddings(x, "image", factors=factors),
        Embeddings(y, "text", factors=own),
        pairs=np.stack([np.arange(images), text_of], 1),
    )


def precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = relevant[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


@pytest.mark.parametrize("name", SCORES)
def test_search_against_the_plain_definition(name: str) -> None:
    found, fitted = pair(0), pair(1)
    moved, sample = found, fitted
    if (kind := name.split(" + ")[0]) not in ("raw", "zscore"):
        map_ = fit(fitted, kind)
        moved, sample = map_.apply(found), map_.apply(fitted)
    sides = [side.unit().double().numpy() for side in moved.sides]
    gallery = np.concatenate(sides)
    objects = np.concatenate([side.factors["object"] for side in found.sides])
    forms = np.repeat([0, 1], [60, 24])
    known = [side.unit().double().numpy() for side in sample.sides]
    result = searched(found, fitted, name)
    for at, (asks, queries) in enumerate(zip(("image", "text"), sides, strict=True)):
        maps, shares, fair = [], [], []
        for q, query in enumerate(queries):
            own = q + 60 * at
            scores = gallery @ query
            if "zscore" in name:
                for form in (0, 1):
                    # expectation over independent rows: means, and second moments of both sides
                    a, b = known[at], known[form]
                    mean = a.mean(0) @ b.mean(0)
                    second = np.trace((a.T @ a / len(a)) @ (b.T @ b / len(b)))
                    deviation = (second - mean**2) ** 0.5
                    scores[forms == form] = (scores[forms == form] - mean) / deviation
            others = np.arange(len(gallery)) != own
            relevant = (objects == objects[own]) & others
            maps.append(precision(scores[others], relevant[others]))
            first = np.argsort(-np.where(others, scores, -np.inf))[:10]
            shares.append((forms[first] == 0).mean())
            fair.append((forms[relevant] == 0).mean())
        assert result[asks].precision.value == pytest.approx(np.mean(maps), abs=2e-3)
        assert result[asks].share.value == pytest.approx(np.mean(shares), abs=5e-3)
        assert result[asks].fair.value == pytest.approx(np.mean(fair))


def test_retrieval_within_a_modality_against_the_plain_definition() -> None:
    found = pair(2)
    queries = Embeddings(np.random.default_rng(0).normal(size=(9, 12)), "text")
    index = np.arange(0, 54, 6)
    scores = _scores(queries, found.image, index, "object")
    x, objects = found.image.unit().numpy(), found.image.factors["object"]
    expected = []
    for query, own in zip(queries.unit().numpy(), index, strict=True):
        others = np.arange(60) != own
        expected.append(precision(x[others] @ query, (objects == objects[own])[others]))
    assert scores["map"].value == pytest.approx(np.mean(expected))


def test_zero_shot_by_names() -> None:
    found, fitted = pair(3), pair(4)
    for each in (found, fitted):
        for side in each.sides:
            side.factors["category"] = side.factors["object"]  # type: ignore[index]
    scores = zero_shot(found, fitted, "category")
    y = fitted.text.unit().numpy()
    names = np.unique(fitted.text.factors["object"])
    classes = np.stack([y[fitted.text.factors["object"] == name].mean(0) for name in names])
    classes /= np.linalg.norm(classes, axis=1, keepdims=True)
    right = names[(found.image.unit().numpy() @ classes.T).argmax(1)]
    assert scores.value == pytest.approx((right == found.image.factors["object"]).mean())


def test_numbers_by_tone() -> None:
    """Of two tones, one is always right and one half of the time."""
    every = [(job, tone) for job in range(6) for tone in ("light", "dark")]
    prompts = torch.eye(40)[: len(PROFESSIONS) + 9]
    rows = torch.stack(
        [prompts[job if tone == "light" or job % 2 else len(PROFESSIONS)] for job, tone in every]
    )
    factors = {
        "object": np.array([PROFESSIONS[job] for job, _ in every]),
        "skin_tone": np.array([tone for _, tone in every]),
    }
    found = by_tone([Embeddings(rows, "image", factors=factors)], prompts, 0)
    assert found["light"]["accuracy"].value == 1
    assert found["dark"]["accuracy"].value == 0.5
    assert found["dark"]["creature"].value == 0.5
    assert found[DIFFERENCE]["accuracy"].value == 0.5
    low, high = found[DIFFERENCE]["accuracy"].interval or (0, 0)
    assert low < 0.5 < high
    assert "none" not in found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("emoji")
    pytest.importorskip("resvg_py")
    from modalgap.data.emoji import build

    folder = tmp_path_factory.mktemp("emoji")
    build(people(folder), folder / "emoji", size=64, workers=1)
    return folder


def small(root: Path, **more: Any) -> dict[str, Any]:
    settings = {"steps": 4, "batch": 16, "workers": 0, "watch.measure": 0, "watch.rows": 20}
    return {"root": root, "train": settings, **more}


@pytest.mark.parametrize("name", NAMES)
def test_a_small_run(name: str, root: Path, tmp_path: Path) -> None:
    options = small(root, names=10) if name == "emoji_inversion" else small(root)
    study: Study = STUDIES[name]
    table = study(tmp_path / "s", models=root / "models", jobs=1, **options)
    assert set(table.heads) == set().union(*table.rows.values())
    assert not any("not computed" in each["verdict"] for each in table.verdicts)
    assert (tmp_path / "s" / "report.html").is_file()
    if name == "emoji_groups":
        models = table.settings["models"]
        rows = [f"{m}, {t}" for m, t in itertools.product(models, (*TONES, DIFFERENCE))]
        assert list(table.rows) == rows


@pytest.mark.parametrize("name", NAMES)
def test_without_the_data_set(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"emoji: needs .*; see: modalgap data check emoji"):
        STUDIES[name](tmp_path / "s", root=tmp_path)
    assert not (tmp_path / "s").exists()


def test_models_on_emoji_join_the_embedded_zoo(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of each kind, trained for a few steps; numbers by data set."""
    from modalgap.study import Work, embedded_zoo
    from modalgap.study.emoji import zoo as emoji_zoo
    from modalgap.train import load_config, train

    monkeypatch.setenv("MODALGAP_DATA", str(root))
    settings, models = embedded_zoo.planned("", emoji=True)
    assert settings["zoo"] == list(models) == [*embedded_zoo.ZOO, *emoji_zoo.ZOO]
    few = {
        "digit only": ["data.limit=60", "batch=32", "steps=1", "watch.measure=0"],
        "emoji, half captions": ["batch=16", "steps=2", "workers=0", "watch.measure=0"],
    }
    runs = {
        name: train(load_config(models[name].plain(), more), tmp_path / name.replace(" ", "_"))
        for name, more in few.items()
    }
    found = embedded_zoo.zoo_of(Work(settings=settings, folder=tmp_path, runs=runs))
    assert set(found.values["digit only"]) == {"MAD", "MAD digits"}
    assert set(found.values["emoji, half captions"]) == {"emoji", "emoji categories"}
    assert "retrieval.image_to_text_r1" in found.values["emoji, half captions"]["emoji"]
    assert found.models["emoji, half captions"]["training_data"] == "emoji"
    with pytest.raises(OptionError, match="emoji must not be given with zoo"):
        embedded_zoo.planned("somewhere", emoji=True)
