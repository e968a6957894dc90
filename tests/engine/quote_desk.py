"""A desk whose engine quotes, and the small venue that answers it: one-line builders for what happens to quotes."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine_desk import LIMITS, SECOND, Desk

import strategies
from bot.account.position import Deal
from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.engine.foreign_order import TERMS
from bot.engine.settings import SymbolChoice
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder, CancelOrder, PlaceOrder, TradeRequest

QUOTING = {"alpha": 0, "beta": 0, "volatility_power": 0, "volatility_prior_bps": 0.2}
"""What the features of a desk's engine do not know is switched off."""
FAST = replace(LIMITS, max_orders_per_minute=2000)


class QuoteDesk(Desk):
    """A desk that quotes; `book` is what rests at its venue, by order id."""

    def __init__(self, *names: str, direction: str = "signal", own: dict[str, float] | None = None, **changes: Any):
        defaults: dict[str, Any] = {
            "strategy": strategies.load("market-making", QUOTING | (own or {})),
            "symbols": tuple(SymbolChoice(name, direction, 1.0) for name in names or ("EURUSD",)),
            "risk_limits": FAST,
        }
        super().__init__(*names, **(defaults | changes))
        self.book: dict[int, OrderSnapshot] = {}
        self._answering: str | None = None  # the request that an order without a client id answers

    def settle(self, decision: Decision) -> Decision:
        """Let the venue carry out everything that a decision asks of resting orders."""
        events = [event for request in decision.requests for event in self.answer(request)]
        return self.hear(*events) if events else decision

    def answer(self, request: Any) -> list[ev.Event]:
        """Return what the venue says to one request, which it carries out."""
        self._answering = getattr(request, "client_order_id", None)
        events = self._carry_out(request)
        self._answering = None
        return events

    def _carry_out(self, request: Any) -> list[ev.Event]:
        self._ids += 10
        if isinstance(request, PlaceOrder) and request.order_type in ("limit", "stop", "stop_limit"):
            order = OrderSnapshot(
                self._ids, request.symbol_id, request.volume_cents, 0, request.order_type, "accepted",
                client_order_id=request.client_order_id, position_id=request.position_id or self._ids + 1,
                label=request.label, closing=request.position_id is not None, comment=request.comment,
                **{name: getattr(request, name) for name in TERMS},
            )  # fmt: skip
            self.book[order.order_id] = order
            return [self.says("accepted", order)]
        if isinstance(request, AmendOrder):
            if request.order_id not in self.book:
                return [self.refuses(request)]
            before = self.book[request.order_id]
            volume = request.volume_cents if before.volume_cents > 0 else -request.volume_cents
            sent = {name: getattr(request, name) for name in TERMS}
            after = replace(before, volume_cents=volume, **sent)
            self.book[request.order_id] = after
            return [self.says("replaced", after)]
        if isinstance(request, CancelOrder):
            gone = self.book.pop(request.order_id, None)
            return [
                self.refuses(request) if gone is None else self.says("cancelled", replace(gone, status="cancelled"))
            ]
        return []

    def says(self, kind: str, order: OrderSnapshot, deal: Deal | None = None) -> ev.ExecutionReported:
        return ev.ExecutionReported(self.now_ns, kind, order.client_order_id or self._answering, order, deal)

    def refuses(self, request: Any, code: str = "ORDER_NOT_FOUND", **fields: Any) -> ev.RequestRefused:
        return ev.RequestRefused(self.now_ns, request.client_order_id, code, order_id=request.order_id, **fields)

    def fills(self, side: int, share: float = 1.0, symbol_id: int = 1) -> list[ev.Event]:
        """Return what the venue says when a share of the resting order of a side fills."""
        order = next(o for o in self.book.values() if o.volume_cents * side > 0 and o.symbol_id == symbol_id)
        self._ids += 10
        left = order.volume_cents - side * order.executed_cents
        filled = round(left * share)
        executed = order.executed_cents + abs(filled)
        after = replace(order, executed_cents=executed, execution_price=order.limit_price)
        deal = Deal(
            self._ids, order.order_id, int(order.position_id or 0), symbol_id, filled, float(order.limit_price or 0),
            Decimal(0), self.now_ns,
        )  # fmt: skip
        if executed == abs(order.volume_cents):
            del self.book[order.order_id]
            return [self.says("filled", replace(after, status="filled"), deal)]
        self.book[order.order_id] = after
        return [self.says("partially_filled", after, deal)]

    def owner_rests(self, volume_cents: int, order_type: str = "limit", **fields: Any) -> OrderSnapshot:
        """Let the account's owner rest an order by hand; the bot hears of it with what is decided next."""
        self._ids += 10
        prices: dict[str, Any] = {"limit_price": 1.05} if order_type == "limit" else {"stop_price": 1.15}
        made = {"position_id": self._ids + 1} | prices | fields
        order = OrderSnapshot(self._ids, 1, volume_cents, 0, order_type, "accepted", **made)
        self.book[order.order_id] = order
        self.engine.receive(self.says("accepted", order))
        return order

    def owner_changes(self, order_id: int, **fields: Any) -> None:
        """Let the owner change an order."""
        self.book[order_id] = replace(self.book[order_id], **fields)
        self.engine.receive(self.says("replaced", self.book[order_id]))

    def settled(self, decision: Decision, limit: int = 10) -> Decision:
        """Settle a decision and those that follow from it, until one asks for nothing."""
        for _ in range(limit):
            if not any(isinstance(r, TradeRequest) for r in decision.requests):
                return decision
            decision = self.settle(decision)
        raise AssertionError("it never comes to rest")

    def later(self, seconds: float = 4.0, **quote: Any) -> Decision:
        """Let time pass and a quote arrive; return what is decided on it."""
        self.now_ns += round(seconds * SECOND)
        return self.quote(**quote)

    def quoting(self) -> "QuoteDesk":
        """Bring the engine to where both sides of every symbol rest."""
        self.settle(self.begin())
        return self

    @property
    def sides(self) -> list[int]:
        """The sides that rest at the venue, ours by its list."""
        return sorted(1 if o.volume_cents > 0 else -1 for o in self.book.values())

    def price(self, side: int) -> float:
        return float(next(o.limit_price for o in self.book.values() if o.volume_cents * side > 0) or 0)

    def states(self, client_order_id: str) -> list[str]:
        return [c.state for c in self.lines("order_changes") if c.order.client_order_id == client_order_id]


def actions(decision: Decision) -> list[tuple[str, str]]:
    return [(order.action, order.side) for order in decision.intended]
