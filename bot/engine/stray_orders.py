"""Orders of ours that rest in symbols which this run does not trade: an earlier run with another config has left them.

How it works: nobody follows their market, and nobody would manage what they open, so each that would grow a position
is taken back, once the venue's lists have it at work, and a person is told. One that can only reduce is left until the
end of a run that takes its orders back. Other people's orders are not looked at.

Invariants: an order whose outcome is unknown, or that has a cancel on its way, gets no other; a cancel can only take
risk away, so no limit, halt or order rate keeps it back.
"""

from collections.abc import Sequence

import numpy as np

from bot.account.portfolio import Portfolio
from bot.engine.account_guard import AccountGuard
from bot.engine.actions import Actions
from bot.engine.decision import IntendedOrder, Notice
from bot.engine.order_flow import OrderFlow
from bot.engine.order_maker import OrderMaker, known
from bot.engine.restored import NOT_LOADED
from bot.execution.in_flight import OwnOrder
from bot.execution.quotes import cancel_quote
from bot.execution.requests import CancelOrder
from bot.market.symbols import SymbolSpec

_LOOK_NS = 1_000_000_000


class StrayOrders:
    """Takes such orders back."""

    def __init__(self, portfolio: Portfolio, orders: OrderFlow, maker: OrderMaker, guard: AccountGuard) -> None:
        self._portfolio = portfolio
        self._orders = orders
        self._maker = maker
        self._guard = guard
        self._told: set[int] = set()
        self._looked_ns: int | None = None
        self._seen: tuple[int, str] = (-1, "")

    def look(
        self,
        specs: Sequence[SymbolSpec],
        traded: int,
        leverage: np.ndarray,
        now_ns: int,
        done: Actions,
        bar: str,
    ) -> None:
        """Add the cancels to what this decision leads to.

        Args: `specs` of every loaded symbol, of which the first `traded` are traded; `leverage` (S,) of what is held;
            `bar` why nothing at all is to rest, empty when something may: those that only reduce go as well then.
        """
        seen = self._orders.resting.version, bar
        is_time = self._looked_ns is None or now_ns - self._looked_ns >= _LOOK_NS
        if not is_time and seen == self._seen:
            return
        self._looked_ns, self._seen = now_ns, seen
        strays = [o for o in self._orders.look() if _is_stray(o, traded)]
        for order in strays if bar else self._growing(strays):
            if order.symbol_index == NOT_LOADED:
                where = f"symbol {order.symbol_id}, which the broker does not list"
                self._tell(order, None, f"rests to {_word(order)} in {where}: cancel it by hand", done)
            elif self._may_cancel(order, now_ns):
                why = f"the config does not trade it, and {bar or 'nobody would manage what it opens'}"
                s = order.symbol_index
                self._cancel(order, specs[s], float(leverage[s]), why, now_ns, done)

    def _growing(self, strays: Sequence[OwnOrder]) -> list[OwnOrder]:
        """Return the orders that could grow a position, whatever else fills.

        On a hedged account each that is not tied to a position opens one. On a netted one those against what is held
        reduce it, as long as they are not more than that together.
        """
        room: dict[int, int] = {}
        if self._guard.is_netted:
            room = {p.symbol_id: p.volume_cents for p in self._portfolio.positions()}
        growing = []
        for order in strays:
            if order.position_id is not None:
                continue
            held = room.get(order.symbol_id, 0)
            if held * order.side < 0 and order.left_cents <= abs(held):
                room[order.symbol_id] = held + order.side * order.left_cents
            else:
                growing.append(order)
        return growing

    def _may_cancel(self, order: OwnOrder, now_ns: int) -> bool:
        resting = self._orders.resting
        return (
            order.is_working
            and order.order_id is not None
            and now_ns >= order.quiet_until_ns
            and not resting.is_altered(order)
            and not resting.is_held(CancelOrder, now_ns)
        )

    def _cancel(self, order: OwnOrder, spec: SymbolSpec, leverage: float, why: str, now_ns: int, done: Actions) -> None:
        what = f"rests to {_word(order)} {spec.lots(order.left_cents):g} lots of {spec.name}"
        self._tell(order, spec.name, f"{what}; to be cancelled: {why}", done)
        request = cancel_quote(order, self._maker.take_id())
        intended = IntendedOrder(
            symbol=spec.name,
            action="cancel",
            side=_word(order),
            volume_cents=order.left_cents,
            lots=spec.lots(order.left_cents),
            order_type="limit",
            position_id=order.position_id,
            order_id=order.order_id,
            client_order_id=request.client_order_id,
            leverage_now=known(leverage),
            leverage_target=known(leverage),
            reason=f"left by an earlier run, taken back: {why}",
            predicted_slippage_bps=None,
            margin_before=None,
            margin_after=None,
            margin_level_after=None,
        )
        self._orders.resting.altered(intended, order, request, now_ns)
        self._guard.order_sent(now_ns)
        done.intended.append(intended)
        done.requests.append(request)

    def _tell(self, order: OwnOrder, symbol: str | None, what: str, done: Actions) -> None:
        """Tell a person of an order, once."""
        if order.order_id is not None and order.order_id not in self._told:
            self._told.add(order.order_id)
            done.notices.append(Notice("stray_order", symbol, f"order {order.order_id} of an earlier run {what}"))


def _is_stray(order: OwnOrder, traded: int) -> bool:
    if not order.is_resting or order.is_foreign:
        return False
    return order.symbol_index == NOT_LOADED or order.symbol_index >= traded


def _word(order: OwnOrder) -> str:
    return "buy" if order.side > 0 else "sell"
