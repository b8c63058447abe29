"""Words whose embeddings are nearest to pseudo-tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modalgap import checks
from modalgap.arguments import checked
from modalgap.encode import Encoder, load_model
from modalgap.errors import InputError, NotApplicable
from modalgap.invert.output import Inverted
from modalgap.invert.prompt import text_tower_of

ROWS = 256  # pseudo-tokens per chunk


@checked
def nearest_words(
    found: Inverted, model: str | Encoder, *, k: int = 5, seed: int = 0
) -> list[list[list[tuple[str, float]]]]:
    """For each item and each of its pseudo-tokens, find the k nearest words and their cosines.

    The cosine is between the pseudo-token and the embedding of the word in the token table of the
    text tower. Pseudo-tokens can be far from all words and still work: then the words explain
    little.

    Args:
        found: the result of OTI.
        model: the model that it was made with.
        k: number of words per pseudo-token.
        seed: seed of the weights of a model named ``random``.

    Raises:
        NotApplicable: the result has no pseudo-tokens.
        InputError: the model has other weights.
    """
    vectors = found.vectors
    if vectors is None or found.features.modality != "text":
        raise NotApplicable("nearest words need pseudo-tokens; only oti makes them")
    encoder = load_model(model, seed=seed)
    tower = text_tower_of(encoder)
    table = next(tower.embedding.parameters()).detach().float().cpu()  # (words, width)
    own = encoder.provenance.get("weights_hash", "")
    if (
        found.features.provenance.get("weights_hash", own) != own
        or table.shape[1] != vectors.shape[2]
    ):
        by = found.features.provenance.get("model", "another")
        raise InputError(
            f"model: must have the weights that made the pseudo-tokens, from {by}; got other"
            f" weights, from {encoder.spec}"
        )
    checks.whole("k", k, 1, len(table))
    table = normalize(table, dim=1)
    near = [_top(each, table, k) for each in torch.split(vectors.flatten(0, 1), ROWS)]
    cosines = torch.cat([values for values, _ in near]).reshape(*vectors.shape[:2], k).tolist()
    ids = torch.cat([index for _, index in near]).reshape(*vectors.shape[:2], k)
    known = {each: tower.words([each])[0] for each in set(ids.flatten().tolist())}
    return [
        [
            [(known[i], cosine) for i, cosine in zip(row, values, strict=True)]
            for row, values in zip(item, of_item, strict=True)
        ]
        for item, of_item in zip(ids.tolist(), cosines, strict=True)
    ]


def _top(vectors: Tensor, table: Tensor, k: int) -> tuple[Tensor, Tensor]:
    found = (normalize(vectors, dim=1) @ table.T).topk(k, dim=1)
    return found.values, found.indices
