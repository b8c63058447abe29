"""Free points: the loss keeps a gap that temperature decides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Run
from torch.nn.functional import cross_entropy

import modalgap as mg
from modalgap import checks, errors
from modalgap.cli import simulate as command
from modalgap.result import Table, Value
from modalgap.simulate import SIMULATIONS, Simulation, free_points

SMALL = {"n": 100, "dim": 16, "batch": 100}


def test_points_start_in_two_cones() -> None:
    start = free_points(400, 64, steps=0)
    result = mg.measure(start, only=["cone", "l2m", "separability"])
    assert result["cone_image"].value == pytest.approx(0.5, abs=0.05)
    assert result["cone_text"].value == pytest.approx(0.5, abs=0.05)
    assert result["l2m"].value > 0.5
    assert result["separability"].value == 1


def test_the_loss_falls_and_a_low_temperature_keeps_the_gap() -> None:
    start = mg.measure(free_points(**SMALL, steps=0), only=["l2m", "infonce"])
    cold = mg.measure(free_points(**SMALL), only=["l2m", "infonce"])
    warm = mg.measure(free_points(**SMALL, temperature=0.2), only=["l2m", "infonce"])
    assert cold["infonce"].value < start["infonce"].value / 100
    assert cold["l2m"].value > 0.5 * start["l2m"].value
    assert warm["l2m"].value < 0.25 * start["l2m"].value


def test_its_loss_is_info_nce() -> None:
    pair = free_points(**SMALL, steps=3)
    x, y = pair.image.unit(), pair.text.unit()
    logits, own = x @ y.T / 0.01, torch.arange(100)
    loss = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    assert pair.image.provenance["loss"].endswith(f"{float(loss):.3f} at the end")


def test_same_seed_same_points() -> None:
    one, two, other = (free_points(**SMALL, steps=5, seed=seed) for seed in (3, 3, 4))
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != other.fingerprint
    assert np.isfinite(one.image.unit().numpy()).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 1),
        ("dim", 1),
        ("steps", -1),
        ("temperature", 0.0),
        ("batch", 1),
        ("seed", 2**64),
        ("seed", 1.5),
        ("temperature", "x"),
    ],
)
def test_options_out_of_range(name: str, value: float) -> None:
    with pytest.raises(errors.OptionError, match=name):
        free_points(**{name: value})  # type: ignore[arg-type]


def test_a_simulation_is_called_by_name() -> None:
    by_name = mg.simulate("free_points", **SMALL, steps=2)
    assert isinstance(by_name, mg.Pair)
    assert by_name.fingerprint == free_points(**SMALL, steps=2).fingerprint
    with pytest.raises(errors.OptionError, match="did you mean 'free_points'"):
        mg.simulate("free_point")
    with pytest.raises(errors.OptionError, match="unknown option of free_points 'size'"):
        mg.simulate.free_points(size=3)  # type: ignore[call-arg]


def test_from_the_shell(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "points.npz"
    words = ["simulate", "free_points", "-o", target]
    for name, value in (*SMALL.items(), ("steps", 2)):
        words += ["--set", f"{name}={value}"]
    words += ["--seed", "4"]
    code, out, err = run(*words)
    assert code == 0, err
    assert out.strip() == str(target)
    again = mg.load(target)
    assert isinstance(again, mg.Pair)
    assert again.fingerprint == free_points(**SMALL, steps=2, seed=4).fingerprint
    assert run(*words)[0] == 2
    code, _, err = run("simulate", "free_points", "-o", tmp_path / "x.npz", "--set", "size=3")
    assert code == 2
    assert "unknown option of free_points 'size'" in err
    assert run("simulate", "points", "-o", target)[0] == 2
    assert "steps=400" in run("simulate", "free_points", "--help")[1]
    assert list(json.loads(run("list", "simulations", "--json")[1])["simulations"]) == [
        *SIMULATIONS
    ]


def test_a_simulation_of_a_table(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One card and one function are enough; the table is written in every form."""

    def powers(*, base: float = 2.0, up_to: int = 3) -> Table:
        """Powers of a number.

        Args:
            base: the number.
            up_to: the largest exponent.
        """
        rows = {str(i): {"power": Value(float(base**i))} for i in range(up_to + 1)}
        return Table(name="powers", source="here", vary="exponent", rows=rows,
                     heads={"power": "power"}, settings={"base": base})  # fmt: skip

    card = mg.measure.Card(name="powers", title="Powers", idea="Raises a number.", source="here")
    powered: Simulation[Table, ...] = Simulation(card, powers)
    monkeypatch.setitem(SIMULATIONS, "powers", powered)
    assert mg.simulate("powers", up_to=1).to_dict() == powers(up_to=1).to_dict()
    for suffix, part in ((".json", '"exponent"'), (".csv", "exponent,power"), (".md", "| 27 |")):
        target = tmp_path / f"table{suffix}"
        command.simulate("powers", target, ["base=3"])
        assert part in target.read_text()
    with pytest.raises(errors.OptionError, match=r"\.json, \.csv, \.md; got '\.txt'"):
        command.simulate("powers", tmp_path / "table.txt")
    capsys.readouterr()
    command.simulate("powers", sets=["up_to=1"])
    assert "exponent" in capsys.readouterr().out
    command.simulate("powers", json=True)
    assert Table.from_json(capsys.readouterr().out).rows["3"]["power"].value == 8
    assert "powers" in run("list", "simulations")[1]


def test_a_pair_is_printed_as_a_table(run: Run, tmp_path: Path) -> None:
    words = ["simulate", "free_points", "--json", "--set", "steps=2", "--set", "n=50"]
    code, out, err = run(*words, "-o", tmp_path / "points.npz")
    assert code == 0, err
    table = Table.from_json(out)
    pair = mg.load(tmp_path / "points.npz")
    assert table.rows["free_points"]["l2m"].value == mg.measure(pair)["l2m"].value
    assert table.rows["free_points"]["rows"].value == 50
    assert table.settings["steps"] == "2"
    assert "l2m" in run(*words[:2], *words[3:])[1]


def test_sizes_that_do_not_fit_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: 3 * 2**30)
    checks.fits("n, dim", 2.9 * 2**30)
    with pytest.raises(errors.OptionError, match=r"n, dim: must fit .* 3.0 GiB; .* about 3.1 GiB"):
        checks.fits("n, dim", 3.1 * 2**30)
