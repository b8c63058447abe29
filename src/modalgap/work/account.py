"""What each place of an executor did: calls and seconds."""

from __future__ import annotations

from collections import Counter

from modalgap.progress import note

MOST = 16  # places that are listed


class Account:
    """Counts the calls and the busy seconds of each place, such as a node.

    Attributes:
        calls: number of calls by place.
        seconds: seconds of work by place, summed over its workers.
        again: number of calls that were run again because a worker died.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        self.again = 0

    def add(self, place: str, seconds: float) -> None:
        """Count one call."""
        self.calls[place] += 1
        self.seconds[place] = self.seconds.get(place, 0.0) + seconds

    def tell(self) -> None:
        """Write a note for each place to stderr, and for calls that were run again."""
        total = self.calls.total()
        if not total:
            note("no work was divided: all of it ran in this process")
        places = sorted(self.calls)
        for place in places[:MOST]:
            note(f"{place}: {self.calls[place]} of {_parts(total)}, {self.seconds[place]:.1f} s")
        if left := places[MOST:]:
            count = sum(self.calls[place] for place in left)
            seconds = sum(self.seconds[place] for place in left)
            note(f"{len(left)} more: {count} of {_parts(total)}, {seconds:.1f} s")
        if self.again:
            were = "part was" if self.again == 1 else "parts were"
            note(f"{self.again} {were} computed again because a worker died")


def _parts(count: int) -> str:
    return "1 part of the work" if count == 1 else f"{count} parts of the work"
