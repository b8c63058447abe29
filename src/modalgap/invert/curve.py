"""Cosine and retrieval quality against the number of optimisation steps.

The cosine keeps improving after retrieval has stopped to improve, so that the best step is often
an early one. Source: Mistretta et al. 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from modalgap import checks
from modalgap.arguments import checked
from modalgap.embeddings import Embeddings, Pair
from modalgap.encode import Encoder, load_model
from modalgap.encode.device import check_precision, device_of
from modalgap.errors import OptionError, quoted
from modalgap.invert.base import InversionContext
from modalgap.invert.engine import batch_of
from modalgap.invert.inputs import check_model, item_names, known_features, side_of
from modalgap.invert.method import Inversion
from modalgap.invert.registry import METHODS
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.search import search

AT = (0, 1, 2, 5, 10, 20, 50, 100, 150, 300, 1000)
NATIVE = "native"


@checked
def curve(
    queries: Embeddings | Pair,
    gallery: Embeddings | Pair,
    method: str | Inversion,
    model: str | Encoder,
    *,
    at: Sequence[int] | None = None,
    protocol: str = "split",
    factor: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    **options: Any,
) -> Table:
    """Invert queries, and evaluate retrieval at chosen steps.

    Args:
        queries: native features to invert.
        gallery: native features to search.
        method: "oti" or "ovi", or your own method that optimises.
        model: the model that made both.
        at: the steps to evaluate; by default some steps from 0 to the last.
        protocol: as for ``modalgap.search``.
        factor: as for ``modalgap.search``.
        seed: seed of the noise and of the bootstrap.
        device: as for ``invert``.
        precision: as for ``invert``.
        **options: options of the method.

    Returns:
        One row per step and one row for the native queries, with ``cosine`` and the measures of
        ``search``. A higher value is better.

    Raises:
        OptionError: the method does not optimise, or a step exceeds its number of steps.
    """
    chosen = method if isinstance(method, Inversion) else METHODS.get(method)
    if chosen is None or not chosen.card.needed("model"):
        raise OptionError(f"method: must be oti or ovi; got {quoted(method)}")
    rows = side_of(queries, chosen)
    encoder = load_model(model, seed=seed)
    check_model(rows, encoder)
    place = device_of(device)
    check_precision(precision, place)
    encoder.to(place)
    other = next((each for each in encoder.modalities if each != rows.modality), rows.modality)
    context = InversionContext(
        encoder=encoder,
        device=place,
        precision=precision,
        seed=seed,
        dim=rows.dim,
        modality=rows.modality,
        into=other,
    )
    inverter = chosen.prepare(context, options)
    last = inverter.steps
    steps = [*(step for step in AT if step < last), last]
    if at is not None:
        steps = checks.several("at", at)
        for step in steps:
            checks.whole("at", step, 0, last)
        steps = sorted(set(steps))
    if not steps:
        raise OptionError("at: must name at least one step; got none")
    search_options: dict[str, Any] = {"protocol": protocol, "factor": factor, "seed": seed}
    native = known_features(queries, rows, rows.rows, None)
    made = {NATIVE: dict(search(native, gallery, **search_options).measures)}
    names = item_names(rows)
    size = batch_of(inverter, place)
    found: dict[int, list[torch.Tensor]] = {step: [] for step in steps}
    with progress("inverting", rows.n * (last + 1)) as advance:
        for a in range(0, rows.n, size):
            inverted = inverter(
                names[a : a + size], rows.unit(a, min(a + size, rows.n)), advance, steps
            )
            for step in steps:
                found[step].append(inverted.recorded[step])
    for step in steps:
        features = torch.cat(found[step])
        cosines = (features * rows.unit()).sum(1)
        side = known_features(queries, rows, features, context)
        made[str(step)] = {
            "cosine": Value(float(cosines.mean()), details={"least": float(cosines.min())}),
            **search(side, gallery, **search_options).measures,
        }
    heads = {"cosine": "cosine"} | {name: name.replace("_", " ") for name in made[NATIVE]}
    return Table(
        name=f"{chosen.name} against steps",
        source="Mistretta et al. 2025",
        vary="step",
        rows=made,
        heads=heads,
        settings={
            **inverter.settings,
            "method": chosen.name,
            "model": encoder.spec,
            **search_options,
        },
        notes=[f"{rows.n} queries; intervals: 95 %, over queries"],
    )
