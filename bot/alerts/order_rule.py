"""Tells of orders whose outcome is not known, once a symbol, and of what became of them."""

from collections.abc import Iterator

from bot.alerts.alert import Alert
from bot.alerts.composer import Composer
from bot.engine.decision import Decision, OrderChange
from bot.engine.observed import ObservedEngine
from bot.execution.in_flight import OwnOrder

_EVENT = "unknown_order"


class UnknownOrderRule:
    """Watches our orders that are unknown, those that an earlier run has left too."""

    def __init__(self, engine: ObservedEngine, composer: Composer) -> None:
        self._engine = engine
        self._composer = composer
        self._unknown: dict[str, set[str]] = {}  # client order ids by symbol

    def look(self, decision: Decision) -> Iterator[Alert]:
        """Yield symbols with an unknown order, and those whose orders are cleared up."""
        names = {spec.symbol_id: spec.name for spec in self._engine.specs}
        changes = {change.order.client_order_id: change for change in decision.order_changes}
        unknown: dict[str, list[OwnOrder]] = {}
        for order in self._engine.open_orders:
            if order.state == "unknown" and order.symbol_id in names:
                unknown.setdefault(names[order.symbol_id], []).append(order)
        stood, self._unknown = self._unknown, {s: {o.client_order_id for o in found} for s, found in unknown.items()}
        for symbol, orders in unknown.items():
            if symbol not in stood:
                yield self._began(symbol, orders[0], changes.get(orders[0].client_order_id), decision.now_ns)
        for symbol, ids in stood.items():
            if symbol not in self._unknown:
                change = next((changes[each] for each in sorted(ids) if each in changes), None)
                yield self._over(symbol, change, decision.now_ns)

    def _began(self, symbol: str, order: OwnOrder, change: OrderChange | None, now_ns: int) -> Alert:
        composer = self._composer
        if change is None:
            lots = next(s.lot_size_cents for s in self._engine.specs if s.symbol_id == order.symbol_id)
            what = composer.say("unknown_order.earlier", lots=abs(order.volume_cents) / lots)
        else:
            planned = change.order
            side, action = composer.say(planned.side), composer.action(planned.action)
            what = composer.say("unknown_order.one", action=action, side=side, lots=planned.lots)
        title = composer.say("unknown_order.title", symbol=symbol)
        text = composer.say("unknown_order.text", order=what, symbol=symbol)
        key = f"{_EVENT}:{symbol}"
        return composer.alert(_EVENT, key, "failure", title, text, now_ns, symbol=symbol, lasts=True)

    def _over(self, symbol: str, change: OrderChange | None, now_ns: int) -> Alert:
        composer, key = self._composer, f"{_EVENT}:{symbol}"
        text = composer.say("unknown_order_over.unsaid")
        if change is not None:
            at = change.execution_price
            price = "" if at is None else composer.say("at_price", price=at)
            text = composer.say("unknown_order_over.text", state=composer.state(change.state), price=price)
        title = composer.say("unknown_order_over.title", symbol=symbol)
        return composer.alert(_EVENT, f"{key}:over", "success", title, text, now_ns, symbol=symbol, ends=(key,))
