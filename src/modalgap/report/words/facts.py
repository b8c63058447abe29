"""The data that the rules of the summary use."""

from __future__ import annotations

from dataclasses import dataclass

from modalgap.result import Result
from modalgap.views import Views


@dataclass(frozen=True)
class Facts:
    """The data that rules use.

    Attributes:
        result: the measures.
        views: the pictures' numbers.
    """

    result: Result
    views: Views

    @property
    def a(self) -> str:
        """The first modality, in the singular."""
        return self.views.names[0]

    @property
    def b(self) -> str:
        """The last modality, in the singular."""
        return self.views.names[-1]

    def has(self, *names: str) -> bool:
        """Whether all of these were measured."""
        return all(name in self.result for name in names)

    def value(self, name: str) -> float:
        """The number."""
        return self.result[name].value
