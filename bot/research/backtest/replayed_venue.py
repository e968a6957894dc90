"""The embedded venue with recorded books: the same accounts, orders, margin and protocol as `microlev sim`.

What differs from `Venue`: its books are compiled tables that a recording moves (`VenueBooks`), nobody is sent their
changes (the backtest hands them to the engine), and the accounts are woken only when a price leaves its band.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from bot.market.symbols import SymbolSpec
from bot.research.backtest.bands import bands
from bot.research.backtest.conditions import Conditions
from bot.research.backtest.financing import next_turn_ns, swaps_due
from bot.research.backtest.replayed_book import FillNote, ReplayedBook
from bot.research.backtest.venue_books import VenueBooks
from bot.sim.book import VenueBook
from bot.sim.change import Change
from bot.sim.entities import AccountSettings
from bot.sim.floor import Floor
from bot.sim.hours import OPEN
from bot.sim.market import Market
from bot.sim.tape import Tape
from bot.sim.venue import Venue

_UNKNOWN = FillNote(math.nan, math.nan)


class _ClosingTape(Tape):
    """Opens and closes markets by their hours. What is shown is the recording's business, closed or not."""

    def __init__(self, floor: Floor, wake: Callable[[int], None]) -> None:
        super().__init__({}, {}, floor, self._never, wake)

    def _never(self, change: Change) -> None:  # noqa: ARG002
        raise TypeError("a replayed market is shown by its recording")

    def run(self, now_ns: int) -> None:
        """Wake what rests in a market that opens."""
        for symbol_id in self._floor.turn(now_ns):
            if self._floor.planned_state(symbol_id, now_ns) == OPEN:
                self._wake(symbol_id)


class ReplayedVenue(Venue):
    """A venue for a backtest.

    Args: `specs` in the order of the symbols of `books`; `key` is all the words that a client logs in with.
    Raises: ValueError as `Venue`.
    """

    def __init__(
        self,
        specs: Sequence[SymbolSpec],
        books: VenueBooks,
        account_id: int,
        conditions: Conditions,
        start_ns: int,
        descriptions: Mapping[str, str],
        key: str,
    ) -> None:
        self.replayed = books
        self._places = {spec.symbol_id: i for i, spec in enumerate(specs)}
        self._half_life_s = conditions.resilience_half_life_s
        self.now_ns = start_ns
        self._fill_notes: dict[tuple[int, int], FillNote] = {}
        settings = AccountSettings(
            account_id,
            conditions.account_type,
            conditions.deposit_currency,
            conditions.balance,
            conditions.leverage,
            commission_per_million=conditions.commission_per_million,
            stop_out_frac=conditions.stop_out_frac,
        )
        super().__init__(
            Market({spec: iter(()) for spec in specs}, dict(descriptions)),
            accounts=[settings],
            start_ns=start_ns,
            token_life_s=None,
            seed=conditions.seed,
            client_id=key,
            client_secret=key,
            access_token=key,
            refresh_token=key,
        )
        self.tape = _ClosingTape(self.floor, self.wake)
        for spec in specs:
            self.floor.keep_hours(spec.symbol_id)
        self.account_id = account_id
        self.account = self.desks[account_id].account
        self._swaps = {spec.symbol_id: conditions.swaps[spec.name] for spec in specs if spec.name in conditions.swaps}
        self.swaps_booked: list[tuple[int, Decimal]] = []
        self.turn_ns = next_turn_ns(start_ns)
        self.reschedule()

    def new_book(self, symbol_id: int) -> VenueBook:
        """Return a book that reads the compiled tables."""
        return ReplayedBook(
            self.replayed,
            self._places[symbol_id],
            lambda: self.now_ns,
            self._half_life_s,
            lambda note: self._fill_notes.__setitem__((symbol_id, self.now_ns // 1_000_000), note),
        )

    def take_fill_note(self, symbol_id: int, executed_ns: int) -> FillNote:
        """Return, once, the market of a deal by the time that it states, which is in whole milliseconds."""
        return self._fill_notes.pop((symbol_id, executed_ns // 1_000_000), _UNKNOWN)

    def assets_needed(self) -> list[str]:
        """Return the assets that the recorded symbols name, and no others."""
        return list({asset for spec in self.specs.values() for asset in (spec.base_asset, spec.quote_asset)})

    def price_moved(self, place: int, time_ns: int) -> None:
        """Let the account act on a symbol whose price has left its band."""
        self.advance(time_ns)
        symbol_id = self.replayed_ids[place]
        self.wake(symbol_id)
        account = self.account
        if account.positions:
            for event in self.margin_calls[self.account_id].check(account.margin_level(), time_ns):
                self.broadcast(self.account_id, event)

    @property
    def replayed_ids(self) -> list[int]:
        """The symbols' ids, in the order of the tables."""
        return list(self._places)

    def book_swaps(self) -> None:
        """Book what the end of a trading day costs, and wait for the next."""
        for position_id, money in swaps_due(self.account, self._swaps, self.turn_ns):
            self.book_swap(position_id, money)
            self.swaps_booked.append((self.turn_ns, money))
        self.turn_ns = next_turn_ns(self.turn_ns)

    def look_again(self) -> None:
        """Find out anew which prices matter: call it after anything of the account has changed."""
        self.reschedule()
        for symbol_id, band in bands(self.account, self.books).items():
            self.replayed.set_band(self._places[symbol_id], band)

    def equity(self) -> Decimal:
        """Return the account's equity in deposit currency, at the prices of now."""
        return Decimal(self.account.equity()).scaleb(-self.account.money_digits)
