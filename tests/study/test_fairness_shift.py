"""The study of table 2 of Liang et al. 2022: against plain numpy, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modalgap as mg
from modalgap import errors
from modalgap.study import embedded, fairness_shift
from modalgap.study.liang2022.fairness_shift import RACES
from modalgap.study.plan import Work

KINDS = ["person"] * 4 + ["non-human"] * 2 + ["crime"]


def faces(n: int = 84, kinds: list[str] | None = None, dim: int = 8) -> mg.Pair:
    random = np.random.default_rng(0)
    prompts = random.normal(size=(7, dim)) + 0.5
    labels = np.arange(n) % 4
    images = prompts[labels] + 1.3 * random.normal(size=(n, dim)) - 0.5
    groups = {"race": [RACES[i % 7] for i in range(n)], "one": ["same"] * n}
    text = mg.Embeddings(prompts, "text", names=[f"prompt {i}" for i in range(7)],
                         factors={"kind": KINDS if kinds is None else kinds})  # fmt: skip
    return mg.Pair(mg.Embeddings(images, "image", factors=groups), text, labels=labels)


def saved(folder: Path, name: str, pair: mg.Pair) -> str:
    return str(mg.save(pair, folder / f"{name}.safetensors"))


def test_against_numpy(tmp_path: Path) -> None:
    pair = faces()
    middles = np.array([1.0, -1.0])[:, None, None]
    captions = mg.Pair(*(np.random.default_rng(1).normal(size=(2, 30, 8)) + middles))
    file, along = saved(tmp_path, "mine", pair), saved(tmp_path, "captions", captions)
    table = fairness_shift(tmp_path / "out", classes=file, direction=along, shifts=[-0.5, 0.75])
    assert list(table.heads) == ["δ = -0.5", "δ = 0", "δ = 0.75"]
    x, y = (side.unit().double().numpy() for side in pair.sides)
    a, b = (side.unit().double().numpy() for side in captions.sides)
    gap = a.mean(0) - b.mean(0)
    gap /= np.linalg.norm(gap)
    race = np.array(pair.image.factors["race"])
    for delta in (-0.5, 0.0, 0.75):
        moved, far = x - delta * gap, a - delta * gap
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        far /= np.linalg.norm(far, axis=1, keepdims=True)
        predicted = (moved @ y.T).argmax(1)
        head = f"δ = {delta:g}"
        shares = []
        for name in RACES:
            row, own = table.rows[f"mine, {name}"], predicted[race == name]
            assert row[head].value == pytest.approx((own >= 4).mean())
            assert row[f"non-human, {head}"].value == pytest.approx(np.isin(own, [4, 5]).mean())
            assert row[f"crime, {head}"].value == pytest.approx((own == 6).mean())
            shares.append((own >= 4).mean())
        every = {
            "all": (predicted >= 4).mean(),
            "largest difference": max(shares) - min(shares),
            "accuracy": (predicted == pair.labels).mean(),
            "distance of means": np.linalg.norm(far.mean(0) - b.mean(0)),
        }
        for name, value in every.items():
            assert table.rows[f"mine, {name}"][head].value == pytest.approx(value, abs=1e-5), name
    wide, now, near = (table.rows["mine, distance of means"][head].value for head in table.heads)
    assert wide > now > near, "δ < 0 widens the gap"
    curve = table.rows["mine, all"]["harmful"].details
    assert curve["x"] == [-0.5, 0, 0.75]
    assert all(each["verdict"].startswith("not computed") for each in table.verdicts)
    assert (tmp_path / "out" / "report.html").read_text().count("<svg") == 2


def test_faces_of_the_paper_are_judged_by_their_file(tmp_path: Path) -> None:
    table = fairness_shift(tmp_path / "out", classes=saved(tmp_path, "fairface_b32", faces()))
    judged = [each for each in table.verdicts if not each["verdict"].startswith("not computed")]
    assert len(judged) == 7 * 5 + 5 + 4
    assert any(each["verdict"].startswith("differs") for each in judged)


def test_digits_stand_in_for_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    image = mg.Embeddings(
        random.normal(size=(60, 6)), "image", factors={"colour": ["red", "blue", "cyan"] * 20}
    )

    def of(*values: str) -> mg.Pair:
        text = mg.Embeddings(random.normal(size=(len(values), 6)), "text", names=list(values))
        return mg.Pair(image, text, labels=np.arange(60) % len(values))

    sets = {
        "object": of("one", "two"),
        "thickness": of("thin", "none"),
        "scale": of("large", "small"),
    }
    monkeypatch.setattr(embedded, "classes", lambda _work, _name: sets)
    plan = fairness_shift.plan()
    assert list(plan.models) == ["full"]
    table = fairness_shift.run(Work(settings=plan.settings, folder=tmp_path))
    assert list(table.rows)[:3] == ["MAD, blue", "MAD, cyan", "MAD, red"]
    assert "thickness, δ = 0" in table.rows["MAD, red"]
    assert any("stand-ins" in note for note in table.notes)


def test_refusals(tmp_path: Path) -> None:
    good = saved(tmp_path, "good", faces())
    plain = saved(tmp_path, "plain", mg.Pair(*np.random.default_rng(0).normal(size=(2, 30, 5))))
    harmless = saved(tmp_path, "harmless", faces(kinds=["person"] * 7))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"classes": plain}, "must hold class prompts and labels"),
        ({"classes": good, "group": "age"}, "group must be a factor .* known: one, race"),
        ({"classes": good, "group": "one"}, "two values or more"),
        ({"group": "race"}, "group must be one of object, thickness"),
        ({"classes": good, "kind": "sort"}, "kind must be a factor .* known: kind"),
        ({"classes": harmless}, "prompts of a kind that no image is labelled with"),
        ({"classes": good, "direction": plain}, "has 5 columns"),
        ({"classes": good, "shifts": [0.1, 0.1]}, "different values"),
        ({"classes": good, "shifts": [float("nan")]}, "shifts must be"),
        ({"classes": good, "seed": -1}, "seed must be"),
    ]
    for options, said in cases:
        with pytest.raises(errors.InputError, match=said):
            fairness_shift(tmp_path / "out", **options)
