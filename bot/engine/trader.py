"""Trades at the market towards the targets: which symbols may get an order now, and what came of each."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numba import njit

from bot.account.portfolio import Portfolio
from bot.account.risk import Refused
from bot.account.risk_view import RiskView
from bot.engine.account_guard import AccountGuard
from bot.engine.actions import Actions
from bot.engine.fill_watch import FillWatch
from bot.engine.market_hours import MarketHours
from bot.engine.order_maker import OrderMaker
from bot.engine.prices import Prices
from bot.engine.sizer import Sizer
from bot.execution.requests import PlaceOrder, Request
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec
from bot.sizing.leverage import Targets

_APART, _FORCED, _URGENT = 1, 2, 4


@njit(cache=True, error_model="numpy")
def _mark(targets: np.ndarray, held: np.ndarray, prices: np.ndarray, marks: np.ndarray) -> bool:
    """Mark the symbols whose target is not what is held, or unknown; return whether there are any.

    A symbol whose last price may be a slip is passed over: if it stays it becomes doubtful, and then it may reduce.
    """
    any_apart = False
    for s in range(len(targets)):
        row = targets[s]
        marks[s] = 0
        if row.target != held[s] and not prices[s].odd:
            any_apart = True
            marks[s] = _APART + _FORCED * row.forced + _URGENT * row.urgent
    return any_apart


class Trader:
    """Makes orders of targets that differ from what is held, one a symbol, and tells everybody who must know.

    Args: `rests` leaves what can wait to limit orders: only what is forced, or closes everything, is done here.
    """

    def __init__(
        self,
        portfolio: Portfolio,
        maker: OrderMaker,
        guard: AccountGuard,
        hours: MarketHours,
        fills: FillWatch,
        sizer: Sizer,
        *,
        rests: bool = False,
    ) -> None:
        self._portfolio = portfolio
        self._maker = maker
        self._guard = guard
        self._hours = hours
        self._fills = fills
        self._sizer = sizer
        self._rests = rests
        self._marks = np.zeros(0, np.uint8)

    def trade(
        self,
        specs: Sequence[SymbolSpec],
        prices: Prices,
        evaluator: Evaluator,
        held: np.ndarray,
        factors: np.ndarray,
        targets: Targets,
        equity: float,
        now_ns: int,
        done: Actions,
        *,
        closing: bool,
        view: Callable[[], RiskView],
    ) -> None:
        """Add the orders with their requests, and the refusals that are news, to what this decision leads to.

        Args: `specs` of the traded symbols, T of them; `held` (T,) leverage; `closing` closes position by position;
            `view` makes the account's picture, as it is when called.
        """
        seen: RiskView | None = None
        awaiting, closings = self._hours.awaiting, self._hours.closings
        programmes = self._maker.programmes
        if programmes.running:
            doubted = self._maker.doubted(specs, programmes.running)
            programmes.forget_all_in(doubted, now_ns, growth_ends=self._guard.trading != "active")
        for s, mark in self._wanted(specs, held, targets, prices, now_ns, closing=closing):
            spec = specs[s]
            why_closed = closings[s]
            if awaiting[s] or (why_closed is not None and self._maker.has_told(spec.name, why_closed)):
                continue
            # What closes everything waits for no interval: the end of a run has ten seconds.
            forced, urgent = bool(mark & _FORCED) or self._guard.is_flattening, bool(mark & _URGENT) or closing
            if self._rests and not (forced or urgent):
                continue
            if not (forced or closing) and programmes.waits(s, float(held[s]), float(targets.target[s]), now_ns):
                continue
            if not self._maker.may_act(s, spec.symbol_id, now_ns, forced=forced, urgent=urgent):
                continue
            seen = seen or view()
            made = self._maker.make(s, spec, prices, seen, evaluator, factors, targets, equity, now_ns, closing=closing)
            if made is None:
                continue
            if isinstance(made, Refused):
                if self._maker.is_news(made, now_ns):
                    done.refused.append(made)
                continue
            order, request, grows = made
            done.intended.append(order)
            done.requests.append(request)
            self._guard.order_sent(now_ns)
            self._fills.sent(order, request, s, spec.digits, _decision_mid(evaluator, s), now_ns)
            if grows:
                sliced = abs(order_leverage(request, prices, s, equity)) if s in programmes.running else None
                self._sizer.note_growth(s, now_ns, sliced)
            seen = None  # what is on its way counts from here on

    def _wanted(
        self,
        specs: Sequence[SymbolSpec],
        held: np.ndarray,
        targets: Targets,
        prices: Prices,
        now_ns: int,
        *,
        closing: bool,
    ) -> Sequence[tuple[int, int]]:
        """Return the symbols to look at, and their marks; one whose next slice is due is among them without any."""
        if len(self._marks) != len(specs):
            self._marks = np.zeros(len(specs), np.uint8)
        any_apart = _mark(targets.rows, held, prices.table, self._marks)
        if closing:  # then a hedged pair counts although it nets to nothing
            owned = [s for s, spec in enumerate(specs) if self._portfolio.own_positions(spec.symbol_id)]
            return [(s, int(self._marks[s])) for s in owned if not prices.odd[s]]
        programmes = self._maker.programmes
        if not programmes.running:
            return [(s, mark) for s, mark in enumerate(self._marks.tolist()) if mark] if any_apart else ()
        marks = enumerate(self._marks.tolist())
        return [(s, mark) for s, mark in marks if mark or (programmes.is_due(s, now_ns) and not prices.odd[s])]


def order_leverage(request: Request, prices: Prices, s: int, equity: float) -> float:
    """Return the leverage that an order adds if all of it fills, signed; NaN where equity is not positive."""
    if not (isinstance(request, PlaceOrder) and equity > 0):
        return math.nan
    return request.volume_cents * float(prices.unit_notional[s]) / (100 * equity)


def _decision_mid(evaluator: Evaluator, s: int) -> float:
    """Return the mid that a cost was predicted against: that of the book, or without one that of the spot prices."""
    features = evaluator.features
    mid = float(features.depth_bid[s] + features.depth_ask[s]) / 2
    return mid if math.isfinite(mid) else float(features.mid[s])
