"""How orders of one account are carried out: accepted, filled against the book, protected, ended, and told of.

How it works: `execute` fills what the book gives within the order's reach; the rest is cancelled or keeps resting, or
is filled by a second execution when that was arranged (`mishaps`).
Every step emits its execution event in the documented order: ORDER_ACCEPTED first, then one of the endings.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from bot.ctrader.schema import enum, message
from bot.market.symbols import SymbolSpec
from bot.sim import matching, wire
from bot.sim.account import Account
from bot.sim.book import VenueBook
from bot.sim.entities import BalanceChange, OrderRefused, SimDeal, SimOrder, SimPosition
from bot.sim.mishaps import Mishaps, PartialFill

AT_ONCE = ("MARKET", "MARKET_RANGE")
"""Order types that are executed when they come and never rest."""
Emit = Callable[[Any], None]


class Executor:
    """Executes orders against the venue's books and tells the account's links."""

    def __init__(
        self,
        account: Account,
        specs: Mapping[int, SymbolSpec],
        books: Mapping[int, VenueBook],
        mishaps: Mishaps,
        broadcast: Emit,
    ) -> None:
        self.account = account
        self._specs, self._books, self._broadcast = specs, books, broadcast
        self._mishaps = mishaps

    def check_margin(self, order: SimOrder) -> None:
        """Refuse an order whose new exposure the account has no money for, or may not hold.

        Raises: OrderRefused (NOT_ENOUGH_MONEY, MAX_EXPOSURE_REACHED).
        """
        account = self.account
        opening = account.opening_cents(order)
        if opening == 0:
            return
        most = self._specs[order.symbol_id].max_exposure_cents
        volumes = [p.volume_cents for p in account.positions.values() if p.symbol_id == order.symbol_id]
        closing = order.left_cents - opening
        if most and sum(volumes) - closing + opening > most:
            text = f"an account may hold {most / 100:g} units of the symbol"
            raise OrderRefused("MAX_EXPOSURE_REACHED", text, order_id=order.order_id)
        held = account.positions.get(order.position_id)
        after = account.used_margin_after(order.symbol_id, is_buy=order.is_buy, volume_cents=opening)
        if held is not None and held.is_buy != order.is_buy:
            after -= held.used_margin
        equity = account.equity()
        if after > max(equity, 0):
            scale = 10**account.money_digits
            raise OrderRefused(
                "NOT_ENOUGH_MONEY",
                f"the order brings used margin to {after / scale} with an equity of {equity / scale}",
                order_id=order.order_id,
            )

    def accept(self, order: SimOrder, now_ns: int, emit: Emit) -> bool:
        """Take an order in: from now on it is working, and history knows it. False: an arranged rejection ended it."""
        account = self.account
        rejection = None if order.is_stop_out else self._mishaps.take_rejection(account.settings.account_id)
        order.updated_ns = now_ns
        account.order_history.note(order)
        account.orders[order.order_id] = order
        held = account.positions.get(order.position_id)
        position = wire.created_position_message(order, account.money_digits) if held is None else held
        if rejection is None or rejection.accepted_first:
            self.event(emit, "ORDER_ACCEPTED", order=order, position=position)
        if rejection is not None:
            self.finish(order, "REJECTED", now_ns)
            self.event(emit, "ORDER_REJECTED", order=order, error_code=rejection.code)
        return rejection is None

    def execute(self, order: SimOrder, now_ns: int, emit: Emit, *, rest: bool, server: bool = False) -> None:
        """Fill what the book gives; what is left rests, or is cancelled."""
        account, book = self.account, self._books[order.symbol_id]
        if not self._retarget(order):
            self.cancel(order, now_ns, emit, server=True)
            return
        wanted = self._fillable(order)
        mishap = self._mishap(order, wanted)
        if mishap is not None:
            wanted = mishap.part(wanted, self._specs[order.symbol_id].step_volume_cents) or wanted
        fill = book.walk(
            buy=order.is_buy, volume_cents=wanted, limit=matching.reach(order, self._specs[order.symbol_id])
        )
        if fill is not None and order.time_in_force == "FILL_OR_KILL" and fill.volume_cents < order.left_cents:
            fill = None
        if fill is not None:
            try:
                self.check_margin(order)
            except OrderRefused as refused:
                if order.executed_cents:
                    self.cancel(order, now_ns, emit, server=True)
                    return
                self.finish(order, "REJECTED", now_ns)
                self.event(emit, "ORDER_REJECTED", order=order, error_code=refused.code, server=server)
                return
            results, moved = account.fill(order, fill.volume_cents, fill.price, now_ns)
            book.taken(buy=order.is_buy, volume_cents=fill.volume_cents)
            if order.is_done:
                del account.orders[order.order_id]
            for index, (deal, position) in enumerate(results):
                if deal.closing is None:
                    self._protect_new(order, position, deal)
                last = order.is_done and index == len(results) - 1
                kind = "ORDER_FILLED" if last else "ORDER_PARTIAL_FILL"
                self.event(emit, kind, order=order, position=position, deal=deal, server=order.is_stop_out)
            self.margin_changed(moved)
            if mishap is not None and mishap.rest == "filled" and not order.is_done:
                order.continues_ns = now_ns + mishap.delay_ns
                return
        if not order.is_done and not rest:
            self.cancel(order, now_ns, emit, server=server)

    def _fillable(self, order: SimOrder) -> int:
        """Return what of an order may be filled now: one that is tied to a position never closes more than there is."""
        held = self.account.positions.get(order.position_id)
        if order.tied and held is not None and held.is_buy != order.is_buy:
            return min(order.left_cents, held.volume_cents)
        return order.left_cents

    def _mishap(self, order: SimOrder, wanted: int) -> PartialFill | None:
        """Return the partial fill that is arranged for an order, if it is one that can have it: new, at once."""
        spared = order.is_stop_out or order.executed_cents or order.time_in_force == "FILL_OR_KILL"
        if spared or order.order_type not in AT_ONCE:
            return None
        step = self._specs[order.symbol_id].step_volume_cents
        return self._mishaps.take_fill(self.account.settings.account_id, wanted, step)

    def _retarget(self, order: SimOrder) -> bool:
        """Point an order at the position it acts on now; False when that one is gone and the order dies with it."""
        account = self.account
        if order.position_id in account.positions:
            return True
        if order.tied:
            return False
        if account.settings.account_type == "netted":
            held = account.position_for(order.symbol_id)
            if held is not None:
                order.position_id = held.position_id
                return True
        if order.position_id in account.closed_ids:  # closed in between: an id is never used twice
            order.position_id = next(account.ids.positions)
        return True

    def close(
        self, position: SimPosition, volume_cents: int, now_ns: int, emit: Emit, *, stop_out: bool = False,
        order_type: str = "MARKET",
    ) -> None:  # fmt: skip
        """Close some of a position by a market order of the venue's own making."""
        account = self.account
        order = SimOrder(
            next(account.ids.orders), position.symbol_id, order_type, not position.is_buy, volume_cents, now_ns,
            position.position_id, tied=True, closing=True, time_in_force="IMMEDIATE_OR_CANCEL",
            label=position.label, is_stop_out=stop_out,
        )  # fmt: skip
        if self.accept(order, now_ns, emit):
            self.execute(order, now_ns, emit, rest=False, server=stop_out)

    def cancel(self, order: SimOrder, now_ns: int, emit: Emit, *, server: bool = False) -> None:
        """End an order; its event carries what was executed of it."""
        self.finish(order, "CANCELLED", now_ns)
        position = self.account.positions.get(order.position_id)
        self.event(emit, "ORDER_CANCELLED", order=order, position=position, server=server)

    def finish(self, order: SimOrder, status: str, now_ns: int) -> None:
        """End an order with a status; it works no longer."""
        order.status, order.updated_ns = status, now_ns
        self.account.orders.pop(order.order_id, None)

    def _protect_new(self, order: SimOrder, position: SimPosition, deal: SimDeal) -> None:
        """Give a position the stop loss and take profit its order asked for; relative ones count from the fill."""
        sign = 1 if position.is_buy else -1
        digits = self._specs[position.symbol_id].digits
        stop_loss, take_profit = order.stop_loss, order.take_profit
        if order.relative_stop_loss_e5 is not None:
            stop_loss = round(deal.price - sign * Decimal(order.relative_stop_loss_e5) / 100_000, digits)
        if order.relative_take_profit_e5 is not None:
            take_profit = round(deal.price + sign * Decimal(order.relative_take_profit_e5) / 100_000, digits)
        if stop_loss is not None or take_profit is not None:
            self.protect(position, stop_loss, take_profit, trailing=order.trailing)

    def protect(
        self, position: SimPosition, stop_loss: Decimal | None, take_profit: Decimal | None, *, trailing: bool
    ) -> None:
        """Set a position's stop loss and take profit; both missing removes the order that keeps them."""
        position.stop_loss, position.take_profit = stop_loss, take_profit
        book = self._books[position.symbol_id]
        market_e5 = book.bid_e5 if position.is_buy else book.ask_e5
        position.trailing_distance = None
        if trailing and stop_loss is not None and market_e5 is not None:
            position.trailing_distance = abs(Decimal(market_e5) / 100_000 - stop_loss)
        if stop_loss is None and take_profit is None:
            position.protection_order_id = None
        elif position.protection_order_id is None:
            position.protection_order_id = next(self.account.ids.orders)

    def fill_protection(self, position: SimPosition, now_ns: int) -> None:
        """Close a position whose stop loss or take profit is reached."""
        account = self.account
        order = SimOrder(
            position.protection_order_id or 0, position.symbol_id, "STOP_LOSS_TAKE_PROFIT",
            not position.is_buy, position.volume_cents, now_ns, position.position_id, tied=True, closing=True,
            stop_price=position.stop_loss, label=position.label,
        )  # fmt: skip
        order.updated_ns = now_ns
        book = self._books[position.symbol_id]
        fill = book.walk(buy=order.is_buy, volume_cents=order.volume_cents)
        if fill is None:
            return  # nothing to close against: the protection stays and acts on a later change
        # What a thin book leaves open is protected by a new order.
        position.protection_order_id = next(account.ids.orders)
        account.order_history.note(order)
        results, moved = account.fill(order, fill.volume_cents, fill.price, now_ns)
        book.taken(buy=order.is_buy, volume_cents=fill.volume_cents)
        for deal, held in results:
            kind = "ORDER_FILLED" if order.is_done else "ORDER_PARTIAL_FILL"
            self.event(self._broadcast, kind, order=order, position=held, deal=deal, server=True)
        if not order.is_done:
            self.cancel(order, now_ns, self._broadcast, server=True)
        self.margin_changed(moved)

    def trail(self, position: SimPosition, stop: Decimal, now_ns: int) -> None:
        """Move a trailing stop loss."""
        position.stop_loss, position.updated_ns = stop, now_ns
        self._broadcast(
            message("ProtoOATrailingSLChangedEvent")(
                ctidTraderAccountId=self.account.settings.account_id,
                positionId=position.position_id,
                orderId=position.protection_order_id or 0,
                stopPrice=float(stop),
                utcLastUpdateTimestamp=wire.ms(now_ns),
            )
        )

    def margin_changed(self, positions: list[SimPosition]) -> None:
        """Tell the margin of positions that did not trade themselves."""
        for position in positions:
            self._broadcast(
                message("ProtoOAMarginChangedEvent")(
                    ctidTraderAccountId=self.account.settings.account_id,
                    positionId=position.position_id,
                    usedMargin=position.used_margin,
                    moneyDigits=self.account.money_digits,
                )
            )

    def event(
        self, emit: Emit, kind: str, *, order: Any = None, position: Any = None, deal: SimDeal | None = None,
        error_code: str | None = None, transfer: BalanceChange | None = None, server: bool = False,
    ) -> None:  # fmt: skip
        """Emit an execution event; `order` and `position` are the venue's own or a message made already."""
        digits = self.account.money_digits
        result = message("ProtoOAExecutionEvent")(
            ctidTraderAccountId=self.account.settings.account_id,
            executionType=enum("ProtoOAExecutionType")[kind],
            isServerEvent=server,
        )
        if order is not None:
            result.order.CopyFrom(wire.order_message(order) if isinstance(order, SimOrder) else order)
        if position is not None:
            held = isinstance(position, SimPosition)
            result.position.CopyFrom(wire.position_message(position, digits) if held else position)
        if deal is not None:
            result.deal.CopyFrom(wire.deal_message(deal, digits))
        if transfer is not None:
            result.depositWithdraw.CopyFrom(wire.balance_message(transfer, digits))
        if error_code is not None:
            result.errorCode = error_code
        emit(result)
