"""Count the calls and the seconds of each place: a worker process, or a node of a cluster."""

from __future__ import annotations

from collections import Counter

from modalgap.progress import note

MOST = 16  # places with a note of their own; the others share one


class Account:
    """Counts the calls and the busy seconds of each place: a worker process, or a node.

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
        places = sorted(self.calls)
        for place in places[:MOST]:
            note(f"{place}: {self.calls[place]} of {_calls(total)}, {self.seconds[place]:.1f} s")
        if left := places[MOST:]:
            count = sum(self.calls[place] for place in left)
            seconds = sum(self.seconds[place] for place in left)
            note(f"{len(left)} others: {count} of {_calls(total)}, {seconds:.1f} s")
        if self.again:
            were = "call was" if self.again == 1 else "calls were"
            note(f"{self.again} {were} run again because a worker died")


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"
