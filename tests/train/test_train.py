"""Training: what it gives, and that nothing is lost or changed by a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trained
from commands import Run as Command
from patience import LIMIT, until
from PIL import Image
from safetensors import SafetensorError
from torch.nn import functional
from trained import VIT, command, config, losses, write

import modalgap as mg
from modalgap.data import read
from modalgap.data.mad import FACTORS, WORDS, Captions, build, digits, source
from modalgap.encode import load_model
from modalgap.encode.trainable import build as build_model
from modalgap.encode.trainable import own_architectures, resume_from
from modalgap.encode.word_tokenizer import write_tokenizer
from modalgap.errors import Diverged, FileError, InputError, ModalgapError, OptionError, OutputError
from modalgap.train import Run, load_config, read_run, train
from modalgap.train import checkpoint as checkpoints
from modalgap.train.batches import Sampler
from modalgap.train.log import read_log
from modalgap.train.mad_batches import MadBatches
from modalgap.train.source_batches import SourceBatches


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of ``TINY``."""
    folder = tmp_path_factory.mktemp("train") / "run"
    return train(config(watch={"tensorboard": True}), folder)


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


# kills ------------------------------------------------------------------------------------------


def wait_for(folder: Path, step: int, child: subprocess.Popen[str]) -> None:
    until(lambda: any(line["step"] >= step for line in read_log(folder)), child)


def newest(folder: Path) -> str:
    return sorted(path.name for path in (folder / "checkpoints").glob("step-*"))[-1]


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_curve(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"steps": 40, "checkpoint": {"every": 5}}
    whole = train(config(**changes), tmp_path / "whole")
    path = write(tmp_path / "c.yaml", **changes)
    folder = tmp_path / "killed"
    child = command("train", path, "-o", folder)
    wait_for(folder, 12, child)
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL, "it must be killed before it is done"
    child = command("train", path, "-o", folder)
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == 0, err
    assert "resumed from step" in err
    assert losses(folder) == losses(whole.folder)
    ours, theirs = (
        [line for line in read_log(each) if "held_out" in line] for each in (folder, whole.folder)
    )
    assert ours == theirs
    name = "open_clip_model.safetensors"
    assert (folder / "model" / name).read_bytes() == (whole.model / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT])  # SIGTERM goes the same way
def test_interrupted_it_leaves_a_checkpoint(tmp_path: Path, kind: signal.Signals) -> None:
    changes: dict[str, Any] = {"steps": 3000, "checkpoint": {"every": 3000}}
    changes["watch"] = {"measure": 0}
    path = write(tmp_path / "c.yaml", **changes)
    folder = tmp_path / "run"
    child = command("train", path, "-o", folder)
    wait_for(folder, 5, child)
    child.send_signal(kind)
    out, err = child.communicate(timeout=LIMIT)
    assert child.returncode in (130, 143), (out, err)
    assert "Traceback" not in err
    done = int(newest(folder)[5:14])
    assert 5 <= done < 3000
    assert losses(folder)[-1][0] <= done


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    whole = train(config(), folder)
    expected, last = losses(folder), whole.last
    files = sorted((folder / "checkpoints").glob("step-*"))
    assert [path.name for path in files] == [f"step-{n:09d}.safetensors" for n in (8, 12)]
    for damage in (b"", files[-1].read_bytes()[:-100], b"\0" * 500):
        files[-1].write_bytes(damage)
        again = train(config(), folder)
        assert any("is damaged" in remark for remark in again.remarks)
        assert "resumed from step 8 of 12" in again.remarks
        assert losses(folder) == expected
        assert again.last == last
    flipped = bytearray(files[-1].read_bytes())
    flipped[-5] ^= 1
    files[-1].write_bytes(flipped)
    assert "resumed from step 8 of 12" in train(config(), folder).remarks


def test_a_checkpoint_of_another_run_is_passed_over(tmp_path: Path) -> None:
    one = train(config(steps=4), tmp_path / "one")
    train(config(steps=4, seed=1), tmp_path / "two")
    name = "checkpoints/step-000000004.safetensors"
    (tmp_path / "two" / name).write_bytes((one.folder / name).read_bytes())
    again = train(config(steps=4, seed=1), tmp_path / "two")
    assert any("belongs to another run" in remark for remark in again.remarks)
    assert losses(again.folder) != losses(one.folder)


def test_with_one_checkpoint_kept_damage_is_what_goes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    made = config(checkpoint={"every": 4, "keep": 1})
    train(made, folder)
    (folder / "checkpoints" / "step-000000099.safetensors").write_bytes(b"junk")
    (folder / "checkpoints" / "step-000000012.safetensors").write_bytes(b"junk")
    train(made, folder)
    files = [path.name for path in (folder / "checkpoints").glob("step-*")]
    assert files == ["step-000000012.safetensors"]
    assert not train(made, folder).remarks[1:]


def test_a_run_begun_anew_has_no_old_model(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(config(steps=4), folder)
    with pytest.raises(Diverged):
        train(config(steps=4, optimiser={"lr": 1e29, "warmup": 0}), folder, overwrite=True)
    with pytest.raises(FileError, match="must hold a finished run"):
        read_run(folder)


@pytest.mark.parametrize(
    "damage",
    [b"", b"\xff\xfe", b'{"step": -1, "loss": 1.0}\n', b'{"step": 4, "held_out": "x"}\n',
     b'{"step": 4, "held_out": {"l2m": 1.0}}\n', b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_log_is_said(damage: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(config(steps=4), folder)
    (folder / "log.jsonl").write_bytes(damage)
    found = read_run(folder)
    assert found.steps == 4
    assert found.last == {}
    assert "lacks its last lines" in found.remarks[0]


def test_a_folder_with_an_at_sign(tmp_path: Path) -> None:
    found = train(config(steps=2), tmp_path / "a@b")
    assert load_model(found.spec).dim == 16


def test_the_last_measurement_leaves_its_embeddings(finished: Run) -> None:
    pair = mg.load(finished.folder / "held_out.safetensors")
    assert mg.measure(pair, "rmg")["rmg"].value == pytest.approx(finished.last["rmg"], abs=1e-6)


def test_a_full_disk_keeps_what_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    real, calls = checkpoints.save_file, []

    def full(tensors: Any, path: Any, said: Any) -> None:
        calls.append(path)
        if len(calls) > 1:
            Path(path).write_bytes(b"half")
            raise SafetensorError("No space left on device (os error 28)")
        real(tensors, path, said)

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OutputError, match=r"cannot be written .*No space left"):
        train(config(), folder)
    assert newest(folder) == "step-000000004.safetensors"
    assert not list((folder / "checkpoints").glob(".modalgap-*"))
    monkeypatch.undo()
    assert "resumed from step 4 of 12" in train(config(), folder).remarks


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    wild = config(optimiser={"lr": 1e29, "warmup": 0, "weight_decay": 0.0})
    with pytest.raises(Diverged, match=r"step \d+ (is (nan|inf)|the features are NaN or infinite)"):
        train(wild, folder)
    assert not any(np.isnan(loss) for _, loss in losses(folder))


def test_the_checkpoint_before_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modalgap.losses import Objective

    real, calls = Objective.__call__, []

    def spoilt(self: Any, features: Any) -> Any:
        calls.append(1)
        total, parts = real(self, features)
        return (total * float("nan") if len(calls) == 7 else total), parts

    monkeypatch.setattr(Objective, "__call__", spoilt)
    with pytest.raises(Diverged, match="the loss of step 7 is nan; checkpoint 4 remains"):
        train(config(), tmp_path / "run")
    assert newest(tmp_path / "run") == "step-000000004.safetensors"


# what is asked of it ----------------------------------------------------------------------------


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


# parts ------------------------------------------------------------------------------------------


def test_words_are_tokens(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_tokenizer(WORDS, tmp_path)
    found = AutoTokenizer.from_pretrained(tmp_path)
    ids = found("three-Red large unheard-three").input_ids
    place = {word: i for i, word in enumerate(WORDS, start=3)}
    end = len(WORDS) + 3
    assert ids == [1, place["three"], place["red"], place["large"], 2, place["three"], end]
    for words in (["a", "A"], ["a b"], ["a-b"], [""]):
        with pytest.raises(OptionError, match="words: must be distinct"):
            write_tokenizer(words, tmp_path)


def test_a_caption_longer_than_the_context_is_noticed(finished: Run) -> None:
    tokens = load_model(finished.spec).tokenize(["three-red", "-".join(["three"] * 9)])
    assert tokens.cut.tolist() == [False, True]
    assert tokens.lengths.tolist() == [4, 8]


@pytest.mark.parametrize("name", own_architectures())
def test_own_architectures(name: str, tmp_path: Path) -> None:
    words = name.startswith("mad_")
    made = build_model(name, words=WORDS)
    made.save(tmp_path / "model")
    found = load_model(f"open_clip:{tmp_path / 'model'}")
    assert found.dim == (64 if words else 128)
    if words:
        assert sum(each.numel() for each in made.model.parameters()) < 500_000
        with pytest.raises(OptionError, match="reads whole words, and is only for MAD"):
            build_model(name)


def test_turned_texts_are_turned_features() -> None:
    made = build_model(VIT, words=WORDS, seed=3)
    ids = made.tokenizer(["three-red", "four"])
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))[0]
    with torch.no_grad():
        before = made.model.encode_text(ids)
        made.turn_texts(turn)
        after = made.model.encode_text(ids)
    torch.testing.assert_close(after, before @ turn.T, atol=1e-5, rtol=1e-5)


def test_a_mad_batch_is_what_the_encoder_prepares(finished: Run) -> None:
    """The whole batch at once against Pillow and the model's own preprocessing, one by one."""
    mad = build(digits(limit=50))
    model = load_model(finished.spec)
    batches = MadBatches(
        mad,
        Captions(attributes=5),
        None,
        model.tokenizer,
        28,
        [0.5] * 3,
        [0.5] * 3,
        Sampler(batch=8),
    )
    (batch,) = batches.steps(3, 4)
    rng = Sampler(batch=8).rng(1, 3)
    _, rows = Sampler(batch=8).rows(3, batches.pairs)
    variant, colour = rng.integers(24, size=8), rng.integers(7, size=8)
    chosen = mad.train[rows]
    pixels = mad.pixels(chosen, variant, colour)
    expected = torch.stack([model.prepare(Image.fromarray(each)) for each in pixels])
    torch.testing.assert_close(batch.images, expected)
    codes = mad.codes(chosen, variant, colour)
    table = [list(values) for values in FACTORS.values()]
    ids = {word: i for i, word in enumerate(WORDS, start=3)}
    for row, own in zip(batch.ids.tolist(), codes.tolist(), strict=True):
        words = {ids[table[factor][code]] for factor, code in enumerate(own)}
        assert set(row) - {0, 1, len(WORDS) + 3} == words


def test_an_epoch_has_each_pair_once_and_processes_share_it() -> None:
    sampler = Sampler(batch=8, seed=5)
    rows = np.concatenate([sampler.rows(step, 43)[1] for step in range(5)])
    assert len(set(rows.tolist())) == 40
    assert sampler.rows(5, 43)[0] == 1
    assert sampler.rows(0, 43)[1].tolist() != sampler.rows(5, 43)[1].tolist()
    halves = [Sampler(batch=8, rank=rank, world=2).mine for rank in (0, 1)]
    assert list(range(8))[halves[0]] + list(range(8))[halves[1]] == list(range(8))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """40 images with captions, one of them broken."""
    rng = np.random.default_rng(0)
    lines = ["filepath,title"]
    for i in range(40):
        Image.fromarray(rng.integers(0, 255, (30, 36, 3), np.uint8)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{WORDS[i % 26]} {WORDS[(7 * i) % 26]}")
    (tmp_path / "3.png").write_bytes(b"broken")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    return tmp_path


SMALL_BPE = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 28, "layers": 1, "width": 32, "head_width": 16, "patch_size": 7},
    "text_cfg": {"context_length": 12, "width": 32, "heads": 2, "layers": 1},
}


@pytest.mark.parametrize("workers", [0, 2])
def test_any_source_trains(pictures: Path, workers: int, tmp_path: Path) -> None:
    made = config(
        model={"architecture": SMALL_BPE},
        data={"source": str(pictures / "pairs.csv"), "limit": None,
              "held_out": 8, "transforms": ["half"]},
        batch=8, steps=9, workers=workers, losses={"infonce": 1, "intra_simclr": 1},
    )  # fmt: skip
    found = train(made, tmp_path / f"run{workers}")
    assert [step for step, _ in losses(found.folder)] == list(range(1, 10))
    assert 0 <= found.last["accuracy/match"] <= 1
    again = train({**made, "workers": 2 - workers}, tmp_path / "again")
    assert losses(again.folder) == losses(found.folder), "workers do not change the numbers"


def test_classes_train_with_their_sentences(pictures: Path, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for i in range(10, 34):
        (pictures / f"{i}.png").rename(tmp_path / "set" / ("cat", "dog")[i % 2] / f"{i}.png")
    found = train(
        config(model={"architecture": SMALL_BPE}, batch=8, steps=3, workers=0,
               data={"source": str(tmp_path / "set"), "held_out": 6}),
        tmp_path / "run",
    )  # fmt: skip
    assert found.last["accuracy/class"] in [k / 6 for k in range(7)]


def test_tar_shards_train(pictures: Path, tmp_path: Path) -> None:
    import io
    import tarfile

    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for i in range(10, 40):
            for suffix, data in (
                ("png", (pictures / f"{i}.png").read_bytes()),
                ("txt", f"caption {i}".encode()),
            ):
                member = tarfile.TarInfo(f"{i:05d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    found = train(
        config(model={"architecture": SMALL_BPE}, batch=8, steps=4, workers=1,
               data={"source": str(tmp_path / "00000.tar"), "held_out": 4}),
        tmp_path / "run",
    )  # fmt: skip
    assert found.steps == 4


def test_an_image_that_cannot_be_read_is_replaced(pictures: Path) -> None:
    found = read(pictures / "pairs.csv")
    made = build_model(SMALL_BPE)
    batches = SourceBatches(
        found, None, made.tokenizer, made.prepare(augment=True), made.prepare(),
        made.prepare_view(), Sampler(batch=40), 0, 0,
    )  # fmt: skip
    (batch,) = batches.steps(0, 1)
    assert batch.images.shape == (40, 3, 28, 28)
    for path in pictures.glob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(InputError, match=r"images from .* cannot be read"):
        next(iter(batches.steps(1, 2)))


def test_texts_alone_do_not_train(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a\nb\nc\n")
    with pytest.raises(InputError, match="training needs images and captions"):
        train(config(model={"architecture": SMALL_BPE}, data={"source": str(tmp_path / "t.txt"),
              "limit": None}), tmp_path / "run")  # fmt: skip


def test_a_folder_that_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="must hold a finished run"):
        read_run(tmp_path)


def test_from_the_shell(run: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml")
    code, out, err = run("train", path, "-o", tmp_path / "run", "--set", "steps=3")
    assert code == 0, err
    assert "rmg" in out
    assert f"model  open_clip:{tmp_path / 'run' / 'model'}" in out
    code, _, err = run("train", path, "-o", tmp_path / "x", "--set", "optimizer.lr=1")
    assert code == 2
    assert err == (
        "modalgap: unknown key of the configuration 'optimizer'; did you mean 'optimiser'?\n"
    )
    code, out, _ = run("list", "configs")
    assert code == 0
    assert "mad_k3" in out
    code, out, _ = run("list", "losses", "--json")
    assert "infonce" in json.loads(out)["losses"]


# several processes ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["fabric", "torchrun"])
def test_two_processes_give_the_curve_of_one(launcher: str, tmp_path: Path) -> None:
    """The same global batch, whoever starts the processes; with views, and in parts."""
    changes: dict[str, Any] = {"steps": 15, "losses": {"infonce": 1, "intra_simclr": 0.5}}
    one = train(config(**changes), tmp_path / "one")
    extra = {"accumulate": 2} if launcher == "torchrun" else {}
    path = write(tmp_path / "c.yaml", **changes, devices=2, **extra)
    folder = tmp_path / "two"
    if launcher == "fabric":
        arguments = [sys.executable, "-m", "modalgap"]
    else:
        arguments = [sys.executable, "-m", "torch.distributed.run", "--standalone",
                     "--nproc-per-node", "2", "-m", "modalgap"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*arguments, "train", str(path), "-o", str(folder)],
        capture_output=True, text=True, timeout=LIMIT, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    a, b = np.array(losses(one.folder)), np.array(losses(folder))
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert np.ptp(a[:, 1]) > 0.05, "the curve must move, or nothing is tested"
    assert read_run(folder).last["rmg"] == pytest.approx(one.last["rmg"], abs=1e-3)


assert load_config(trained.TINY)
