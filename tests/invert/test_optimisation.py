"""Inversion against loops written from its definition, on the libraries' own models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from invert.picture_towers_cases import PICTURES, plain_patches
from invert.towers_cases import (
    SENTENCE,
    TEXTS,
    Text,
    inverter_of,
    near,
    noise,
    plain_tokens,
    run,
    targets_of,
    words_text,
)
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from modalgap import errors
from modalgap.embeddings import Embeddings
from modalgap.encode import load_model
from modalgap.invert import invert, oti
from modalgap.invert.base import InversionContext
from modalgap.invert.optimise import Descender, SearchOptions
from modalgap.invert.optimisers import Lbfgs


@pytest.fixture(scope="module", autouse=True)
def _configs(tmp_path_factory: pytest.TempPathFactory) -> None:
    tiny.add_configs(tmp_path_factory.mktemp("configs"))


# 4: an item's own result --------------------------------------------------------------------------


# each step of L-BFGS makes differences of rounding about three times as large
@pytest.mark.parametrize(("optimiser", "steps"), [("adamw", 20), ("lbfgs", 6)])
@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_neighbours_and_order_are_of_no_account(
    method: str, optimiser: str, steps: int, make: Callable[[str, Any], Any]
) -> None:
    encoder = make("open_clip", TEXTS if method == "oti" else PICTURES).encoder
    names = [f"item {i}" for i in range(7)]
    rows = targets_of(encoder, len(names)).numpy()
    side = "image" if method == "oti" else "text"
    data = Embeddings(rows, side, names=names)
    options: dict[str, Any] = {"model": encoder, "optimiser": optimiser, "steps": steps}
    whole = invert(data, method, **options)
    for size in (1, 3):
        found = invert(data, method, batch_size=size, **options)
        near(found.cosines, whole.cosines, 1e-4)
        near(features_of(found), features_of(whole), 1e-4)
    order = [4, 0, 6, 2, 5, 1, 3]
    turned = Embeddings(rows[order], side, names=[names[i] for i in order])
    found = invert(turned, method, batch_size=2, **options)
    near(features_of(found), features_of(whole)[order], 1e-4)
    other = invert(data, method, seed=1, **options)
    assert (features_of(other) - features_of(whole)).abs().max() > 1e-3  # noise is of the seed


@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_what_lbfgs_makes_of_neighbours_is_rounding(
    method: str, make: Callable[[str, Any], Any]
) -> None:
    """In double precision, where there is next to none of it, items go their ways alone."""
    case = make("open_clip", TEXTS if method == "oti" else PICTURES)
    model: Any = case.encoder.model
    targets = targets_of(case.encoder, 7).double()
    start = noise([str(i) for i in range(7)], 1, 32).double()
    plain = (
        partial(plain_tokens, case, SENTENCE) if method == "oti" else partial(plain_patches, case)
    )

    def found(rows: slice) -> Tensor:
        rule = Lbfgs(start[rows], 0.0, 0.0)
        for _ in range(20):
            at = rule.at.detach().requires_grad_()
            loss = 1 - cosine_similarity(plain(at), targets[rows])
            rule.observe(loss.detach(), torch.autograd.grad(loss.sum(), at)[0])
        return rule.x

    model.double()
    try:
        whole = found(slice(None))
        for row in range(7):
            near(found(slice(row, row + 1))[0], whole[row], 1e-6)
    finally:
        model.float()


def features_of(found: Any) -> Tensor:
    rows: Tensor = found.features.unit(0, found.features.n)
    return rows


@pytest.mark.slow
def test_processes_change_nothing(tmp_path: Path) -> None:
    words_text(tmp_path)
    spec = f"open_clip:{tmp_path / 'words'}"
    encoder = load_model(spec)
    data = Embeddings(targets_of(encoder, 9).numpy(), "image", names=[f"i{i}" for i in range(9)])
    one, two = (oti(data, model=spec, steps=10, batch_size=4, jobs=jobs) for jobs in (1, 2))
    near(features_of(one), features_of(two), 1e-5)
    assert two.losses is not None
    assert one.losses is not None
    near(one.losses, two.losses, 1e-5)


# 5: when it stops, and what it keeps --------------------------------------------------------------


def test_items_stop_by_themselves(make: Callable[[str, Any], Text]) -> None:
    encoder = make("open_clip", TEXTS).encoder
    names = [f"item {i}" for i in range(6)]
    start = run(inverter_of("oti", encoder, steps=0), targets_of(encoder, 6), names).features
    targets = targets_of(encoder, 6)
    targets[2] = start[2]  # there at once
    free = run(inverter_of("oti", encoder, steps=30), targets, names, at=range(31))
    assert free.losses is not None
    cosines = 1 - free.losses
    wanted = 0.4
    there = cosines >= wanted
    expected = torch.where(there.any(1), there.int().argmax(1), 30)
    assert expected[2] == 0
    assert 0 < int((expected < 30).sum()) < 6
    assert len(set(expected.tolist())) >= 3
    made = inverter_of("oti", encoder, steps=30, wanted=wanted)
    told = []
    done = made(names, targets, told.append)
    assert sum(told) == 6 * 31  # progress counts what need not be done any more
    assert torch.equal(done.steps, expected)  # type: ignore[arg-type]
    for row, step in enumerate(expected.tolist()):
        near(done.features[row], free.recorded[step][row], 1e-5)
        assert (done.cosines[row] >= wanted) == bool(there[row].any())
        assert done.losses is not None
        near(done.losses[row, : step + 1], free.losses[row, : step + 1], 1e-5)
        assert bool((done.losses[row, step:] == done.losses[row, step]).all())
        alone = run(made, targets[row : row + 1], [names[row]])
        near(alone.features[0], done.features[row], 1e-5)
        assert alone.steps is not None
        assert int(alone.steps[0]) == step


def test_the_best_is_never_worse_than_the_last(make: Callable[[str, Any], Text]) -> None:
    encoder = make("open_clip", TEXTS).encoder
    targets = targets_of(encoder)
    # more than all of a vector decays, so that it comes and goes
    options: dict[str, Any] = {"steps": 25, "lr": 1.0, "weight_decay": 1.8}
    last = run(inverter_of("oti", encoder, **options), targets, at=range(26))
    best = run(inverter_of("oti", encoder, keep="best", **options), targets, at=range(26))
    assert last.losses is not None
    assert best.losses is not None
    assert bool((last.losses[:, 1:] > last.losses[:, :-1] + 1e-3).any())
    near(best.losses, last.losses.cummin(1).values, 1e-5)
    for step in range(26):
        ours = (best.recorded[step] * targets).sum(1)
        assert bool((ours >= (last.recorded[step] * targets).sum(1) - 1e-5).all())
        near(1 - ours, best.losses[:, step], 1e-5)
    rows = last.losses.argmin(1).tolist()
    for item, step in enumerate(rows):
        near(best.features[item], last.recorded[step][item], 1e-5)


def quadratics(b: int = 5, size: int = 12) -> tuple[Tensor, Tensor]:
    """Curvatures (b, 12, 12), of conditions from 1 to 1,000, and minima (b, 12)."""
    own = torch.Generator().manual_seed(2)
    turns = torch.linalg.qr(torch.randn(b, size, size, generator=own))[0]
    conditions = torch.logspace(0, 3, b)
    values = torch.stack([torch.logspace(0, float(c.log10()), size) for c in conditions])
    return turns @ torch.diag_embed(values) @ turns.mT, torch.randn(b, size, generator=own)


def descend(
    curvature: Tensor, minimum: Tensor, looks: int, keep: tuple[int, list[int]] | None = None
) -> tuple[Lbfgs, Tensor]:
    """The rule after so many looks, and the losses of the points that it held."""
    start = noise([str(i) for i in range(len(minimum))], 3, 4)
    start[:] = start[:1]  # as if each were the first
    rule = Lbfgs(start, 0.0, 0.0)
    held = []
    for look in range(looks):
        if keep is not None and look == keep[0]:
            index = torch.tensor(keep[1])
            rule.keep(index)
            curvature, minimum = curvature[index], minimum[index]
        away = rule.at.flatten(1) - minimum
        gradient = torch.einsum("bij,bj->bi", curvature, away)
        rule.observe((away * gradient).sum(1) / 2, gradient.unflatten(1, (3, 4)))
        held.append(rule.loss.clone())
        away = rule.x - minimum
        loss = torch.einsum("bi,bij,bj->b", away, curvature, away) / 2
        torch.testing.assert_close(rule.loss, loss, rtol=1e-4, atol=1e-6)
    return rule, torch.stack(held[keep[0] :] if keep else held)


# 6: L-BFGS ----------------------------------------------------------------------------------------


def test_lbfgs_reaches_the_minimum_of_a_quadratic() -> None:
    curvature, minimum = quadratics()
    rule, held = descend(curvature, minimum, 120)
    assert bool((held[1:] <= held[:-1]).all())  # what it holds never becomes worse
    assert float(rule.loss.max()) < 1e-4 * float(held[0].min())
    near(rule.x[:3], minimum[:3], 1e-3)
    assert bool((held[15, :2] < 1e-3 * held[0, :2]).all())  # the easy ones at once


def test_lbfgs_goes_at_each_items_own_pace() -> None:
    curvature, minimum = quadratics()
    whole, held = descend(curvature, minimum, 40)
    for row in range(len(minimum)):
        alone, losses = descend(curvature[row : row + 1], minimum[row : row + 1], 40)
        near(alone.x[0], whole.x[row], 1e-4)
        torch.testing.assert_close(losses[:, 0], held[:, row], rtol=1e-2, atol=1e-4)
    some, _ = descend(curvature, minimum, 40, keep=(17, [3, 1]))
    near(some.x, whole.x[[3, 1]], 1e-4)


def test_lbfgs_needs_fewer_steps(make: Callable[[str, Any], Any]) -> None:
    text = make("open_clip", TEXTS)
    targets = targets_of(text.encoder)
    quick = run(inverter_of("oti", text.encoder, optimiser="lbfgs", steps=30), targets)
    slower = run(inverter_of("oti", text.encoder, steps=60), targets)
    assert float(quick.cosines.mean()) > float(slower.cosines.mean())
    assert quick.losses is not None
    assert bool((quick.losses[:, 1:] <= quick.losses[:, :-1]).all())
    near(quick.losses[:, -1], 1 - quick.cosines, 1e-5)
    assert quick.vectors is not None
    with torch.no_grad():
        near(normalize(plain_tokens(text, SENTENCE, quick.vectors), dim=1), quick.features, 1e-5)


# 7: how many go together --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["oti", "ovi"])
def test_room_grows_with_the_budget(method: str, make: Callable[[str, Any], Any]) -> None:
    encoder = make("open_clip", TEXTS if method == "oti" else PICTURES).encoder
    made = inverter_of(method, encoder)
    each = 2**30 / made.room(2**30)
    assert 1e3 < each < 1e6
    for power in range(20, 34):
        assert made.room(2**power) == pytest.approx(2**power / each, rel=1e-2, abs=1.5)
    assert made.room(0) == made.room(1) == 1
    more = inverter_of(method, encoder, tokens=4)
    assert more.room(2**30) <= made.room(2**30) * 1.05


def test_what_is_no_number_is_refused() -> None:
    """Whichever of its steps an item keeps."""
    given = InversionContext(
        encoder=None, device=torch.device("cpu"), dim=4, modality="image", into="text"
    )
    for optimiser, keep in (("adamw", "last"), ("adamw", "best"), ("lbfgs", "last")):
        search = SearchOptions(
            optimiser=optimiser, steps=3, lr=0.1, weight_decay=0.0, std=0.02, wanted=None,
            keep=keep, loss="cosine",
        )  # fmt: skip
        made = Descender(
            given, lambda x: x[:, 0] * torch.nan, count=1, width=4, search=search, settings={}
        )
        with pytest.raises(errors.Diverged, match=r"one\.jpg"):
            run(made, normalize(torch.ones(3, 4)))
