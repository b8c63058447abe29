"""Random encoders with different seeds embed the same inputs in different cones.

Untrained encoders, which differ only in the seed of their weights, embed the same inputs. If each
has its own cone, the rows of each seed are a cluster. The separation is measured by the silhouette,
by a linear probe for the seed on held-out inputs, and by the spectrum of a joint PCA: the centres
of s clusters span s − 1 directions. Coordinates are those of the joint PCA, not of UMAP.
Encoders: ``mlp``, 5 ReLU layers with bias, W, b ~ N(0, 1/d); ``clip_image`` and ``clip_text``,
small towers of open_clip's CLIP with its initialisation; ``resnet``, a small image tower of CLIP's
ResNet. Real inputs are digits of scikit-learn and captions of MAD; noise is N(0, I), and random
tokens for texts.
Source: Liang et al. 2022, section 2.3 and figure 2c.
Expected: one cluster per seed, on real inputs and on noise; a step in the spectrum after
component s − 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import fits, one_of, whole
from modalgap.errors import Diverged
from modalgap.extras import import_extra
from modalgap.linalg import psd_eigh, solve, to_unit
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation
from modalgap.simulate.wide_networks import Layers
from modalgap.trace import traced

ENCODERS = ("mlp", "clip_image", "clip_text", "resnet")
INPUTS = ("real", "noise")
MOST = 1797  # scikit-learn's digits
MLP_LAYERS = 5
CONTEXT, WORDS, START, END = 77, 49408, 49406, 49407  # of CLIP's tokens
NOISE_TOKENS = 12  # about as many as a caption has
RIDGE = 1e-3  # of the linear probe, relative to the mean variance
POINTS = 150  # per seed that are stored for drawings
TEXT = {"context_length": CONTEXT, "vocab_size": WORDS, "width": 64, "heads": 4, "layers": 2}
IMAGES: dict[str, dict[str, Any]] = {
    "clip_image": {"image_size": 28, "layers": 3, "width": 96, "head_width": 24, "patch_size": 7},
    "resnet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16},
}
HEADS = {
    "silhouette": "silhouette",
    "probe": "accuracy of a linear probe for the seed",
    "within": "mean cosine, one seed",
    "between": "mean cosine, two seeds",
    "variance": "share of variance between seeds",
    "step_at": "largest step after component",
    "step": "ratio of that step",
}
CARD = Card(
    name="random_encoders",
    title="Random encoders have different cones",
    idea="Embeds the same inputs by encoders with different seeds; measures how these separate.",
    source="Liang et al. 2022, section 2.3 and figure 2c",
    question="Do two encoders start with a gap only because their weights differ?",
    traits=("random",),
)


@checked
def _random_encoders(
    n: int = 200,
    *,
    encoder: str = "mlp",
    inputs: str = "real",
    seeds: int = 8,
    seed: int = 0,
) -> Table:
    """Embed the same inputs by random encoders, and measure how the seeds separate.

    Args:
        n: number of inputs, at most 1,797.
        encoder: one of mlp, clip_image, clip_text and resnet; all but mlp need
            ``modalgap[models]``.
        inputs: "real" or "noise".
        seeds: number of encoders.
        seed: seed of the inputs and of the first encoder.

    Returns:
        A row for each seed: ``within``, the mean cosine of different inputs, and ``place``, the
        first two coordinates of the joint PCA. A row "all seeds": ``silhouette``; ``probe``, the
        held-out accuracy of a linear classifier of the seed; ``within`` and ``between``, the mean
        cosines of different inputs of one seed and of any inputs of two; ``variance``, the share
        between seeds; ``spectrum``, the first 2 ``seeds`` shares of variance of the joint PCA;
        ``step_at`` and ``step``, the position and the ratio of its largest step.

    Raises:
        OptionError: an option outside its range, or sizes that do not fit in memory.
        InputError: a library is missing.
        Diverged: features are 0 or infinite.
    """
    whole("n", n, 4, MOST)
    whole("seeds", seeds, 2, 1000)
    whole("seed", seed, 0, 2**31)
    one_of("encoder", encoder, ENCODERS)
    one_of("inputs", inputs, INPUTS)
    fits("n, seeds", 8.0 * (n * seeds) ** 2 + 4.0 * n * (3 * 32 * 32 + 784 * (seeds + 4)))
    random = torch.Generator().manual_seed(seed)
    features: list[Tensor] = []
    with progress("random encoders", seeds) as advance:
        for each in range(seed, seed + seeds):
            encode = _mlp if encoder == "mlp" else _tower
            with torch.inference_mode():
                if not features:
                    batch = _inputs(n, encoder, inputs, random, seed)
                unit, lengths = to_unit(encode(encoder, each)(batch))
            if not bool((lengths > 0).all() and lengths.isfinite().all()):
                raise Diverged(f"seed {each}: the features are 0 or infinite")
            features.append(unit.double())
            advance(1)
    stacked = torch.stack(features)
    rows = {
        f"seed {seed + at}": {
            "within": Value(_mean_cosine(stacked[at])),
            "place": traced(_mean_cosine(stacked[at]), *place.T.tolist()),
        }
        for at, place in enumerate(_places(stacked)[:, :POINTS])
    }
    rows["all seeds"] = _summary(stacked)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="encoder",
        rows=rows,
        heads=HEADS,
        settings={"n": n, "encoder": encoder, "inputs": inputs, "seeds": seeds, "seed": seed},
        notes=[
            f"{encoder}, {n:,} {inputs} inputs, {seeds} encoders, {stacked.shape[2]} dimensions",
            "probe: fitted on one half of the inputs, tested on the other; the chance level is 1 /"
            " number of seeds",
            f"{seeds} clusters span {seeds - 1} directions",
        ],
    )


random_encoders = Simulation(CARD, _random_encoders)


def _inputs(
    n: int, encoder: str, inputs: str, random: torch.Generator, seed: int
) -> Tensor | list[str]:
    """Inputs of an encoder: rows (n, 784), images (n, 3, h, w), token ids (n, 77), or texts."""
    from modalgap.data.mad import FACTORS, Captions, digits  # listing needs no images

    if encoder == "clip_text":
        if inputs == "real":
            rng = np.random.default_rng(seed)
            codes = np.stack([rng.integers(0, len(words), n) for words in FACTORS.values()], 1)
            return list(Captions.named("object_attribute_5").write(codes, rng))
        ids = torch.zeros(n, CONTEXT, dtype=torch.long)
        ids[:, 0], ids[:, NOISE_TOKENS + 1] = START, END
        ids[:, 1 : NOISE_TOKENS + 1] = torch.randint(1, START, (n, NOISE_TOKENS), generator=random)
        return ids
    if inputs == "noise":
        side = 32 if encoder == "resnet" else 28
        shape = (n, side * side) if encoder == "mlp" else (n, 3, side, side)
        return torch.randn(*shape, generator=random)
    grey = torch.from_numpy(digits(limit=n, seed=seed).images).float() / 127.5 - 1
    if encoder == "mlp":
        return grey.flatten(1)
    edge = (IMAGES[encoder]["image_size"] - 28) // 2
    return pad(grey, (edge,) * 4, value=-1.0)[:, None].expand(-1, 3, -1, -1)


Encode = Callable[[Any], Tensor]


def _mlp(_: str, seed: int) -> Encode:
    """Rows (n, d) to features (n, d)."""

    def encode(rows: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(2**32 + seed)  # other numbers than the inputs'
        network = Layers("relu", rows.shape[1], bias=True, norm="none", tokens=1, random=random)
        for _ in range(MLP_LAYERS):
            rows = network.next(rows)
        return rows

    return encode


def _tower(encoder: str, seed: int) -> Encode:
    """Images, texts or token ids to features (n, 64) of an untrained CLIP."""
    trainable = import_extra("modalgap.encode.trainable", "models", f"encoder={encoder}")
    vision = IMAGES["resnet" if encoder == "resnet" else "clip_image"]
    made = trainable.build({"embed_dim": 64, "vision_cfg": vision, "text_cfg": TEXT}, seed=seed)
    model: Any = made.model.eval()

    def encode(batch: Tensor | list[str]) -> Tensor:
        if encoder == "clip_text":
            ids = batch if isinstance(batch, Tensor) else made.tokenizer(batch)
            features: Tensor = model.encode_text(ids)
        else:
            features = model.encode_image(batch)
        return features

    return encode


def _mean_cosine(rows: Tensor) -> float:
    """Mean cosine of different unit rows (n, d)."""
    n, total = len(rows), rows.sum(0)
    return float((total @ total - n) / (n * (n - 1)))


def _places(rows: Tensor) -> Tensor:
    """(seeds, n, 2): first two coordinates of the joint PCA of rows (seeds, n, d)."""
    joint = rows.flatten(0, 1)
    joint = joint - joint.mean(0)
    vectors = psd_eigh(joint.T @ joint)[1][:, :2]
    # the sign of an eigenvector is arbitrary: its largest entry is positive
    vectors = vectors * vectors.gather(0, vectors.abs().argmax(0)[None]).sign()
    return (joint @ vectors).unflatten(0, rows.shape[:2])  # type: ignore[no-untyped-call, no-any-return]


def _summary(rows: Tensor) -> dict[str, Value]:
    """Numbers of the separation of rows (seeds, n, d)."""
    seeds, n, _ = rows.shape
    joint = rows.flatten(0, 1)
    centred = joint - joint.mean(0)
    shares = psd_eigh(centred.T @ centred)[0]
    shares = shares / shares.sum()
    # steps that are not between two numbers of rounding
    steps = shares[:-1] / shares[1:].clamp(min=1e-6)
    steps = steps[: 2 * seeds]
    centres = rows.mean(1)
    total = centres.sum(0)
    between = (total @ total - centres.square().sum()) / (seeds * (seeds - 1))
    within = sum(_mean_cosine(each) for each in rows) / seeds
    variance = (centres - joint.mean(0)).square().sum() * n / centred.square().sum()
    shown = shares[: 2 * seeds].tolist()
    return {
        "silhouette": Value(silhouette(rows)),
        "probe": Value(probe(rows)),
        "within": Value(within),
        "between": Value(float(between)),
        "variance": Value(float(variance)),
        "spectrum": traced(shown[0], range(1, len(shown) + 1), shown),
        "step_at": Value(float(steps.argmax()) + 1),
        "step": Value(float(steps.max())),
    }


def silhouette(rows: Tensor) -> float:
    """Mean silhouette of rows (clusters, n, d), by Euclidean distance.

    For each row (b − a)/max(a, b): a is the mean distance to the rest of its cluster, b the
    smallest mean distance to another cluster. Source: Rousseeuw 1987.
    """
    clusters, n, _ = rows.shape
    found = []
    joint = rows.flatten(0, 1)
    for at, own in enumerate(rows):
        means = torch.cdist(own, joint).view(n, clusters, n).mean(2)
        inside = means[:, at] * n / (n - 1)
        means[:, at] = torch.inf
        nearest = means.min(1).values
        found.append((nearest - inside) / torch.maximum(nearest, inside).clamp(min=1e-300))
    return float(torch.cat(found).mean())


def probe(rows: Tensor) -> float:
    """Accuracy of a linear classifier of the cluster of rows (clusters, n, d), on held-out items.

    Ridge regression on one-hot clusters, fitted on the first half of the items of every cluster.
    """
    clusters, n, _ = rows.shape
    half = n // 2
    fitted, held_out = rows[:, :half].flatten(0, 1), rows[:, half:].flatten(0, 1)
    mean = fitted.mean(0)
    fitted, held_out = fitted - mean, held_out - mean
    scatter = fitted.T @ fitted
    scatter += RIDGE * scatter.diagonal().mean() * torch.eye(len(scatter), dtype=scatter.dtype)
    wanted = one_hot(torch.arange(clusters).repeat_interleave(half)).double()
    weights = solve(scatter, fitted.T @ (wanted - wanted.mean(0)))
    answers = (held_out @ weights).argmax(1)
    right = answers == torch.arange(clusters).repeat_interleave(n - half)
    return float(right.double().mean())
