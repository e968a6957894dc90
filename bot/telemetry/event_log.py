"""What has happened of late, newest last, as plain objects: orders, refusals, states, notices.

How it works: a watcher of Decisions. Most of them are quiet and cost one question.
"""

from collections import deque
from itertools import count
from typing import Any

from bot.engine.decision import Decision, IntendedOrder
from bot.telemetry.plain import iso_time, without_nan

EVENTS_KEPT = 200
_SAME_REFUSAL_NS = 60_000_000_000  # a refusal that stands is refused again with every decision


class EventLog:
    """The newest events of a run, each with a number that only grows.

    Keys: `number`, `time`, `kind` (state, order, refused, notice), `symbol` (None for the account), `code` (what
    happened: an order's state, a check, a notice's code, the trading state), `text` for a person, and for orders
    `action`, `side`, `lots`, `price`, `client_order_id`, `paper`, for states `ready` and `reasons` (None elsewhere).
    """

    def __init__(self, *, is_paper: bool) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._numbers = count(1)
        self._is_paper = is_paper
        self._refused_ns: dict[tuple[str, str], int] = {}

    def __call__(self, decision: Decision) -> None:
        """Take one Decision."""
        if decision.is_quiet:
            return
        now_ns = decision.now_ns
        if (state := decision.state) is not None:
            standing = "ready" if state.ready else "not ready"
            text = "; ".join(state.texts) or "nothing stands in the way"
            text = f"{standing}, trading {state.trading}: {text}"
            self._add(now_ns, "state", None, state.trading, text, ready=state.ready, reasons=state.reasons)
        for refusal in decision.refused:
            key = refusal.symbol, refusal.check
            if now_ns - self._refused_ns.get(key, -_SAME_REFUSAL_NS) >= _SAME_REFUSAL_NS:
                self._refused_ns[key] = now_ns
                self._add(now_ns, "refused", refusal.symbol, refusal.check, refusal.reason)
        for order in decision.intended:
            self._add(now_ns, "order", order.symbol, "intended", order.reason, order)
        for change in decision.order_changes:
            text = change.error_code or change.order.reason
            price, paper = change.execution_price, change.paper or self._is_paper
            self._add(now_ns, "order", change.order.symbol, change.state, text, change.order, price, paper=paper)
        for notice in decision.notices:
            self._add(now_ns, "notice", notice.symbol, notice.code, notice.text)

    def newest(self, most: int = EVENTS_KEPT) -> list[dict[str, Any]]:
        """Return the newest events, oldest of them first."""
        return list(self._events)[-most:]

    def _add(
        self,
        now_ns: int,
        kind: str,
        symbol: str | None,
        code: str,
        text: str,
        order: IntendedOrder | None = None,
        price: float | None = None,
        *,
        paper: bool | None = None,
        ready: bool | None = None,
        reasons: tuple[str, ...] | None = None,
    ) -> None:
        self._events.append(
            {
                "number": next(self._numbers),
                "time": iso_time(now_ns),
                "kind": kind,
                "symbol": symbol,
                "code": code,
                "text": text,
                "action": order.action if order is not None else None,
                "side": order.side if order is not None else None,
                "lots": without_nan(order.lots) if order is not None else None,
                "price": without_nan(price),
                "client_order_id": order.client_order_id if order is not None else None,
                "paper": (self._is_paper if paper is None else paper) if order is not None else None,
                "ready": ready,
                "reasons": None if reasons is None else list(reasons),
            }
        )
