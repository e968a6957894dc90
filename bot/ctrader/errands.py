"""What the engine asks for while the session is READY: trades, histories, fresh depth."""

from collections import deque
from collections.abc import Callable
from typing import Any

from bot.ctrader.correlation import PendingRequest, Purpose
from bot.ctrader.errors import Reaction, rule_for
from bot.ctrader.history import HistoryQuery, Window
from bot.ctrader.orders import OrderIds, refused, to_wire
from bot.ctrader.outbox import Outbox
from bot.ctrader.schema import message
from bot.ctrader.translate import execution_reported, text
from bot.engine.events import Event, RequestRefused
from bot.execution.requests import TradeRequest
from bot.market.symbols import SymbolSpec

Emit = Callable[[Event], None]


class Errands:
    """Carries requests of the engine out and their answers back. Closing orders stay known over connections."""

    def __init__(self, outbox: Outbox, emit: Emit) -> None:
        self._outbox = outbox
        self._emit = emit
        self._order_ids = OrderIds()
        self._history: HistoryQuery | None = None
        self._history_waiting: deque[int] = deque()
        self._renewing: set[int] = set()

    def forget(self, now_ns: int, why: str, *, link_lives: bool) -> None:
        """Drop what is under way; a trade that never left is reported as NOT_SENT."""
        for trade in self._outbox.forget(link_lives=link_lives):
            self._emit(refused(trade, "NOT_SENT", f"never sent: {why}", now_ns))
        self._history = None
        self._history_waiting.clear()
        self._renewing.clear()

    # Trades.

    def submit_trade(self, request: TradeRequest, account_id: int, spec: SymbolSpec | None, now_ns: int) -> None:
        """Queue a trade, or refuse it at once: one that cannot go out now would be a different trade later."""
        try:
            body = to_wire(request, account_id, spec)
        except ValueError as error:
            self._emit(refused(request, "NOT_SENT", str(error), now_ns))
            return
        held_ns = self._outbox.held_until_ns(body, now_ns)
        if held_ns is not None:
            why = f"the venue blocks this kind of request for another {(held_ns - now_ns) / 1e9:.1f} s"
            self._emit(refused(request, "BLOCKED_PAYLOAD_TYPE", why, now_ns, retry_at_ns=held_ns))
            return
        self._outbox.send_trade(body, request, now_ns)

    def drop_stale(self, now_ns: int) -> None:
        """Report the trades that could not leave while they were news."""
        for trade in self._outbox.take_stale(now_ns):
            self._emit(refused(trade, "NOT_SENT", "never sent: the venue's limits kept it back for too long", now_ns))

    def trade_overdue(self, trade: TradeRequest, now_ns: int) -> None:
        """Report a trade that nothing ever answered."""
        self._emit(refused(trade, "TIMEOUT", "the venue never answered", now_ns, outcome_unknown=True))

    def trade_refused(self, trade: TradeRequest, error: Any, recv_ns: int, *, retry_at_ns: int | None) -> bool:
        """Report an error that answers a trade; return False for one that does not say whether it was executed.

        The engine takes such an order as unknown at once, and asks for its outcome.
        """
        code, description = text(error.errorCode), text(error.description)
        known = rule_for(code, description, trading=True).reaction is not Reaction.OUTCOME_UNKNOWN
        ids = getattr(error, "orderId", 0), getattr(error, "positionId", 0)
        self._emit(refused(trade, code, description, recv_ns, *ids, outcome_unknown=not known, retry_at_ns=retry_at_ns))
        return known

    def refused_without_request(self, error: Any, recv_ns: int) -> bool:
        """Report an order error that names no request of ours; return False when it names no entity either."""
        order_id, position_id = getattr(error, "orderId", 0) or None, getattr(error, "positionId", 0) or None
        if order_id is None and position_id is None:
            return False
        self._emit(RequestRefused(recv_ns, None, text(error.errorCode), text(error.description), order_id, position_id))
        return True

    def executed(self, event: Any, trade: TradeRequest | None, recv_ns: int) -> None:
        """Report an execution event; `trade` is the request it answers, if it is the first to do so."""
        own_id = None
        if trade is not None:
            self._order_ids.learn(trade, event)
            own_id = trade.client_order_id
        self._emit(execution_reported(event, self._order_ids.find(event) or own_id, recv_ns))

    # Histories, one after the other.

    def resolve(self, from_ns: int, account_id: int, now_ns: int) -> None:
        """List orders and deals since `from_ns`."""
        self._history_waiting.append(from_ns)
        self._start_history(account_id, now_ns)

    def history_answered(self, pending: PendingRequest, reply: Any, account_id: int, now_ns: int) -> None:
        """Take a part of the history."""
        if self._history is not None:
            self._continue(self._history.accept(reply, _window(pending), now_ns), pending, account_id, now_ns)

    def history_refused(self, pending: PendingRequest, code: str, account_id: int, now_ns: int) -> None:
        """Take an error, or silence, in place of a part of the history."""
        if self._history is not None:
            self._continue(self._history.refuse(code, _window(pending), now_ns), pending, account_id, now_ns)

    def _start_history(self, account_id: int, now_ns: int) -> None:
        if self._history is None and self._history_waiting:
            self._history = HistoryQuery(account_id, self._history_waiting.popleft(), now_ns)
            self._ask_history(self._history)

    def _continue(self, told: list[Event], pending: PendingRequest, account_id: int, now_ns: int) -> None:
        for event in told:
            self._emit(event)
        if _window(pending) is not None and self._history is not None:
            self._ask_history(self._history)
            return
        self._history = None
        self._start_history(account_id, now_ns)

    def _ask_history(self, history: HistoryQuery) -> None:
        for body, window in history.next_requests():
            self._outbox.send(Purpose.HISTORY, body, window)

    # Depth, dropped and renewed.

    def renew_depth(self, symbol_id: int, account_id: int) -> None:
        """End the depth subscription of a symbol and start a new one; nothing when that is under way."""
        if symbol_id not in self._renewing:
            self._renewing.add(symbol_id)
            self._ask_depth("ProtoOAUnsubscribeDepthQuotesReq", symbol_id, account_id)

    def depth_answered(self, pending: PendingRequest, account_id: int) -> int | None:
        """Take the next step of a renewal; return the symbol id whose book must be emptied now, if any."""
        symbol_id = pending.key
        assert isinstance(symbol_id, int)
        if pending.message.DESCRIPTOR.name == "ProtoOASubscribeDepthQuotesReq":
            self._renewing.discard(symbol_id)
            return None
        self._ask_depth("ProtoOASubscribeDepthQuotesReq", symbol_id, account_id)
        return symbol_id

    def _ask_depth(self, name: str, symbol_id: int, account_id: int) -> None:
        body = message(name)(ctidTraderAccountId=account_id, symbolId=[symbol_id])
        self._outbox.send(Purpose.DEPTH_RENEWAL, body, symbol_id)


def _window(pending: PendingRequest) -> Window | None:
    return pending.key if isinstance(pending.key, Window) else None
