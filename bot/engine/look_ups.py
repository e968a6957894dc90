"""When the venue is asked for its lists of orders and deals, and since when.

How it works: orders without an answer ask for themselves (`order_flow.py`). Beside them a doubt asks, every ten seconds
at most, and a long calm does, because an event may have been lost without a trace. What an answer has to cover begins
where the last complete one ended, so that a drop or a lost event hides no deal, of ours or of others.
"""

from bot.execution.requests import ResolveOrders

_SECOND = 1_000_000_000
CLOCK_SLACK_NS = 60 * _SECOND  # the venue's clock may differ from ours when orders are looked up by time
_DOUBT_AGAIN_NS = 10 * _SECOND
_LOOK_NS, _LOOK_CALM_NS = 60 * _SECOND, 30 * _SECOND
_FARTHEST_NS = 28 * 86_400 * _SECOND  # farther back would take longer than anybody can wait


class LookUps:
    """The asking for lists, but for what single orders ask."""

    def __init__(self) -> None:
        self._is_in_doubt = False
        self._behind_since_ns: int | None = None
        self._doubt_asked_ns: int | None = None
        self._looked_ns: int | None = None
        self._listed_to_ns: int | None = None  # the venue's lists have told everything up to here
        self._active_ns = 0

    def doubt(self) -> None:
        """Say that positions and events do not add up."""
        self._is_in_doubt = True

    def catch_up(self, since_ns: int) -> None:
        """Have everything since a time listed, once, when we are READY: an earlier run may have ended before it.

        Until a complete answer has come, that is how far the lists have told: a run that dies before, or an answer that
        lacks something, hides nothing from the next.
        """
        self._behind_since_ns = self._listed_to_ns = since_ns

    def forget(self) -> None:
        """Say that what an earlier run has left is another account's."""
        self._behind_since_ns = self._listed_to_ns = None

    def moved(self, now_ns: int) -> None:
        """Say that an event has come: as long as some do, what is lost shows by itself."""
        self._active_ns = now_ns

    def connection_lost(self) -> None:
        """Begin the calm anew with the next READY."""
        self._looked_ns = None

    def answered(self, *, complete: bool) -> None:
        """Take that the lists have come; those that lack something have told nothing for certain."""
        if complete and self._looked_ns is not None:
            self._listed_to_ns = self._looked_ns

    @property
    def listed_to_ns(self) -> int | None:
        """Until when the venue's lists have told everything; None before a complete answer."""
        return self._listed_to_ns

    def is_pressing(self, now_ns: int) -> bool:
        """Return whether to ask at once, because of a doubt or an earlier run; ask then: a doubt is not said twice."""
        if self._behind_since_ns is not None:
            return True
        if self._is_in_doubt and (self._doubt_asked_ns is None or now_ns - self._doubt_asked_ns >= _DOUBT_AGAIN_NS):
            self._is_in_doubt, self._doubt_asked_ns = False, now_ns
            return True
        return False

    def is_usual(self, now_ns: int) -> bool:
        """Return whether it is time to compare while nothing happens."""
        if self._looked_ns is None:
            self._looked_ns = now_ns  # READY has just been reached, over a reconcile
            self._listed_to_ns = now_ns if self._listed_to_ns is None else self._listed_to_ns
        return now_ns - self._looked_ns >= _LOOK_NS and now_ns - self._active_ns >= _LOOK_CALM_NS

    def ask(self, earliest_ns: int, now_ns: int) -> ResolveOrders:
        """Return the request for what has happened since a time, or since the last complete lists."""
        known = (earliest_ns, self._listed_to_ns, self._behind_since_ns)
        since_ns = min(each for each in known if each is not None)
        self._looked_ns, self._behind_since_ns = now_ns, None
        return ResolveOrders(from_ns=max(since_ns, now_ns - _FARTHEST_NS) - CLOCK_SLACK_NS)
