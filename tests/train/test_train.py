"""Training: what it gives, and that nothing is lost or changed by a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trained
from torch.nn import functional
from trained import VIT, config, losses

import modalgap as mg
from modalgap.data.mad import Captions, build, digits, source
from modalgap.encode import load_model
from modalgap.encode.trainable import resume_from
from modalgap.errors import FileError, InputError, ModalgapError, OutputError
from modalgap.train import Run, load_config, read_run, train
from modalgap.train.batches import Sampler
from modalgap.train.mad_batches import MadBatches


def test_a_run_tells_what_happened(finished: Run) -> None:
    assert [step for step, _ in losses(finished.folder)] == list(range(1, 13))
    measured = [line["step"] for line in finished.log if "held_out" in line]
    assert measured == [0, 6, 12]
    expected = {"l2m", "rmg", "cone_image", "cone_text", "moad_image", "moad_text", "temperature"}
    expected |= {"logit_entropy_image", "logit_entropy_text", "accuracy/object", "accuracy/colour"}
    assert expected <= set(finished.first)
    assert set(finished.first) == set(finished.last)
    assert finished.log[1]["pairs_per_second"] > 0
    assert finished.steps == 12
    assert read_run(finished.folder).last == finished.last


def test_what_is_measured_meanwhile_is_what_measure_gives(finished: Run) -> None:
    """The last line against encode and measure, on the same held-out looks."""
    drawn = digits(limit=300)
    model = load_model(finished.spec)
    captions = Captions(attributes=2)
    batches = MadBatches(
        build(drawn), captions, None, model.tokenizer, 28, [0.5] * 3, [0.5] * 3, Sampler(batch=32)
    )
    held = batches.held_out(100)
    assert held is not None
    with torch.inference_mode():
        rows = [model.encode_media(held.images), model.encode_text(model.tokenize(held.texts))]
    pair = mg.Pair(*(functional.normalize(each, dim=1) for each in rows))
    for name in ("l2m", "rmg", "cone_image", "matched_cosine"):
        assert mg.measure(pair, name)[name].value == pytest.approx(finished.last[name], abs=1e-5), (
            name
        )


def test_tensorboard_has_the_same_numbers(finished: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(finished.folder / "tensorboard"))
    found.Reload()
    assert [each.step for each in found.Scalars("loss")] == list(range(1, 13))
    values = [each.value for each in found.Scalars("loss")]
    np.testing.assert_allclose(values, [loss for _, loss in losses(finished.folder)], rtol=1e-6)
    assert found.Scalars("held_out/rmg")[-1].value == pytest.approx(finished.last["rmg"], rel=1e-6)


def test_the_model_is_one_like_any_other(finished: Run, tmp_path: Path) -> None:
    """encode, measure, close, evaluate, compare; and open_clip itself."""
    import open_clip

    looks = source(build(digits(limit=300)), Captions(attributes=2), images=3)
    pair = mg.encode(looks, finished.spec, tmp_path / "pair.safetensors", workers=0)
    result = mg.measure(pair)
    assert {"rmg", "moad_image", "moad_text", "loss_landscape"} <= set(result)
    assert pair.image.provenance["logit_scale"] == repr(load_model(finished.spec).logit_scale)
    closed = mg.close(pair, "center")
    assert mg.measure(closed, "l2m")["l2m"].value < result["l2m"].value
    found = mg.compare(pair, ["center", "retrieval"])
    assert "center" in found.entries
    model = open_clip.create_model(f"local-dir:{finished.model}")
    model.eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{finished.model}")(["red-three", "four"])
    ours = load_model(finished.spec)
    with torch.no_grad():
        theirs = model.encode_text(tokens)
        mine = ours.encode_text(ours.tokenize(["red-three", "four"]))
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_same_seed_same_numbers(finished: Run, tmp_path: Path) -> None:
    again = train(config(), tmp_path / "again")
    assert losses(again.folder) == losses(finished.folder)
    other = train(config(seed=1), tmp_path / "other")
    assert losses(other.folder) != losses(finished.folder)


def test_a_finished_run_is_read(finished: Run) -> None:
    before = (finished.model / "open_clip_model.safetensors").read_bytes()
    again = train(config(watch={"tensorboard": True}), finished.folder)
    assert losses(again.folder) == losses(finished.folder)
    assert (finished.model / "open_clip_model.safetensors").read_bytes() == before


def test_a_folder_of_other_settings_is_refused(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"other settings \(optimiser\.lr: 0.002, now 0.5\)"):
        train(config(watch={"tensorboard": True}, optimiser={"lr": 0.5}), finished.folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match="must be missing, empty or of a run; found thesis"):
        train(config(), tmp_path / "mine")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    (tmp_path / "near" / "model").mkdir(parents=True)
    (tmp_path / "near" / "model" / "precious").write_text("x")
    with pytest.raises(OutputError, match="must be missing, empty or of a run; found model"):
        train(config(), tmp_path / "near")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        train(config(), tmp_path / "file")


def test_beginning_anew(tmp_path: Path) -> None:
    train(config(steps=4), tmp_path / "run")
    found = train(config(steps=5, watch={"tensorboard": True}), tmp_path / "run", overwrite=True)
    assert [step for step, _ in losses(found.folder)] == [1, 2, 3, 4, 5]


# kills --------------------------------------------------------------------------------------------


def test_a_folder_with_an_at_sign(tmp_path: Path) -> None:
    found = train(config(steps=2), tmp_path / "a@b")
    assert load_model(found.spec).dim == 16


# what is asked of it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 512}, "batch: must be at most the number of pairs to train on, 24"),
        ({"losses": {"infonse": 1}}, "unknown loss 'infonse'; did you mean 'infonce'"),
        ({"losses": {"siglip": 1}}, "siglip needs a bias"),
        ({"losses": {}}, "losses must have at least one loss"),
        ({"data": {"captions": "object_attribute_6"}}, "at most 5 attributes"),
        ({"data": {"captions": "object_atribute_2"}}, "did you mean 'object_attribute_2'"),
        ({"data": {"captions": {"objekt": "digit"}}}, "did you mean 'object'"),
        ({"data": {"captions": {"object": "shape"}}}, "unknown factor 'shape'"),
        ({"data": {"transforms": ["third"]}}, "unknown caption transform 'third'"),
        ({"data": {"source": "mda"}}, "mda"),
        ({"data": {"digits": "nowhere"}}, "nowhere"),
        ({"model": {"architecture": "ViT-B-33"}}, "unknown architecture 'ViT-B-33'; did you mean"),
        (
            {"model": {"architecture": {"model_cfg": {"embed_dim": 8}}}},
            "vision_cfg must be a mapping",
        ),
        ({"model": {"architecture": {"embed_dim": 8, "vision_cfg": 5}}}, "vision_cfg must be"),
        (
            {"model": {"architecture": {"model_cfg": {**VIT["model_cfg"], "embed_dim": "x"}}}},
            "open_clip cannot build it",
        ),
        ({"data": {"split": "test"}}, "data.split: does not apply to mad"),
        ({"optimiser": {"lr": 1e38}}, "optimiser.lr must be"),
        ({"model": {"architecture": "none.json"}}, "none.json: must be a JSON"),
        ({"model": {"start": "hf:openai/clip"}}, "must be a model of open_clip"),
        ({"model": {"start": "open_clip:/nowhere/at/all"}}, "open_clip"),
        ({"optimiser": {"warmup": 100}}, "optimiser.warmup: must be at most the number of steps"),
        ({"precision": "fp16"}, "fp16 needs a GPU"),
        ({"devices": 3}, "batch: must be a multiple of the 3 processes"),
        ({"accelerator": "cuda"}, "accelerator: cannot use 'cuda'"),
    ],
)
def test_what_cannot_be_is_one_line(
    changes: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModalgapError) as error:
        train(config(**changes), tmp_path / "run")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"source": "cc12m"}}, "cc12m: needs data/cc12m/*.tar"),
        ({"data": {"source": "cc12m", "split": "tset"}}, "unknown split of cc12m 'tset'"),
        ({"data": {"source": "shards/{0..3}.tar"}}, "needs shards/0.tar and 3 more"),
        ({"data": {"source": "nowhere"}}, "nowhere: no such path or data set"),
        ({"data": {"digits": "nowhere"}}, "nowhere"),
        ({"batch": 33}, "batch: must be a multiple of the 2 processes"),
    ],
)
def test_missing_data_is_reported_before_other_processes_start(
    changes: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(_config: object) -> None:
        pytest.fail("processes were started")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODALGAP_DATA", raising=False)
    monkeypatch.setattr("modalgap.train.run._fabric", launch)
    with pytest.raises(ModalgapError) as error:
        train(config(**changes, devices=2), tmp_path / "run")
    assert said in str(error.value)
    assert not (tmp_path / "run").exists()


def test_corrupt_digits(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03broken")
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(InputError, match="t10k-images-idx3-ubyte"):
        train(config(data={"digits": str(tmp_path)}), tmp_path / "run")


@pytest.mark.parametrize(
    "extra",
    [
        {"data": {"captions": "object_only"}},
        {"data": {"captions": {"object": "colour", "attributes": 1}}},
        {"data": {"captions": {"presence": {"colour": 1.0, "scale": 0.5}}}},
        {"data": {"captions": "object_attribute_5", "transforms": ["keep:2"]}},
        {"losses": {"infonce": 1, "alignment": 0.5, "centroid_uniformity": 0.5}},
        {"losses": {"infonce": 1, "intra_simclr": 1}},
        {"losses": {"dual": 1, "cyclip": {"weight": 0.5, "in_modal": 1.0}}},
        {"swap": {"share": 0.5}},
        {"swap": {"share": 0.5, "kind": "soft"}},
        {"precision": "bf16"},
        {"steps": None, "epochs": 1},
        {"optimiser": {"clip": 0.1, "schedule": "constant"}},
        {"model": {"amended": True}},
    ],
    ids=lambda extra: json.dumps(extra)[:60],
)
def test_every_setting_trains(extra: dict[str, Any], tmp_path: Path) -> None:
    found = train(config(steps=3, watch={"measure": 0}, **extra) if "steps" not in extra else
                  config(**extra), tmp_path / "run")  # fmt: skip
    assert all(np.isfinite(loss) for _, loss in losses(found.folder))
    if "losses" in extra and len(extra["losses"]) > 1:
        line = next(line for line in found.log if "losses" in line)
        weights = {
            name: value["weight"] if isinstance(value, dict) else value
            for name, value in extra["losses"].items()
        }
        total = sum(weights[name] * value for name, value in line["losses"].items())
        assert line["loss"] == pytest.approx(total, rel=1e-5)
    if "presence" in str(extra):
        assert {"accuracy/colour", "accuracy/scale"} <= set(found.last)
        assert "accuracy/fracture" not in found.last


def test_a_bias_is_learned(tmp_path: Path) -> None:
    architecture = {**VIT, "model_cfg": {**VIT["model_cfg"], "init_logit_bias": -10}}
    found = train(
        config(model={"architecture": architecture}, losses={"siglip": 1}, steps=3),
        tmp_path / "run",
    )
    model = resume_from(found.spec).model
    assert model.logit_bias.item() != -10
    assert model.logit_bias.item() == pytest.approx(-10, abs=0.1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"mode": "frozen", "initial": 0.2}, [0.2] * 12),
        ({"mode": "frozen"}, [0.07] * 12),
        (
            {"mode": "scheduled", "initial": 0.5, "final": 0.05},
            np.exp(np.linspace(np.log(0.5), np.log(0.05), 12))[[*range(1, 12), 11]].tolist(),
        ),
        ({"initial": 0.07, "lowest": 0.0699, "highest": 0.0701}, None),
    ],
)
def test_temperatures(said: dict[str, Any], expected: Any, tmp_path: Path) -> None:
    found = train(config(temperature=said), tmp_path / "run")
    values = [line["temperature"] for line in found.log if "loss" in line]
    if expected is None:
        assert len(set(values)) > 1
        assert min(values) >= 0.0699 - 1e-6
        assert max(values) <= 0.0701 + 1e-6
    else:
        np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize("extra", [{}, {"losses": {"infonce": 1, "intra_simclr": 0.5}}])
def test_accumulating_is_one_large_batch(extra: dict[str, Any], tmp_path: Path) -> None:
    whole = train(config(steps=8, **extra), tmp_path / "whole")
    parts = train(config(steps=8, accumulate=3, **extra), tmp_path / "parts")
    a, b = (np.array(losses(each.folder)) for each in (whole, parts))
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_going_on_from_a_trained_model(finished: Run, tmp_path: Path) -> None:
    found = train(config(model={"start": finished.spec}, steps=2), tmp_path / "more")
    assert found.first["l2m"] == pytest.approx(finished.last["l2m"], abs=1e-5)
    assert found.first["temperature"] == pytest.approx(finished.last["temperature"], abs=1e-6)


# parts --------------------------------------------------------------------------------------------


def test_a_folder_that_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="must hold a finished run"):
        read_run(tmp_path)


assert load_config(trained.TINY)
