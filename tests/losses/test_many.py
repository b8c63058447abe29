"""Losses of three and more modalities: GRAM by loops and numpy, and pairwise losses as a mean."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from losses.cases import every_loss, gram_of_many, made, unit
from torch import Tensor
from torch.nn import functional

from modalgap.errors import InputError, NotApplicable, OptionError
from modalgap.losses import LOSSES, Features, Objective
from modalgap.measure import gram_volume

gram = LOSSES["gram"]


def many(count: int, n: int = 5, d: int = 6, scale: float = 3.0) -> Features:
    """``count`` modalities that agree in part."""
    core = unit(n, d, seed=40)
    rows = [functional.normalize(core + 0.8 * unit(n, d, seed=i), dim=1) for i in range(count)]
    scale_ = torch.tensor(scale, dtype=torch.float64)
    return Features(image=rows[0], text=rows[1], scale=scale_, others=tuple(rows[2:]))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_gram_by_loops(count: int) -> None:
    f = many(count)
    for anchor in range(count):
        expected = gram_of_many([each.tolist() for each in f.modalities], 3.0, anchor)
        assert float(gram(f, anchor=anchor)) == pytest.approx(expected, rel=1e-11)
    low = Features(
        image=f.image.float(), text=f.text.float(), scale=f.scale.float(),
        others=tuple(each.float() for each in f.others),
    )  # fmt: skip
    assert float(gram(low)) == pytest.approx(float(gram(f)), rel=1e-5)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_gram_gradient(count: int) -> None:
    rows = [each.clone().requires_grad_() for each in many(count).modalities]

    def value(*rows: Tensor) -> Tensor:
        scale = torch.tensor(3.0, dtype=torch.float64)
        return gram(Features(image=rows[0], text=rows[1], scale=scale, others=tuple(rows[2:])))

    assert torch.autograd.gradcheck(value, rows)


def test_gram_of_three_in_closed_form() -> None:
    f = many(3, n=1)
    x, y, z = (each[0] for each in f.modalities)
    a, b, c = float(x @ y), float(y @ z), float(x @ z)
    volume = math.sqrt(1 + 2 * a * b * c - a * a - b * b - c * c)
    # a second item at a right angle to all others has volumes that are known
    far = torch.eye(3, dtype=torch.float64)
    every = [torch.block_diag(row[None], e[None]) for row, e in zip((x, y, z), far, strict=True)]
    both = Features(image=every[0], text=every[1], scale=f.scale, others=(every[2],))
    crossed = math.sqrt(1 - c * c)  # a text at a right angle to the image and the third of item 0
    own, other = math.exp(-3 * volume), math.exp(-3.0)
    expected = -(
        math.log(own / (own + other)) + math.log(other / (other + math.exp(-3 * crossed)))
        + math.log(own / (own + math.exp(-3 * crossed))) + math.log(other / (other + other))
    ) / 4  # fmt: skip
    assert float(gram(both)) == pytest.approx(expected, rel=1e-9)


def test_gram_near_volume_zero() -> None:
    """Equal rows of two modalities: every volume is 0, and gradients are finite and bounded."""
    rows = unit(8, 16, seed=0, dtype=torch.float32)
    for apart in (0.0, 1e-6, 1e-4, 1e-2):
        x = (rows + apart * unit(8, 16, seed=1, dtype=torch.float32)).requires_grad_()
        value = gram(x, rows, others=[rows], scale=10.0)
        value.backward()
        assert value.isfinite()
        assert x.grad is not None
        assert x.grad.isfinite().all()
        assert float(x.grad.norm()) < 100
    # nothing can be told apart: the third modality is not read
    assert float(gram(-rows, rows, others=[rows], anchor=0)) == pytest.approx(math.log(8), abs=1e-2)


def test_gram_ignores_signs() -> None:
    f = many(2)
    opposite = Features(image=f.image, text=-f.text, scale=f.scale)
    torch.testing.assert_close(gram(opposite), gram(f), rtol=1e-12, atol=1e-12)


def test_gram_is_the_measure() -> None:
    """With two items whose volumes across items are 1, the loss follows from the measure."""
    angle = 0.3
    x = torch.eye(4, dtype=torch.float64)[:2]
    y = math.cos(angle) * x + math.sin(angle) * torch.eye(4, dtype=torch.float64)[2:]
    volume = gram_volume(x.numpy(), y.numpy())
    assert float(volume) == pytest.approx(math.sin(angle), rel=1e-5)
    s = 5.0
    expected = math.log(1 + math.exp(s * (float(volume) - 1)))
    assert float(gram(x, y, scale=s)) == pytest.approx(expected, rel=1e-5)


@every_loss
def test_others(name: str) -> None:
    """A loss of two modalities is the mean over pairs; gradients reach every modality."""
    f, third = made(6), unit(6, 4, seed=9).requires_grad_()
    three = Features(
        image=f.image, text=f.text, scale=f.scale, bias=f.bias, views=f.views, others=(third,)
    )
    total, _ = Objective.of({name: 1.0})(three)
    total.backward()
    assert third.grad is not None
    if name != "gram":
        pairs = [
            LOSSES[name](Features(image=one, text=two, scale=f.scale, bias=f.bias, views=f.views))
            for one, two in combinations((f.image, f.text, third), 2)
        ]
        torch.testing.assert_close(total, torch.stack(pairs).mean())
    arrays = LOSSES[name](
        f.image.numpy(), f.text.numpy(), float(f.scale), float(f.bias),
        tuple(each.numpy() for each in f.views or ()),
        others=[third.detach().numpy()],
    )  # fmt: skip
    torch.testing.assert_close(arrays, total.detach(), rtol=1e-9, atol=1e-9)


def test_others_refused() -> None:
    f = made(6)
    with pytest.raises(InputError, match="image and others must have one shape"):
        Features(image=f.image, text=f.text, scale=f.scale, others=(f.image[1:],))
    with pytest.raises(InputError, match="do not pass"):
        gram(f, others=[np.eye(4)])
    with pytest.raises(InputError, match="others: must be a list"):
        gram(f.image, f.text, others=f.image)
    with pytest.raises(OptionError, match="anchor must be"):
        gram(f, anchor=2)
    with pytest.raises(NotApplicable, match="at least as many dimensions"):
        gram(many(4, d=3))
