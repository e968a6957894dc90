"""The trading floor: which symbols trade at this moment, and why one does not.

How it works: a symbol is closed by plan (`TradingHours`) or stopped by nobody's plan (`stopped`). Hours are enforced
for the symbols that `keep_hours` was called for; the others trade round the clock.
"""

from collections.abc import Mapping

from bot.market.symbols import SymbolSpec
from bot.sim.entities import OrderRefused
from bot.sim.hours import HOLIDAY, OPEN, TradingHours

STOPPED = "stopped"


class Floor:
    """Opens and closes the venue's symbols. `stopped` holds symbol ids."""

    def __init__(self, specs: Mapping[int, SymbolSpec]) -> None:
        self._specs = specs
        self.stopped: set[int] = set()
        self._hours: dict[int, TradingHours] = {}
        self._asks_again_ns: dict[int, int] = {}

    def keep_hours(self, symbol_id: int) -> None:
        """Enforce a symbol's schedule and holidays, as its specification has them now, from the next `turn` on."""
        self._hours[symbol_id] = TradingHours(self._specs[symbol_id])
        self._asks_again_ns[symbol_id] = 0

    def state(self, symbol_id: int, now_ns: int) -> str:
        """Return "open", "stopped", "closed" or "holiday"."""
        return STOPPED if symbol_id in self.stopped else self.planned_state(symbol_id, now_ns)

    def planned_state(self, symbol_id: int, now_ns: int) -> str:
        """Return "open", "closed" or "holiday", whatever may have stopped the symbol."""
        hours = self._hours.get(symbol_id)
        return OPEN if hours is None else hours.state(now_ns)

    def check(self, symbol_id: int, now_ns: int) -> None:
        """Raises: OrderRefused (MARKET_CLOSED, SYMBOL_HAS_HOLIDAY) for a symbol that does not trade now."""
        state, name = self.state(symbol_id, now_ns), self._specs[symbol_id].name
        if state == HOLIDAY:
            raise OrderRefused("SYMBOL_HAS_HOLIDAY", f"{name} has a holiday")
        if state == STOPPED:
            raise OrderRefused("MARKET_CLOSED", f"trading of {name} is stopped")
        if state != OPEN:
            raise OrderRefused("MARKET_CLOSED", f"{name} is closed by its schedule")

    def turn(self, now_ns: int) -> list[int]:
        """Return the symbols whose hours have to be looked at again by now; each until its next boundary."""
        turned = [symbol_id for symbol_id, due_ns in self._asks_again_ns.items() if due_ns <= now_ns]
        for symbol_id in turned:
            self._asks_again_ns[symbol_id] = self._hours[symbol_id].until_ns(now_ns)
        return turned

    @property
    def next_turn_ns(self) -> int | None:
        """When the hours of some symbol have to be looked at again; None when none are enforced."""
        return min(self._asks_again_ns.values(), default=None)
