"""Keeps the protective legs of our positions where the config wants them.

How it works: after each change of a position, an order or the session it looks at every position of ours once, and
sends both legs where one is missing or misplaced (`bot.execution.protection`). What cannot be done now is looked at
again every second: an order is on its way, the market is closed or beyond the leg, or the venue has just refused.
Protection is no growth and is not refused by the order rate; it counts towards it.

A symbol that hands are kept off is left alone: whoever has closed a position of ours there has taken over.
"""

from collections.abc import Sequence, Set

import numpy as np

from bot.account.portfolio import Portfolio
from bot.account.position import Position
from bot.engine.account_guard import AccountGuard
from bot.engine.actions import Actions
from bot.engine.decision import IntendedOrder
from bot.engine.doubts import Doubts
from bot.engine.market_hours import MarketHours
from bot.engine.order_flow import OrderFlow
from bot.engine.order_maker import OrderMaker, known
from bot.engine.prices import Prices
from bot.engine.settings import EngineSettings
from bot.execution.protection import Legs, is_widened, legs_of_ours, legs_to_send, reachable
from bot.execution.requests import ProtectPosition
from bot.market.symbols import SymbolSpec

_LOOK_NS = 1_000_000_000
_NEVER_NS = 1 << 62


class Protector:
    """Sends amendments of protection. `problems` says what stands in the way, in codes with words for people."""

    def __init__(
        self,
        settings: EngineSettings,
        portfolio: Portfolio,
        orders: OrderFlow,
        maker: OrderMaker,
        guard: AccountGuard,
        hours: MarketHours,
        hands_off: Set[int],
    ) -> None:
        self.problems: Doubts = {}
        self._protection = settings.style.protection
        self._name = settings.strategy.name
        self._portfolio = portfolio
        self._orders = orders
        self._maker = maker
        self._guard = guard
        self._hours = hours
        self._hands_off = hands_off
        self._ours: dict[int, Legs] = {}
        self._due_ns = 0

    def changed(self) -> None:
        """Say that something has happened after which a look is due."""
        self._due_ns = 0

    def is_due(self, now_ns: int) -> bool:
        """Return whether to look now; never where the config asks for no protection."""
        return self._protection.is_on and now_ns >= self._due_ns

    def look(
        self, specs: Sequence[SymbolSpec], prices: Prices, leverage: np.ndarray, now_ns: int, done: Actions
    ) -> None:
        """Add what is to be sent to what this decision leads to.

        Args: `specs` of the traded symbols; `leverage` (S,) of what is held.
        """
        self._due_ns = _NEVER_NS
        problems: Doubts = {}
        seen: set[int] = set()
        for s, spec in enumerate(specs):
            positions = self._portfolio.own_positions(spec.symbol_id)
            if positions and is_widened(self._protection, spec, float(prices.mid[s])):
                problems[f"protection_distance:{spec.name}"] = (
                    f"the broker allows no protection as near as configured in {spec.name}; its least distance is used"
                )
            for position in positions:
                seen.add(position.position_id)
                if spec.symbol_id not in self._hands_off:
                    self._look_at(s, spec, position, prices, float(leverage[s]), now_ns, done, problems)
        self._ours = {position_id: legs for position_id, legs in self._ours.items() if position_id in seen}
        self._orders.protections.keep_only(seen)
        self.problems = problems if problems != self.problems else self.problems

    def _look_at(
        self,
        s: int,
        spec: SymbolSpec,
        position: Position,
        prices: Prices,
        leverage: float,
        now_ns: int,
        done: Actions,
        problems: Doubts,
    ) -> None:
        position_id, flow = position.position_id, self._orders.protections
        ours = self._ours[position_id] = legs_of_ours(
            self._protection, spec, position, self._ours.get(position_id)
        )  # fmt: skip
        legs = legs_to_send(self._protection, spec, position, ours)
        if legs is None:
            return
        self._due_ns = now_ns + _LOOK_NS
        if flow.has_failed(position_id):
            problems[f"unprotected:{spec.name}"] = (
                f"the venue has refused the protection of position {position_id} in {spec.name}; trying again"
            )
        is_open = self._hours.closings[s] is None and not self._hours.awaiting[s]
        if flow.is_waiting(position_id, now_ns) or self._orders.is_on_its_way(s, now_ns) or not is_open:
            return
        side = 1 if position.volume_cents > 0 else -1
        market = float(prices.bid[s] if side > 0 else prices.ask[s])
        now = position.stop_loss, position.take_profit
        sendable = reachable(legs, now, side, market, spec)
        if any(leg is not None and taken is None for leg, taken in zip(legs, sendable, strict=True)):
            problems[f"unprotected:{spec.name}"] = (
                f"the market ({market:.{spec.digits}f}) is at or beyond where the protection of position {position_id} "
                f"in {spec.name} belongs: close it by hand if it should not wait for the price to come back"
            )
        if sendable == now:
            return
        self._send(s, spec, position, sendable, leverage, now_ns, done)

    def _send(
        self, s: int, spec: SymbolSpec, position: Position, legs: Legs, leverage: float, now_ns: int, done: Actions
    ) -> None:
        stop_loss, take_profit = legs
        request = ProtectPosition(self._maker.take_id(), spec.symbol_id, position.position_id, stop_loss, take_profit)
        words = [
            f"{name} {'none' if leg is None else f'{leg:.{spec.digits}f}'}"
            for name, leg in (("stop loss", stop_loss), ("take profit", take_profit))
        ]
        volume = abs(position.volume_cents)
        order = IntendedOrder(
            symbol=spec.name,
            action="amend",
            side="sell" if position.volume_cents > 0 else "buy",
            volume_cents=volume,
            lots=spec.lots(volume),
            order_type="stop" if stop_loss is not None else "limit",
            position_id=position.position_id,
            order_id=None,
            client_order_id=request.client_order_id,
            leverage_now=known(leverage),
            leverage_target=known(leverage),
            reason=f"{self._name}: protection of position {position.position_id}: {', '.join(words)}",
            predicted_slippage_bps=None,
            margin_before=None,
            margin_after=None,
            margin_level_after=None,
        )
        self._orders.protections.sent(order, request, s, now_ns)
        self._guard.order_sent(now_ns)
        done.intended.append(order)
        done.requests.append(request)
