"""Plans: the arithmetic, and the fit to times that are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from commands import Run

import modalgap as mg
from modalgap import errors
from modalgap.advise import plan as module_of_plan
from modalgap.advise.plan import Cost
from modalgap.cli.plan import duration, size
from modalgap.embeddings.streaming import SPAN

N, D = 60_000, 4


def pair(n: int = N) -> mg.Pair:
    rows = torch.randn(2, n, D, generator=torch.Generator().manual_seed(0)).half()
    return mg.Pair(rows[0], rows[1])


def test_the_arithmetic() -> None:
    cost = Cost(fixed=5, linear=1e-6, quadratic=0, read=1024, written=0, sample=1)
    assert cost.seconds(10**6) == pytest.approx(6)
    assert cost.seconds(16 * SPAN, workers=4) == pytest.approx(5 + 4e-6 * SPAN)
    assert cost.seconds(5 * SPAN, workers=4) == pytest.approx(5 + 2e-6 * SPAN)  # whole spans
    assert cost.seconds(SPAN, workers=10**9) == pytest.approx(5 + 1e-6 * SPAN)
    slow = cost.seconds(10**9, workers=10**6, bandwidth=1e9)
    assert slow == pytest.approx(5 + 1024)  # the store is the limit
    ranks = Cost(fixed=0, linear=0, quadratic=1e-9, read=8, written=0, sample=1)
    assert ranks.seconds(4 * SPAN, workers=16) == pytest.approx(1e-9 * SPAN**2)


class Clock:
    """Times that follow a law exactly."""

    def __init__(self, law: Callable[[int], float]) -> None:
        self.law, self.now, self.items = law, 0.0, 0

    def perf_counter(self) -> float:
        return self.now

    def work(self, data: Any, *_: Any, **__: Any) -> None:
        self.now += self.law(data.sides[0].n)


def test_the_law_of_a_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda n: 0.25 + 2e-6 * n)
    monkeypatch.setattr(module_of_plan, "time", clock)
    monkeypatch.setattr(module_of_plan, "pair_moments", clock.work)
    monkeypatch.setattr(
        module_of_plan,
        "measure",
        lambda data, **_: clock.work(data) or setattr(clock, "now", clock.now + 7),
    )
    cost = module_of_plan.plan(pair(), "measure", only=["l2m"])
    assert cost.linear == pytest.approx(2e-6)
    assert cost.fixed == pytest.approx(7.25)
    assert (cost.read, cost.written, cost.sample) == (2 * D * 2, 0, N)


def test_the_law_of_ranks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda n: 3e-5 * n + 5e-9 * n * n)
    monkeypatch.setattr(module_of_plan, "time", clock)
    monkeypatch.setattr(module_of_plan, "evaluate", clock.work)
    cost = module_of_plan.plan(pair(), "evaluate")
    assert cost.linear == pytest.approx(3e-5)
    assert cost.quadratic == pytest.approx(5e-9)


def test_real_plans() -> None:
    for verb, options in (("measure", {"only": ["l2m"]}), ("close", {})):
        cost = module_of_plan.plan(pair(), verb, **options)
        assert 0 < cost.linear < 1e-3
        assert cost.seconds(10**7) > cost.seconds(10**6)
        assert 10**8 < cost.memory < 10**11
    assert cost.written == 2 * D * 4
    captions = mg.Pair(
        np.random.default_rng(0).normal(size=(5_000, 3)),
        np.random.default_rng(1).normal(size=(10_000, 3)),
        text_to_image=np.arange(10_000) // 2,
    )
    assert module_of_plan.plan(captions, "measure", only="l2m").read == 3 * 8 * 3


def test_what_cannot_be_planned() -> None:
    with pytest.raises(errors.InputError, match="at least 4,000 items for a plan; found 100"):
        module_of_plan.plan(pair(100))
    with pytest.raises(errors.OptionError, match="verb"):
        module_of_plan.plan(pair(), "train")
    with pytest.raises(errors.OptionError, match=r"^only: the plan of close has no such option"):
        module_of_plan.plan(pair(), "close", only=["l2m"])


def test_the_command(run: Run, tmp_path: Any) -> None:
    path = mg.save(pair(), tmp_path / "a.safetensors")
    code, out, err = run("plan", path, "--only", "l2m", "--workers", "1,4", "--rows", "1e6,2e9")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["items", "1,000,000", "2,000,000,000"]
    assert "estimated from" in err
    code, out, _ = run("plan", path, "--only", "l2m", "--json", "--bandwidth", "2.5")
    found = json.loads(out)
    assert found["plan"][0]["items"] == N
    assert found["plan"][0]["bytes_read"] == N * 2 * D * 2
    assert set(found["plan"][0]["seconds"]) == {"1", "8", "64", "512"}
    for wrong in ("0", "1.5", "x", "1,,2", "-3", "inf", "nan"):
        code, out, err = run("plan", path, "--rows", wrong)
        assert (code, out, err.count("\n")) == (2, "", 1)
    for wrong in ("0", "-1", "nan", "1e-320"):  # the last would be infinitely many seconds
        code, out, err = run("plan", path, "--only", "l2m", "--json", "--bandwidth", wrong)
        assert (code, out) == (2, "")
        assert err.startswith("modalgap: --bandwidth must be at least 1e-9; got ")


def test_numbers_for_people() -> None:
    assert size(2.048e12) == "2.05 TB"
    assert size(12) == "12 B"
    assert [duration(each) for each in (0.5, 90, 7200, 200_000, 1e9, 1e11)] == [
        "0.5 s", "90 s", "2 h", "2.3 days", "32 years", "3,169 years",
    ]  # fmt: skip
