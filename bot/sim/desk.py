"""One account's trading: requests in, execution events out, in the documented order.

How it works: `place`, `close`, `cancel`, `amend_order` and `amend_position` answer a request; `on_change` acts on a
change of a symbol's market (resting orders, protections, stop-out) and `run` on the clock. Every event goes through
the `emit` given at the start; refusals are raised as `OrderRefused` and change nothing. What the account may do at all,
and when the symbol trades, is asked of the `Gate` first.
An order lives from ORDER_ACCEPTED to one of ORDER_FILLED, ORDER_CANCELLED, ORDER_EXPIRED, ORDER_REJECTED.
"""

from collections.abc import Mapping
from typing import Any

from bot.sim import checks, matching, wire
from bot.sim.account import Account
from bot.sim.book import VenueBook
from bot.sim.catalogue import Catalogue
from bot.sim.entities import OrderRefused, SimOrder, SimPosition
from bot.sim.execution import AT_ONCE, Emit, Executor
from bot.sim.floor import Floor
from bot.sim.gate import Gate
from bot.sim.mishaps import Mishaps


class Desk:
    """Takes an account's orders and executes them against the venue's books."""

    def __init__(
        self,
        account: Account,
        catalogue: Catalogue,
        books: Mapping[int, VenueBook],
        floor: Floor,
        mishaps: Mishaps,
        broadcast: Emit,
    ) -> None:
        self.account = account
        self._specs, self._books, self._broadcast = catalogue.specs, books, broadcast
        self._gate = Gate(account, catalogue, floor)
        self.executor = Executor(account, catalogue.specs, books, mishaps, broadcast)

    # -- requests ---------------------------------------------------------------------------------------------------

    def place(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOANewOrderReq.

        Raises: OrderRefused.
        """
        account = self.account
        spec = self._specs.get(request.symbolId)
        if spec is None:
            raise OrderRefused("SYMBOL_NOT_FOUND", f"no symbol {request.symbolId}")
        self._gate.check_trading(spec.symbol_id, now_ns)
        book = self._books[spec.symbol_id]
        if not book.has_quotes:
            raise OrderRefused("NO_QUOTES", f"{spec.name} has no price yet")
        order = checks.read_order(request, spec, book, now_ns)
        held = self._held(request, order)
        if held is not None:
            order.position_id = held.position_id
            order.closing = held.is_buy != order.is_buy
            netted = account.settings.account_type == "netted"
            flips = netted and order.closing and order.volume_cents > held.volume_cents
            order.tied = request.HasField("positionId") and not flips
            if order.closing and not netted and order.volume_cents > held.volume_cents:
                raise OrderRefused(
                    "TRADING_BAD_VOLUME",
                    f"volume {order.volume_cents} is above the position's {held.volume_cents}",
                    position_id=held.position_id,
                )
        if account.opening_cents(order):
            self._gate.check_opening(order.symbol_id, is_buy=order.is_buy)
        if order.order_type in AT_ONCE:
            self.executor.check_margin(order)
        order.order_id = next(account.ids.orders)
        if held is None:
            order.position_id = next(account.ids.positions)
        if not self.executor.accept(order, now_ns, emit):
            return
        if order.order_type in AT_ONCE:
            self.executor.execute(order, now_ns, emit, rest=False)
        elif order.order_type == "LIMIT":
            self.executor.execute(
                order, now_ns, emit, rest=order.time_in_force not in ("IMMEDIATE_OR_CANCEL", "FILL_OR_KILL")
            )

    def close(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOAClosePositionReq: a market order against the position.

        Raises: OrderRefused.
        """
        position = self._position(request.positionId)
        self._gate.check_trading(position.symbol_id, now_ns)
        checks.check_volume(self._specs[position.symbol_id], request.volume, whole=position.volume_cents)
        self.executor.close(position, request.volume, now_ns, emit)

    def cancel(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOACancelOrderReq.

        Raises: OrderRefused.
        """
        self._gate.check_account()
        self.executor.cancel(self._order(request.orderId), now_ns, emit)

    def amend_order(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOAAmendOrderReq; omitted fields are kept.

        Raises: OrderRefused; the order is then as before.
        """
        order = self._order(request.orderId)
        self._gate.check_trading(order.symbol_id, now_ns)
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
        self.executor.event(emit, "ORDER_REPLACED", order=order, position=self.account.positions.get(order.position_id))
        if order.order_type == "LIMIT" or order.triggered:
            self.executor.execute(order, now_ns, emit, rest=True)

    def amend_position(self, request: Any, now_ns: int, emit: Emit) -> None:
        """Take a ProtoOAAmendPositionSLTPReq: an omitted leg is removed, an omitted trailing flag is kept.

        Raises: OrderRefused.
        """
        position = self._position(request.positionId)
        self._gate.check_trading(position.symbol_id, now_ns)
        spec, book = self._specs[position.symbol_id], self._books[position.symbol_id]
        stop_loss = checks.price_of(request, "stopLoss", spec)
        take_profit = checks.price_of(request, "takeProfit", spec)
        checks.check_protection(book, is_buy=position.is_buy, stop_loss=stop_loss, take_profit=take_profit)
        trailing = (
            request.trailingStopLoss if request.HasField("trailingStopLoss") else position.trailing_distance is not None
        )
        position.updated_ns = now_ns
        self.executor.protect(position, stop_loss, take_profit, trailing=trailing)
        order = None
        if position.protection_order_id is not None:
            order = wire.protection_order_message(position)
        self.executor.event(emit, "ORDER_REPLACED", order=order, position=position)

    # -- the market and the clock -----------------------------------------------------------------------------------

    def on_change(self, symbol_id: int, now_ns: int, *, spot_moved: bool) -> None:
        """Let resting orders, protections and (when the spot moved) the stop-out act on a symbol's new market."""
        account, book = self.account, self._books[symbol_id]
        for order in [order for order in account.orders.values() if order.symbol_id == symbol_id]:
            if order.is_done or order.continues_ns is not None or not self._may_act(order, now_ns):
                continue
            if order.order_type in ("STOP", "STOP_LIMIT") and not order.triggered:
                if not matching.is_triggered(order, book):
                    continue
                order.triggered = True
            self.executor.execute(order, now_ns, self._broadcast, rest=order.order_type != "STOP", server=True)
        if not account.positions or not spot_moved:
            return
        for position in [p for p in account.positions.values() if p.symbol_id == symbol_id]:
            if not self._gate.may_execute(symbol_id, now_ns, opens=False, is_buy=not position.is_buy):
                continue
            stop = matching.trailed_stop(position, book, self._specs[symbol_id])
            if stop is not None:
                self.executor.trail(position, stop, now_ns)
            if matching.protection_hit(position, book):
                self.executor.fill_protection(position, now_ns)
        self.stop_out(now_ns)

    def run(self, now_ns: int) -> None:
        """End the orders whose time is over, and finish those that are executed in two parts."""
        for order in list(self.account.orders.values()):
            if order.continues_ns is not None:
                if order.continues_ns <= now_ns:
                    self._finish_execution(order, now_ns)
            elif order.expires_ns is not None and order.expires_ns <= now_ns:
                self.executor.finish(order, "EXPIRED", now_ns)
                self.executor.event(self._broadcast, "ORDER_EXPIRED", order=order, server=True)

    def next_due_ns(self) -> int | None:
        """Return when `run` has something to do; None for never."""
        orders = self.account.orders.values()
        if not orders:
            return None
        times = [order.expires_ns if order.continues_ns is None else order.continues_ns for order in orders]
        return min((time for time in times if time is not None), default=None)

    def _finish_execution(self, order: SimOrder, now_ns: int) -> None:
        order.continues_ns = None
        if self._may_act(order, now_ns):
            self.executor.execute(order, now_ns, self._broadcast, rest=False)
        else:
            self.executor.cancel(order, now_ns, self._broadcast, server=True)

    def _may_act(self, order: SimOrder, now_ns: int) -> bool:
        opens = self.account.opening_cents(order) > 0
        return self._gate.may_execute(order.symbol_id, now_ns, opens=opens, is_buy=order.is_buy)

    def stop_out(self, now_ns: int) -> None:
        """Close whole positions, the one with most margin first, while the margin level is under the stop-out level."""
        account = self.account
        for _ in range(len(account.positions)):
            level = account.margin_level()
            if level is None or level >= account.settings.stop_out_frac:
                return
            closable = [
                held
                for held in account.positions.values()
                if self._gate.may_execute(held.symbol_id, now_ns, opens=False, is_buy=not held.is_buy)
            ]
            if not closable:
                return
            position = max(closable, key=lambda held: (held.used_margin, held.position_id))
            before = position.volume_cents
            self.executor.close(position, before, now_ns, self._broadcast, stop_out=True)
            if position.volume_cents == before:
                return  # an empty book: try again at the next change

    # -- looking up -----------------------------------------------------------------------------------------------

    def _order(self, order_id: int) -> SimOrder:
        order = self.account.orders.get(order_id)
        if order is None:
            raise OrderRefused("ORDER_NOT_FOUND", f"no working order {order_id}", order_id=order_id)
        if order.continues_ns is not None:
            raise OrderRefused("CONCURRENT_MODIFICATION", f"order {order_id} is being executed", order_id=order_id)
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
