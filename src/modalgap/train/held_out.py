"""Measurements on the held-out pairs while a model trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.encode.trainable import other_towers
from modalgap.errors import NotApplicable
from modalgap.measure import measure
from modalgap.train.batches import HeldOut
from modalgap.train.step import Towers

MEASURED = ("l2m", "l2i", "rmg", "matched_cosine", "cone", "moad")
ENTROPY = ("logit_entropy_image", "logit_entropy_text")
PART = 256  # rows per forward pass


def encoded(towers: Towers, held_out: HeldOut, texts: Sequence[Tensor]) -> Pair | Modalities:
    """Encode the held-out items with the current model; a pair if there are two modalities.

    Args:
        towers: the model, in evaluation mode.
        held_out: the images, and the inputs of further towers.
        texts: tokens of their captions, in parts.
    """
    device = next(towers.parameters()).device
    images = [_images(towers, part.to(device)) for part in torch.split(held_out.images, PART)]
    features = [_texts(towers, part.to(device)) for part in texts]
    others = {
        name: [_others(towers, i, part.to(device)) for part in torch.split(inputs, PART)]
        for i, (name, inputs) in enumerate(held_out.others.items())
    }
    scale = str(float(towers.model.logit_scale.detach().exp()))
    sides = [
        Embeddings(
            torch.cat(rows).cpu(), modality, factors=held_out.factors or None,
            provenance={"logit_scale": scale},
        )
        for modality, rows in {"image": images, "text": features, **others}.items()
    ]  # fmt: skip
    return Pair(sides[0], sides[1]) if len(sides) == 2 else Modalities(sides)


def right(
    images: Tensor,
    prompts: Mapping[str, Mapping[str, Sequence[str]]],
    factors: Mapping[str, Sequence[str]],
    embed: Callable[[list[str]], Tensor],
) -> dict[str, Tensor]:
    """Whether the true value of a factor is the nearest of all values, for each image.

    The feature of a value is the mean of the unit features of its prompts (Radford et al. 2021,
    section 3.1.4).

    Args:
        images: (n, d) unit rows.
        prompts: maps factor to value to captions.
        factors: maps a factor to the value of each image.
        embed: maps captions to unit rows.

    Returns:
        A mapping of factor to (n,) booleans.
    """
    result: dict[str, Tensor] = {}
    for factor, values in prompts.items():
        classes = torch.stack(
            [functional.normalize(embed(list(each)).mean(0), dim=0) for each in values.values()]
        )
        names = list(values)
        truth = torch.tensor([names.index(value) for value in factors[factor]])
        result[factor] = (images @ classes.T).argmax(1) == truth
    return result


def accuracies(towers: Towers, pair: Pair, held_out: HeldOut, tokenizer: Any) -> dict[str, float]:
    """The fraction of images for which ``right`` is true, by factor. Higher is better.

    Without prompts: ``match``, the fraction of images whose nearest caption is correct. Identical
    captions, and all captions of an image, are correct.
    """
    device = next(towers.parameters()).device
    images = pair.image.take(torch.arange(pair.image.n))

    def embed(sentences: list[str]) -> Tensor:
        return _texts(towers, tokenizer(sentences).to(device)).cpu()

    found = right(images, held_out.prompts, held_out.factors, embed)
    if not found:
        cosine = images @ pair.text.take(torch.arange(pair.text.n)).T
        wrong = ~torch.from_numpy(held_out.right)
        best = cosine.masked_fill(wrong, -torch.inf).amax(1, keepdim=True)
        found["match"] = ~((cosine >= best) & wrong).any(1)  # a tie with a wrong one is wrong
    return {factor: float(each.double().mean()) for factor, each in found.items()}


def measured(data: Pair | Modalities, temperature: float) -> dict[str, float]:
    """The measures that apply, by name; for three modalities as ``rmg.image.text``."""
    found: dict[str, float] = {}
    for name in (*MEASURED, *ENTROPY):
        options = {"temperature": temperature} if name in ENTROPY else {}
        try:
            result = measure(data, name, **options)
        except NotApplicable:
            continue
        found |= {key: value.value for key, value in result.measures.items()}
    return found


@torch.no_grad()
def _images(towers: Towers, batch: Tensor) -> Tensor:
    return functional.normalize(towers.model.encode_image(batch).float(), dim=1)


@torch.no_grad()
def _texts(towers: Towers, ids: Tensor) -> Tensor:
    return functional.normalize(towers.model.encode_text(ids).float(), dim=1)


@torch.no_grad()
def _others(towers: Towers, place: int, inputs: Tensor) -> Tensor:
    tower = list(other_towers(towers.model).values())[place]
    return functional.normalize(tower(inputs).float(), dim=1)
