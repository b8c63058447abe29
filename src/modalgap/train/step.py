"""One step: features of the batch, gathered over processes, their loss, and its gradient.

Every process computes the loss on all pairs of the batch. The backward pass of gathering sums
gradients over processes, and the gradients of the weights are averaged over processes: together
this is the gradient of the loss in a single process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modalgap.encode.trainable import other_towers
from modalgap.errors import ModalgapError
from modalgap.losses import Features, Objective
from modalgap.train.batches import Batch
from modalgap.train.config import Swap

# unit rows of images and of texts, 1/τ, the bias or None, unit rows of further modalities
Encoded = tuple[Tensor, Tensor, Tensor, Tensor | None, tuple[Tensor, ...]]


class Towers(nn.Module):
    """All towers in one call, for distributed training.

    Args:
        model: a model of open_clip, with the towers of further modalities; see ``Trainable``.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, ids: Tensor, others: tuple[Tensor, ...] = ()) -> Encoded:
        """Unit rows (v·b, d) of images and (b, d) of texts, 1/τ, the bias or None, other rows."""
        image = functional.normalize(self.model.encode_image(images).float(), dim=1)
        text = functional.normalize(self.model.encode_text(ids).float(), dim=1)
        bias = getattr(self.model, "logit_bias", None)
        scale = self.model.logit_scale.float().exp().reshape(())
        # a copy: DDP does not track a parameter that a forward pass returns
        bias = None if bias is None else bias.float().reshape(()) + 0.0
        return image, text, scale, bias, self.encode_others(others)

    def encode_others(self, others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Unit rows (b, d) of each further modality, from its inputs."""
        towers = other_towers(self.model).values()
        return tuple(
            functional.normalize(tower(each).float(), dim=1)
            for tower, each in zip(towers, others, strict=True)
        )


class Stepper:
    """Computes the loss and the gradients of a step.

    Args:
        fabric: the Lightning Fabric.
        towers: ``Towers``, set up by it.
        objective: the losses.
        swap: settings of modality swapping.
        accumulate: number of parts in which a process encodes its pairs.
        seed: seed of dropout and swapping.
    """

    def __init__(
        self,
        fabric: Any,
        towers: Any,
        objective: Objective,
        swap: Swap,
        accumulate: int,
        seed: int,
    ) -> None:
        self.fabric, self.towers, self.objective = fabric, towers, objective
        self.swap, self.accumulate, self.seed = swap, accumulate, seed

    def __call__(self, step: int, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Add the gradients of one step to the weights; return the loss and its parts."""
        torch.manual_seed(_mixed(self.seed, step, self.fabric.global_rank))
        if self.accumulate == 1:
            total, parts = self.objective(self._features(step, *self._encode(batch)))
            self.fabric.backward(total)
            return total.detach(), parts
        return self._in_parts(step, batch)

    def _encode(self, batch: Batch) -> Encoded:
        images = batch.images if batch.views is None else torch.cat([batch.images, *batch.views])
        found: Encoded = self.towers(images, batch.ids, batch.others)
        return found

    def _in_parts(self, step: int, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The same gradient, one part of the pairs at a time (Gao et al. 2021, GradCache).

        Features of all parts are computed without gradients; the loss gives the gradient of each
        feature; then each part is computed again, to propagate that gradient to the weights.
        """
        parts = _parts(batch, self.accumulate)
        states, images, texts, others = [], [], [], []
        with torch.no_grad():
            for part in parts:
                states.append(torch.random.get_rng_state())
                image, text, scale, bias, rest = self._encode(part)
                images.append(_stacks(image, part))
                texts.append(text)
                others.append(rest)
        leaves = [torch.cat(images, 1), torch.cat(texts), scale]
        leaves += [torch.cat(each) for each in zip(*others, strict=True)]
        count = len(leaves)
        leaves += [] if bias is None else [bias]
        for leaf in leaves:
            leaf.requires_grad_()
        features = self._features(
            step, leaves[0].flatten(0, 1), leaves[1], scale, bias, tuple(leaves[3:count])
        )
        total, losses = self.objective(features)
        grads = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
        start = 0
        for i, (part, state) in enumerate(zip(parts, states, strict=True)):
            torch.random.set_rng_state(state)
            rows, last = slice(start, start + len(part.ids)), i == len(parts) - 1
            with self.fabric.no_backward_sync(self.towers, enabled=not last):
                image, text, scale, bias, rest = self._encode(part)
                along = (_stacks(image, part) * grads[0][:, rows]).sum()
                for each, grad in zip((text, *rest), (grads[1], *grads[3:count]), strict=True):
                    along = along + (each * grad[rows]).sum()
                # the temperature and the bias are equal in all parts: their gradient counts once
                along = along + scale * grads[2] * last
                if bias is not None:
                    along = along + bias * grads[count] * last
                self.fabric.backward(along)
            start = rows.stop
        return total.detach(), losses

    def _features(
        self,
        step: int,
        image: Tensor,
        text: Tensor,
        scale: Tensor,
        bias: Tensor | None,
        others: tuple[Tensor, ...],
    ) -> Features:
        """Features of the whole batch, in the order of its pairs."""
        stacks = image.view(-1, *text.shape)  # (v, b, d)
        whole, *views = (self._gathered(each) for each in stacks)
        x, y = self._swapped(step, whole, self._gathered(text))
        return Features(
            image=x, text=y, scale=scale, bias=bias, views=(views[0], views[1]) if views else None,
            others=tuple(map(self._gathered, others)),
        )  # fmt: skip

    def _gathered(self, rows: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return rows
        found: Tensor = self.fabric.all_gather(rows, sync_grads=True)
        return found.flatten(0, 1)

    def _swapped(self, step: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if not self.swap.share:
            return x, y
        draw = torch.Generator().manual_seed(_mixed(self.seed, step, -1))  # equal in all processes
        chosen = torch.rand(len(x), 1, generator=draw) < self.swap.share
        weight = chosen.float()
        if self.swap.kind == "soft":
            weight = weight * torch.rand(len(x), 1, generator=draw)
        weight = weight.to(x)
        mixed = x + weight * (y - x), y + weight * (x - y)
        if self.swap.kind == "soft":
            return functional.normalize(mixed[0], dim=1), functional.normalize(mixed[1], dim=1)
        return mixed


def _stacks(image: Tensor, part: Batch) -> Tensor:
    """(v·b, d) rows of images and their views as (v, b, d)."""
    return image.view(-1, len(part.ids), image.shape[1])


def _parts(batch: Batch, count: int) -> list[Batch]:
    if count > len(batch.ids):
        raise ModalgapError(
            f"accumulate: must be at most {len(batch.ids)}, the pairs of a process; got {count}"
        )
    images, ids = batch.images.tensor_split(count), batch.ids.tensor_split(count)
    others = zip(*(each.tensor_split(count) for each in batch.others), strict=True)
    rest = list(others) or [()] * count
    if batch.views is None:
        return [Batch(x, y, None, z) for x, y, z in zip(images, ids, rest, strict=True)]
    views = zip(*(each.tensor_split(count) for each in batch.views), strict=True)
    return [Batch(*each) for each in zip(images, ids, views, rest, strict=True)]


def _mixed(seed: int, step: int, rank: int) -> int:
    """One seed from three numbers."""
    return ((seed * 1_000_003 + step) * 4099 + rank + 1) % 2**63
