"""One account's trading: requests in, execution events out, in the documented order.

How it works: `place`, `close`, `cancel`, `amend_order` and `amend_position` answer a request; `on_change` acts on a
change of a symbol's market (resting orders, protections, stop-out) and `expire` on the clock. Every event goes through
the `emit` given at the start; refusals are raised as `OrderRefused` and change nothing.
An order lives from ORDER_ACCEPTED to one of ORDER_FILLED, ORDER_CANCELLED, ORDER_EXPIRED, ORDER_REJECTED.
"""

from collections.abc import Mapping
from typing import Any

from bot.market.symbols import SymbolSpec
from bot.sim import checks, matching, wire
from bot.sim.account import Account
from bot.sim.book import VenueBook
from bot.sim.entities import OrderRefused, SimOrder, SimPosition
from bot.sim.execution import Emit, Executor


class Desk:
    """Takes an account's orders and executes them against the venue's books."""

    def __init__(
        self, account: Account, specs: Mapping[int, SymbolSpec], books: Mapping[int, VenueBook], broadcast: Emit
    ) -> None:
        self.account = account
        self._specs, self._books, self._broadcast = specs, books, broadcast
        self._executor = Executor(account, specs, books, broadcast)

    # -- requests ---------------------------------------------------------------------------------------------------

    def place(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOANewOrderReq.

        Raises: OrderRefused.
        """
        account = self.account
        spec = self._specs.get(request.symbolId)
        if spec is None:
            raise OrderRefused("SYMBOL_NOT_FOUND", f"no symbol {request.symbolId}")
        book = self._books[spec.symbol_id]
        if not book.has_quotes:
            raise OrderRefused("NO_QUOTES", f"{spec.name} has no price yet")
        order = checks.read_order(request, spec, book, now_ns)
        held = self._held(request, order)
        if held is not None:
            order.position_id, order.tied = held.position_id, request.HasField("positionId")
            order.closing = held.is_buy != order.is_buy
            netted = account.settings.account_type == "netted"
            if order.closing and not netted and order.volume_cents > held.volume_cents:
                raise OrderRefused(
                    "TRADING_BAD_VOLUME",
                    f"volume {order.volume_cents} is above the position's {held.volume_cents}",
                    position_id=held.position_id,
                )
        if order.order_type in ("MARKET", "MARKET_RANGE"):
            self._executor.check_margin(order)
        order.order_id = next(account.ids.orders)
        if held is None:
            order.position_id = next(account.ids.positions)
        self._executor.accept(order, now_ns, emit)
        if order.order_type in ("MARKET", "MARKET_RANGE"):
            self._executor.execute(order, now_ns, emit, rest=False)
        elif order.order_type == "LIMIT":
            self._executor.execute(
                order, now_ns, emit, rest=order.time_in_force not in ("IMMEDIATE_OR_CANCEL", "FILL_OR_KILL")
            )

    def close(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOAClosePositionReq: a market order against the position.

        Raises: OrderRefused.
        """
        position = self._position(request.positionId)
        checks.check_volume(self._specs[position.symbol_id], request.volume, whole=position.volume_cents)
        self._executor.close(position, request.volume, now_ns, emit)

    def cancel(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOACancelOrderReq.

        Raises: OrderRefused.
        """
        self._executor.cancel(self._order(request.orderId), now_ns, emit)

    def amend_order(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOAAmendOrderReq; omitted fields are kept.

        Raises: OrderRefused; the order is then as before.
        """
        order = self._order(request.orderId)
        spec, book = self._specs[order.symbol_id], self._books[order.symbol_id]
        if request.HasField("volume"):
            checks.check_volume(spec, request.volume)
            if request.volume <= order.executed_cents:
                raise OrderRefused(
                    "TRADING_BAD_VOLUME", f"{order.executed_cents} is executed already", order_id=order.order_id
                )
        limit = checks.price_of(request, "limitPrice", spec) if order.order_type == "LIMIT" else None
        stop = checks.price_of(request, "stopPrice", spec) if order.order_type.startswith("STOP") else None
        stop_loss = checks.price_of(request, "stopLoss", spec) or order.stop_loss
        take_profit = checks.price_of(request, "takeProfit", spec) or order.take_profit
        relative_stop = checks.relative_of(request, "relativeStopLoss", spec) or order.relative_stop_loss_e5
        relative_profit = checks.relative_of(request, "relativeTakeProfit", spec) or order.relative_take_profit_e5
        if stop is not None and not order.triggered:
            checks.check_stop_price(book, is_buy=order.is_buy, stop_price=stop)
        limit, stop = limit or order.limit_price, stop or order.stop_price
        checks.check_protection(
            book, is_buy=order.is_buy, stop_loss=stop_loss, take_profit=take_profit, at=limit or stop
        )
        if request.HasField("expirationTimestamp"):
            if request.expirationTimestamp * 1_000_000 <= now_ns:
                raise OrderRefused("TRADING_BAD_EXPIRATION_DATE", "expirationTimestamp must lie in the future")
            order.expires_ns = request.expirationTimestamp * 1_000_000
        if request.HasField("volume"):
            order.volume_cents = request.volume
        if request.HasField("slippageInPoints"):
            order.slippage_points = request.slippageInPoints
        order.limit_price, order.stop_price = limit, stop
        order.stop_loss, order.take_profit = stop_loss, take_profit
        order.relative_stop_loss_e5, order.relative_take_profit_e5 = relative_stop, relative_profit
        order.updated_ns = now_ns
        self._executor.event(
            emit, "ORDER_REPLACED", order=order, position=self.account.positions.get(order.position_id)
        )
        if order.order_type == "LIMIT" or order.triggered:
            self._executor.execute(order, now_ns, emit, rest=True)

    def amend_position(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOAAmendPositionSLTPReq: an omitted leg is removed, an omitted trailing flag is kept.

        Raises: OrderRefused.
        """
        position = self._position(request.positionId)
        spec, book = self._specs[position.symbol_id], self._books[position.symbol_id]
        stop_loss = checks.price_of(request, "stopLoss", spec)
        take_profit = checks.price_of(request, "takeProfit", spec)
        checks.check_protection(book, is_buy=position.is_buy, stop_loss=stop_loss, take_profit=take_profit)
        trailing = (
            request.trailingStopLoss if request.HasField("trailingStopLoss") else position.trailing_distance is not None
        )
        position.updated_ns = now_ns
        self._executor.protect(position, stop_loss, take_profit, trailing=trailing)
        order = None
        if position.protection_order_id is not None:
            order = wire.protection_order_message(position)
        self._executor.event(emit, "ORDER_REPLACED", order=order, position=position)

    # -- the market and the clock -----------------------------------------------------------------------------------

    def on_change(self, symbol_id: int, now_ns: int, *, spot_moved: bool) -> None:
        """Let resting orders, protections and (when the spot moved) the stop-out act on a symbol's new market."""
        account, book = self.account, self._books[symbol_id]
        for order in [order for order in account.orders.values() if order.symbol_id == symbol_id]:
            if order.is_done:
                continue
            if order.order_type in ("STOP", "STOP_LIMIT") and not order.triggered:
                if not matching.is_triggered(order, book):
                    continue
                order.triggered = True
            self._executor.execute(order, now_ns, self._broadcast, rest=order.order_type != "STOP", server=True)
        if not account.positions or not spot_moved:
            return
        for position in [p for p in account.positions.values() if p.symbol_id == symbol_id]:
            stop = matching.trailed_stop(position, book, self._specs[symbol_id])
            if stop is not None:
                self._executor.trail(position, stop, now_ns)
            if matching.protection_hit(position, book):
                self._executor.fill_protection(position, now_ns)
        self.stop_out(now_ns)

    def expire(self, now_ns: int) -> None:
        """End the orders whose time is over."""
        for order in list(self.account.orders.values()):
            if order.expires_ns is not None and order.expires_ns <= now_ns:
                self._executor.finish(order, "EXPIRED", now_ns)
                self._executor.event(self._broadcast, "ORDER_EXPIRED", order=order, server=True)

    def next_expiry_ns(self) -> int | None:
        """Return when the next order expires; None when none does."""
        return min((o.expires_ns for o in self.account.orders.values() if o.expires_ns is not None), default=None)

    def stop_out(self, now_ns: int) -> None:
        """Close whole positions, the one with most margin first, while the margin level is under the stop-out level."""
        account = self.account
        for _ in range(len(account.positions)):
            level = account.margin_level()
            if level is None or level >= account.settings.stop_out_frac:
                return
            position = max(account.positions.values(), key=lambda held: (held.used_margin, held.position_id))
            before = position.volume_cents
            self._executor.close(position, before, now_ns, self._broadcast, stop_out=True)
            if position.volume_cents == before:
                return  # an empty book: try again at the next change

    # -- looking up -----------------------------------------------------------------------------------------------

    def _order(self, order_id: int) -> SimOrder:
        order = self.account.orders.get(order_id)
        if order is None:
            raise OrderRefused("ORDER_NOT_FOUND", f"no working order {order_id}", order_id=order_id)
        return order

    def _position(self, position_id: int) -> SimPosition:
        position = self.account.positions.get(position_id)
        if position is None:
            raise OrderRefused("POSITION_NOT_FOUND", f"no open position {position_id}", position_id=position_id)
        return position

    def _held(self, request: Any, order: SimOrder) -> SimPosition | None:
        """Return the position that an order is about, if it exists already."""
        if request.HasField("positionId"):
            position = self._position(request.positionId)
            if position.symbol_id != order.symbol_id:
                raise OrderRefused(
                    "POSITION_NOT_FOUND", f"position {position.position_id} is in another symbol",
                    position_id=position.position_id,
                )  # fmt: skip
            return position
        if self.account.settings.account_type == "netted":
            return self.account.position_for(order.symbol_id)
        return None
