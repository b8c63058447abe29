"""Every loss against its definition in plain loops, autograd, open_clip, and two processes."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from losses.cases import (
    DEFINITIONS,
    every_loss,
    leaves,
    made,
    of_leaves,
    unit,
)
from patience import LIMIT

from modalgap.errors import InputError, NotApplicable, OptionError
from modalgap.losses import LOSSES, Features, Objective

# the registry -------------------------------------------------------------------------------------


@every_loss
def test_card(name: str) -> None:
    loss = LOSSES[name]
    card = loss.card
    assert loss.name == card.name == name
    assert name in DEFINITIONS
    for said in (card.title, card.idea, card.equation, card.source, card.use_when, card.fails_when):
        assert said.strip() == said != ""
    assert card.equation.count("{") == card.equation.count("}")
    assert set(card.needs) <= {"views", "bias"}
    for option in loss.options:
        assert f"``{option}``" in (loss.__doc__ or "")
    bare = {"image": made().image, "text": made().text, "scale": made().scale}
    if card.needs:
        with pytest.raises(NotApplicable, match=f"{name} needs {card.needs[0]}"):
            loss(Features(**bare))
    else:
        loss(Features(**bare))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("uniformity", {"T": 1}, "unknown option of uniformity 'T'"),
        ("cyclip", {"in_model": 1}, "did you mean 'in_modal'"),
        ("infonce", {"t": 1}, "unknown option of infonce"),
        ("uniformity", {"t": 0}, "t must be"),
        ("cyclip", {"cross_modal": -1}, "cross_modal must be"),
        ("cyclip", {"in_modal": "much"}, "in_modal must be"),
        ("intra_simclr", {"temperature": 0.0}, "temperature must be"),
        ("intra_simclr", {"temperature": math.nan}, "temperature must be"),
    ],
)
def test_options_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        LOSSES[name](made(), **options)


def test_features_refused() -> None:
    f = made()
    with pytest.raises(InputError, match=r"image and text .* \(6, 4\) and \(5, 4\)"):
        Features(image=f.image, text=f.text[:5], scale=f.scale)
    with pytest.raises(InputError, match="n at least 1"):
        Features(image=f.image[:0], text=f.text[:0], scale=f.scale)
    with pytest.raises(InputError, match="scale must be"):
        Features(image=f.image, text=f.text, scale=torch.ones(1))
    with pytest.raises(InputError, match="both views"):
        Features(image=f.image, text=f.text, scale=f.scale, views=(f.image, f.text[1:]))


# Objective ----------------------------------------------------------------------------------------


def test_objective() -> None:
    objective = Objective.of(
        {
            "infonce": 1,
            "cyclip": {"weight": 0.25, "in_modal": 1.0},
            "alignment": -0.5,
            "uniformity": {"t": 1.0},
            "siglip": 0,
        }
    )
    assert objective.needs == {"bias"}
    f = made()
    total, parts = objective(f)
    cycle = LOSSES["cyclip"](f, in_modal=1.0)
    spread = LOSSES["uniformity"](f, t=1.0)
    expected = LOSSES["infonce"](f) + 0.25 * cycle - 0.5 * LOSSES["alignment"](f) + spread
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=1e-12)
    assert total.dtype == torch.float64
    assert list(parts) == ["infonce", "cyclip", "alignment", "uniformity", "siglip"]
    torch.testing.assert_close(parts["cyclip"], cycle)
    torch.testing.assert_close(parts["siglip"], LOSSES["siglip"](f))
    assert not any(each.requires_grad for each in parts.values())
    assert Objective.of({"siglip": 1, "intra_simclr": 1}).needs == {"bias", "views"}
    assert Objective.of({"infonce": 1}).needs == set()


def test_objective_gradient_is_the_sum() -> None:
    weights = {"infonce": 1.0, "dual": 0.3, "siglip": 0.0}
    some = leaves(made())
    Objective.of(weights)(of_leaves(*some))[0].backward()
    for i, each in enumerate(some):
        expected = torch.zeros_like(each)
        for name, weight in weights.items():
            fresh = leaves(made())
            found = torch.autograd.grad(LOSSES[name](of_leaves(*fresh)), fresh, allow_unused=True)
            if found[i] is not None:
                expected += weight * found[i]
        assert each.grad is not None  # also where it is zero
        torch.testing.assert_close(each.grad, expected)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({}, "losses must have at least one"),
        (None, "losses must be a mapping"),
        ("infonce", "losses must be a mapping"),
        ({"infonc": 1}, "unknown loss 'infonc'; did you mean 'infonce'"),
        ({"cyclip": {"in_model": 1}}, "unknown option of cyclip 'in_model'; did you mean 'in_mod"),
        ({"infonce": {"wieght": 1}}, "did you mean 'weight'"),
        ({"infonce": math.inf}, "weight of infonce must be a finite number"),
        ({"infonce": math.nan}, "weight of infonce must be a finite number"),
        ({"infonce": {"weight": "1"}}, "weight of infonce must be a finite number"),
        ({"infonce": None}, "weight of infonce must be a finite number"),
        ({"infonce": True}, "weight of infonce must be a finite number"),
    ],
)
def test_objective_refused(losses: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Objective.of(losses)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Values and gradients, by "0" and "1", the processes, and "alone"."""
    if not torch.distributed.is_available() or importlib.util.find_spec("open_clip") is None:
        pytest.skip("needs torch.distributed and open_clip")
    folder = tmp_path_factory.mktemp("gloo")
    script = Path(__file__).parents[1] / "gloo_losses.py"
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {each: json.loads((folder / f"{each}.json").read_text()) for each in ("0", "1", "alone")}


def close(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["value"] == pytest.approx(other["value"], rel=1e-9, abs=1e-9)
    for weight, gradient in one["gradients"].items():
        assert gradient == pytest.approx(other["gradients"][weight], rel=1e-6, abs=1e-9), weight


# processes ----------------------------------------------------------------------------------------


@every_loss
def test_arrays_of_different_precision_are_computed_in_the_higher(name: str) -> None:
    image, text, one, other = (unit(6, 4, seed=seed) for seed in range(4))
    low = text.float()
    found = LOSSES[name](image.numpy(), low, scale=3.0, bias=-1.3, views=(one, other))
    assert found.dtype == torch.float64
    same = LOSSES[name](image, low.double(), scale=3.0, bias=-1.3, views=(one, other))
    torch.testing.assert_close(found, same, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
@every_loss
def test_two_processes_are_as_one(processes: dict[str, Any], name: str, rank: str) -> None:
    alone = processes["alone"][f"{name}:ours"]
    assert any(any(each) for each in alone["gradients"].values())
    close(processes[rank][f"{name}:ours"], alone)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["0", "1", "alone"])
@pytest.mark.parametrize("name", ["infonce", "siglip"])
def test_as_open_clip(processes: dict[str, Any], name: str, where: str) -> None:
    theirs = [key for key in processes[where] if key.startswith(f"{name}:open_clip")]
    assert len(theirs) == {"infonce": 2, "siglip": 4}[name]
    for key in theirs:
        close(processes[where][key], processes[where][f"{name}:ours"])
