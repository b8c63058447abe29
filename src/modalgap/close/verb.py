"""The verbs: fit a closer to a sample, or close a pair at once."""

from __future__ import annotations

from typing import Any

from modalgap.close.affine import AffineMap
from modalgap.close.base import Closer, Fittable
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS
from modalgap.embeddings import Modalities, Pair
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import NotApplicable, OptionError, quoted
from modalgap.method import pick


@takes_pair
def fit(data: Fittable, /, method: str | Closer = "center", **options: Any) -> AffineMap:
    """Fit a closer to a sample. The map can then close any embeddings of the same model.

    Args:
        data: a ``Pair``; two arrays: ``fit(x, y)``; ``PairMoments`` of a stream; one
            ``Embeddings``; ``Modalities``, for closers with the trait "any role" in ``CLOSERS``
            (the map then treats each pair of them alike); or a mapping of roles (any names:
            "image", "text", "query" …) to ``Embeddings``, arrays (n, d), ``Moments``, or published
            means (d,). For ``isoclip``, a mapping of "image" and "text" to projection weights
            (d, p).
        method: the name of a closer in ``modalgap.close.CLOSERS``, or your own ``Closer``.
        **options: options of the closer.

    Returns:
        The map: ``m.apply(pair)``, ``m.image(rows)``, ``m.text(rows)``, ``m.save(path)``.

    Raises:
        OptionError: an unknown closer or option, or a transductive closer.
        NotApplicable: the data lacks what this closer needs.
        InputError: the data is not valid.
    """
    closer = find(method)
    if isinstance(data, Modalities):
        data = _of_many(closer, data)
    return closer.fitted(data, options)


@takes_pair
def close(
    pair: Pair | Modalities, /, method: str | Closer = "center", **options: Any
) -> Pair | Any:
    """Close a pair by a map fitted to the same pair, or by a transductive closer.

    To evaluate a closer, fit it on one part of the data and close another part, as
    ``modalgap.compare`` does.

    Args:
        pair: both modalities; or two arrays: ``modalgap.close(x, y)``; or ``Modalities``, for
            closers with the trait "any role".
        method: the name of a closer, or your own ``Closer``.
        **options: options of the closer.

    Returns:
        The pair, closed; of ``Modalities``, ``Modalities``.

    Raises:
        OptionError: an unknown closer or option.
        NotApplicable: the pair lacks what this closer needs.
    """
    closer = find(method)
    if not isinstance(pair, Modalities):
        return closer.closed(pair, options)
    data = _of_many(closer, pair)
    if isinstance(data, Pair):
        return Modalities.of(closer.closed(data, options))
    return closer.fitted(data, options).apply(data)


def _of_many(closer: Closer, data: Modalities) -> Pair | Modalities:
    """What a closer is fitted to: the modalities, or the pair of two.

    Raises:
        NotApplicable: three or more, and the closer needs two.
    """
    if len(data) == 2:
        return data.pair(*data)
    if "any role" not in closer.card.traits:
        able = [each.name for each in CLOSERS.values() if "any role" in each.card.traits]
        first, second, *_ = data
        raise NotApplicable(
            f"{closer.name}: closes the gap of two modalities; these are {len(data)}"
            f" ({', '.join(data)}): take {', '.join(able)}, or two of them, as in"
            f" pair({quoted(first)}, {quoted(second)}) or --pair {first},{second}"
        )
    return data


def find(method: object) -> Closer:
    """The closer with this name, or the user's own ``Closer``."""
    if isinstance(method, str) and method in CORRECTIONS:
        raise OptionError(
            f"{method} corrects scores and moves no vectors: use"
            f" modalgap.close.correct(gallery, bank, {quoted(method)})"
        )
    if isinstance(method, str) and method.partition(":")[0] in CLOSERS and ":" in method:
        raise OptionError(
            f"method: must be a name without options (use --set for options); got {quoted(method)}"
        )
    return pick(method, CLOSERS, Closer, "method")
