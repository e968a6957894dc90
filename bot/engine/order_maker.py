"""The loud path: from targets that differ from what is held to approved, planned orders."""

import math
from collections.abc import Iterable, Sequence, Set

import numpy as np
from numba import njit

from bot.account.portfolio import Portfolio
from bot.account.risk import ApprovedTarget, Refused, RiskGate
from bot.account.risk_view import RiskView
from bot.engine.decision import IntendedOrder
from bot.engine.order_flow import OrderFlow
from bot.engine.prices import Prices
from bot.engine.programmes import Programmes
from bot.engine.settings import EngineSettings
from bot.execution.plan import PlannedOrder, plan
from bot.execution.reduction import first_to_close
from bot.execution.requests import Request
from bot.market import features as formulas
from bot.market.book import ASK, BID, levels
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec
from bot.sizing.bound import BOUND_WORDS, Bound
from bot.sizing.leverage import Targets
from bot.sizing.target import target_volume_cents

_SECOND = 1_000_000_000
_REFUSAL_REPEAT_NS = 10 * _SECOND


class OrderMaker:
    """Makes at most one order a symbol at a time, each approved by the risk gate.

    Args: `hands_off` the ids of symbols that somebody else has closed a position of ours in: only broken limits act.

    `programmes` are the changes that are carried out in slices.
    """

    def __init__(self, settings: EngineSettings, portfolio: Portfolio, orders: OrderFlow, hands_off: Set[int]) -> None:
        self.programmes = Programmes(settings)
        self._hands_off = hands_off
        self._settings = settings
        self._portfolio = portfolio
        self._orders = orders
        self._gate = RiskGate(settings.risk_limits)
        self._min_interval_ns = settings.min_interval_s * _SECOND
        self._next_order = 1
        self._last_order_ns: dict[int, int] = {}
        self._refused_ns: dict[tuple[str, str], int] = {}
        self._schedule_told: dict[str, str] = {}

    def may_act(self, s: int, symbol_id: int, now_ns: int, *, forced: bool, urgent: bool) -> bool:
        """Return whether a symbol may get an order now.

        Args: `forced` by a broken limit or a crisis: that acts on what others touched, too; `urgent` need not wait.
        """
        last_ns = self._last_order_ns.get(symbol_id)
        if last_ns is not None and now_ns - last_ns < self._min_interval_ns and not urgent:
            return False
        return not self._orders.busy(s, now_ns) and (forced or symbol_id not in self._hands_off)

    def doubted(self, specs: Sequence[SymbolSpec], indexes: Iterable[int]) -> set[int]:
        """Return which of some symbols have an order of unknown outcome, or are somebody else's now."""
        unknown = self._orders.unknown_symbols()
        return {s for s in indexes if s in unknown or specs[s].symbol_id in self._hands_off}

    @property
    def _next_id(self) -> str:
        return f"{self._settings.run_id}-{self._next_order}"

    def take_id(self) -> str:
        """Return a client order id that no other order of this run has, or will have."""
        taken = self._next_id
        self._next_order += 1
        return taken

    def make(
        self,
        s: int,
        spec: SymbolSpec,
        prices: Prices,
        view: RiskView,
        evaluator: Evaluator,
        factors: np.ndarray,
        targets: Targets,
        equity: float,
        now_ns: int,
        *,
        closing: bool,
    ) -> tuple[IntendedOrder, Request, bool] | Refused | None:
        """Return an order towards a symbol's target, with its request and whether it grows the position.

        A refusal is returned where the gate refuses, and None where nothing tradable is to be done. With `closing` our
        positions are closed one by one, in the order of `bot.execution.reduction`.
        """
        positions, programmes = self._portfolio.own_positions(spec.symbol_id), self.programmes
        unit_notional = float(prices.unit_notional[s])
        is_whole = closing or bool(targets.forced[s]) or bool(targets.urgent[s])
        if is_whole:
            programmes.forget(s)  # what is broken, or is to be closed, waits for no schedule
        if closing:
            first = first_to_close(positions)
            positions = [] if first is None else [first]
            held_cents, target_cents = sum(p.volume_cents for p in positions), 0
        else:
            held_cents = sum([p.volume_cents for p in positions])
            target_cents = target_volume_cents(
                spec, held_cents, float(targets.target[s]), unit_notional, equity, urgent=bool(targets.urgent[s])
            )
            target_cents = programmes.end_cents(s, spec, held_cents, target_cents, targets, unit_notional, equity)
        if view.netted:
            target_cents = self._short_of_resting(s, held_cents, target_cents)
        if target_cents == held_cents:
            return None
        foreign = not self._settings.manage_all and self._portfolio.has_foreign(spec.symbol_id)
        side = 1 if target_cents > 0 else -1
        reserve = self._orders.resting.foreign_cents(s, side) if self._settings.manage_all else 0
        whole = verdict = self._gate.review(
            view, s, spec, held_cents, target_cents, foreign=foreign, reserve_cents=reserve
        )
        if isinstance(whole, Refused):
            if whole.check == "order_rate":
                programmes.postpone(s, now_ns)
            else:
                programmes.forget(s)
            return whole
        piece, cost_bps = None, None
        change = whole.target_cents - held_cents
        if not is_whole:
            cost_bps = predicted_slippage_bps(evaluator, s, change) if programmes.is_on else None
            market = cost_bps, float(prices.mid[s]), float(prices.quote_rate[s])
            piece = programmes.plan(s, spec, whole, evaluator, *market, equity, now_ns)
        if piece is not None:
            # Each slice passes the gate by itself: it is what is sent, and what the margin figures are about.
            end_cents = held_cents + piece.volume_cents
            verdict = self._gate.review(view, s, spec, held_cents, end_cents, foreign=foreign, reserve_cents=reserve)
        if isinstance(verdict, Refused):
            return verdict
        planned = plan(
            verdict,
            spec,
            positions,
            float(prices.bid[s]),
            float(prices.ask[s]),
            self._settings.style,
            self._next_id,
            netted=view.netted,
        )
        if planned is None or self._orders.is_held(planned.request, now_ns):
            return None
        self.take_id()
        self._last_order_ns[spec.symbol_id] = now_ns
        note = f"; {whole.note}" if whole.note else ""
        if closing:
            note = f"; everything is closed: {view.cause or 'the run is ending'}"
        target = float(targets.target[s])
        if s in programmes.running or piece is not None:
            target = whole.target_cents * unit_notional / (100 * equity)
            note += programmes.sent(s, whole, piece, now_ns)
        if cost_bps is None or planned.volume_cents != change:
            cost_bps = predicted_slippage_bps(evaluator, s, planned.volume_cents)
        order = self._intended(verdict, planned, spec, evaluator, cost_bps, view, factors, targets, target, note)
        grows = abs(verdict.target_cents) > abs(verdict.held_cents)
        self._orders.sent(order, s, spec.symbol_id, planned.request, now_ns, grows=grows)
        return order, planned.request, grows

    def _short_of_resting(self, s: int, held_cents: int, target_cents: int) -> int:
        """Return a target of a netted account that what still rests against the position cannot turn to the other side.

        On a hedged account an order that closes is tied to its position and can do no more.
        """
        side = 1 if held_cents > 0 else -1
        if held_cents == 0 or abs(target_cents) >= abs(held_cents) or target_cents * held_cents < 0:
            return target_cents
        standing = self._orders.resting.standing_cents(s, -side)
        return side * min(max(abs(target_cents), standing), abs(held_cents))

    def is_news(self, refusal: Refused, now_ns: int) -> bool:
        """Return whether to report a refusal: the same one is said again every ten seconds, not on every tick.

        What the broker's hours and trading modes forbid lasts for days and is said once, until it is something else.
        """
        if refusal.check == "schedule":
            told = self.has_told(refusal.symbol, refusal.reason)
            self._schedule_told[refusal.symbol] = refusal.reason
            return not told
        key = (refusal.symbol, refusal.check)
        last = self._refused_ns.get(key)
        if last is not None and now_ns - last < _REFUSAL_REPEAT_NS:
            return False
        self._refused_ns[key] = now_ns
        return True

    def has_told(self, symbol: str, reason: str) -> bool:
        """Return whether this was the last that was said of a symbol's hours or trading mode."""
        return self._schedule_told.get(symbol) == reason

    def _intended(
        self,
        verdict: ApprovedTarget,
        planned: PlannedOrder,
        spec: SymbolSpec,
        evaluator: Evaluator,
        cost_bps: float | None,
        view: RiskView,
        factors: np.ndarray,
        targets: Targets,
        target: float,
        note: str,
    ) -> IntendedOrder:
        """Return the line of an order.

        Args: `cost_bps` it is predicted to cost; `target` leverage of the whole change; `note` the end of the reason.
        """
        s = verdict.symbol_index
        held = float(view.leverage[s])
        named = zip(self._settings.strategy.factor_names, factors[:, s].tolist(), strict=True)
        why = ", ".join([f"{name} {factor:.2f}" for name, factor in named])
        reason = f"{self._settings.strategy.name}: {held:+.2f}x -> {target:+.2f}x"
        reason += f" ({why})" if why else ""
        if targets.forced[s]:
            reason += _cause(Bound(int(targets.bound[s])), int(evaluator.features.crisis_level[s]))
        reason += note
        return IntendedOrder(
            symbol=spec.name,
            action=planned.action,
            side="buy" if planned.volume_cents > 0 else "sell",
            volume_cents=abs(planned.volume_cents),
            lots=spec.lots(abs(planned.volume_cents)),
            order_type=planned.order_type,
            position_id=planned.position_id,
            order_id=None,
            client_order_id=planned.request.client_order_id,
            leverage_now=known(held),
            leverage_target=known(target),
            reason=reason,
            predicted_slippage_bps=cost_bps,
            margin_before=verdict.margin_before,
            margin_after=verdict.margin_after,
            margin_level_after=verdict.margin_level_after,
        )


def _cause(bound: Bound, crisis_level: int) -> str:
    """Return what forces a reduction, as the end of an order's reason; empty where no limit has a name for it."""
    if bound is Bound.CRISIS:
        return f"; crisis level {crisis_level}"
    return f"; over the limit: {BOUND_WORDS[bound]}" if bound is not Bound.NONE else ""


@njit(cache=True, error_model="numpy")
def _vwap_of_best(levels: np.ndarray, heads: np.ndarray, side: int, s: int, units: float) -> float:
    """Return what `formulas.walk` pays on average where three levels at most fill it all; NaN where more are needed.

    The sums of so few are the same to the last bit in whatever order a library adds them up.
    """
    count = heads[s].level_count[side]
    cumulative = filled = paid = 0.0
    for i in range(count - 1, -1, -1):
        size = levels[side, s, i].size / 100.0
        cumulative += size
        taken = min(size, max(units - (cumulative - size), 0.0))
        if taken > 0 and i < count - 3:
            return math.nan
        filled += taken
        paid += taken * (abs(levels[side, s, i].key) / 1e5)
    return paid / filled if filled >= units and filled > 0 else math.nan


def predicted_slippage_bps(evaluator: Evaluator, s: int, volume_cents: int) -> float | None:
    """Return the walk-the-book cost of an order (signed, 0.01 base unit) against the mid of the book, in bps.

    Without depth it is half of the spread.   Missing: None when the book cannot tell.   Source: models 8.1.
    """
    side = 1 if volume_cents > 0 else -1
    if evaluator.features.is_spot_only[s]:
        return known(float(evaluator.features.spread_bps[s]) / 2)
    books, features = evaluator.books, evaluator.features
    mid = formulas.mid(float(features.depth_bid[s]), float(features.depth_ask[s]))
    if not math.isfinite(mid):
        mid = float(features.mid[s])
    best = _vwap_of_best(books.levels, books.heads, ASK if side > 0 else BID, s, abs(volume_cents) / 100)
    if not math.isnan(best):
        return known(formulas.slippage_bps(best, mid, side))
    prices_e5, sizes_cents = levels(books, ASK if side > 0 else BID, s)
    return known(formulas.walk_cost_bps(prices_e5 / 1e5, sizes_cents / 100, mid, abs(volume_cents) / 100, side))


def known(number: float) -> float | None:
    """Return a number, or None for NaN and infinity: what a scalar that is not known is called."""
    return float(number) if math.isfinite(number) else None
