"""The words that pseudo-tokens are nearest to."""

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

ROWS = 256  # pseudo-tokens compared at once


@checked
def nearest_words(
    found: Inverted, model: str | Encoder, *, k: int = 5, seed: int = 0
) -> list[list[list[tuple[str, float]]]]:
    """For each item and each of its pseudo-tokens, the k nearest words and their cosines.

    Nearness is the cosine between the pseudo-token and the embedding of the word, the table that
    the text tower reads its tokens from. Pseudo-tokens may lie far from all words and still do
    their work: then the words say little.

    Args:
        found: of OTI.
        model: that it was made with.
        k: how many words.
        seed: of weights named ``random``.

    Raises:
        NotApplicable: there are no pseudo-tokens.
        InputError: the model is another.
    """
    vectors = found.vectors
    if vectors is None or found.features.modality != "text":
        raise NotApplicable("only pseudo-tokens, of oti, have words near them")
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
            f"model: must have the weights that made the pseudo-tokens, of {by}; got other weights,"
            f" of {encoder.spec}"
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
