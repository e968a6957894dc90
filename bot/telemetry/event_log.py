"""What has happened of late, newest last, as plain objects: orders, refusals, states, notices.

How it works: a watcher of Decisions. Most of them are quiet and cost one question. What stands in the bot's texts as
numbers is kept as numbers too, so that whoever shows it can say it in another language.
"""

from collections import deque
from itertools import count
from typing import Any

from bot.engine.decision import Decision, IntendedOrder
from bot.engine.observed import ObservedEngine
from bot.execution.in_flight import FINAL
from bot.telemetry.plain import iso_time, known, without_nan
from bot.telemetry.status import cause_numbers

EVENTS_KEPT = 200
_SAME_REFUSAL_NS = 60_000_000_000  # a refusal that stands is refused again with every decision
_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("action", "side", "lots", "price", "client_order_id", "paper", "leverage_now", "leverage_target")),
    **dict.fromkeys(("factors", "rest", "value", "limit", "ready", "reasons", "causes")),
}


class EventLog:
    """The newest events of a run, each with a number that only grows.

    Keys: `number`, `time`, `kind` (state, order, refused, notice), `symbol` (None for the account), `code` (what
    happened: an order's state, a check, a notice's code, the trading state), `text` for a person;
    for orders `action`, `side`, `lots`, `price`, `client_order_id`, `paper`, `leverage_now`, `leverage_target`,
    `factors` of the strategy by name, and `rest`, what `text` says beyond leverage and factors;
    for refusals `value` and `limit` of the check; for states `ready` and `reasons`; for both, where trading is not
    free, `causes` (`code`, `value`, `limit`, `note`).
    Units: as those of the check; leverage signed, in equities.   Missing: None; `rest` None where it is all of `text`.
    """

    def __init__(self, engine: ObservedEngine, *, is_paper: bool) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._numbers = count(1)
        self._engine = engine
        self._is_paper = is_paper
        self._refused_ns: dict[tuple[str, str], int] = {}
        self._whys: dict[str, dict[str, Any]] = {}  # by client order id, while it is open

    def __call__(self, decision: Decision) -> None:
        """Take one Decision, right after it was made."""
        if decision.is_quiet:
            return
        now_ns = decision.now_ns
        if (state := decision.state) is not None:
            standing = "ready" if state.ready else "not ready"
            text = "; ".join(state.texts) or "nothing stands in the way"
            text = f"{standing}, trading {state.trading}: {text}"
            told = {"ready": state.ready, "reasons": list(state.reasons), "causes": self._causes()}
            self._add(now_ns, "state", None, state.trading, text, told)
        for refusal in decision.refused:
            key = refusal.symbol, refusal.check
            if now_ns - self._refused_ns.get(key, -_SAME_REFUSAL_NS) >= _SAME_REFUSAL_NS:
                self._refused_ns[key] = now_ns
                told = {"value": without_nan(refusal.value), "limit": without_nan(refusal.limit)}
                if refusal.check == "halted":
                    told["causes"] = self._causes()
                self._add(now_ns, "refused", refusal.symbol, refusal.check, refusal.reason, told)
        for order in decision.intended:
            self._whys[order.client_order_id] = self._why(order)
            if len(self._whys) > EVENTS_KEPT:
                del self._whys[next(iter(self._whys))]
            self._add(now_ns, "order", order.symbol, "intended", order.reason, self._told(order))
        for change in decision.order_changes:
            told = self._told(change.order)
            told |= {"price": without_nan(change.execution_price), "paper": change.paper or self._is_paper}
            if change.error_code:
                told["rest"] = None
            self._add(
                now_ns, "order", change.order.symbol, change.state, change.error_code or change.order.reason, told
            )
            if change.state in FINAL:
                self._whys.pop(change.order.client_order_id, None)
        for notice in decision.notices:
            self._add(now_ns, "notice", notice.symbol, notice.code, notice.text, {})

    def newest(self, most: int = EVENTS_KEPT) -> list[dict[str, Any]]:
        """Return the newest events, oldest of them first."""
        return list(self._events)[-most:]

    def _causes(self) -> list[dict[str, Any]]:
        return [{"code": cause.code, **cause_numbers(cause)} for cause in self._engine.causes]

    def _why(self, order: IntendedOrder) -> dict[str, Any]:
        """Return the factors of an order that follows a target, and what its reason says beyond leverage and factors.

        The reason is compared with what these numbers come to: any other is left whole.
        """
        engine, factors = self._engine, self._engine.factors
        s = next((i for i, spec in enumerate(engine.specs) if spec.name == order.symbol), None)
        if s is None or factors is None or s >= factors.shape[1]:
            return {}
        if order.leverage_now is None or order.leverage_target is None:
            return {}
        numbers = dict(zip(engine.strategy.factor_names, factors[:, s].tolist(), strict=False))
        said = ", ".join([f"{name} {number:.2f}" for name, number in numbers.items()])
        start = f"{engine.strategy.name}: {order.leverage_now:+.2f}x -> {order.leverage_target:+.2f}x"
        start += f" ({said})" if said else ""
        if not order.reason.startswith(start):
            return {}
        rest = order.reason.removeprefix(start).removeprefix("; ")
        return {"factors": {name: known(number) for name, number in numbers.items()}, "rest": rest}

    def _told(self, order: IntendedOrder) -> dict[str, Any]:
        return {
            "action": order.action,
            "side": order.side,
            "lots": without_nan(order.lots),
            "client_order_id": order.client_order_id,
            "paper": self._is_paper,
            "leverage_now": order.leverage_now,
            "leverage_target": order.leverage_target,
            **self._whys.get(order.client_order_id, {}),
        }

    def _add(self, now_ns: int, kind: str, symbol: str | None, code: str, text: str, told: dict[str, Any]) -> None:
        event = {"number": next(self._numbers), "time": iso_time(now_ns), "kind": kind, "symbol": symbol, "code": code}
        self._events.append(event | {"text": text} | _NOTHING | told)
