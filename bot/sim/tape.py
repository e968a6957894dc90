"""The tape: what the venue shows of its market, symbol by symbol.

How it works: `take` passes a change of the market on, unless its symbol's feed is bent; `run` does what is due by the
clock: bends that end, markets that open and close by their hours. A market that closes stands still, one that opens
shows where the market is by then, and `wake` lets resting orders act on it.
"""

from collections.abc import Callable, Mapping

from bot.market.symbols import SymbolSpec
from bot.sim.book import VenueBook
from bot.sim.change import Change
from bot.sim.feed import STILL, Bend, Feed
from bot.sim.floor import Floor
from bot.sim.hours import OPEN

_HOURS = "hours"


class Tape:
    """Publishes the changes of all symbols through `publish`; `wake` is told of a symbol that trades again."""

    def __init__(
        self,
        specs: Mapping[int, SymbolSpec],
        books: Mapping[int, VenueBook],
        floor: Floor,
        publish: Callable[[Change], None],
        wake: Callable[[int], None],
    ) -> None:
        self._floor, self._publish, self._wake = floor, publish, wake
        self._feeds = {symbol_id: Feed(symbol_id, spec.tick_e5, books[symbol_id]) for symbol_id, spec in specs.items()}
        self._bent: dict[int, Feed] = {}

    def take(self, change: Change) -> None:
        """Take a change of the market in."""
        feed = self._bent.get(change.symbol_id)
        self._show(change if feed is None else feed.take(change))

    def bend(self, symbol_id: int, bend: Bend, now_ns: int) -> None:
        """Show something else than a symbol's market."""
        feed = self._feeds[symbol_id]
        change = feed.bend(bend, now_ns)
        self._bent[symbol_id] = feed
        self._show(change)

    def straighten(self, symbol_id: int, now_ns: int, *, cause: str | None = None) -> None:
        """End what a cause bends (None: what is over); the symbol is back at its market when nothing is left."""
        feed = self._feeds[symbol_id]
        change = feed.straighten(now_ns, cause=cause)
        if not feed.is_bent:
            self._bent.pop(symbol_id, None)
        self._show(change)

    def run(self, now_ns: int) -> None:
        """Do everything that is due by now."""
        for symbol_id in self._floor.turn(now_ns):
            if self._floor.planned_state(symbol_id, now_ns) == OPEN:
                self.straighten(symbol_id, now_ns, cause=_HOURS)
                self._wake(symbol_id)
            else:
                self.bend(symbol_id, Bend(STILL, _HOURS), now_ns)
        for symbol_id, feed in list(self._bent.items()):
            if feed.next_end_ns is not None and feed.next_end_ns <= now_ns:
                self.straighten(symbol_id, now_ns)

    def next_due_ns(self) -> int | None:
        """Return when `run` has something to do next; None for never."""
        due_ns = self._floor.next_turn_ns
        for feed in self._bent.values():
            end_ns = feed.next_end_ns
            if end_ns is not None and (due_ns is None or end_ns < due_ns):
                due_ns = end_ns
        return due_ns

    def _show(self, change: Change | None) -> None:
        if change is not None:
            self._publish(change)
