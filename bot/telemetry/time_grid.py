"""Which moments of a recorded run are shown: the first of each stretch of time, and no more than a reader wants.

How it works: time since the epoch is cut into stretches of `every_ns`, and of each the first moment counts. When there
would be too many, two stretches become one. What was kept by then is thinned by the same rule and is what the longer
stretches would have kept from the start, so it does not matter when the length becomes known.
"""

from collections.abc import Sequence


class TimeGrid:
    """Picks moments as they come, in order of time. Args: `most` of them; None for any number.

    `every_ns` is the length of a stretch as it stands; it doubles whenever one moment too many would be taken.
    """

    def __init__(self, every_ns: int, most: int | None = None) -> None:
        self.every_ns = every_ns
        self._most = most
        self._taken: list[int] = []
        self._last: int | None = None

    def make_room_for(self, first_ns: int, last_ns: int) -> None:
        """Lengthen the stretches until a run from `first_ns` to `last_ns` fits, before anything is taken."""
        while self._most is not None and last_ns // self.every_ns - first_ns // self.every_ns >= self._most:
            self.every_ns *= 2

    def takes(self, time_ns: int) -> bool:
        """Return whether a moment is taken; it is then."""
        while (place := time_ns // self.every_ns) != self._last and len(self._taken) == self._most:
            self.every_ns *= 2
            self._taken = list(dict.fromkeys(each // 2 for each in self._taken))
            self._last = self._taken[-1]
        if place == self._last:
            return False
        self._last = place
        if self._most is not None:
            self._taken.append(place)
        return True


def thinned(times_ns: Sequence[int], every_ns: int) -> list[int]:
    """Return the places of the moments that stretches of `every_ns` keep, of those that shorter ones have kept."""
    return [i for i, ns in enumerate(times_ns) if i == 0 or ns // every_ns != times_ns[i - 1] // every_ns]
