"""The verbs: fit a closer to a sample, or close a pair at once."""

from __future__ import annotations

from typing import Any

from modalgap.close.affine import AffineMap
from modalgap.close.base import Closer, Fittable
from modalgap.close.registry import CLOSERS
from modalgap.close.scores import CORRECTIONS
from modalgap.embeddings import Pair
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import OptionError, quoted
from modalgap.method import pick


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
        OptionError: an unknown closer or option, or a transductive closer.
        NotApplicable: what was given is not enough for this closer.
        InputError: the data breaks a rule.
    """
    return find(method).fitted(data, options)


@takes_pair
def close(pair: Pair, /, method: str | Closer = "center", **options: Any) -> Pair:
    """Close a pair by a map fitted on itself, or by a transductive closer.

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
    return find(method).closed(pair, options)


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
