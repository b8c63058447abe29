"""Every loss against its definition in plain loops, autograd, open_clip, and two processes."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from patience import LIMIT
from torch import Tensor
from torch.nn import functional

from modalgap.errors import InputError, NotApplicable, OptionError
from modalgap.losses import LOSSES, Features, Objective

Rows = list[list[float]]
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in LOSSES),
    ("uniformity", {"t": 0.7}),
    ("cross_uniformity", {"t": 0.7}),
    ("centroid_uniformity", {"t": 0.7}),
    ("intra_simclr", {"temperature": 0.5}),
    ("cyclip", {"in_modal": 1.0, "cross_modal": 0.0}),
    ("cyclip", {"in_modal": 0.0, "cross_modal": 2.0}),
]
SPREADS = ("uniformity", "cross_uniformity", "centroid_uniformity")
every_loss = pytest.mark.parametrize("name", LOSSES)


def unit(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return functional.normalize(rows, dim=-1).to(dtype)


def made(
    n: int = 6, d: int = 4, scale: float = 3.0, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Features:
    """Texts that tell something of their images, so that some rows are right and some wrong."""
    image = unit(n, d, seed=seed)
    text = functional.normalize(image + 0.9 * unit(n, d, seed=seed + 1), dim=1)
    views = [functional.normalize(image + 0.5 * unit(n, d, seed=seed + i), dim=1) for i in (2, 3)]
    return Features(
        image=image.to(dtype),
        text=text.to(dtype),
        scale=torch.tensor(scale, dtype=dtype),
        bias=torch.tensor(-1.3, dtype=dtype),
        views=(views[0].to(dtype), views[1].to(dtype)),
    )


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


def leaves(features: Features) -> list[Tensor]:
    return [each.detach().clone().requires_grad_() for each in features.tensors]


def of_leaves(image: Tensor, text: Tensor, s: Tensor, b: Tensor, v: Tensor, w: Tensor) -> Features:
    return Features(image=image, text=text, scale=s, bias=b, views=(v, w))


# definitions in loops ------------------------------------------------------------------------


def dot(u: list[float], v: list[float]) -> float:
    return sum(a * b for a, b in zip(u, v, strict=True))


def apart(u: list[float], v: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(u, v, strict=True))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def infonce(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for i in range(len(x)):
        match = math.exp(s * dot(x[i], y[i]))
        total -= math.log(match / sum(math.exp(s * dot(x[i], each)) for each in y))
        total -= math.log(match / sum(math.exp(s * dot(each, y[i])) for each in x))
    return total / (2 * len(x))


def siglip(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            z = 1 if i == j else -1
            total -= math.log(1 / (1 + math.exp(-z * (s * dot(x[i], y[j]) + b))))
    return total / len(x)


def dual(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for own, other in ((x, y), (y, x)):
        for i in range(len(x)):
            below = sum(math.exp(s * dot(own[i], each)) for each in other)
            for j in range(len(x)):
                if j != i:
                    below += math.exp(s * dot(own[i], own[j]))
            total -= math.log(math.exp(s * dot(x[i], y[i])) / below)
    return total / (2 * len(x))


def correct_only(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for own, other in ((x, y), (y, x)):
        kept = []
        for i in range(len(x)):
            cosines = [dot(own[i], each) for each in other]
            if cosines[i] == max(cosines):
                below = sum(math.exp(s * each) for each in cosines)
                kept.append(-math.log(math.exp(s * cosines[i]) / below))
        total += mean(kept) if kept else 0.0
    return total / 2


def alignment(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    return mean([apart(u, v) for u, v in zip(x, y, strict=True)])


def log_mean(x: Rows, y: Rows, t: float) -> float:
    n = len(x)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    return math.log(mean([math.exp(-t * apart(x[i], y[j])) for i, j in pairs]))


def uniformity(
    x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], t: float = 2
) -> float:
    return (log_mean(x, x, t) + log_mean(y, y, t)) / 2


def cross_uniformity(
    x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], t: float = 2
) -> float:
    return log_mean(x, y, t)


def centroid_uniformity(
    x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], t: float = 2
) -> float:
    middles = []
    for u, v in zip(x, y, strict=True):
        middle = [(a + b) / 2 for a, b in zip(u, v, strict=True)]
        size = math.sqrt(dot(middle, middle))
        middles.append([each / size for each in middle])
    return log_mean(middles, middles, t)


def intra_simclr(
    x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows], temperature: float = 0.1
) -> float:
    n = len(views[0])
    total = 0.0
    for a in range(2):
        for i in range(n):
            own, other = views[a][i], views[1 - a][i]
            below = 0.0
            for c in range(2):
                for j in range(n):
                    if (c, j) != (a, i):
                        below += math.exp(dot(own, views[c][j]) / temperature)
            total -= math.log(math.exp(dot(own, other) / temperature) / below)
    return total / (2 * n)


def cyclip(
    x: Rows,
    y: Rows,
    s: float,
    b: float,
    views: tuple[Rows, Rows],
    in_modal: float = 0.25,
    cross_modal: float = 0.25,
) -> float:
    n = len(x)
    within = between = 0.0
    for i in range(n):
        for j in range(n):
            within += (dot(x[i], x[j]) - dot(y[i], y[j])) ** 2
            between += (dot(x[i], y[j]) - dot(x[j], y[i])) ** 2
    return in_modal * within / n**2 * n + cross_modal * between / n**2 * n


def intra_separation(x: Rows, y: Rows, s: float, b: float, views: tuple[Rows, Rows]) -> float:
    total = 0.0
    for i in range(len(x)):
        match = math.exp(s * dot(x[i], y[i]))
        below = match
        for j in range(len(x)):
            if j != i:
                below += math.exp(s * dot(x[i], x[j]) * (1 - dot(y[i], y[j])))
        total -= math.log(match / below)
    return total / len(x)


DEFINITIONS: dict[str, Callable[..., float]] = {
    each.__name__: each
    for each in (
        infonce,
        siglip,
        dual,
        correct_only,
        alignment,
        uniformity,
        cross_uniformity,
        centroid_uniformity,
        intra_simclr,
        cyclip,
        intra_separation,
    )
}


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


# gradients -----------------------------------------------------------------------------------


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
    with_scale = {"infonce", "siglip", "dual", "correct_only", "intra_separation"}
    for name, loss in LOSSES.items():
        some = leaves(made())
        gradients = torch.autograd.grad(loss(of_leaves(*some)), some[2:4], allow_unused=True)
        assert (gradients[0] is not None) == (name in with_scale), name
        assert (gradients[1] is not None) == (name == "siglip"), name


# properties ----------------------------------------------------------------------------------


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


# hand-made -----------------------------------------------------------------------------------


def of(image: Rows, text: Rows, scale: float = 1.0) -> Features:
    x, y = (torch.tensor(side, dtype=torch.float64) for side in (image, text))
    return Features(image=x.requires_grad_(), text=y, scale=torch.tensor(scale).double())


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


# the registry --------------------------------------------------------------------------------


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


# Objective -----------------------------------------------------------------------------------


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


# processes -----------------------------------------------------------------------------------


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
