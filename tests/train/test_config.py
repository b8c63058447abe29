"""Configurations: every key is known or refused with the nearest one, and values fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modalgap.errors import FileError, InputError, OptionError
from modalgap.losses import Objective
from modalgap.train import load_config, ready
from modalgap.train.captions import chain
from modalgap.train.config import Config, Optimiser
from modalgap.train.optimiser import rate


@pytest.mark.parametrize("name", [name for name in ready() if name != "mad"] + ["mad"])
def test_what_is_ready_loads(name: str) -> None:
    found = load_config(name)
    Objective.of(found.losses)
    chain(found.data.transforms)
    assert found.steps or found.epochs
    text = ready()[name].read_text()
    assert text.startswith("# "), "a ready configuration says what it is of"


def test_those_that_the_papers_need_are_ready() -> None:
    expected = {f"mad_k{k}" for k in range(6)}
    expected |= {f"cc12m_rn50_{part}" for part in ("full", "half", "quarter")}
    expected |= {"cc12m_entropy_learnable", "cc12m_entropy_frozen", "dci_clip", "dci_siglip"}
    assert expected | {"coco_temperature", "amended_start"} <= set(ready())


def test_facts_of_the_papers() -> None:
    full = load_config("cc12m_rn50_full")
    assert (full.batch, full.epochs, full.optimiser.warmup) == (880, 30, 10_000)
    assert (full.optimiser.lr, full.optimiser.weight_decay) == (1e-3, 0.2)
    assert load_config("cc12m_rn50_quarter").data.transforms == ["quarter"]
    assert load_config("cc12m_entropy_frozen").temperature.mode == "frozen"
    assert load_config("cc12m_entropy_frozen").data.transforms == ["quarter"]
    dci = load_config("dci_siglip")
    assert (dci.batch, dci.optimiser.lr, dci.losses) == (256, 1e-5, {"siglip": 1.0})
    assert load_config("coco_temperature").optimiser.betas == [0.9, 0.98]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["optimizer.lr=1"], "unknown key of the configuration 'optimizer'; did you mean 'optim"),
        (["optimiser.learning_rate=1"], "unknown key of optimiser 'learning_rate'; known:"),
        (["optimiser.wamup=1"], "did you mean 'warmup'"),
        (["optimiser.lr=fast"], "optimiser.lr: must be a number; got 'fast'"),
        (
            ["optimiser.lr=-1"],
            "optimiser.lr must be a number of at least 0 and at most 1e+30; got -1",
        ),
        (["optimiser.lr=.nan"], "optimiser.lr must be"),
        (["optimiser.betas=[0.9]"], "optimiser.betas must be two numbers"),
        (["optimiser.betas=[0.9, 1]"], "optimiser.betas must be"),
        (["optimiser.schedule=step"], "must be one of cosine, constant"),
        (["batch=1"], "batch must be an integer of at least 2"),
        (["batch=2.5"], "batch: must be an integer; got 2.5"),
        (["batch=true"], "batch: must be an integer; got True"),
        (["steps=null", "epochs=null"], "set either steps or epochs; got neither"),
        (["epochs=3"], "set either steps or epochs; got both"),
        (["steps=-1"], "steps must be an integer of at least 0"),
        (["data=mad"], "data: must hold keys and values"),
        (["data.source=3"], "data.source: must be a string; got 3"),
        (["data.held_out=1.5"], "data.held_out must be a fraction below 1 or a whole number"),
        (["data.held_out=-1"], "data.held_out must be"),
        (["temperature.mode=learned"], "must be one of learnable, frozen, scheduled"),
        (["temperature.mode=scheduled"], "temperature.final needs"),
        (
            ["temperature.mode=scheduled", "temperature.final=0.1"],
            "temperature.initial is required",
        ),
        (["optimiser.warmup=1.5"], "optimiser.warmup must be a fraction below 1"),
        (["data.source=2020-13-45"], "--set: the value must be YAML"),
        (["optimiser.lr=1" + "0" * 400], "must fit into a float"),
        (["temperature.final=0.1"], "temperature.final needs"),
        (["temperature.initial=0"], "temperature.initial must be"),
        (["temperature.highest=0.001"], "temperature.highest must be above lowest"),
        (["precision=fp8"], "precision must be one of fp32, bf16, fp16"),
        (["precision=fp16", "accumulate=2"], "precision fp16 cannot accumulate"),
        (["accelerator=tpu"], "accelerator must be one of"),
        (["swap.share=2"], "swap.share must be"),
        (["swap.kind=gentle"], "swap.kind must be one of hard, soft"),
        (["watch.every=0"], "watch.every must be"),
        (["checkpoint.keep=0"], "checkpoint.keep must be"),
        (["seed=-1"], "seed must be"),
        (["workers=-1"], "workers must be"),
        (["=3"], "--set: must be key=value"),
        (["steps"], "--set: must be key=value"),
        (["steps=[1"], "--set: the value must be YAML"),
        (["a.b.c=1"], "unknown key of the configuration 'a'"),
    ],
)
def test_what_is_wrong_is_said_exactly(settings: list[str], said: str) -> None:
    with pytest.raises(InputError) as error:
        load_config("mad", settings)
    assert said in str(error.value)


def test_values_as_they_are_typed() -> None:
    found = load_config("mad", ["optimiser.lr=1e-3", "temperature.initial=0.05", "steps=7"])
    assert (found.optimiser.lr, found.temperature.initial, found.steps) == (1e-3, 0.05, 7)
    found = load_config("mad", ["data.transforms=half", "optimiser.weight_decay=1"])
    assert found.data.transforms == ["half"]
    assert isinstance(found.optimiser.weight_decay, float)
    assert load_config("mad", ["data.transforms=[half, keep:2]"]).data.transforms[1] == "keep:2"
    assert load_config("mad", ["losses={siglip: 2.0}"]).losses == {"siglip": 2.0}
    assert load_config("mad", ["losses.cyclip=0.5"]).losses == {"infonce": 1.0, "cyclip": 0.5}


def test_one_is_based_on_another(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text("steps: 5\ndata: {captions: object_attribute_3}\n")
    (tmp_path / "above.yaml").write_text("base: below.yaml\ndata: {limit: 50}\n")
    found = load_config(tmp_path / "above.yaml")
    assert (found.steps, found.data.captions, found.data.limit) == (5, "object_attribute_3", 50)
    (tmp_path / "own.yaml").write_text("base: mad\nlosses: {siglip: 1}\n")
    assert load_config(tmp_path / "own.yaml").losses == {"siglip": 1}, "losses are replaced whole"
    (tmp_path / "round.yaml").write_text("base: round.yaml\n")
    with pytest.raises(FileError, match="based on itself"):
        load_config(tmp_path / "round.yaml")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "!!python/object/apply:os.system [ls]", "3"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(FileError):
        load_config(tmp_path / "bad.yaml")


def test_what_is_no_configuration_at_all() -> None:
    for what in (5, None, [1], "~nobodys_home/x.yaml", "x" * 5000 + ".yaml", "a\0b"):
        with pytest.raises(InputError):
            load_config(what)  # type: ignore[arg-type]
    for settings in (None, "steps=1", 3):
        with pytest.raises(OptionError):
            load_config("mad", settings)  # type: ignore[arg-type]


def test_a_name_that_nothing_has(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="did you mean 'mad_k2'"):
        load_config("mad_k_2")
    with pytest.raises(FileError, match="no such file"):
        load_config(tmp_path / "none.yaml")


def test_plain_values_are_the_configuration_again(tmp_path: Path) -> None:
    found = load_config("amended_start", ["losses={cyclip: {weight: 0.5, in_modal: 1.0}}"])
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(found.plain()))
    assert load_config(tmp_path / "c.yaml") == found
    assert "devices" not in found.plan()
    assert "seed" in found.plan()


def test_the_learning_rate_of_each_step() -> None:
    said = Optimiser(lr=2.0, warmup=4)
    found = [rate(said, step, 20) for step in range(20)]
    assert found[:4] == [0.5, 1.0, 1.5, 2.0]
    expected = [2 * (1 + np.cos(np.pi * (step - 4) / 16)) / 2 for step in range(4, 20)]
    np.testing.assert_allclose(found[4:], expected)
    shared = Optimiser(lr=2.0, warmup=0.2)
    assert [rate(shared, step, 20) for step in range(20)] == found
    assert {rate(Optimiser(lr=3.0, schedule="constant"), step, 9) for step in range(9)} == {3.0}


CAPTION = "a small red bird sits on two branches"


def every(names: list[str], caption: str = CAPTION, objects: tuple[str, ...] = ()) -> list[str]:
    transform = chain(names, objects)
    return [transform(caption, np.random.default_rng(seed)) for seed in range(300)]


@pytest.mark.parametrize(
    ("name", "caption", "parts"),
    [
        ("half", CAPTION, {"a small red bird", "sits on two branches"}),
        ("quarter", CAPTION, {"a small", "red bird", "sits on", "two branches"}),
        ("half", "one two three", {"one", "two three"}),
        ("quarter", "one two three four five", {"one", "two", "three", "four five"}),
        ("quarter", "one two three", {""}),
        ("half", "one", {""}),
        ("half", "red-three-thick-large", {"red-three", "thick-large"}),
        ("quarter", "red-three-thick-large", {"red", "three", "thick", "large"}),
    ],
)
def test_a_part_is_one_of_the_fixed_parts(name: str, caption: str, parts: set[str]) -> None:
    found = every([name], caption)
    assert set(found) == parts
    share = 1 / len(parts)
    for each in parts:
        assert abs(found.count(each) / len(found) - share) < 4 * (share / len(found)) ** 0.5


def test_word_dropout_drops_so_many() -> None:
    found = [len(text.split()) for text in every(["word_dropout:0.25"], CAPTION * 3)]
    total = len((CAPTION * 3).split())
    assert abs(np.mean(found) - 0.75 * total) < 0.5
    assert all(len(text) for text in every(["word_dropout:1"])), "one word is kept"
    assert every(["word_dropout:0"])[0] == CAPTION


def test_keep_keeps_the_object_and_so_many_others() -> None:
    for text in every(["keep:2"], "red-three-thick-large", ("two", "three")):
        words = text.split("-")
        assert "three" in words
        assert len(words) == 3
    assert set(every(["keep:0"], "red-three-thick", ("three",))) == {"three"}
    assert set(every(["keep:0"], "no object here")) == {"no"}
    texts = every(["keep:1"], "red-three-thick", ("three",))
    assert set(texts) == {"red-three", "three-thick"}


def test_transforms_in_order() -> None:
    assert {len(text.split()) for text in every(["half", "half"])} == {2}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("haf", "did you mean 'half'"),
        ("half:3", "takes no number"),
        ("keep:x", "takes a whole number"),
        ("keep:-1", "takes a whole number"),
        ("word_dropout:2", "a fraction of 0 to 1"),
        ("word_dropout:none", "a fraction of 0 to 1"),
    ],
)
def test_transforms_that_are_none(name: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        chain([name])


@given(st.text(), st.sampled_from(["half", "quarter", "word_dropout", "keep:1"]), st.integers(0, 9))
def test_any_caption_is_taken(caption: str, name: str, seed: int) -> None:
    assert isinstance(chain([name])(caption, np.random.default_rng(seed)), str)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_mapping_is_a_configuration_or_refused(value: Any) -> None:
    for mapping in ({"steps": value}, {"data": value}, {"optimiser": {"betas": value}}, value):
        if not isinstance(mapping, dict):
            continue
        try:
            assert isinstance(load_config(mapping), Config)
        except InputError as error:
            assert "\n" not in str(error)
