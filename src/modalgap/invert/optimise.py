"""Optimise vectors until their features have the direction of the targets.

Items of one batch are independent: each starts from noise that its own name determines, has its
own loss, and stops by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import xxhash
from torch import Tensor
from torch.nn.functional import normalize

from modalgap import checks
from modalgap.errors import Diverged, OptionError
from modalgap.invert.base import Advance, InversionBatch, InversionContext
from modalgap.invert.optimisers import OPTIMISERS

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: Mapping[str, Loss] = {
    "cosine": lambda features, targets: 1 - (features * targets).sum(1),
    "angle": lambda features, targets: torch.acos(
        (features * targets).sum(1).clamp(-1 + 1e-6, 1 - 1e-6)
    ),
}
KEEP = ("last", "best")
TILE = 4  # items
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of the optimisation; ``oti`` and ``ovi`` document each one."""

    optimiser: str
    steps: int
    lr: float
    weight_decay: float
    std: float
    wanted: float | None
    keep: str
    loss: str | Loss

    def __post_init__(self) -> None:
        checks.one_of("optimiser", self.optimiser, tuple(OPTIMISERS))
        checks.whole("steps", self.steps, 0, 1_000_000)
        checks.at_least("lr", self.lr, 0, 1e6)
        checks.at_least("weight_decay", self.weight_decay, 0, 1e6)
        checks.at_least("std", self.std, 0, 1e6)
        if self.wanted is not None:
            checks.at_least("wanted", self.wanted, -1, 1)
        checks.one_of("keep", self.keep, KEEP)
        if not callable(self.loss) and not (isinstance(self.loss, str) and self.loss in LOSSES):
            raise OptionError.unknown("loss", str(self.loss), LOSSES)

    @property
    def rule(self) -> Loss:
        """Map (b, d) unit features and (b, d) unit targets to losses (b,)."""
        return self.loss if callable(self.loss) else LOSSES[self.loss]

    def as_settings(self) -> dict[str, Any]:
        """The options as plain JSON types."""
        name = getattr(self.loss, "__qualname__", None) or str(self.loss)
        return {
            "optimiser": self.optimiser,
            "steps": self.steps,
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "std": self.std,
            "wanted": self.wanted,
            "keep": self.keep,
            "loss": name,
        }


class Descender:
    """An inverter that optimises.

    Args:
        context: provides the model, the device and the precision.
        objective: maps vectors (b, k, width) to features (b, d).
        count: k, the number of vectors per item.
        width: width of a vector.
        search: options of the optimisation.
        settings: further options that change the result.
    """

    def __init__(
        self,
        context: InversionContext,
        objective: Callable[[Tensor], Tensor],
        *,
        count: int,
        width: int,
        search: SearchOptions,
        settings: Mapping[str, Any],
    ) -> None:
        self.context = context
        self.objective = torch.compile(objective) if context.compiled else objective
        self.shape = (count, width)
        self.search = search
        self.settings = {**settings, **search.as_settings()}
        self.steps = search.steps

    def room(self, budget: int) -> int:
        """Number of items that fit into ``budget`` bytes, from the memory of two small passes."""
        held: dict[int, int] = {}

        def seen(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
            return tensor

        sizes = []
        for items in (TILE, 2 * TILE):  # memory that both use belongs to the model
            held.clear()
            start = torch.zeros(items, *self.shape, device=self.context.device, requires_grad=True)
            with torch.autograd.graph.saved_tensors_hooks(seen, lambda tensor: tensor):
                self._features(start)
            sizes.append(sum(held.values()))
        return max(1, TILE * budget // max(sizes[1] - sizes[0], 1))

    def start(self, names: Sequence[str]) -> Tensor:
        """Noise (b, k, width), a function of each name and of the seed only."""
        made = torch.empty(len(names), *self.shape)
        for row, name in enumerate(names):
            digest = xxhash.xxh3_64_intdigest(f"{self.context.seed}|{name}".encode())
            own = torch.Generator().manual_seed(digest % 2**63)
            made[row] = torch.randn(self.shape, generator=own)
        return (made * self.search.std).to(self.context.device)

    def __call__(
        self, names: Sequence[str], rows: Tensor, advance: Advance, at: Sequence[int] = ()
    ) -> InversionBatch:
        """Optimise all items of the batch.

        Raises:
            Diverged: the feature of an item is NaN or infinite.
        """
        search, device = self.search, self.context.device
        targets = rows.to(device)
        b, d = targets.shape
        rule = OPTIMISERS[search.optimiser](self.start(names), search.lr, search.weight_decay)
        # L-BFGS evaluates points that it then rejects: its current point is always the best one
        best = search.keep == "best" or search.optimiser == "lbfgs"
        active = torch.arange(b, device=device)
        vectors = rule.at.clone()
        features = torch.zeros(b, d, device=device)
        now = torch.full((b,), torch.inf, device=device)
        losses = torch.zeros(b, search.steps + 1, device=device)
        taken = torch.full((b,), search.steps, device=device)
        recorded: dict[int, Tensor] = {}
        for step in range(search.steps + 1):
            ends = step == search.steps
            at_point = rule.at.detach().requires_grad_()
            with torch.no_grad() if ends else nullcontext():
                found = self._features(at_point)
                loss = self._loss(found, targets[active])
            gradient = None if ends else torch.autograd.grad(loss.sum(), at_point)[0]
            with torch.no_grad():
                better = loss < now[active] if best else torch.ones_like(loss, dtype=torch.bool)
                rows_ = better[:, None]
                now[active] = torch.where(better, loss, now[active])
                features[active] = torch.where(rows_, found, features[active])
                vectors[active] = torch.where(rows_[..., None], rule.at, vectors[active])
                losses[:, step] = now
                if step in at:
                    recorded[step] = features.cpu().clone()
                advance(len(active))
                if gradient is None:
                    break
                rule.observe(loss.detach(), gradient)
                if search.wanted is not None:
                    there = (features[active] * targets[active]).sum(1) >= search.wanted
                    if bool(there.any()):
                        taken[active[there]] = step
                        advance(int(there.sum()) * (search.steps - step))
                        rule.keep(torch.nonzero(~there).flatten())
                        active = active[~there]
                        if len(active) == 0:
                            losses[:, step:] = now[:, None]
                            break
        for step in at:  # steps after the last item stopped
            recorded.setdefault(step, features.cpu().clone())
        cosines = (features * targets).sum(1)
        fine = now.isfinite() & cosines.isfinite() & vectors.isfinite().all(2).all(1)
        wrong = torch.nonzero(~fine).flatten()
        if len(wrong):
            hint = f" with lr {search.lr:g}; use a smaller lr"
            raise Diverged(
                f"{names[int(wrong[0])]}: diverged (NaN or infinity) within {search.steps} steps"
                + (hint if search.optimiser == "adamw" else "")
            )
        return InversionBatch(
            features.cpu(), cosines.cpu(), vectors.cpu(), losses.cpu(), taken.cpu(), recorded
        )

    def _loss(self, found: Tensor, targets: Tensor) -> Tensor:
        """Losses (b,).

        Raises:
            OptionError: the user's function returns another shape or has no gradient.
        """
        loss: object = self.search.rule(found, targets)
        if not isinstance(loss, Tensor) or loss.shape != found.shape[:1]:
            what = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise OptionError(f"loss: must return a tensor of shape ({len(found)},); got {what}")
        if found.requires_grad and not loss.requires_grad:
            raise OptionError("loss: must be differentiable with respect to the features")
        return loss

    def _features(self, vectors: Tensor) -> Tensor:
        """Unit features (b, d).

        On the CPU, matrix products round the rows of an incomplete tile differently. Whole tiles
        make the rounding of an item independent of its batch.
        """
        b = len(vectors)
        if self.context.device.type == "cpu" and (rest := -b % TILE):
            vectors = torch.cat([vectors, vectors[-1:].detach().expand(rest, -1, -1)])
        dtype = DTYPES.get(self.context.precision)
        with (
            nullcontext()
            if dtype is None
            else torch.autocast(self.context.device.type, dtype=dtype)
        ):
            features = self.objective(vectors)
        return normalize(features[:b].float(), dim=1)


def default_steps(steps: int | None, optimiser: str, usual: Mapping[str, int]) -> int:
    """The number of steps, or the default of the optimiser if it is None."""
    if steps is not None:
        return steps
    checks.one_of("optimiser", optimiser, tuple(usual))
    return usual[optimiser]
