r"""Information imbalance: two small encoders, and captions that omit attributes of their image.

An image shows an object and several attributes, each with a few values. Its caption names the
object and all but k of the attributes. Both encoders start with random weights and
are trained with the symmetric InfoNCE loss, on new items at each step. All models of one seed start
with the same weights and see the same items, so they differ only in what captions omit.

Several images then fit one caption equally well, and no encoder can tell which one is meant. The
loss is minimal where the softmax over images is uniform over those that fit, so its entropy is

    H_j = log m_j,    m_j = number of images in the batch that fit caption j

for each caption; the same holds for the captions that fit an image. If captions omit different
attributes, images and captions have different information, and a match cannot reach cosine 1.

Source: Schrodi et al. 2025, section 5 (figures 6 and 7) and section 6 (figure 8).
Expected: object bias, entropy and RMG rise with k; the entropy is slightly above its prediction.
Captions that omit every attribute are class labels, and RMG is lower again. If all captions
omit the same attributes (``private="fixed"``), images lose these attributes too, and the gap stays
small until almost all attributes are omitted.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, distinct, fits, one_of, several, whole
from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import Diverged
from modalgap.measure import measure
from modalgap.measure.intervals import student_t
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.trace import traced

JUDGED = 1024  # items that are drawn after training
POINTS = 60  # of the curve of the gap
MEASURES = ("l2m", "rmg", "moad", "matched_cosine")
PRIVATE = ("varied", "fixed")
HEADS = {
    "rmg": "RMG",
    "l2m": "distance of means",
    "moad_image": "MOAD, images",
    "moad_text": "MOAD, texts",
    "matched_cosine": "cosine of a match",
    "entropy_text": "entropy, text to image",
    "predicted_text": "predicted",
    "entropy_image": "entropy, image to text",
    "predicted_image": "predicted, image to text",
    "temperature": "τ",
    "loss": "loss",
}
CARD = Card(
    name="information_imbalance",
    title="Captions that omit information",
    idea=(
        "Trains small encoders on items whose captions omit 0 to 5 attributes; measures the gap,"
        " the object bias and the entropy of the softmax beside its prediction."
    ),
    equation=r"H_j = \log \#\{i : x_i \text{ fits } y_j\}",
    source="Schrodi et al. 2025, sections 5 and 6",
    question="Do captions that omit information cause the gap, the object bias and the entropy?",
    traits=("random",),
)


@dataclass(frozen=True, kw_only=True)
class _World:
    """Sizes of the items and of the batches."""

    objects: int
    attributes: int
    values: int
    omitted: Tensor  # (k,) numbers of omitted attributes, one model each
    varied: bool

    @property
    def width(self) -> int:
        return self.objects + self.attributes * self.values


@dataclass(frozen=True)
class _Items:
    """Drawn items: ``objects`` (s, n), ``values`` (s, n, a), and ``named`` (k, s, n, a)."""

    objects: Tensor
    values: Tensor
    named: Tensor


@checked
def _information_imbalance(
    *,
    objects: int = 10,
    attributes: int = 5,
    values: int = 3,
    omitted: Several[int] | None = None,
    private: str = "varied",
    dim: int = 32,
    hidden: int = 64,
    temperature: float = 0.07,
    frozen: bool = False,
    full_first: int = 0,
    steps: int = 600,
    batch: int = 128,
    learning_rate: float = 0.004,
    seeds: int = 3,
    seed: int = 0,
) -> Table:
    """Train one pair of encoders per number of omitted attributes and seed.

    Args:
        objects: number of different objects; captions always name the object.
        attributes: number of attributes.
        values: number of values of each attribute.
        omitted: numbers of attributes that captions omit; by default 0 to all.
        private: "varied": each caption omits attributes drawn for it; "fixed": all captions
            omit the same attributes.
        dim: width of the embeddings.
        hidden: units of the hidden layer (ReLU) of both encoders; 0 for linear encoders.
        temperature: temperature of the loss at the start.
        frozen: whether the temperature is frozen; by default it is learnable.
        full_first: steps of training on full captions, with a learnable temperature, before the
            ``steps``, which are then a fine-tuning.
        steps: steps of Adam on captions that omit attributes.
        batch: items per step.
        learning_rate: learning rate of Adam.
        seeds: runs per row. For several, intervals are over runs.
        seed: seed of the first run.

    Returns:
        One row per number of omitted attributes: measures on 1,024 new items; the loss and
        the entropy of the softmax, in nats, over batches of them, beside the prediction; and the
        temperature. The distance of means over the steps is in the details of ``l2m``.

    Raises:
        OptionError: an option outside its range, or sizes that do not fit in memory.
        Diverged: the loss became NaN or infinite.
    """
    for name, number, least, most in (
        ("objects", objects, 2, JUDGED // 2),
        ("attributes", attributes, 1, 100),
        ("values", values, 2, JUDGED // 2),
        ("dim", dim, 2, 2**20),
        ("hidden", hidden, 0, 2**20),
        ("full_first", full_first, 0, 10**7),
        ("steps", steps, 1, 10**7),
        ("batch", batch, 2, JUDGED),
        ("seeds", seeds, 1, 1000),
        ("seed", seed, 0, 2**62),
    ):
        whole(name, number, least, most)
    at_least("temperature", temperature, 1e-3, 1e3)
    at_least("learning_rate", learning_rate, 1e-6, 1.0)
    one_of("private", private, PRIVATE)
    counts = list(range(attributes + 1))
    if omitted is not None:
        counts = several("omitted", omitted, least=1)
    for count in counts:
        whole("omitted", count, 0, attributes)
    distinct("omitted", [str(each) for each in counts])
    world = _World(
        objects=objects,
        attributes=attributes,
        values=values,
        omitted=torch.tensor(counts),
        varied=private == "varied",
    )
    inner = hidden or 0
    weights = 8 * (world.width * (inner or dim) + inner * dim)
    rows = 10 * max(batch, JUDGED) * (world.width + inner + dim) + 6 * batch**2
    fits("batch, seeds, hidden, dim", 4.0 * len(counts) * seeds * (weights + rows))
    draws = [torch.Generator().manual_seed(seed + run) for run in range(seeds)]
    encoders = [_start(world, dim, hidden, draws, len(counts)) for _ in range(2)]
    scale = torch.full((len(counts), seeds, 1, 1), -math.log(temperature)).requires_grad_()
    parameters = [each for encoder in encoders for each in encoder]
    optimiser = torch.optim.Adam([*parameters, scale], lr=learning_rate)
    total = full_first + steps
    every = max(1, total // POINTS)
    course: dict[int, Tensor] = {}
    with progress("training toy encoders", total) as advance:
        for step in range(total):
            full = step < full_first
            scale.requires_grad_(full or not frozen)
            both = _encoded(encoders, _draw(world, draws, batch, full=full), world)
            loss = _loss(*both, scale)
            if step % every == 0:
                course[step] = _gap(*both)
            if not bool(loss.isfinite().all()):
                raise Diverged(f"the loss became NaN or infinite at step {step}")
            optimiser.zero_grad()
            loss.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            advance(1)
    settings = {
        "objects": objects, "attributes": attributes, "values": values, "omitted": counts,
        "private": private, "dim": dim, "hidden": hidden, "temperature": temperature,
        "frozen": frozen, "full_first": full_first, "steps": steps, "batch": batch,
        "learning_rate": learning_rate, "seeds": seeds, "seed": seed,
    }  # fmt: skip
    found = _judged(encoders, scale.detach(), _draw(world, draws, JUDGED), world, batch)
    table_rows = {}
    for at, count in enumerate(counts):
        row = _over_runs(found[at])
        curve = [float(gap[at].mean()) for gap in course.values()]
        l2m = row["l2m"]
        end = [*course, total], [*curve, l2m.value]
        table_rows[str(count)] = row | {"l2m": traced(l2m.value, *end, l2m.interval)}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="omitted",
        rows=table_rows,
        heads=HEADS,
        settings=settings,
        notes=[
            f"{seeds} runs per row; measures on {JUDGED:,} new items each, entropies in nats over"
            f" their batches of {batch}",
            "predicted: mean natural logarithm of the number of items in the batch that fit",
        ],
    )


information_imbalance = Simulation(CARD, _information_imbalance)


def _start(
    world: _World, dim: int, hidden: int, draws: Sequence[torch.Generator], models: int
) -> list[Tensor]:
    """Weights and biases (k, s, in, out) of one encoder; the same for each row of the table."""
    sizes = [world.width, hidden, dim] if hidden else [world.width, dim]
    found = []
    for inner, outer in pairwise(sizes):
        for shape, scale in (((inner, outer), inner**-0.5), ((1, outer), 0.1)):
            drawn = torch.stack([torch.randn(shape, generator=each) for each in draws]) * scale
            found.append(drawn.expand(models, *drawn.shape).clone().requires_grad_())
    return found


def _draw(world: _World, draws: Sequence[torch.Generator], n: int, *, full: bool = False) -> _Items:
    """N items per seed. A caption that omits k attributes omits those of the last k ranks."""
    objects, values, ranks = [], [], []
    for each in draws:
        objects.append(torch.randint(world.objects, (n,), generator=each))
        values.append(torch.randint(world.values, (n, world.attributes), generator=each))
        order = torch.rand(n, world.attributes, generator=each).argsort(1)
        ranks.append(order if world.varied else torch.arange(world.attributes).expand(n, -1))
    kept = world.attributes - world.omitted
    named = torch.stack(ranks)[None] < kept[:, None, None, None]
    named = torch.ones_like(named) if full else named
    return _Items(torch.stack(objects), torch.stack(values), named)


def _encoded(
    encoders: Sequence[Sequence[Tensor]], items: _Items, world: _World
) -> tuple[Tensor, Tensor]:
    """Unit rows (k, s, n, d) of images and of captions."""
    thing = one_hot(items.objects, world.objects).float()
    attributes = one_hot(items.values, world.values).float()
    image = torch.cat([thing, attributes.flatten(2)], 2)[None]
    told = attributes * items.named[..., None]
    text = torch.cat([thing.expand(len(told), *thing.shape), told.flatten(3)], 3)
    return _encode(encoders[0], image), _encode(encoders[1], text)


def _encode(encoder: Sequence[Tensor], rows: Tensor) -> Tensor:
    for at in range(0, len(encoder), 2):
        rows = rows @ encoder[at] + encoder[at + 1]
        rows = rows.relu() if at + 2 < len(encoder) else rows
    return normalize(rows, dim=-1)


def _logits(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    logits: Tensor = (image @ text.transpose(-1, -2)) * scale.exp()
    return logits


def _loss(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """(k, s) symmetric InfoNCE."""
    logits = _logits(image, text, scale)
    both = logits.logsumexp(-1) + logits.logsumexp(-2)
    return (both / 2 - logits.diagonal(dim1=-2, dim2=-1)).mean(-1)


def _gap(image: Tensor, text: Tensor) -> Tensor:
    """(k, s) distance of means."""
    found: Tensor = (image - text).detach().mean(-2).norm(dim=-1)
    return found


@torch.no_grad()
def _judged(
    encoders: Sequence[Sequence[Tensor]], scale: Tensor, items: _Items, world: _World, batch: int
) -> list[list[dict[str, float]]]:
    """For each row and run, all numbers by name."""
    image, text = _encoded(encoders, items, world)
    found: list[list[dict[str, float]]] = []
    for at in range(len(image)):
        found.append([])
        for run in range(image.shape[1]):
            pair = _pair(image[at, run], text[at, run], items, run)
            numbers = {name: each.value for name, each in measure(pair, MEASURES).items()}
            parts = [
                _certainty(image[at, run, part], text[at, run, part], scale[at, run],
                           _fitting(items, at, run, part))
                for part in (slice(a, a + batch) for a in range(0, JUDGED - batch + 1, batch))
            ]  # fmt: skip
            numbers |= {name: statistics.fmean(each[name] for each in parts) for name in parts[0]}
            found[-1].append(numbers | {"temperature": float(torch.exp(-scale[at, run]))})
    return found


def _certainty(image: Tensor, text: Tensor, scale: Tensor, fit: Tensor) -> dict[str, float]:
    """Loss, and entropies with their predictions, of one batch."""
    logits = _logits(image, text, scale).double()
    numbers = {"loss": float(_loss(image, text, scale))}
    for name, axis in (("text", 0), ("image", 1)):
        numbers[f"entropy_{name}"] = _entropy(logits, axis)
        numbers[f"predicted_{name}"] = float(fit.sum(axis).double().log().mean())
    return numbers


def _fitting(items: _Items, at: int, run: int, part: slice) -> Tensor:
    """(n, n) whether image i has everything that caption j names."""
    objects, values = items.objects[run, part], items.values[run, part]
    same = (values[:, None] == values) | ~items.named[at, run, part]
    return (objects[:, None] == objects) & same.all(-1)


def _entropy(logits: Tensor, axis: int) -> float:
    """Mean entropy of the softmax along an axis of logits (n, n), in nats."""
    log = logits.log_softmax(axis)
    return float(-(log.exp() * log).sum(axis).mean())


def _pair(image: Tensor, text: Tensor, items: _Items, run: int) -> Pair:
    factors = {"object": _names(items.objects[run])}
    for at in range(items.values.shape[2]):
        factors[f"attribute {at + 1}"] = _names(items.values[run, :, at])
    return Pair(Embeddings(image, "image", factors=factors),
                Embeddings(text, "text", factors=factors))  # fmt: skip


def _names(codes: Tensor) -> list[str]:
    return [str(each) for each in codes.tolist()]


def _over_runs(runs: Sequence[Mapping[str, float]]) -> dict[str, Value]:
    """Means over runs, with Student's interval for several."""
    made = {}
    for name in runs[0]:
        found = [each[name] for each in runs]
        middle, interval = statistics.fmean(found), None
        if len(found) > 1:
            half = student_t(len(found) - 1) * statistics.stdev(found) / len(found) ** 0.5
            interval = (middle - half, middle + half)
        made[name] = Value(middle, interval)
    return made
