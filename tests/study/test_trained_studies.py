"""Studies that train on MAD: what they compute, on models of a few steps, and what they refuse."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from commands import Run as Command

import modalgap as mg
from modalgap.data.mad import FACTORS
from modalgap.errors import InputError
from modalgap.result import Table, Value
from modalgap.study import (
    STUDIES,
    Study,
    amended_start,
    embedded,
    entropy,
    imbalance,
    named_factor,
    temperature,
)
from modalgap.study.liang2022.amended_start import row_of
from modalgap.study.liang2022.temperature import retrieval
from modalgap.study.plan import Plan, Tuned
from modalgap.study.schrodi2025.entropy import with_curves
from modalgap.study.schrodi2025.named_factor import by_factor
from modalgap.study.training import train_planned
from modalgap.trace import points
from modalgap.train import Run, load_config, ready

SMALL = {"steps": 2, "batch": 32, "data.limit": 200, "watch": {"measure": 1, "rows": 40}}
COLUMNS = list(FACTORS)


def verdicts(study: Study, rows: dict[str, dict[str, float]]) -> dict[str, str]:
    table = Table(
        name="t", source="s", vary="v", heads={}, settings={},
        rows={row: {name: Value(x) for name, x in values.items()} for row, values in rows.items()},
    )  # fmt: skip
    found = [each.verdict(table) for each in study.published]
    return {each["claim"]: each["verdict"] for each in found}


def run_with_log(**values: list[float]) -> Run:
    """Measurements at steps 0, 10, 20, … between lines of losses."""
    log: list[dict[str, Any]] = [{"step": 5, "loss": 1.0}]
    for i, measured in enumerate(zip(*values.values(), strict=True)):
        log.append({"step": 10 * i, "held_out": dict(zip(values, measured, strict=True))})
    return cast("Run", SimpleNamespace(log=log))


# named_factor -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sorted_by_colour() -> mg.Pair:
    """Pairs whose vectors depend on the colour and nothing else, apart from small noise."""
    random = np.random.default_rng(0)
    codes = np.stack([random.integers(len(words), size=300) for words in FACTORS.values()], 1)
    base = random.normal(size=(7, 16))
    rows = base[codes[:, COLUMNS.index("colour")]]
    factors = {
        "object" if name == "colour" else name: [words[code] for code in column]
        for (name, words), column in zip(FACTORS.items(), codes.T, strict=True)
    }
    noise = 0.05 * random.normal(size=(2, 300, 16))
    return mg.Pair(
        mg.Embeddings(rows + noise[0], factors=factors),
        mg.Embeddings(rows + noise[1], "text", factors=factors),
    )


def test_bias_by_factor(sorted_by_colour: mg.Pair) -> None:
    found = by_factor(sorted_by_colour, "colour")
    assert max(COLUMNS, key=lambda name: found[f"image_{name}"].value) == "colour"
    for side, rows in (("image", sorted_by_colour.image), ("text", sorted_by_colour.text)):
        assert found[f"{side}_named"] == found[f"{side}_colour"]
        others = [found[f"{side}_{name}"].value for name in COLUMNS if name != "colour"]
        assert found[f"{side}_next"].value == max(others)
        # an independent computation of all pairs
        cosine = (rows.unit() @ rows.unit().T).double().numpy()
        apart = ~np.eye(len(cosine), dtype=bool)
        contrast = {}
        for name, values in rows.factors.items():
            same = np.asarray(values)[:, None] == np.asarray(values)[None]
            contrast[name] = cosine[same & apart].mean() - cosine[~same].mean()
        for name in COLUMNS:
            role = "object" if name == "colour" else name
            rest = [value for other, value in contrast.items() if other != role]
            expected = contrast[role] - np.mean(rest)
            assert found[f"{side}_{name}"].value == pytest.approx(expected, abs=1e-6), name


def test_verdicts_of_named_factor() -> None:
    row = {"image_named": 0.4, "image_next": 0.1, "text_named": 0.1, "text_next": 0.2}
    found = verdicts(named_factor, {"colour": row})
    claim = "If captions always name the {}, its MOAD is the largest of all factors ({})"
    assert found[claim.format("colour", "images")] == "agrees"
    assert "differs" in found[claim.format("colour", "texts")]
    assert found[claim.format("scale", "texts")].startswith("not computed: not with")
    assert "not computed: needs the captions of LAION-2B" in found.values()


def test_named_factor_on_small_models(tmp_path: Path) -> None:
    table = named_factor(tmp_path, factors=("colour", "scale"), train=SMALL, jobs=1)
    assert list(table.rows) == ["colour", "scale"]
    for row in table.rows.values():
        assert {f"{side}_{name}" for side in ("image", "text") for name in COLUMNS} < set(row)
    assert table.settings["runs"]["scale"]["data"]["captions"]["object"] == "scale"
    assert "Factor with the largest MOAD" in (tmp_path / "report.html").read_text()


# amended_start ----------------------------------------------------------------------------------


def test_means_over_seeds() -> None:
    runs = [run_with_log(l2m=[1.0, 2.0]), run_with_log(l2m=[1.4, 3.0])]
    row = row_of(runs, [{"l2m": Value(2.1)}, {"l2m": Value(2.9)}])
    assert points(row["l2m"]) == ([0.0, 10.0], [1.2, 2.5])
    assert row["l2m"].value == pytest.approx(2.5)
    assert row["l2m_start"].value == pytest.approx(1.2)
    assert row["sd_start"].value == pytest.approx(0.2)  # of the population
    assert row["sd"].value == pytest.approx(0.4)
    half = 12.7062 * 0.4  # Student's t of one degree of freedom, times 0.8 / √2 / √2
    assert row["l2m"].interval == pytest.approx((2.5 - half, 2.5 + half), rel=1e-4)


def test_amended_start_on_small_models(tmp_path: Path) -> None:
    small = SMALL | {"model": {"architecture": "mad_cnn"}, "optimiser.warmup": 0}
    table = amended_start(tmp_path, seeds=1, train=small, jobs=1)
    amended, ordinary = table.rows["amended"], table.rows["ordinary"]
    assert amended["l2m_start"].value < ordinary["l2m_start"].value / 2
    assert points(amended["l2m"])[0] == [0, 1, 2]
    assert "sd" not in amended
    assert (tmp_path / "curves.csv").is_file()
    smaller = "The amended start has a smaller gap before training"
    assert {each["claim"]: each["verdict"] for each in table.verdicts}[smaller] == "agrees"


# entropy and temperature ------------------------------------------------------------------------


def test_curves_of_a_log() -> None:
    trained = run_with_log(l2m=[0.1, 0.2, 0.4], temperature=[1.0, 2.0, 3.0])
    found = with_curves(trained, {"l2m": Value(0.5, (0.4, 0.6)), "cone_image": Value(1.0)})
    assert list(found) == ["l2m"]
    assert points(found["l2m"]) == ([0, 10, 20], [0.1, 0.2, 0.4])
    assert (found["l2m"].value, found["l2m"].interval) == (0.5, (0.4, 0.6))


def test_entropy_on_small_models(tmp_path: Path) -> None:
    table = entropy(tmp_path / "s", start=SMALL, train=SMALL, models=tmp_path / "models", jobs=1)
    start, learnable, frozen = (table.rows[name] for name in ("start", "learnable", "frozen"))
    assert frozen["temperature"].value == pytest.approx(start["temperature"].value, rel=1e-6)
    assert learnable["temperature"].value != start["temperature"].value
    # both begin where the model of full captions ended
    first = [points(row["logit_entropy_image"])[1][0] for row in (learnable, frozen)]
    assert first[0] == first[1]
    assert len(list((tmp_path / "models").glob("[!.]*"))) == 3
    assert table.settings["runs"]["frozen"]["starts_from"] == "full"
    assert table.settings["runs"]["frozen"]["data"]["captions"] == "object_attribute_1"


def test_verdicts_of_entropy() -> None:
    rows = {
        "start": {"logit_entropy_image": 2.0, "temperature": 0.03, "l2m": 0.1, "rmg": 0.1},
        "learnable": {"logit_entropy_image": 5.0, "temperature": 0.06, "l2m": 0.2, "rmg": 0.3},
        "frozen": {"logit_entropy_image": 4.8, "temperature": 0.03, "l2m": 0.4, "rmg": 0.2},
    }
    found = verdicts(entropy, rows)
    assert found.pop(
        "The entropy ends at the same value with a learnable and a frozen τ"
    ).startswith("differs: by 0.2")
    assert found.pop("RMG grows more with a frozen τ").startswith("differs")
    assert set(found.values()) == {"agrees"}


def test_temperature_on_small_models(tmp_path: Path) -> None:
    table = temperature(tmp_path, scales=(1, 2000 / 7), start=SMALL, train=SMALL, jobs=1)
    assert list(table.rows) == ["1", "285.714"]
    assert [value.value for value in table.column("scale")] == pytest.approx([1, 285.714], rel=1e-5)
    assert points(table.rows["1"]["l2m"])[0] == [0, 1, 2]


@pytest.mark.slow
def test_a_learnable_temperature(tmp_path: Path) -> None:
    table = temperature(tmp_path, scales=(50,), mode="learnable", start=SMALL,
                        train=SMALL, jobs=1)  # fmt: skip
    assert table.rows["50"]["scale"].value != pytest.approx(50, rel=1e-6)


def test_retrieval_counts_equal_factors() -> None:
    """Items 0 and 1 have equal factors; the image of item 2 is nearest to the text of item 3."""
    factors = {"object": ["one", "one", "two", "two"], "colour": ["red", "red", "red", "blue"]}
    names = [f"{i}/x" for i in range(4)]
    image = torch.eye(4)[[0, 1, 2, 3]]
    text = torch.eye(4)[[1, 0, 3, 2]]
    text[2] += 0.5 * torch.eye(4)[2]
    text[3] = torch.eye(4)[2]
    pair = mg.Pair(
        mg.Embeddings(image, names=names, factors=factors),
        mg.Embeddings(text, "text", names=names, factors=factors),
    )
    found = retrieval(pair)
    assert found["image_to_text_r1"].value == 0.5
    assert found["text_to_image_r1"].value == 0.5


def test_verdicts_of_temperature() -> None:
    rising = {name: {"l2m": i / 10} for i, name in enumerate(("1", "10", "20", "30", "50", "100"))}
    found = list(verdicts(temperature, rising).values())
    assert found[0] == "agrees"
    assert all(each.startswith("not computed: needs 50,000 pairs") for each in found[1:])


# imbalance from two starts ----------------------------------------------------------------------


def test_imbalance_from_a_closed_start(tmp_path: Path) -> None:
    table = imbalance(tmp_path, attributes=(1,), starts=("open", "closed"), train=SMALL, jobs=1)
    assert list(table.rows) == ["1"]
    row = table.rows["1"]
    assert {"rmg", "closed_rmg", "closed_moad_image"} < set(row)
    assert table.heads["closed_rmg"] == "RMG, closed start"
    assert table.settings["runs"]["k1_seed0_closed"]["model"]["amended"] is True
    assert table.notes[-1].startswith("distance of means before training: open ")
    assert (tmp_path / "report.html").read_text().count("<svg") == 6


# models that start from models ------------------------------------------------------------------


@pytest.mark.slow  # four runs
def test_a_start_with_other_settings_is_not_reused(tmp_path: Path) -> None:
    config = load_config("mad", ["steps=1", "batch=32", "data.limit=200", "watch.measure=0"])

    def plan(steps: int) -> Plan:
        return Plan(
            settings={}, models={"a": replace(config, steps=steps)},
            tuned={"b": Tuned(start="a", config=config)},
        )  # fmt: skip

    runs = train_planned(plan(1), tmp_path, None)
    assert runs["b"].config.model.start == f"open_clip:{runs['a'].model.resolve()}"
    again = train_planned(plan(1), tmp_path, None)
    assert again["b"].folder == runs["b"].folder
    other = train_planned(plan(2), tmp_path, None, overwrite=True)
    assert other["b"].folder != runs["b"].folder
    assert other["b"].first["l2m"] == pytest.approx(other["a"].last["l2m"], abs=1e-6)


def test_the_embedded_model_is_the_start() -> None:
    for study in (entropy, temperature):
        assert study.planned({}).models == embedded.models("full")


# options and commands ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("study", "options", "said"),
    [
        (named_factor, {"factors": ("hue",)}, "unknown factor 'hue'"),
        (named_factor, {"factors": ("scale", "scale")}, "different names"),
        (named_factor, {"factors": ()}, "different names"),
        (named_factor, {"attributes": 6}, "at most 5"),
        (named_factor, {"train": {"data.captions": "object_only"}}, "set by the study itself"),
        (entropy, {"attributes": 5}, "at most 4"),
        (entropy, {"train": {"temperature.mode": "frozen"}}, "train.temperature.mode: is set"),
        (entropy, {"start": {"seed": 1}}, "start.seed: is set"),
        (temperature, {"scales": (0,)}, "scales must be a number of at least 0.001"),
        (temperature, {"scales": (-1,)}, "scales must be"),
        (temperature, {"scales": (10, 10)}, "more than once"),
        (temperature, {"scales": ()}, "at least 1 value"),
        (temperature, {"mode": "fixed"}, "mode must be one of frozen, learnable"),
        (temperature, {"train": {"model.start": "x"}}, "set by the study itself"),
        (amended_start, {"seeds": 0}, "seeds must be"),
        (amended_start, {"train": {"model.amended": True}}, "set by the study itself"),
        (imbalance, {"starts": ("ajar",)}, "starts must be one of open, closed"),
        (imbalance, {"starts": ("closed",)}, "must contain open"),
        (imbalance, {"starts": ("open", "open")}, "more than once"),
    ],
)
def test_refusals(study: Study, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        study(tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("study", [entropy, temperature, amended_start], ids=lambda s: s.name)
def test_commands_for_the_real_data(study: Study) -> None:
    """Each configuration can be read with the settings of its command."""
    assert study.name in STUDIES
    made = []
    for line in study.real:
        words = shlex.split(line)
        assert words[0] == "modalgap"
        if words[1] != "train":
            continue
        assert words[2] in ready()
        pairs = list(zip(words[3::2], words[4::2], strict=True))
        assert {key for key, _ in pairs} == {"-o", "--set"}
        made.append(load_config(words[2], [value for key, value in pairs if key == "--set"]))
    if study is temperature:
        assert [1 / each.temperature.initial for each in made if each.temperature.initial] == (
            pytest.approx([1, 10, 20, 30, 50, 100])
        )
        assert {each.temperature.mode for each in made} == {"frozen"}
        assert {each.epochs for each in made} == {5}
    elif study is entropy:
        assert [each.temperature.mode for each in made] == ["learnable", "learnable", "frozen"]
        assert made[0].model.start is None
        assert made[2].model.start == "open_clip:runs/cc12m_rn50_full/model"
    else:
        assert [each.model.amended for each in made] == [False] * 3 + [True] * 3
        assert {each.model.architecture for each in made} == {"ViT-B-16"}
        assert all(each.model.start is None for each in made)


@pytest.mark.parametrize("study", [entropy, temperature, amended_start], ids=lambda s: s.name)
def test_real_commands_fail_for_the_data_only(
    study: Study, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the data set, each command is understood and names the folder of the data."""
    monkeypatch.chdir(tmp_path)
    for line in study.real:
        assert "/data" in line
        words = shlex.split(line.replace("/data", str(tmp_path / "nowhere")))
        code, out, err = run(*words[1:])
        assert code != 0
        assert "nowhere" in out + err, line
        assert not (tmp_path / "runs").exists()
