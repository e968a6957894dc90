"""The hands on a venue: what the broker, the account's owner and faults of the market do to it while clients trade.

How it works: `Venue` inherits these methods. Each acts at the venue's own time and tells clients what the real venue
would; the work is done by the back office, the owner, the tape and the mishaps. What is refused is raised: `Refused`
for the venue's own reasons, ValueError, one line, for arguments that make no sense.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from bot.sim.back_office import BackOffice, Money
from bot.sim.book import VenueBook
from bot.sim.catalogue import Catalogue
from bot.sim.change import Quote
from bot.sim.feed import CROSSED, EMPTY_ASKS, EMPTY_BIDS, SHIFTED, STILL, Bend
from bot.sim.listing import Week
from bot.sim.mishaps import Mishaps, PartialFill, Rejection
from bot.sim.owner import Owner
from bot.sim.snapshot import Snapshot, snapshot
from bot.sim.tape import Tape

if TYPE_CHECKING:
    from bot.sim.venue import Venue

_FAULT = "fault"
_EMPTY = {"bid": (EMPTY_BIDS,), "ask": (EMPTY_ASKS,), "both": (EMPTY_BIDS, EMPTY_ASKS)}


class Hands:
    """The part of a venue's interface that clients cannot reach. The attributes are the venue's."""

    now_ns: int
    back_office: BackOffice
    owner: Owner
    tape: Tape
    mishaps: Mishaps
    catalogue: Catalogue
    books: dict[int, VenueBook]
    hidden_depth: Counter[int]

    def reschedule(self) -> None:
        """Look again when something is due; the venue does it."""
        raise NotImplementedError

    def send_depth(self, symbol_id: int, new: Sequence[Quote], deleted: Sequence[int]) -> None:
        """Send a change of depth to everybody who subscribed; the venue does it."""
        raise NotImplementedError

    # -- the broker's back office -----------------------------------------------------------------------------------

    def set_leverage(self, account_id: int, ratio: int) -> None:
        """Change an account's leverage (500 for 1:500)."""
        self.back_office.set_leverage(account_id, ratio)

    def set_access_rights(self, account_id: int, name: str) -> None:
        """Change what an account may do, by a name of ProtoOAAccessRights."""
        self.back_office.set_access_rights(account_id, name)

    def set_margin(self, position_id: int | None, factor: Decimal | float, *, symbol_id: int | None = None) -> None:
        """Charge a position `factor` times its margin, or divide the leverage of a symbol's tiers by it."""
        exact = Decimal(str(factor))
        if position_id is not None:
            self.back_office.set_position_margin(position_id, exact)
        if symbol_id is not None:
            self.back_office.set_symbol_margin(symbol_id, exact)

    def deposit(self, account_id: int, money: Money) -> None:
        """Pay in. Units: deposit currency."""
        self.back_office.transfer(account_id, money, deposit=True)

    def withdraw(self, account_id: int, money: Money) -> None:
        """Pay out. Units: deposit currency."""
        self.back_office.transfer(account_id, money, deposit=False)

    def book_swap(self, position_id: int, money: Money) -> None:
        """Book a swap on a position; negative is a charge. Units: deposit currency."""
        self.back_office.book_swap(position_id, money)

    def change_symbol(self, symbol_id: int, **fields: Any) -> None:
        """Change a symbol by the field names of `SymbolSpec`, or `enabled`."""
        self.back_office.change_symbol(symbol_id, **fields)

    def set_trading_mode(self, symbol_id: int, mode: str) -> None:
        """Change a symbol's trading mode, by a name of ProtoOATradingMode."""
        self.back_office.change_symbol(symbol_id, trading_mode=mode)

    def put_hours(self, week: Week) -> None:
        """Give every symbol but crypto these trading hours, such as `listing.FX_WEEK`."""
        self.back_office.put_hours(week)

    def stop_trading(self, symbol_id: int) -> None:
        """Stop a symbol, unplanned."""
        self.back_office.stop_trading(symbol_id)

    def resume_trading(self, symbol_id: int) -> None:
        """Let a stopped symbol trade again."""
        self.back_office.resume_trading(symbol_id)

    # -- the account's owner ----------------------------------------------------------------------------------------

    def trade_by_hand(self, account_id: int, symbol_id: int, side: str, volume_cents: int) -> None:
        """Have the account's owner send a market order; a refusal is raised."""
        self.owner.trade(account_id, symbol_id, side, volume_cents)
        self.reschedule()

    def close_by_hand(self, account_id: int, position_id: int | None = None, volume_cents: int | None = None) -> None:
        """Have the owner close a position, or all; a volume of it, or the whole. A refusal is raised."""
        self.owner.close(account_id, position_id, volume_cents)
        self.reschedule()

    def rest_by_hand(
        self, account_id: int, symbol_id: int, order_type: str, side: str, volume_cents: int, **fields: Any
    ) -> int:
        """Have the owner place an order that rests; a refusal is raised. Returns: its id, 0 if it has filled."""
        order_id = self.owner.rest(account_id, symbol_id, order_type, side, volume_cents, **fields)
        self.reschedule()
        return order_id

    def amend_by_hand(self, order_id: int, **fields: Any) -> None:
        """Have the owner change an order; a refusal is raised."""
        self.owner.amend(order_id, **fields)
        self.reschedule()

    def protect_by_hand(self, account_id: int, position_id: int, **fields: Any) -> None:
        """Have the owner set both legs of a position; a refusal is raised."""
        self.owner.protect(account_id, position_id, **fields)

    def cancel_by_hand(self, order_id: int) -> None:
        """Have the owner cancel an order; a refusal is raised."""
        self.owner.cancel(order_id)

    # -- the market and the execution -------------------------------------------------------------------------------

    def cross_book(self, symbol_id: int, duration_ns: int | None = None) -> None:
        """Show asks under bids for a while; None: until `restore_book`."""
        self._bend(symbol_id, (CROSSED,), duration_ns)

    def empty_book(self, symbol_id: int, side: str, duration_ns: int | None = None) -> None:
        """Show no quotes on a side (bid, ask, both) for a while; its spot price stands still."""
        if side not in _EMPTY:
            raise ValueError(f"a side of a book is bid, ask or both, not {side!r}")
        self._bend(symbol_id, _EMPTY[side], duration_ns)

    def stop_quotes(self, symbol_id: int, duration_ns: int | None = None) -> None:
        """Show no changes for a while; orders are taken all the same, at the prices that stand."""
        self._bend(symbol_id, (STILL,), duration_ns)

    def shift_prices(self, symbol_id: int, bps: float, duration_ns: int | None = None) -> None:
        """Show all prices of a symbol moved for a while, up or down; orders are taken at those prices."""
        self._bend(symbol_id, (SHIFTED,), duration_ns, bps)

    def restore_book(self, symbol_id: int) -> None:
        """End what the four methods above began."""
        self.tape.straighten(self.catalogue.spec(symbol_id).symbol_id, self.now_ns, cause=_FAULT)

    def partial_fill(
        self, account_id: int | None, fraction: float, rest: str = "cancelled", delay_ns: int = 200_000_000
    ) -> None:
        """Fill only a part of the next market order or close; see `mishaps.PartialFill`."""
        self.mishaps.arrange(PartialFill(account_id, fraction, rest, delay_ns))

    def reject_next(self, account_id: int | None, code: str, *, accepted_first: bool = True) -> None:
        """Reject the next order by an execution event; see `mishaps.Rejection`."""
        self.mishaps.arrange(Rejection(account_id, code, accepted_first))

    def snapshot(self, account_id: int) -> Snapshot:
        """Return the truth of now: what an account holds, and every shown book."""
        return snapshot(cast("Venue", self), account_id)

    def hide_depth(self, symbol_id: int) -> None:
        """Send no depth of a symbol, as brokers do for many CFDs: quotes that were sent are withdrawn, a subscription
        is taken and stays empty. Spot prices go on, and orders are filled from the book as ever."""
        self.hidden_depth[self.catalogue.spec(symbol_id).symbol_id] += 1
        if self.hidden_depth[symbol_id] == 1:
            self.send_depth(symbol_id, (), tuple(self.books[symbol_id].quotes))

    def show_depth(self, symbol_id: int) -> None:
        """Send depth again, the whole book first, when everything that hid it has ended."""
        if self.hidden_depth[self.catalogue.spec(symbol_id).symbol_id] > 1:
            self.hidden_depth[symbol_id] -= 1
        elif self.hidden_depth.pop(symbol_id, 0):
            self.send_depth(symbol_id, tuple(self.books[symbol_id].quotes.values()), ())

    def _bend(self, symbol_id: int, kinds: tuple[str, ...], duration_ns: int | None, bps: float = 0.0) -> None:
        until_ns = None if duration_ns is None else self.now_ns + duration_ns
        for kind in kinds:
            self.tape.bend(self.catalogue.spec(symbol_id).symbol_id, Bend(kind, _FAULT, until_ns, bps), self.now_ns)
        self.reschedule()
