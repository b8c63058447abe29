"""Who answers whom: in one pool of all modalities, which modality do the results have?

Every row asks, and the query itself is left out. For queries of modality q, ``q_to_f_top1`` is the
share of nearest items that are of modality f, and ``q_to_f_top10`` the share of the first ten.
``details["fair"]`` has the share of each modality in the pool without the query, which results
would have if modality played no role. Works for two modalities and more.
Source: confusion of modalities, MMEB-V3, arXiv 2604.23321.
Relations: itr is image_to_text_top1 of a pair. mixed also asks whether the results are right.
Fails when: a modality has many more rows than another: compare with the fair share, not with 1/N.
"""

from __future__ import annotations

import numpy as np
import torch

from modalgap import checks
from modalgap.card import Card
from modalgap.embeddings import Modalities, Pair
from modalgap.evaluate.base import Outcome, Scores, Task
from modalgap.linalg import blocks
from modalgap.progress import progress

CARD = Card(
    name="answers",
    title="Who answers whom",
    question="In one index of all modalities, which modality do the results have?",
    idea="The share of the first results of each modality, for queries of each modality.",
    source="MMEB-V3, arXiv 2604.23321",
    traits=("sampled", "together"),
    main=("{0}_to_{1}_top1", "{1}_to_{0}_top1"),
)


def _answers(
    data: Pair | Modalities, *, k: int = 10, max_rows: int = 10_000, seed: int = 0
) -> Outcome:
    """Options.

    ``k``: number of results. ``max_rows``: largest number of rows of each modality in the pool.
    ``seed``: of their choice.
    """
    checks.whole("k", k, 1)
    checks.whole("max_rows", max_rows, 2)
    checks.whole("seed", seed, 0)
    data = Modalities.of(data) if isinstance(data, Pair) else data
    names = list(data)
    chosen = [checks.sample(side.n, max_rows, seed) for side in data.sides]
    parts = [side.take(index) for side, index in zip(data.sides, chosen, strict=True)]
    pool = torch.cat(parts)
    owner = torch.cat([torch.full((len(rows),), i) for i, rows in enumerate(parts)])
    first = min(k, len(pool) - 1)
    scores: dict[str, Scores] = {}
    fair: dict[str, dict[str, float]] = {}
    start = 0
    with progress("who answers whom", len(pool)) as advance:
        for query, rows, index in zip(names, parts, chosen, strict=True):
            found = []
            for a, b in blocks(len(rows), len(pool)):
                cosine = rows[a:b] @ pool.T
                cosine[torch.arange(b - a), torch.arange(start + a, start + b)] = -torch.inf
                found.append(owner[cosine.topk(first, dim=1).indices])
                advance(b - a)
            start += len(rows)
            results = torch.cat(found).numpy()  # (n, first): the modality of each result
            clusters = data.clusters[query][index.numpy()]
            fair[query] = {}
            for i, name in enumerate(names):
                others = len(parts[i]) - (name == query)
                fair[query][name] = others / (len(pool) - 1)
                for end, shown in ((1, results[:, :1]), (k, results)):
                    values = (shown == i).mean(1, dtype=np.float64)
                    scores[f"{query}_to_{name}_top{end}"] = Scores(
                        values, clusters, better="neither"
                    )
    return Outcome(scores, {"fair": fair})


answers = Task(CARD, _answers)
