"""The studies of inversion on small models: numbers of the verbs, files of real data, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import modalgap as mg
from modalgap.encode import load_model
from modalgap.errors import InputError, OptionError
from modalgap.result import Table
from modalgap.search import query_side
from modalgap.study import (
    embedded,
    embedded_zoo,
    inversion_and_temperature,
    inversion_data_sets,
    inversion_steps,
    inverted_gallery,
)
from modalgap.study.judge import classified, embed, mad_of
from modalgap.study.mistretta2025.inversion_steps import _histogram
from modalgap.study.mistretta2025.retrieval import evaluate, split_pair, with_gains
from modalgap.trace import points
from modalgap.train import read_run
from modalgap.train.captions import captions_of

TIES = 5e-4  # scikit-learn gives half a rank to equal scores
SMALL = ("steps=3", "batch=32", "data.limit=150", "watch.measure=0", "watch.tensorboard=false")


def half(random: np.random.Generator, n: int, modality: str) -> mg.Embeddings:
    factors = {"object": np.arange(n) % 3, "colour": random.integers(0, 2, n)}
    return mg.Embeddings(random.standard_normal((n, 8)), modality, factors=factors)


def test_search_on_mad() -> None:
    """The mAP and the accuracy by hand, and the gain of one query over another."""
    random = np.random.default_rng(0)
    queries, other = half(random, 9, "image"), half(random, 9, "text")
    gallery = half(random, 30, "image")
    prompts = mg.Embeddings(random.standard_normal((3, 8)), "text", names=["0", "1", "2"])
    named = {name: values.astype(str) for name, values in queries.factors.items()}
    queries = mg.Embeddings(queries.unit(), "image", factors=named)
    other = mg.Embeddings(other.unit(), "text", factors=named)
    named = {name: values.astype(str) for name, values in gallery.factors.items()}
    gallery = mg.Embeddings(gallery.unit(), "image", factors=named)
    before, after = (evaluate(each, gallery, ["colour"], prompts) for each in (queries, other))
    row = with_gains(after, before)
    assert row["map_object"].value == pytest.approx(mean_precision(other, gallery))
    by_colour = mean_precision(other, gallery, "colour")
    assert row["map_attributes"].value == pytest.approx(by_colour)
    gain = mean_precision(other, gallery) - mean_precision(queries, gallery)
    assert row["gain_object"].value == pytest.approx(gain)
    nearest = (other.unit() @ prompts.unit().T).argmax(1).numpy()
    assert row["zero_shot"].value == np.mean(nearest == np.arange(9) % 3)
    assert "gain_object" not in with_gains(before, before)


def test_histogram_of_cosines() -> None:
    random = np.random.default_rng(0)
    x, y = half(random, 1100, "image"), half(random, 20, "image")
    cosines = x.unit().numpy() @ y.unit().numpy().T
    found = _histogram(x, y.unit().numpy())
    assert found.value == pytest.approx(cosines.mean(), abs=1e-6)
    counts, edges = np.array(found.details["counts"]), np.array(found.details["edges"])
    assert counts.sum() == cosines.size
    assert counts[3] == ((cosines >= edges[3]) & (cosines < edges[4])).sum()


def test_models_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models of these studies are those of the embedded zoo, so they are trained once."""
    monkeypatch.undo()
    zoo = [config.plan() for config in embedded_zoo.models().values()]
    for each in (inversion_steps, inversion_and_temperature, inverted_gallery, inversion_data_sets):
        plan = each.planned({})
        assert plan.models
        assert all(config.plan() in zoo for config in plan.models.values())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that these tests share."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SETTINGS", SMALL)


@pytest.mark.slow
def test_steps(tmp_path: Path) -> None:
    table = inversion_steps(tmp_path / "s", tokens=[1, 2], steps=6, jobs=1)
    assert list(table.rows) == [
        *("MAD, R = 1", "MAD, R = 2"),
        *("MAD, text", "MAD, best step", "MAD, last step", "MAD, image"),
    ]
    run = read_run(tmp_path / "s" / "runs" / "mad")
    captions = captions_of(run.config.data.captions)
    mad, encoder = mad_of({"mad": run}), load_model(run.spec)
    pair = embed(run, mad, captions)
    queries, gallery = split_pair(pair)
    made = mg.invert(queries, "oti", encoder, tokens=2, steps=6)
    row = table.rows["MAD, R = 2"]
    assert row["loss"].value == pytest.approx(1 - float(made.cosines.mean()), abs=1e-5)
    judged = mg.search(made.features, gallery, factor="object")
    assert row["last"].value == pytest.approx(judged["map"].value, abs=1e-5)
    steps, curve = points(row["best"])
    assert steps == [0, 1, 2, 5, 6]
    assert row["best"].value == max(curve)
    assert row["best_step"].value == steps[int(np.argmax(curve))]
    first = mg.invert(queries, "oti", encoder, steps=6)
    cosines = first.features.unit() @ gallery.unit().T
    last = table.rows["MAD, last step"]["cosine"]
    assert last.value == pytest.approx(float(cosines.mean()), abs=1e-5)
    assert sum(last.details["counts"]) == cosines.numel()
    # the same by files
    pair = classified(pair, encoder, captions)["object"]
    file = str(mg.save(pair, tmp_path / "cars.safetensors"))
    table = inversion_steps(
        tmp_path / "f", queries=file, gallery=file, model=run.spec, tokens=[1], steps=2
    )
    own = mg.search(query_side(pair), pair)
    assert table.rows["cars, R = 1"]["native"].value == own["map"].value
    assert "cars, image" in table.rows
    computed = [v for v in table.verdicts if not v["verdict"].startswith("not computed")]
    assert all("Cars" in each["claim"] for each in computed)
    assert computed


@pytest.mark.slow
def test_temperature(tmp_path: Path, models: Path) -> None:
    table = inversion_and_temperature(
        tmp_path, models=models, steps=3, jobs=1,
        train={"steps": 2, "batch": 32, "data.limit": 150},
    )  # fmt: skip
    assert list(table.rows) == ["start", "τ = 1", "τ = 0.01", "τ = 0.01, loss within images"]
    for row in table.rows.values():
        assert row["gain"].value == pytest.approx(row["oti"].value - row["native"].value)
    runs = table.settings["runs"]
    assert runs["τ = 1"]["starts_from"] == "start"
    assert [runs[name]["temperature"]["initial"] for name in ("τ = 1", "τ = 0.01")] == [1, 0.01]
    assert not any(v["verdict"].startswith("not computed") for v in table.verdicts)


@pytest.mark.slow
def test_gallery(tmp_path: Path) -> None:
    table = inverted_gallery(tmp_path, steps=3, jobs=1)
    assert len(table.rows) == 15
    run = read_run(tmp_path / "runs" / "3 attributes")
    captions = captions_of(run.config.data.captions)
    pair = embed(run, mad_of({"": run}), captions)
    queries, gallery = (
        mg.invert(each, "oti", run.spec, steps=3).features for each in split_pair(pair)
    )
    by_hand = mean_precision(queries, gallery)
    found = table.rows["3 attributes, OTI, both sides"]["map_object"].value
    assert found == pytest.approx(by_hand, abs=TIES)
    native = table.rows["3 attributes, native"]["map_object"].value
    assert native == pytest.approx(mean_precision(*split_pair(pair)), abs=TIES)


def mean_precision(queries: mg.Embeddings, gallery: mg.Embeddings, factor: str = "object") -> float:
    """The mAP by a factor, by scikit-learn."""
    scores = (queries.unit() @ gallery.unit().T).numpy()
    relevant = queries.factors[factor][:, None] == gallery.factors[factor]
    pairs = zip(relevant, scores, strict=True)
    return float(np.mean([average_precision_score(*each) for each in pairs if each[0].any()]))


@pytest.mark.slow
def test_data_sets(tmp_path: Path) -> None:
    table: Table = inversion_data_sets(tmp_path, steps=3, jobs=1)
    rows = [name for name in table.rows if "full captions" in name]
    assert len(rows) == 7
    *sets, mean = (table.rows[name] for name in rows)
    for name in ("gain", "top1", "inverted_r_precision"):
        by_hand = np.mean([each[name].value for each in sets])
        assert mean[name].value == pytest.approx(by_hand)
    run = read_run(tmp_path / "runs" / "full")
    pair = embed(run, mad_of({"": run}), captions_of(run.config.data.captions))
    digit = table.rows["MAD, full captions: digit"]
    assert digit["map"].value == pytest.approx(mean_precision(*split_pair(pair)), abs=TIES)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="queries, gallery and model must be set together"):
        inversion_steps(tmp_path, queries="x.npz")
    with pytest.raises(InputError, match="tokens"):
        inversion_steps(tmp_path, tokens=[7])
    with pytest.raises(InputError, match="attributes"):
        inversion_steps(tmp_path, attributes=0)
    with pytest.raises(InputError, match="losses: is set by the study"):
        inversion_and_temperature(tmp_path, train={"losses": {"infonce": 1.0}})
    with pytest.raises(InputError, match="steps"):
        inverted_gallery(tmp_path, steps=0)
    assert not list(tmp_path.iterdir())
