"""Three towers: images, captions and profiles in one training run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from patience import LIMIT, in_full
from PIL import Image
from torch.nn import functional
from trained import config, losses

from modalgap.data.mad import FACTORS, Captions, build, digits
from modalgap.embeddings import Modalities
from modalgap.embeddings.store import load
from modalgap.encode import load_model
from modalgap.errors import FileError, OptionError
from modalgap.train import Run, load_profile_tower, train
from modalgap.train.batches import Sampler
from modalgap.train.mad_batches import MadBatches


def three(losses: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    data = {"captions": "object_attribute_5", "profiles": True}
    return config(**{"losses": losses or {"gram": 1.0}, "data": data, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of three towers."""
    return train(three(), tmp_path_factory.mktemp("profiles") / "run")


def held_out_of(run: Run) -> Modalities:
    found = load(run.folder / "held_out.safetensors")
    assert isinstance(found, Modalities)
    return found


def test_held_out_items_have_three_modalities(run: Run) -> None:
    found = held_out_of(run)
    assert list(found) == ["image", "text", "profile"]
    assert found.by_row
    # each item has a caption of its own
    factors = found["image"].factors
    rows = list(zip(*(factors[name] for name in factors), strict=True))
    assert len(factors) == len(FACTORS)
    assert len(set(rows)) == len(rows) == found["profile"].n > 50
    for name in ("rmg.image.text", "rmg.image.profile", "l2m.text.profile", "cone_profile"):
        assert name in run.last, name


def test_towers_are_trained(run: Run) -> None:
    curve = [loss for _, loss in losses(run.folder)]
    assert curve[-1] < curve[0]
    assert run.last["matched_cosine.image.profile"] > run.first["matched_cosine.image.profile"]


def test_the_saved_towers_encode_the_same(run: Run) -> None:
    mad = build(digits(limit=300))
    found = held_out_of(run)
    sampler = Sampler(batch=32)
    model = load_model(run.spec)
    batches = MadBatches(
        mad, Captions(attributes=5), None, model.tokenizer, 28, [0.5] * 3, [0.5] * 3, sampler,
        profiles=True,
    )  # fmt: skip
    held_out = batches.held_out(100)
    assert held_out is not None
    with torch.no_grad():
        rows = load_profile_tower(run.model)(held_out.others["profile"])
        images = model.model.encode_image(held_out.images)
    for name, each in (("profile", rows), ("image", images)):
        expected = found[name].unit()
        torch.testing.assert_close(functional.normalize(each, dim=1), expected, atol=1e-5, rtol=0)


def test_profiles_are_those_of_the_images() -> None:
    mad = build(digits(limit=50))

    def made(*, profiles: bool) -> MadBatches:
        words = Captions(attributes=5)

        def ids(texts: Any) -> torch.Tensor:
            return torch.zeros(len(texts), 8, dtype=torch.long)

        sampler = Sampler(batch=8)
        return MadBatches(
            mad, words, None, ids, 28, [0.0] * 3, [1.0] * 3, sampler, profiles=profiles
        )

    (batch,), (plain,) = (list(made(profiles=each).steps(3, 4)) for each in (True, False))
    assert plain.others == ()
    assert torch.equal(batch.images, plain.images)
    grey = batch.images.amax(1)  # in every colour, one channel has all the ink
    expected = torch.stack([grey.mean(2), grey.mean(1)], 1)
    torch.testing.assert_close(batch.others[0], expected, atol=1e-5, rtol=0)


def test_resumed_or_in_parts_it_is_the_same(run: Run, tmp_path: Path) -> None:
    whole = np.array(losses(run.folder))
    parts = train(three(accumulate=4), tmp_path / "parts")
    np.testing.assert_allclose(np.array(losses(parts.folder)), whole, atol=2e-3)
    again = train(three(), tmp_path / "again")
    for path in (again.folder / "checkpoints").glob("step-*12.safetensors"):
        path.unlink()
    again = train(three(), tmp_path / "again")
    assert "resumed from step 8 of 12" in again.remarks
    np.testing.assert_array_equal(np.array(losses(again.folder)), whole)
    assert held_out_of(again).fingerprint == held_out_of(run).fingerprint


@in_full
def test_two_processes_give_the_curve_of_one(tmp_path: Path) -> None:
    changes: dict[str, Any] = three({"infonce": 1.0, "gram": 1.0}, steps=8)
    one = train(changes, tmp_path / "one")
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(changes | {"devices": 2}))
    done = subprocess.run(
        [sys.executable, "-m", "modalgap", "train", str(path), "-o", str(tmp_path / "two")],
        capture_output=True, text=True, timeout=LIMIT, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    a, b = np.array(losses(one.folder)), np.array(losses(tmp_path / "two"))
    np.testing.assert_allclose(a, b, atol=1e-3)
    assert np.ptp(a[:, 1]) > 0.05, "the curve must move, or nothing is tested"


def test_pairwise_losses(tmp_path: Path) -> None:
    made = train(three({"infonce": 1.0, "uniformity": 0.1}, steps=4), tmp_path / "run")
    assert np.isfinite([loss for _, loss in losses(made.folder)]).all()


def test_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="swaps two modalities"):
        train(three(swap={"share": 0.5}), tmp_path / "swap")
    with pytest.raises(FileError, match=r"train with data\.profiles"):
        load_profile_tower(tmp_path)
    (tmp_path / "profile.safetensors").write_bytes(b"broken")
    with pytest.raises(FileError, match="does not hold weights of this model"):
        load_profile_tower(tmp_path)
    table = str(tmp_path / "pairs.csv")
    Image.new("RGB", (28, 28)).save(tmp_path / "0.png")
    Path(table).write_text("filepath,title\n" + "0.png,a word\n" * 9)
    with pytest.raises(OptionError, match=r"data.profiles: does not apply"):
        train(three(data={"source": table, "profiles": True}), tmp_path / "other")
