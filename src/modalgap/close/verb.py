"""The verbs: fit a closer, or close a pair at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from modalgap import checks
from modalgap.arguments import plain
from modalgap.close.affine import AffineMap
from modalgap.close.base import Closer, Fitted
from modalgap.close.known import CAP, Evidence
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS
from modalgap.embeddings import Embeddings, Moments, Pair, PairMoments
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.method import pick


class Transductive(UserWarning):
    """This closer moves the rows that it is given, and says nothing of any other."""


Fittable = (
    Pair | PairMoments | Embeddings | Mapping[str, Embeddings | NDArray[Any] | Tensor | Moments]
)


@takes_pair
def fit(data: Fittable, /, method: str | Closer = "center", **options: Any) -> AffineMap:
    """Fit a closer to a sample; the map then closes whatever comes.

    Args:
        data: a ``Pair``; two arrays: ``fit(x, y)``; ``PairMoments`` of a stream; one
            ``Embeddings``; or a mapping of roles (any names: "image", "text", "query" …) to
            ``Embeddings``, arrays (n, d), ``Moments``, or means (d,) that somebody published. For
            ``isoclip``, a mapping of "image" and "text" to projection weights (d, p).
        method: the name of a closer, ``modalgap.close.CLOSERS`` lists them; or one of your own.
        **options: the closer's own.

    Returns:
        The map: ``m.apply(pair)``, ``m.image(rows)``, ``m.text(rows)``, ``m.save(path)``.

    Raises:
        OptionError: an unknown closer or option, or a closer that is no map.
        NotApplicable: what was given is not enough for this closer.
        InputError: the data breaks a rule.
    """
    closer = find(method)
    used = chosen(closer, options)
    if closer.fit is None:
        raise OptionError(
            f"{closer.name} is transductive: it cannot be applied to new data, so it has no map to"
            f" fit; use modalgap.close(pair, {quoted(closer.name)}), or modalgap close run"
        )
    weights = closer.card.needs == "weights"
    if weights and not isinstance(data, Mapping):
        raise InputError(
            f"{closer.name} needs projection weights: a mapping of 'image' and 'text' to"
            f" (d, p) arrays,"
            " or --model"
        )
    evidence = Evidence(data, weights=weights)
    try:
        seed = used.get("seed", 0)
        evidence.read(squares=closer.squares, keep=CAP if closer.sample else 0, seed=seed)
        rule: Callable[..., Fitted] = closer.fit
        fitted = rule(evidence, **used)
    except NotApplicable as reason:
        raise NotApplicable(f"{closer.name}: {reason}") from None
    return AffineMap(
        dims=fitted.dims or {role: known.dim for role, known in evidence.roles.items()},
        roles=fitted.roles,
        method=closer.name,
        options=used,
        fitted_on={role: known.identity for role, known in evidence.roles.items()},
        facts=fitted.facts,
    )


@takes_pair
def close(pair: Pair, /, method: str | Closer = "center", **options: Any) -> Pair:
    """Close a pair by a map fitted on itself, or by a closer that is no map.

    To judge a closer fit it on one part and close another: ``modalgap.compare`` does.

    Args:
        pair: both modalities; or two arrays: ``modalgap.close(x, y)``.
        method: the name of a closer, or one of your own.
        **options: the closer's own.

    Returns:
        The pair, closed.

    Raises:
        OptionError: an unknown closer or option.
        NotApplicable: the pair lacks what this closer needs.
    """
    closer = find(method)
    if closer.transform is None:
        return fit(pair, closer, **options).apply(pair)
    used = chosen(closer, options)
    warnings.warn(
        f"{closer.name} moves the rows given and no others: no new row can be closed by it",
        Transductive,
        stacklevel=4,
    )
    try:
        transform: Callable[..., Pair] = closer.transform
        return transform(pair, **used)
    except NotApplicable as reason:
        raise NotApplicable(f"{closer.name}: {reason}") from None


def find(method: object) -> Closer:
    """The closer of a name, or one of the user's own."""
    if isinstance(method, str) and method in CORRECTIONS:
        raise OptionError(
            f"{method} corrects scores and moves no vectors: use"
            f" modalgap.close.correct(gallery, bank, {quoted(method)})"
        )
    if isinstance(method, str) and method.partition(":")[0] in CLOSERS and ":" in method:
        raise OptionError(
            f"method: must be a name alone, options go beside it (--set); got {quoted(method)}"
        )
    return pick(method, CLOSERS, Closer, "method")


def chosen(closer: Closer, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a closer, with those given in place of defaults."""
    closer.check_options(options)
    used = {**closer.options, **{name: plain(value) for name, value in options.items()}}
    if "seed" in used:
        checks.whole("seed", used["seed"], 0)
    return used
