"""One trading account: balance, positions, orders and deals, and the money that follows from them.

How it works: fills come in through `fill`, which opens, grows, shrinks or closes positions and returns the deals.
Profit is realised in exact decimals and rounded half-even to minor units once, when a deal closes something.
Margin is recomputed for a symbol's side when its positions change, and stands still between trades. On an account with
fixed margin each volume keeps the margin it was opened with, whatever becomes of leverage and tiers.
"""

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal

from bot.market.symbols import SymbolSpec
from bot.sim.book import VenueBook
from bot.sim.entities import AccountSettings, BalanceChange, Closing, Lot, OrderRefused, SimDeal, SimOrder, SimPosition
from bot.sim.margin import Tiers, bracketed_margin_usd, joined_margin
from bot.sim.rates import Rates
from bot.sim.records import OrderRecords

_MILLION = 1_000_000
_NO_VENUE_BEFORE_S = 1_700_000_000


class Ids:
    """Counters that all accounts of a venue share, so that no id means two things.

    They begin higher the later a venue starts, a thousand a second: what a client remembers of an earlier venue is not
    taken for something of this one.
    """

    def __init__(self, start_ns: int) -> None:
        ahead = max(0, start_ns // 1_000_000_000 - _NO_VENUE_BEFORE_S) * 1_000
        self.orders, self.positions, self.deals = (
            itertools.count(500_001 + ahead),
            itertools.count(300_001 + ahead),
            itertools.count(900_001 + ahead),
        )


class Account:
    """The state of one account. `orders` holds working orders; `order_history`, `deals` and `cash_flow` the past.

    `access_rights` is a name of ProtoOAAccessRights.
    """

    def __init__(
        self,
        settings: AccountSettings,
        specs: Mapping[int, SymbolSpec],
        books: Mapping[int, VenueBook],
        rates: Rates,
        tiers: Mapping[int, Tiers],
        ids: Ids,
        money_digits: int,
        start_ns: int,
    ) -> None:
        self.settings = settings
        self.money_digits = money_digits
        self.balance = self.minor(settings.balance)
        self.balance_version = 1
        self.opened_ns = start_ns
        self.last_closing_ns: int | None = None
        self.positions: dict[int, SimPosition] = {}
        self.closed_ids: set[int] = set()
        self.orders: dict[int, SimOrder] = {}
        self.order_history = OrderRecords(settings.history_limit)
        self.deals: deque[SimDeal] = deque(maxlen=settings.history_limit)
        self.access_rights = "FULL_ACCESS"
        self.max_leverage = settings.leverage
        self.ids = ids
        self.last_transfer = BalanceChange(1, self.balance, self.balance, 1, start_ns, self.balance)
        self.cash_flow = deque([self.last_transfer], maxlen=settings.history_limit)
        self._specs, self._books, self._rates, self._tiers = specs, books, rates, tiers

    # -- changes from outside ---------------------------------------------------------------------------------------

    def set_leverage(self, ratio: int) -> list[SimPosition]:
        """Change the account's leverage; return the positions whose margin moved."""
        self.settings = replace(self.settings, leverage=ratio)
        self.max_leverage = max(self.max_leverage, ratio)
        return [moved for symbol_id in self._held_symbols() for moved in self.recompute_margin(symbol_id)]

    def set_margin_factor(self, position: SimPosition, factor: Decimal) -> list[SimPosition]:
        """Charge a position `factor` times its nominal margin from now on; return it if its margin moved."""
        position.margin_factor = factor
        return self._charge(position, position.nominal_margin)

    def transfer(self, delta: int, now_ns: int) -> BalanceChange:
        """Book a deposit, or a withdrawal (below 0). Units: minor units."""
        self.balance += delta
        self.balance_version += 1
        self.last_transfer = BalanceChange(
            self.last_transfer.change_id + 1, self.balance, delta, self.balance_version, now_ns, self.equity()
        )
        self.cash_flow.append(self.last_transfer)
        return self.last_transfer

    def _held_symbols(self) -> list[int]:
        return list(dict.fromkeys(position.symbol_id for position in self.positions.values()))

    # -- money ------------------------------------------------------------------------------------------------------

    def minor(self, money: Decimal) -> int:
        """Return an amount of deposit currency in minor units, rounded half-even."""
        return int(money.scaleb(self.money_digits).quantize(Decimal(1), ROUND_HALF_EVEN))

    def gross(self, position: SimPosition) -> Decimal | None:
        """Return a position's unrealised gross profit in deposit currency; None without quotes to value it at."""
        book, spec = self._books[position.symbol_id], self._specs[position.symbol_id]
        exit_e5 = book.bid_e5 if position.is_buy else book.ask_e5
        rate = self._rates.rate(spec.quote_asset, self.settings.deposit_currency)
        if exit_e5 is None or rate is None:
            return None
        move = Decimal(exit_e5) / 100_000 - position.price
        return (move if position.is_buy else -move) * position.volume_cents / 100 * rate

    def net(self, position: SimPosition) -> int:
        """Return unrealised net profit (gross, swap, commission so far), minor units; unknown gross counts as none."""
        gross = self.gross(position)
        return (0 if gross is None else self.minor(gross)) + position.swap + position.commission

    def equity(self) -> int:
        """Return balance plus the net profit of every open position, in minor units."""
        return self.balance + sum(self.net(position) for position in self.positions.values())

    def used_margin(self) -> int:
        """Return the account's used margin in minor units, each symbol's sides joined by the account's rule."""
        sides: dict[tuple[int, bool], int] = {}
        for position in self.positions.values():
            key = (position.symbol_id, position.is_buy)
            sides[key] = sides.get(key, 0) + position.used_margin
        return sum(
            joined_margin(
                sides.get((symbol_id, True), 0), sides.get((symbol_id, False), 0), self.settings.margin_calculation
            )
            for symbol_id in {symbol_id for symbol_id, _ in sides}
        )

    def margin_level(self) -> float | None:
        """Return equity / used margin; None with no margin used."""
        used = self.used_margin()
        return self.equity() / used if used else None

    def opening_rates(self, symbol_id: int) -> tuple[Decimal, Decimal]:
        """Return base -> deposit and base -> USD now.

        Raises: OrderRefused (NO_QUOTES) while a symbol on the way has no price.
        """
        spec = self._specs[symbol_id]
        deposit = self._rates.rate(spec.base_asset, self.settings.deposit_currency)
        dollars = self._rates.rate(spec.base_asset, "USD")
        if deposit is None or dollars is None or not self._books[symbol_id].has_quotes:
            raise OrderRefused("NO_QUOTES", f"{spec.name} has no price yet, or none to convert its margin with")
        return deposit, dollars

    def expected_margin(self, symbol_id: int, *, is_buy: bool, volume_cents: int) -> int:
        """Return the margin a new order would add to its own side: it lands in the tiers above what is open there."""
        deposit, dollars = self.opening_rates(symbol_id)
        start = sum(
            (p.usd_rate * p.volume_cents / 100 for p in self._side(symbol_id, is_buy)),
            Decimal(0),
        )
        return self._slice_margin(symbol_id, start, volume_cents, deposit, dollars)

    def used_margin_after(self, symbol_id: int, *, is_buy: bool, volume_cents: int) -> int:
        """Return what `used_margin` would be after opening this much more on one side."""
        added = self.expected_margin(symbol_id, is_buy=is_buy, volume_cents=volume_cents)
        sides = {
            side: sum(p.used_margin for p in self._side(symbol_id, side)) + (added if side == is_buy else 0)
            for side in (True, False)
        }
        before = joined_margin(
            sides[True] - (added if is_buy else 0),
            sides[False] - (0 if is_buy else added),
            self.settings.margin_calculation,
        )
        return self.used_margin() - before + joined_margin(sides[True], sides[False], self.settings.margin_calculation)

    def _side(self, symbol_id: int, is_buy: bool) -> list[SimPosition]:
        return [p for p in self.positions.values() if p.symbol_id == symbol_id and p.is_buy == is_buy]

    def _slice_margin(
        self, symbol_id: int, from_usd: Decimal, volume_cents: int, deposit_rate: Decimal, usd_rate: Decimal
    ) -> int:
        units = Decimal(volume_cents) / 100
        tiers = self._tiers[self._specs[symbol_id].leverage_id or 0]
        dollars = bracketed_margin_usd(from_usd, from_usd + units * usd_rate, tiers, self.settings.leverage)
        return self.minor(dollars * deposit_rate / usd_rate)

    def recompute_margin(self, symbol_id: int) -> list[SimPosition]:
        """Bring the margin of a symbol's positions up to date; return those whose margin moved."""
        moved: list[SimPosition] = []
        if self.settings.margin_mode == "fixed":
            return moved
        for is_buy in (True, False):
            start = Decimal(0)
            for position in self._side(symbol_id, is_buy):
                margin = self._slice_margin(
                    symbol_id, start, position.volume_cents, position.margin_rate, position.usd_rate
                )
                start += position.usd_rate * position.volume_cents / 100
                moved += self._charge(position, margin)
        return moved

    @staticmethod
    def _charge(position: SimPosition, nominal: int) -> list[SimPosition]:
        before = position.used_margin
        position.nominal_margin = nominal
        position.used_margin = int((nominal * position.margin_factor).quantize(Decimal(1), ROUND_HALF_EVEN))
        return [position] if position.used_margin != before else []

    # -- fills ------------------------------------------------------------------------------------------------------

    def position_for(self, symbol_id: int) -> SimPosition | None:
        """Return the symbol's position on a netted account, if there is one."""
        return next((p for p in self.positions.values() if p.symbol_id == symbol_id), None)

    def opening_cents(self, order: SimOrder) -> int:
        """Return how much of what is left of an order would be new exposure, once it has closed what it can."""
        held = self.positions.get(order.position_id)
        if held is not None and held.is_buy == order.is_buy:
            return order.left_cents
        if order.tied:
            return 0  # it dies with its position, and never closes more than there is
        return order.left_cents if held is None else max(0, order.left_cents - held.volume_cents)

    def fill(
        self, order: SimOrder, volume_cents: int, price: Decimal, now_ns: int
    ) -> tuple[list[tuple[SimDeal, SimPosition]], list[SimPosition]]:
        """Execute part or all of an order.

        On a netted account a fill beyond the open position closes it and opens the rest the other way: two deals.
        Returns: each deal with its position (volume 0: closed by it), and the other positions whose margin moved.
        """
        order.executed_cents += volume_cents
        order.executed_cost += price * volume_cents
        order.updated_ns = now_ns
        position = self.positions.get(order.position_id)
        results = []
        closed = 0
        if position is not None and position.is_buy != order.is_buy:
            closed = min(volume_cents, position.volume_cents)
            partial = order.left_cents > 0 or closed < volume_cents
            results.append((self._close(order, position, closed, price, now_ns, partial=partial), position))
        if volume_cents > closed:
            if closed:
                order.position_id = next(self.ids.positions)
            results.append(self._open(order, volume_cents - closed, price, now_ns))
        if order.left_cents == 0:
            order.status = "FILLED"
        touched = {id(held) for _, held in results}
        moved = [held for held in self.recompute_margin(order.symbol_id) if id(held) not in touched]
        return results, moved

    def _commission(self, volume_cents: int, usd_rate: Decimal, deposit_rate: Decimal) -> int:
        dollars = Decimal(volume_cents) / 100 * usd_rate * self.settings.commission_per_million / _MILLION
        return -self.minor(dollars * deposit_rate / usd_rate)

    def _open(self, order: SimOrder, volume_cents: int, price: Decimal, now_ns: int) -> tuple[SimDeal, SimPosition]:
        deposit, dollars = self.opening_rates(order.symbol_id)
        commission = self._commission(volume_cents, dollars, deposit)
        deal = SimDeal(
            next(self.ids.deals), order.order_id, order.position_id, order.symbol_id, order.is_buy, order.volume_cents,
            volume_cents, price, now_ns, order.left_cents > 0, commission, deposit, dollars,
        )  # fmt: skip
        position = self.positions.get(order.position_id)
        if position is None:
            position = SimPosition(
                order.position_id, order.symbol_id, order.is_buy, 0, price, now_ns, deposit, dollars,
                order.label, order.comment,
            )  # fmt: skip
            self.positions[order.position_id] = position
        if self.settings.margin_mode == "fixed":
            added = self.expected_margin(order.symbol_id, is_buy=order.is_buy, volume_cents=volume_cents)
            self._charge(position, position.nominal_margin + added)
        before, after = position.volume_cents, position.volume_cents + volume_cents
        position.price = (position.price * before + price * volume_cents) / after
        position.margin_rate = (position.margin_rate * before + deposit * volume_cents) / after
        position.usd_rate = (position.usd_rate * before + dollars * volume_cents) / after
        position.volume_cents = after
        position.commission += commission
        position.updated_ns = now_ns
        position.lots.append(Lot(deal.deal_id, volume_cents))
        self.deals.append(deal)
        return deal, position

    def _close(
        self, order: SimOrder, position: SimPosition, volume_cents: int, price: Decimal, now_ns: int, *, partial: bool
    ) -> SimDeal:
        spec = self._specs[position.symbol_id]
        deposit, dollars = self.opening_rates(position.symbol_id)
        rate = self._rates.rate(spec.quote_asset, self.settings.deposit_currency)
        assert rate is not None  # opening_rates has refused already when a rate is missing
        move = price - position.price if position.is_buy else position.price - price
        gross = self.minor(move * volume_cents / 100 * rate)
        share = Decimal(volume_cents) / position.volume_cents
        opening_commission = int((position.commission * share).quantize(Decimal(1), ROUND_HALF_EVEN))
        swap = int((position.swap * share).quantize(Decimal(1), ROUND_HALF_EVEN))
        commission = self._commission(volume_cents, dollars, deposit)
        self.balance += gross + swap + opening_commission + commission
        self.balance_version += 1
        self.last_closing_ns = now_ns
        closing = Closing(
            position.price, gross, swap, opening_commission + commission, self.balance, self.balance_version,
            volume_cents, rate,
        )  # fmt: skip
        deal = SimDeal(
            next(self.ids.deals), order.order_id, position.position_id, position.symbol_id, order.is_buy,
            order.volume_cents, volume_cents, price, now_ns, partial, commission, deposit, dollars, closing,
            self._take_lots(position, volume_cents),
        )  # fmt: skip
        if self.settings.margin_mode == "fixed":
            left = Decimal(position.nominal_margin) * (position.volume_cents - volume_cents) / position.volume_cents
            self._charge(position, int(left.quantize(Decimal(1), ROUND_HALF_EVEN)))
        position.volume_cents -= volume_cents
        position.commission -= opening_commission
        position.swap -= swap
        position.updated_ns = now_ns
        if position.volume_cents == 0:
            position.used_margin = 0
            del self.positions[position.position_id]
            # Only a working order can still name it; of all others nothing has to be remembered.
            named = {working.position_id for working in self.orders.values() if working.left_cents}
            self.closed_ids = (self.closed_ids | {position.position_id}) & named
        self.deals.append(deal)
        return deal

    @staticmethod
    def _take_lots(position: SimPosition, volume_cents: int) -> tuple[tuple[int, int], ...]:
        """Close the oldest parts of a position first."""
        offsets = []
        while volume_cents:
            lot = position.lots[0]
            taken = min(volume_cents, lot.left_cents)
            lot.left_cents -= taken
            volume_cents -= taken
            offsets.append((lot.deal_id, taken))
            if lot.left_cents == 0:
                position.lots.pop(0)
        return tuple(offsets)
