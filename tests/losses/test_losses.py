"""Every loss against its definition in plain loops, autograd, open_clip, and two processes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from losses.cases import (
    DEFINITIONS,
    Rows,
    every_loss,
    leaves,
    made,
    mean,
    of_leaves,
    unit,
)
from torch import Tensor
from torch.nn import functional

from modalgap.errors import NotApplicable
from modalgap.losses import LOSSES, Features, Objective

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in LOSSES),
    ("uniformity", {"t": 0.7}),
    ("cross_uniformity", {"t": 0.7}),
    ("centroid_uniformity", {"t": 0.7}),
    ("intra_simclr", {"temperature": 0.5}),
    ("cyclip", {"in_modal": 1.0, "cross_modal": 0.0}),
    ("cyclip", {"in_modal": 0.0, "cross_modal": 2.0}),
    ("gram", {"anchor": 0}),
]
SPREADS = ("uniformity", "cross_uniformity", "centroid_uniformity")


def changed(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """The same with every row set changed."""
    assert features.views is not None
    return Features(
        image=change(features.image),
        text=change(features.text),
        scale=features.scale,
        bias=features.bias,
        views=(change(features.views[0]), change(features.views[1])),
    )


# definitions in loops -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 5, 7])
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_definition(name: str, options: dict[str, Any], n: int) -> None:
    f = made(n, seed=10 * n)
    assert f.bias is not None
    assert f.views is not None
    rows = (f.image.tolist(), f.text.tolist(), float(f.scale), float(f.bias))
    views = (f.views[0].tolist(), f.views[1].tolist())
    expected = DEFINITIONS[name](*rows, views, **options)
    found = LOSSES[name](f, **options)
    assert found.shape == ()
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(expected, rel=1e-12, abs=1e-12)


# gradients ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [each for each in OPTIONS if each[0] != "intra_separation"],  # a factor has none on purpose
)
def test_gradient(name: str, options: dict[str, Any]) -> None:
    assert torch.autograd.gradcheck(
        lambda *each: LOSSES[name](of_leaves(*each), **options), leaves(made(5, scale=1.7))
    )


def test_weights_without_gradient() -> None:
    f = made(5)
    differ = 1 - f.text @ f.text.T
    eye = torch.eye(5, dtype=torch.bool)

    def frozen(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
        logits = scale * torch.where(eye, image @ text.T, image @ image.T * differ)
        return -logits.log_softmax(1).diagonal().mean()

    some = leaves(f)
    assert torch.autograd.gradcheck(frozen, some[:3])
    expected = torch.autograd.grad(frozen(*some[:3]), some[:3])
    found = torch.autograd.grad(LOSSES["intra_separation"](of_leaves(*some)), some[:3])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_scale_and_bias_have_gradients() -> None:
    with_scale = {"infonce", "siglip", "dual", "correct_only", "intra_separation", "gram"}
    for name, loss in LOSSES.items():
        some = leaves(made())
        gradients = torch.autograd.grad(loss(of_leaves(*some)), some[2:4], allow_unused=True)
        assert (gradients[0] is not None) == (name in with_scale), name
        assert (gradients[1] is not None) == (name == "siglip"), name


# properties ---------------------------------------------------------------------------------------


@every_loss
def test_order_of_pairs_does_not_matter(name: str) -> None:
    f = made(7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(3))
    other = changed(f, lambda rows: rows[order])
    torch.testing.assert_close(LOSSES[name](other), LOSSES[name](f), rtol=1e-12, atol=1e-12)


@every_loss
def test_one_rotation_of_both_does_not_matter(name: str) -> None:
    f = made(7)
    turn = torch.linalg.qr(unit(4, 4, seed=9))[0]
    other = changed(f, lambda rows: rows @ turn)
    torch.testing.assert_close(LOSSES[name](other), LOSSES[name](f), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in LOSSES if not name.startswith("intra")])
def test_sides_are_alike(name: str) -> None:
    f = made(7)
    other = Features(image=f.text, text=f.image, scale=f.scale, bias=f.bias)
    torch.testing.assert_close(LOSSES[name](other), LOSSES[name](f), rtol=1e-12, atol=1e-12)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(name: str, dtype: torch.dtype) -> None:
    low = made(7, 16, dtype=dtype)
    found = LOSSES[name](low)
    assert found.dtype == torch.float32
    assert torch.equal(found, LOSSES[name](low.precise))  # nothing is lost but in the features
    full = float(LOSSES[name](made(7, 16)))
    assert float(found) == pytest.approx(full, rel=0.02, abs=0.02)


@every_loss
def test_autocast_is_off(name: str) -> None:
    f = made(7, 16, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = LOSSES[name](f)
    assert torch.equal(found, LOSSES[name](f))


@every_loss
@pytest.mark.parametrize("case", ["sharp", "collapsed", "collapsed and sharp"])
def test_finite_where_it_is_hard(name: str, case: str) -> None:
    f = made(6, dtype=torch.float32, scale=1e4 if "sharp" in case else 10.0)
    if "collapsed" in case:
        f = changed(f, lambda rows: rows[:1].expand(6, -1))
    some = leaves(f)
    value, _ = Objective.of({name: 1.0})(of_leaves(*some))
    value.backward()
    assert value.isfinite()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in some)


@every_loss
def test_one_pair(name: str) -> None:
    if name in SPREADS:
        with pytest.raises(NotApplicable, match="two pairs"):
            LOSSES[name](made(1))
    else:
        some = leaves(made(1))
        Objective.of({name: 1.0})(of_leaves(*some))[0].backward()
        assert all(each.grad is not None and each.grad.isfinite().all() for each in some)


def test_relations() -> None:
    f = made(7)
    cosine = (f.image * f.text).sum(1).mean()
    torch.testing.assert_close(LOSSES["alignment"](f), 2 - 2 * cosine)
    assert LOSSES["dual"](f) > LOSSES["infonce"](f)
    right = Features(image=f.image, text=f.image, scale=f.scale)
    torch.testing.assert_close(LOSSES["correct_only"](right), LOSSES["infonce"](right))
    assert float(LOSSES["cyclip"](right)) == pytest.approx(0, abs=1e-12)
    aside = torch.full((7, 1), 2.0)
    image, text = (functional.normalize(torch.cat([f.image, c], 1), dim=1) for c in (aside, -aside))
    parted = Features(image=image, text=text, scale=f.scale)
    assert float(LOSSES["cyclip"](parted)) == pytest.approx(0, abs=1e-12)


def of(image: Rows, text: Rows, scale: float = 1.0) -> Features:
    x, y = (torch.tensor(side, dtype=torch.float64) for side in (image, text))
    return Features(image=x.requires_grad_(), text=y, scale=torch.tensor(scale).double())


# hand-made ----------------------------------------------------------------------------------------


def test_correct_only_none_correct() -> None:
    f = of([[1, 0], [0, 1]], [[0, 1], [1, 0]])
    loss = LOSSES["correct_only"](f)
    loss.backward()
    assert loss.item() == 0
    assert f.image.grad is not None
    assert not f.image.grad.any()


def test_correct_only_some_correct() -> None:
    # image 1 prefers text 0 and is left out; each text is as near to both images
    f = of([[1, 0], [1, 0]], [[1, 0], [0, 1]])
    e = math.e
    images = -math.log(e / (e + 1))
    texts = mean([math.log(2), math.log(2)])  # ties count as correct
    assert LOSSES["correct_only"](f).item() == pytest.approx((images + texts) / 2, rel=1e-12)


def test_correct_only_one_direction() -> None:
    # texts are one and the same: images tie, so both are correct; text 0 prefers image 0, and so
    # does text 1, which is left out
    f = of([[0.6, 0.8], [0.8, 0.6]], [[0, 1], [0, 1]])
    images = math.log(2)
    texts = -math.log(math.exp(0.8) / (math.exp(0.8) + math.exp(0.6)))
    assert LOSSES["correct_only"](f).item() == pytest.approx((images + texts) / 2, rel=1e-12)
