"""The verbs: fit a closer, or close a pair at once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from modalgap import checks
from modalgap.close.affine import AffineMap
from modalgap.close.base import Closer
from modalgap.close.known import CAP, Evidence
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS
from modalgap.embeddings import Pair
from modalgap.errors import InputError, NotApplicable, OptionError


class Transductive(UserWarning):
    """This closer moves the rows that it is given, and says nothing of any other."""


def fit(data: Any, method: str = "center", **options: Any) -> AffineMap:
    """Fit a closer to a sample; the map then closes whatever comes.

    Args:
        data: a ``Pair``; ``PairMoments`` of a stream; one ``Embeddings``; or a mapping of roles
            (any names: "image", "text", "query" …) to ``Embeddings``, arrays (n, d), ``Moments``,
            or means (d,) that somebody published. For ``isoclip``, a mapping of "image" and "text"
            to projection weights (d, p).
        method: the name of a closer; ``modalgap.close.CLOSERS`` lists them.
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
            f"{method} is no map that can be fitted: it moves the rows given and no others; use"
            f" modalgap.close(pair, {method!r}), or modalgap close run"
        )
    weights = closer.card.needs == "weights"
    if weights and not isinstance(data, Mapping):
        raise InputError(
            f"{method} needs projection weights: a mapping of 'image' and 'text' to (d, p) arrays,"
            " or --model"
        )
    evidence = Evidence(data, weights=weights)
    try:
        seed = used.get("seed", 0)
        evidence.read(squares=closer.squares, keep=CAP if closer.sample else 0, seed=seed)
        fitted = closer.fit(evidence, **used)
    except NotApplicable as reason:
        raise NotApplicable(f"{method}: {reason}") from None
    return AffineMap(
        dims=fitted.dims or {role: known.dim for role, known in evidence.roles.items()},
        roles=fitted.roles,
        method=method,
        options=used,
        fitted_on={role: known.identity for role, known in evidence.roles.items()},
        facts=fitted.facts,
    )


def close(pair: Pair, method: str = "center", **options: Any) -> Pair:
    """Close a pair by a map fitted on itself, or by a closer that is no map.

    To judge a closer fit it on one part and close another: ``modalgap.compare`` does.

    Args:
        pair: both modalities.
        method: the name of a closer.
        **options: the closer's own.

    Returns:
        The pair, closed.

    Raises:
        OptionError: an unknown closer or option.
        NotApplicable: the pair lacks what this closer needs.
    """
    closer = find(method)
    if not isinstance(pair, Pair):
        raise InputError(f"pair: must be a Pair; got {type(pair).__name__}")
    if closer.transform is None:
        return fit(pair, method, **options).apply(pair)  # type: ignore[no-any-return]
    used = chosen(closer, options)
    warnings.warn(
        f"{method} moves the rows given and no others: no new row can be closed by it",
        Transductive,
        stacklevel=2,
    )
    try:
        return closer.transform(pair, **used)
    except NotApplicable as reason:
        raise NotApplicable(f"{method}: {reason}") from None


def find(method: str) -> Closer:
    """The closer of a name."""
    if isinstance(method, str) and method in CORRECTIONS:
        raise OptionError(
            f"{method} corrects scores and moves no vectors: use"
            f" modalgap.close.correct(gallery, bank, {method!r})"
        )
    if isinstance(method, str) and method.partition(":")[0] in CLOSERS and ":" in method:
        raise OptionError(
            f"method must be a name alone, options go beside it (--set); got {method!r}"
        )
    if not isinstance(method, str) or method not in CLOSERS:
        raise OptionError.unknown("closer", str(method), CLOSERS)
    return CLOSERS[method]


def chosen(closer: Closer, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a closer, with those given in place of defaults."""
    for name in options:
        if name not in closer.options:
            raise OptionError.unknown(f"option of {closer.name}", name, closer.options)
    used = {**closer.options, **options}
    if "seed" in used:
        checks.whole("seed", used["seed"], 0)
    return used
