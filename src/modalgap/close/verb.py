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
    """Fit a closer to a sample. The map can then close any embeddings of the same model.

    Args:
        data: a ``Pair``; two arrays: ``fit(x, y)``; ``PairMoments`` of a stream; one
            ``Embeddings``; or a mapping of roles (any names: "image", "text", "query" …) to
            ``Embeddings``, arrays (n, d), ``Moments``, or published means (d,). For ``isoclip``,
            a mapping of "image" and "text" to projection weights (d, p).
        method: the name of a closer in ``modalgap.close.CLOSERS``, or your own ``Closer``.
        **options: options of the closer.

    Returns:
        The map: ``m.apply(pair)``, ``m.image(rows)``, ``m.text(rows)``, ``m.save(path)``.

    Raises:
        OptionError: an unknown closer or option, or a transductive closer.
        NotApplicable: the data lacks what this closer needs.
        InputError: the data is not valid.
    """
    return find(method).fitted(data, options)


@takes_pair
def close(pair: Pair, /, method: str | Closer = "center", **options: Any) -> Pair:
    """Close a pair by a map fitted to the same pair, or by a transductive closer.

    To evaluate a closer, fit it on one part of the data and close another part, as
    ``modalgap.compare`` does.

    Args:
        pair: both modalities; or two arrays: ``modalgap.close(x, y)``.
        method: the name of a closer, or your own ``Closer``.
        **options: options of the closer.

    Returns:
        The pair, closed.

    Raises:
        OptionError: an unknown closer or option.
        NotApplicable: the pair lacks what this closer needs.
    """
    return find(method).closed(pair, options)


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
