"""Differentiable functions from pseudo-tokens or pseudo-patches to features."""

from __future__ import annotations

import torch
from torch import Tensor

from modalgap.encode import ImageTower, TextTower
from modalgap.encode.towers import Past, Stack
from modalgap.invert.prompt import Prompt

CLOSE = 1e-4  # tolerance between the stack and the tower itself, on unit features


class FromTokens:
    """Map pseudo-tokens (b, k, width) in a prompt to features (b, d).

    Constants are computed once: the embeddings of the words and, in a causal tower, the keys and
    values of all tokens before the first place.
    """

    def __init__(self, tower: TextTower, prompt: Prompt, device: torch.device) -> None:
        self.tower = tower
        self.tokens = prompt.tokens.to(device)
        self.repeats, self.count = prompt.places.shape
        self.places = prompt.places.flatten().to(device)
        with torch.no_grad():
            self.embedded: Tensor = tower.embedding(self.tokens.ids)  # (1, l, width)
        self.width = int(self.embedded.shape[2])
        self.positions = int(self.embedded.shape[1])
        self.pasts: tuple[Past, ...] = ()
        self.start = 0
        self.stack = self._usable(tower.stack)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Features (b, d)."""
        if self.stack is None:
            embedded = self._filled(vectors, 0)
            b = len(vectors)
            tokens = type(self.tokens)(
                self.tokens.ids.expand(b, -1), self.tokens.lengths.expand(b), self.tokens.cut
            )
            return self.tower.features(embedded, tokens)
        return self.stack.features(self._filled(vectors, self.start), self.pasts)

    def _filled(self, vectors: Tensor, start: int) -> Tensor:
        """Embeddings (b, l - start, width) of the prompt from ``start``, with filled places."""
        around = self.embedded[:, start:].expand(len(vectors), -1, -1)
        filled: Tensor = around.index_copy(
            1, self.places - start, vectors.repeat(1, self.repeats, 1)
        )
        return filled

    def _usable(self, stack: Stack | None) -> Stack | None:
        """The stack, if its features equal those of the tower."""
        if stack is None:
            return None
        if stack.causal:
            self.start = int(self.places[0])
            self.pasts = stack.prefix(self.embedded[:, : self.start]) if self.start else ()
        with torch.no_grad():
            vectors = self.embedded[:, self.places[: self.count]]
            ours = stack.features(self._filled(vectors, self.start), self.pasts)
            theirs = self.tower.features(self.embedded, self.tokens)
        return stack if _same(ours, theirs) else None


class FromPatches:
    """Map pseudo-patches (b, k, width), spread over all patches, to features (b, d).

    Each position takes the nearest of the k pseudo-patches, in reading order: patch i of n takes
    pseudo-patch ⌊i k / n⌋.
    """

    def __init__(self, tower: ImageTower, count: int, device: torch.device) -> None:
        self.tower = tower
        self.count = count
        self.positions, self.width = tower.shape
        self.device = device
        nearest = torch.arange(self.positions) * count // self.positions
        self.runs = torch.bincount(nearest, minlength=count).tolist()  # patches of each
        self.stack = self._usable(tower.stack)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Features (b, d)."""
        # one view each: gradients are then summed in a fixed order, unlike with indexing
        spread = [
            each.expand(-1, run, -1)
            for each, run in zip(vectors.unsqueeze(2).unbind(1), self.runs, strict=True)
        ]
        patches = torch.cat(spread, 1)
        return self.tower.features(patches) if self.stack is None else self.stack.features(patches)

    def _usable(self, stack: Stack | None) -> Stack | None:
        if stack is None:
            return None
        with torch.no_grad():
            patches = self.tower.patches(self.tower.blank.to(self.device))
            same = _same(stack.features(patches), self.tower.features(patches))
        return stack if same else None


def _same(ours: Tensor, theirs: Tensor) -> bool:
    ours, theirs = (torch.nn.functional.normalize(each.float(), dim=1) for each in (ours, theirs))
    return bool((ours - theirs).abs().max() < CLOSE)
