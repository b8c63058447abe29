"""Count the calls, seconds and items of each place: a worker process, or a node of a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from modalgap.progress import note

MOST = 16  # places with a note of their own; the others share one


class Account:
    """Counts the calls and the busy seconds of each place: a worker process, or a node.

    Attributes:
        calls: number of calls by place.
        seconds: seconds of work by place, summed over its workers.
        items: number of items by place, for work that counts them; otherwise 0.
        again: number of calls that were run again because a worker died.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        self.items: Counter[str] = Counter()
        self.again = 0
        self._of_call: dict[int, int] = {}

    def counted(self, setup: object, calls: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Yield the calls, and store the items of each, if ``setup`` has a method ``items_of``."""
        items_of: Callable[..., int] | None = getattr(setup, "items_of", None)
        self._of_call.clear()
        for index, arguments in enumerate(calls):
            if items_of is not None:
                self._of_call[index] = items_of(*arguments)
            yield arguments

    def add(self, place: str, seconds: float, index: int) -> None:
        """Count call number ``index`` of a run."""
        self.calls[place] += 1
        self.seconds[place] = self.seconds.get(place, 0.0) + seconds
        self.items[place] += self._of_call.pop(index, 0)

    def tell(self) -> None:
        """Write a note for each place to stderr, and for calls that were run again."""
        total = self.calls.total()
        if not total:
            note("no work was divided: all of it ran in this process")
        places = sorted(self.calls)
        for place in places[:MOST]:
            seconds, items = self.seconds[place], self.items[place]
            speed = f", {items / seconds:,.0f} items/s per worker" if items and seconds else ""
            note(f"{place}: {self.calls[place]} of {_parts(total)}, {seconds:.1f} s{speed}")
        if left := places[MOST:]:
            count = sum(self.calls[place] for place in left)
            seconds = sum(self.seconds[place] for place in left)
            note(f"{len(left)} others: {count} of {_parts(total)}, {seconds:.1f} s")
        if self.again:
            were = "part was" if self.again == 1 else "parts were"
            note(f"{self.again} {were} computed again because a worker died")


def _parts(count: int) -> str:
    return "1 part of the work" if count == 1 else f"{count} parts of the work"
