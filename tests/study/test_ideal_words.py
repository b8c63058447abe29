"""Ideal words against means and cosines written out, and the commands for the paper's data."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layouts.collections import compositions as layout
from numpy.typing import NDArray

import modalgap as mg
from modalgap.data.mad import FACTORS, Captions
from modalgap.embeddings.store import load_any
from modalgap.errors import InputError, OptionError
from modalgap.study import ideal_words
from modalgap.study.schrodi2025.ideal_words import BOTH, CENTRED, IDEAL, IMAGE, MOVED, OWN, REAL
from modalgap.study.schrodi2025.words import compositions

Rows = NDArray[np.float64]
STATES, THINGS = ["new", "old", "ripe"], ["car", "fruit"]


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def drawn(count: int, random: np.random.Generator) -> tuple[Rows, dict[str, list[str]]]:
    """Unit rows and factors; every value occurs."""
    factors = {
        "attribute": [STATES[i % 3] for i in range(count)],
        "object": [THINGS[i % 2] for i in range(count)],
    }
    return unit(random.normal(size=(count, 8))), factors


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    random = np.random.default_rng(0)
    images, factors = drawn(30, random)
    made = {}
    for name, values in (("attribute", STATES), ("object", THINGS)):
        text = mg.Embeddings(
            unit(random.normal(size=(len(values), 8))), "text", factors={name: values}
        )
        labels = [values.index(each) for each in factors[name]]
        pair = mg.Pair(mg.Embeddings(images, factors=factors), text, labels=labels)
        made[name] = tmp_path / f"{name}.safetensors"
        mg.save(pair, made[name])
    for name, count in (("train", 24), ("prompts", 12)):
        rows, own = drawn(count, random)
        side = mg.Embeddings(rows, "image" if name == "train" else "text", factors=own)
        made[name] = tmp_path / f"{name}.safetensors"
        mg.save(side, made[name])
    return made


def options(files: dict[str, Path]) -> dict[str, object]:
    return {
        "classes": [files["attribute"], files["object"]],
        "train_images": files["train"],
        "prompts": files["prompts"],
    }


def test_numbers(files: dict[str, Path], tmp_path: Path) -> None:
    table = ideal_words(tmp_path / "s", **options(files))
    pairs = {name: mg.load(files[name]) for name in ("attribute", "object")}
    x = pairs["attribute"].image.unit().double().numpy()
    sides = {name: load_any(files[name]) for name in ("train", "prompts")}
    rows = {name: each.unit().double().numpy() for name, each in sides.items()}

    def mean(side: str, factor: str, value: str) -> Rows:
        own = [i for i, v in enumerate(sides[side].factors[factor]) if v == value]
        return rows[side][own].mean(0)

    def each(side: str) -> dict[str, Rows]:
        words = {"attribute": STATES, "object": THINGS}
        return {f: np.stack([mean(side, f, v) for v in values]) for f, values in words.items()}

    real = {name: pair.text.unit().double().numpy() for name, pair in pairs.items()}
    ideal, images = each("prompts"), each("train")
    both = np.concatenate([real["attribute"], real["object"]])
    u0, mean_image = rows["prompts"].mean(0), rows["train"].mean(0)
    gap = mean_image - both.mean(0)
    kinds = {
        REAL: (real, None),
        IDEAL: (ideal, images),
        CENTRED: ({k: v - u0 for k, v in ideal.items()},
                  {k: v - mean_image for k, v in images.items()}),
        MOVED: ({k: v + gap for k, v in ideal.items()}, images),
        BOTH: ({k: v - u0 + gap for k, v in ideal.items()},
               {k: v - mean_image for k, v in images.items()}),
        OWN: ({k: v - u0 + mean_image for k, v in ideal.items()}, images),
        IMAGE: (images, None),
    }  # fmt: skip
    assert list(table.rows) == [f"attribute, {kind}" for kind in kinds]
    for kind, (words, seen) in kinds.items():
        row = table.rows[f"attribute, {kind}"]
        for factor, vectors in words.items():
            labels = pairs[factor].labels
            dot = (x @ vectors.T).argmax(1) == labels
            cosine = (x @ unit(vectors).T).argmax(1) == labels
            assert row[factor].value == pytest.approx(dot.mean())
            assert row[f"{factor}_cosine"].value == pytest.approx(cosine.mean())
        if seen is not None:
            a, b = (np.concatenate([e["attribute"], e["object"]]) for e in (words, seen))
            assert row["cosine"].value == pytest.approx((unit(a) * unit(b)).sum(1).mean())
            assert row["gap"].value == pytest.approx(np.linalg.norm(a.mean(0) - b.mean(0)))
    row = table.rows[f"attribute, {REAL}"]
    labels = {name: np.asarray(pair.labels) for name, pair in pairs.items()}
    own = [(x * real[name][labels[name]]).sum(1).mean() for name in real]
    assert row["cosine"].value == pytest.approx(np.mean(own))
    # the code of the paper: rows of both in one list, and objects numbered from its beginning
    wrong = [(x * both[labels[name]]).sum(1).mean() for name in real]
    assert row["cosine_code"].value == pytest.approx(np.mean(wrong))
    assert row["gap"].value == pytest.approx(np.linalg.norm(x.mean(0) - both.mean(0)))
    assert (tmp_path / "s" / "ideal_words.png").is_file()


def test_a_word_without_training_images(files: dict[str, Path], tmp_path: Path) -> None:
    train = load_any(files["train"])
    few = [i for i, value in enumerate(train.factors["attribute"]) if value != "ripe"]
    mg.save(
        mg.Embeddings(train.unit()[few], factors={k: [v[i] for i in few]
                                                  for k, v in train.factors.items()}),
        tmp_path / "few.safetensors",
    )  # fmt: skip
    table = ideal_words(tmp_path / "s", **options({**files, "train": tmp_path / "few.safetensors"}))
    for row in table.rows.values():
        assert all(np.isfinite(value.value) for value in row.values())


def test_refusals(files: dict[str, Path], tmp_path: Path) -> None:
    good = options(files)
    without = {name: value for name, value in good.items() if name != "prompts"}
    with pytest.raises(OptionError, match="classes must be two files"):
        ideal_words(tmp_path / "s", **without)
    with pytest.raises(OptionError, match="classes must be two files if"):
        ideal_words(tmp_path / "s", prompts=files["prompts"])
    plain = tmp_path / "plain.safetensors"
    mg.save(mg.Pair(np.eye(8), np.eye(8)), plain)
    with pytest.raises(InputError, match="must have labels, and words with one factor"):
        ideal_words(tmp_path / "s", **{**good, "classes": [plain, plain]})
    with pytest.raises(InputError, match=r"plain.safetensors: must have the factor 'attribute'"):
        ideal_words(tmp_path / "s", **{**good, "train_images": plain})
    assert not (tmp_path / "s").exists()


def test_compositions() -> None:
    texts, codes = compositions(Captions.named("object_attribute_1"))
    sizes = [len(values) for values in FACTORS.values()]
    assert len(texts) == sizes[0] * sum(sizes[1:]) == 160
    texts, codes = compositions(Captions.named("object_attribute_5"))
    assert len(set(texts)) == len(texts) == np.prod(sizes)
    assert len(np.unique(codes, axis=0)) == len(codes)
    for text, row in zip(texts[::97], codes[::97], strict=True):
        words = [values[code] for values, code in zip(FACTORS.values(), row, strict=True)]
        assert sorted(text.split("-")) == sorted(words)


def test_the_commands_of_the_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first command writes every composition; the others run on a small model."""
    splits = ("train", "val", "test")
    items = [
        (a, o, f"{split}{i}.jpg", split)
        for split in splits for i in range(2) for a in ("old", "new") for o in "xyz"
    ]  # fmt: skip
    layout(tmp_path / "data" / "mit-states", items, spaces=True)
    monkeypatch.chdir(tmp_path)
    lines = [line for line in ideal_words.real if "mit-states" in line]
    first, *others, last = (shlex.split(line) for line in lines)
    subprocess.run([sys.executable, *first[1:]], check=True, cwd=tmp_path)
    written = (tmp_path / "mit-states_prompts.csv").read_text().splitlines()
    assert len(written) == 1 + 3 * 4  # the layout adds the pair "unseen thing"
    assert "an image of a old x.,old,x" in written
    for words in others:
        value = dict(zip(words[3::2], words[4::2], strict=True))
        source = mg.data.read(
            words[2], split=value.get("--split"), label_column=value.get("--label-column"),
            factors=value.get("--factors", ()),
        )  # fmt: skip
        mg.encode(
            source, "open_clip:ViT-S-32-alt/random", value["-o"],
            template=value.get("--template"),
        )  # fmt: skip
    chosen = dict(each.split("=") for each in last if "=" in each)
    classes = chosen.pop("classes").split(",")
    table = ideal_words(tmp_path / "s", classes=classes, **chosen)
    assert table.rows[f"mit-states, {IDEAL}"]["cosine"].value > -1
