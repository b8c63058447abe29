"""Arrays in place of a pair: ``verb(x, y, …)`` is ``verb(Pair(x, y), …)`` for every verb.

Matches of the two arrays are keyword arguments: ``text_to_image=``, ``labels=`` and the others that
``Pair`` takes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modalgap._lazy import readable
from modalgap.arguments import checked, described
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.matching import KINDS
from modalgap.embeddings.pair import Pair
from modalgap.errors import InputError

Rows = Embeddings | NDArray[Any] | Tensor | Sequence[Sequence[float]]
Data = TypeVar("Data", contravariant=True)
Answer = TypeVar("Answer", covariant=True)
Rest = ParamSpec("Rest")


class TakesPair(Protocol[Data, Answer, Rest]):
    """A verb of a ``Pair``, or of two arrays (n, d) and (m, d) with the matches by name."""

    @overload
    def __call__(self, data: Data, /, *args: Rest.args, **options: Rest.kwargs) -> Answer: ...
    @overload
    def __call__(
        self, image: Rows, text: Rows, /, *args: Rest.args, **options: Rest.kwargs
    ) -> Answer: ...


def takes_pair(
    verb: Callable[Concatenate[Data, Rest], Answer],
) -> TakesPair[Data, Answer, Rest]:
    """Let a verb whose first argument is a pair also take two arrays; its arguments are checked."""
    inner = checked(verb)
    first = next(iter(inspect.signature(verb).parameters.values()))

    @functools.wraps(verb)
    def call(*args: Any, **options: Any) -> Answer:
        if not args and first.name in options:
            args = (options.pop(first.name),)
        data, *others = args or (None,)
        matches = {name: options.pop(name) for name in KINDS if name in options}
        if others and is_rows(others[0]):
            data, others = Pair(data, others[0], **matches), others[1:]
        elif "text" in options and is_rows(options["text"]):
            data = Pair(data, options.pop("text"), **matches)
        elif any(value is not None for value in matches.values()):
            raise InputError(
                f"{' and '.join(matches)}: only for two arrays; a Pair holds its matches"
            )
        elif is_rows(data) and not isinstance(data, Embeddings):
            raise InputError(
                f"{first.name} must be a Pair, or two arrays; got one {type(data).__name__}"
            )
        return inner(data, *others, **options)

    call.takes_pair = True  # type: ignore[attr-defined]
    call.__signature__ = _signature(inspect.signature(verb))  # type: ignore[attr-defined]
    return call


def pair_of(what: str, image: object, text: object = None, **matches: object) -> Pair:
    """Return the pair, or build one from two arrays.

    Args:
        what: the name of the function in error messages.
        image: a ``Pair``, or rows (n, d) of the first modality.
        text: rows (m, d) of the second modality.
        **matches: as for ``Pair``.

    Raises:
        InputError: a pair together with other data, or one modality alone.
    """
    if isinstance(image, Pair):
        if text is not None or any(value is not None for value in matches.values()):
            raise InputError(f"{what}: a Pair holds its texts and matches; pass nothing else")
        return image
    if text is None:
        raise InputError(
            f"{what} compares two modalities: it must have a Pair, or two arrays; got"
            f" {described(image)}"
        )
    return Pair(image, text, **matches)  # type: ignore[arg-type]


def is_rows(value: object) -> bool:
    """Whether a value is an array of rows, judged by its type."""
    if isinstance(value, Embeddings | Tensor | np.ndarray):
        return True
    if isinstance(value, list | tuple) and value:
        inner = value[0]
        if isinstance(inner, list | tuple) and inner:
            return isinstance(inner[0], int | float | np.number)
        return isinstance(inner, np.ndarray | Tensor)
    return hasattr(value, "__array__") and not isinstance(value, np.generic | type)


def _signature(signature: inspect.Signature) -> inspect.Signature:
    """What ``help`` shows: the verb's own signature, and the matches."""
    first, *rest = signature.parameters.values()
    own = [each for each in rest if each.kind is not each.VAR_KEYWORD]
    spread = [each for each in rest if each.kind is each.VAR_KEYWORD]
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
        for name in KINDS
        if name not in {each.name for each in own}
    ]
    return readable(signature.replace(parameters=[first, *own, *named, *spread]))
