"""What a closer is: a card, and a rule that fits a map or moves a pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Concatenate, Generic

from numpy.typing import ArrayLike
from torch import Tensor

from modalgap.close.affine import Steps
from modalgap.close.known import Evidence
from modalgap.embeddings import Pair
from modalgap.embeddings.arrays import Rows, pair_of
from modalgap.errors import OptionError, quoted
from modalgap.method import Method, Options


@dataclass(frozen=True, kw_only=True)
class CloserCard:
    """The description of one closer.

    Attributes:
        name: the name used in Python, on the command line and in files.
        title: a short name for people.
        idea: one sentence on what it does.
        equation: the rule, in LaTeX; x images, y texts, g = μ_x − μ_y.
        source: paper and section.
        moves: which rows: "both", "text", "the retrieved side", "none".
        needs: "means", "rows", "pairs" or "weights".
        take_it: when it is the one to take.
        beware: when it fails.
        transductive: whether it is no map, so that new rows cannot be closed later.
    """

    name: str
    title: str
    idea: str
    equation: str
    source: str
    moves: str
    needs: str
    take_it: str
    beware: str
    transductive: bool = False


@dataclass(frozen=True)
class Fitted:
    """What a rule found: role to steps, and facts about them."""

    roles: Mapping[str, Steps]
    facts: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, int] | None = None


@dataclass(frozen=True, repr=False)
class Closer(Method, Generic[Options]):
    """A card and a rule.

    Attributes:
        card: what the closer says of itself.
        fit: (Evidence, options) to ``Fitted``; None for a transductive closer.
        transform: (Pair, options) to a closed ``Pair``, for those.
        squares: whether the pass must find the variance of each column.
        sample: whether the pass must keep rows, for covariances.
    """

    kind: ClassVar[str] = "closer"
    card: CloserCard
    fit: Callable[Concatenate[Evidence, Options], Fitted] | None = None
    transform: Callable[Concatenate[Pair, Options], Pair] | None = None
    squares: bool = False
    sample: bool = False

    def __post_init__(self) -> None:
        if (self.fit is None) == (self.transform is None):
            raise OptionError(f"{self.name}: a closer must have fit or transform, one of them")
        super().__post_init__()

    @property
    def body(self) -> Callable[..., Fitted] | Callable[..., Pair]:
        """The function that fits it, or moves a pair."""
        found = self.fit or self.transform
        assert found is not None  # noqa: S101 - as __post_init__ checks
        return found

    def __call__(
        self,
        pair: Pair | Rows,
        text: Rows | None = None,
        text_to_image: ArrayLike | Tensor | None = None,
        labels: ArrayLike | Tensor | None = None,
        pairs: ArrayLike | Tensor | None = None,
        *args: Options.args,
        **options: Options.kwargs,
    ) -> Pair:
        """Close a pair by this closer, fitted on itself; as ``modalgap.close``.

        Args:
            pair: a ``Pair``, or rows (n, d) of the first modality.
            text: rows (m, d) of the second modality.
            text_to_image: (m,) the image of each text.
            labels: (n,) the text of each image.
            pairs: (k, 2) an image and a text that match.
            *args: none: options go by name.
            **options: the closer's own.

        Returns:
            The pair, closed.
        """
        from modalgap.close.verb import close

        if args:
            raise OptionError(f"options of {self.name} must be given by name; got {quoted(args)}")
        data = pair_of(
            self.name, pair, text, text_to_image=text_to_image, labels=labels, pairs=pairs
        )
        return close(data, self, **options)
