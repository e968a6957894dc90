"""Our quotes: a bid and an ask a symbol that follow price and inventory, each approved by the risk gate.

How it works: once a decision the strategy says where quotes belong; `execution/quotes.py` makes at most one step a side
of it. A place or an amend goes through the gate first, as if this side filled and the other did not; a step the gate
refuses, of an order that already rests, is a cancel. Symbols nothing has happened to are looked at four times a second.

For other strategies there is nothing to quote, and what an earlier run has left resting is cancelled.

Invariants: nothing is placed or amended without the gate's word; cancels need none and are never refused.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

import numpy as np

from bot.account.portfolio import Portfolio
from bot.account.risk import ApprovedTarget, Refused, RiskGate
from bot.account.risk_view import RiskView
from bot.engine.account_guard import AccountGuard
from bot.engine.decision import IntendedOrder
from bot.engine.events import ExecutionReported
from bot.engine.market_hours import MarketHours
from bot.engine.order_flow import OrderFlow
from bot.engine.order_maker import OrderMaker
from bot.engine.prices import Prices
from bot.engine.quote_intents import intended_quote, quote_reason
from bot.engine.quote_wishes import Moment, Places, bar_of, places, wish_of
from bot.engine.settings import EngineSettings
from bot.execution.in_flight import OwnOrder
from bot.execution.protection import relative_e5
from bot.execution.quotes import (
    KEEP,
    QuotePace,
    Step,
    Wish,
    advances_a_minute,
    amend_quote,
    cancel_quote,
    next_step,
    place_quote,
)
from bot.execution.requests import AmendOrder, CancelOrder, PlaceOrder, Request
from bot.market.symbols import SymbolSpec
from bot.sizing.leverage import Targets
from bot.sizing.quoting import as_quoting

CLOSING, ENDING = "everything is being closed", "the run is ending"
"""What bars every quote of an account."""

_SECOND = 1_000_000_000
_LOOK_NS = _SECOND // 4
_REVIEW_NS = _SECOND
_SIDES = (1, -1)


class Quoter:
    """Keeps the quotes of one account. Args: `hands_off` the ids of symbols that a person has taken over."""

    _rests_anyway = False  # whether something may be wanted although no strategy names a place
    _orders_a_symbol = len(_SIDES)

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
        self.strategy = as_quoting(settings.strategy)
        self._settings = settings
        self._portfolio = portfolio
        self._orders = orders
        self._maker = maker
        self._guard = guard
        self._hours = hours
        self._hands_off = hands_off
        self._gate = RiskGate(settings.risk_limits)
        directions = [choice.direction for choice in settings.symbols]
        self._sells = np.array([direction in ("short", "signal") for direction in directions])
        self._buys = np.array([direction in ("long", "signal") for direction in directions])
        self._follows = np.array([direction == "follow" for direction in directions])
        self._most = settings.risk_limits.max_symbol_leverage
        self._rules_seen: tuple[object, ...] = ()
        self._due = np.zeros(0, np.bool_)
        self._seen_price, self._seen_level = np.zeros(0), np.zeros(0)
        self._last_reference: dict[int, float] = {}
        self._looked_ns: int | None = None
        self._tried_ns: dict[tuple[int, int], int] = {}
        self._reviewed_ns: dict[tuple[int, int], int] = {}
        self._amended_ns: deque[int] = deque()

    def bounds(self, held: np.ndarray, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest inventory as leverage, (T,): a fixed direction has its own sign only.

        Args: `held` leverage of what we hold; `limit` base leverage x factors.
        Missing: NaN where the limit is unknown.
        """
        limit = np.minimum(limit, self._most)
        sells, buys = self._sells | (self._follows & (held < 0)), self._buys | (self._follows & (held > 0))
        return np.where(sells, -limit, 0.0 * limit), np.where(buys, limit, 0.0 * limit)

    @property
    def is_needed(self) -> bool:
        """Whether this run quotes, or something of ours rests."""
        return self._rests_anyway or self.strategy is not None or self._orders.resting.any()

    def executed(self, event: ExecutionReported) -> None:
        """Take that something has filled; quotes look at what is held when they are asked."""

    def is_due(
        self, table: np.ndarray, specs: Sequence[SymbolSpec], changed: np.ndarray, bar: str, now_ns: int
    ) -> bool:
        """Return whether there is anything to look at: a price or crisis level, an order or rule, or the time.

        At the end of a run that keeps its orders there is nothing.

        Args: as of `moment`; `changed` (T,) the symbols with news in this batch.
        """
        if bar == ENDING and self._settings.keep_on_stop:
            return False  # what rests is left as it is
        is_time = self._looked_ns is None or now_ns - self._looked_ns >= _LOOK_NS
        if is_time or self._rules_now(bar) != self._rules_seen or len(specs) != len(self._seen_price):
            self._due = np.ones(len(specs), np.bool_)
            return True
        n = len(specs)
        ticks = np.array([10.0**-spec.digits for spec in specs])
        price, level = table["weighted_mid"][:n], table["crisis_level"][:n]
        # What is not a number is not within a tick of anything, and is looked at.
        is_still = (np.abs(price - self._seen_price) < ticks) & (level == self._seen_level)
        self._due = changed & ~is_still
        return bool(self._due.any())

    def _rules_now(self, bar: str) -> tuple[object, ...]:
        return self._orders.resting.version, bar, self._guard.trading, len(self._hands_off)

    def moment(
        self,
        now_ns: int,
        table: np.ndarray,
        prices: Prices,
        specs: Sequence[SymbolSpec],
        leverages: tuple[np.ndarray, np.ndarray, np.ndarray],
        targets: Targets,
        equity: float,
        may_grow: np.ndarray,
        bar: str,
        *,
        view: Callable[[], RiskView],
    ) -> Moment:
        """Return what `quote` is to look at.

        Args: `specs` of the traded symbols, T of them; `leverages` what is held, the inventory limit and the base;
            `may_grow` (T,) bool whether the estimators are warm and the calendar lets inventory grow; `bar` why nothing
            is to be quoted at all, empty when something is.
        """
        held, limit, base = leverages
        low, high = self.bounds(held, limit)
        hours = self._hours
        bars = ["the market has just opened" if hours.awaiting[s] else hours.closings[s] for s in range(len(specs))]
        may_grow = may_grow & (self._guard.trading == "active")
        return Moment(now_ns, table, prices, specs, held, low, high, base, targets, equity, may_grow, bar, bars, view)

    def quote(
        self, moment: Moment, intended: list[IntendedOrder], requests: list[Request], refused: list[Refused]
    ) -> None:
        """Add what the quotes call for to the three lists."""
        now_ns, n = moment.now_ns, len(moment.specs)
        if self._due.all():
            self._looked_ns = now_ns
            self._seen_price, self._seen_level = np.full(n, np.nan), np.zeros(n)
        due = self._due
        self._seen_price[due] = moment.table["weighted_mid"][:n][due]
        self._seen_level[due] = moment.table["crisis_level"][:n][due]
        while self._amended_ns and self._amended_ns[0] <= now_ns - 60 * _SECOND:
            self._amended_ns.popleft()
        at = None if self.strategy is None or moment.bar else places(self.strategy, moment, self._portfolio)
        for s in np.flatnonzero(due).tolist():
            if at is not None and 0 < at.lot_units[s] * 100 < moment.specs[s].min_volume_cents:
                self._tell_too_small(moment, at, s, refused)
            for side in self._sides(at, s):
                self._side(moment, at, s, side, intended, requests, refused)
        self._rules_seen = self._rules_now(moment.bar)

    def _tell_too_small(self, m: Moment, at: Places, s: int, refused: list[Refused]) -> None:
        spec, lot = m.specs[s], float(at.lot_units[s])
        least = spec.min_volume_cents / 100
        text = f"a quote of {lot:g} units is below the least of {least:g}; raise the weight or the quote's share"
        refusal = Refused(spec.name, "volume_limits", lot, least, text)
        if self._maker.is_news(refusal, m.now_ns):
            refused.append(refusal)

    def _sides(self, at: Places | None, s: int) -> tuple[int, int]:
        """Return the sides of a symbol, the one to move away from the market first: it makes room for the other."""
        now = math.nan if at is None else float(at.reference[s])
        before, self._last_reference[s] = self._last_reference.get(s, now), now
        return _SIDES if not now > before else (-1, 1)

    def _side(
        self,
        m: Moment,
        at: Places | None,
        s: int,
        side: int,
        intended: list[IntendedOrder],
        requests: list[Request],
        refused: list[Refused],
    ) -> None:
        resting = [order for order in self._orders.resting.of_symbol(s) if order.side == side]
        if at is None and not resting and not self._rests_anyway:
            return
        step = self._step(m, at, s, side, resting)
        verdict: ApprovedTarget | None = None
        if step.action in ("place", "amend"):
            reviewed = self._review(m, s, side, step.volume_cents, counted=True)
            if isinstance(reviewed, ApprovedTarget):
                verdict = reviewed
            else:
                self._tried_ns[s, side] = m.now_ns
                if self._maker.is_news(reviewed, m.now_ns):
                    refused.append(reviewed)
                # What may not be moved must not stay either.
                step = KEEP if step.order is None else Step("cancel", step.order, why=reviewed.reason)
        if step.action == "keep" or self._is_held(step, m.now_ns):
            return
        request = self._request(step, verdict, m.specs[s])
        order = intended_quote(m, s, side, step, verdict, request, self._reason(m, at, s, side, step, verdict))
        if isinstance(request, PlaceOrder):
            self._orders.sent(order, s, request.symbol_id, request, m.now_ns, grows=True)
        else:
            assert step.order is not None
            self._orders.resting.altered(order, step.order, request, m.now_ns)
            if isinstance(request, AmendOrder):
                self._amended_ns.append(m.now_ns)
        intended.append(order)
        requests.append(request)
        self._guard.order_sent(m.now_ns)

    def _reason(
        self, m: Moment, at: Places | None, s: int, side: int, step: Step, verdict: ApprovedTarget | None
    ) -> str:
        return quote_reason(self._settings.strategy, m, at, s, side, step, verdict)

    def _step(self, m: Moment, at: Places | None, s: int, side: int, resting: list[OwnOrder]) -> Step:
        """Return what to do on one side, before the gate has seen it."""
        wish, flow = self._wish(m, at, s, side), self._orders.resting
        found = None if isinstance(wish, str) else wish
        step = next_step(found, resting, flow.is_altered, m.specs[s], self._pace(m, s, side, found, resting), m.now_ns)
        if step.action == "cancel" and isinstance(wish, str) and not step.why:
            return replace(step, why=wish)
        if step.action == "place" and not self._may_place(m, s, side):
            return KEEP
        if step.action == "amend" and flow.is_held(AmendOrder, m.now_ns):
            return Step("cancel", step.order, why="the venue takes no amends now")
        if step.action == "keep" and found is not None and resting and self._is_review_due(m, s, side, resting[-1]):
            return self._reviewed(m, s, side, resting[-1])
        return step

    def _reviewed(self, m: Moment, s: int, side: int, order: OwnOrder) -> Step:
        """Let a quote that stays where it is pass the gate again, the order rate aside: it has used that already."""
        verdict = self._review(m, s, side, order.left_cents, counted=False)
        if isinstance(verdict, Refused):
            return Step("cancel", order, why=verdict.reason)
        if abs(verdict.target_cents - verdict.held_cents) < order.left_cents:
            return Step("cancel", order, why=verdict.note or "it is larger than what is held")
        return KEEP

    def _is_held(self, step: Step, now_ns: int) -> bool:
        return step.action == "cancel" and self._orders.resting.is_held(CancelOrder, now_ns)

    def _wish(self, m: Moment, at: Places | None, s: int, side: int) -> Wish | str:
        spec = m.specs[s]
        if at is None:
            return m.bar or f"{self._settings.strategy.name} rests no orders"
        if spec.symbol_id in self._hands_off:
            return "somebody else has closed a position of ours here"
        bar = bar_of(m, s, self._portfolio.own_cents(spec.symbol_id))
        flow = self._orders.resting
        # Our own quote on the other side is not to be traded with.
        others = [side * flow.price_to_be(o) for o in flow.of_symbol(s) if o.side != side]
        barrier = side * min(others, default=math.nan)
        return bar or wish_of(m, at, self._portfolio, s, side, barrier, netted=self._guard.is_netted)

    def _pace(
        self,
        m: Moment,
        s: int,
        side: int,  # noqa: ARG002
        wish: Wish | None,  # noqa: ARG002
        resting: Sequence[OwnOrder],  # noqa: ARG002
    ) -> QuotePace:
        spec, threshold = m.specs[s], 1.0
        if self.strategy is not None:
            spread = float(m.table["mean_spread_bps"][s])
            spread = spread if spread == spread else float(m.table["spread_bps"][s])
            ticks = self.strategy.requote_frac * spread * float(m.prices.mid[s]) / 1e4 * 10.0**spec.digits
            threshold = max(ticks, 1.0) if ticks == ticks else 1.0
        most = self._settings.risk_limits.max_orders_per_minute
        quotes = self._orders_a_symbol * len(m.specs)
        return QuotePace(
            min_interval_ns=round(self._settings.min_interval_s * _SECOND),
            # The minute's advances, spread evenly: used up at once they would leave quotes behind for the rest of it.
            advance_interval_ns=round(60 * _SECOND * quotes / advances_a_minute(most)),
            threshold_ticks=threshold,
            sent_last_minute=self._guard.sent_last_minute(m.now_ns),
            amended_last_minute=len(self._amended_ns),
            max_orders_per_minute=most,
            is_busy=self._orders.busy(s, m.now_ns),
        )

    def _may_place(self, m: Moment, s: int, side: int) -> bool:
        tried = self._tried_ns.get((s, side))
        waited = tried is None or m.now_ns - tried >= _SECOND
        return (
            waited
            and self._orders.resting.may_place(s, m.now_ns)
            and not self._orders.is_kind_held(PlaceOrder, m.now_ns)
        )

    def _is_review_due(self, m: Moment, s: int, side: int, order: OwnOrder) -> bool:
        """Return whether a quote that stays where it is should pass the gate again: limits move with equity."""
        last = self._reviewed_ns.get((s, side))
        return (
            order.is_working
            and order.order_id is not None  # what has no id yet cannot be cancelled
            and not self._orders.resting.is_altered(order)
            and (last is None or m.now_ns - last >= _REVIEW_NS)
        )

    def _review(self, m: Moment, s: int, side: int, volume_cents: int, *, counted: bool) -> ApprovedTarget | Refused:
        """Ask the gate for one side as if the other did not fill.

        Args: `counted` False leaves the order rate out, and other people's orders: those make room for what rests.
        """
        self._reviewed_ns[s, side] = m.now_ns
        view, spec = m.view(), m.specs[s]
        pending = np.zeros(len(view.leverage)) if view.pending_units is None else view.pending_units.copy()
        theirs = self._orders.resting.foreign_cents(s, side) if counted else 0
        pending[s] = side * theirs / 100  # what rests here of ours is what is being reviewed
        view = replace(view, pending_units=pending)
        if not counted:
            view = replace(view, orders_last_minute=0)
        held = self._portfolio.own_cents(spec.symbol_id)
        foreign = not self._settings.manage_all and self._portfolio.has_foreign(spec.symbol_id)
        return self._gate.review(
            view, s, spec, held, held + side * volume_cents, foreign=foreign, rests=True, reserve_cents=theirs
        )

    def _request(
        self, step: Step, verdict: ApprovedTarget | None, spec: SymbolSpec
    ) -> PlaceOrder | AmendOrder | CancelOrder:
        own_id = self._maker.take_id()
        if verdict is None:
            assert step.order is not None
            return cancel_quote(step.order, own_id)
        style = self._settings.style
        request: PlaceOrder | AmendOrder
        if step.order is None:
            request = place_quote(verdict, spec, step.price, style.label, own_id, step.position_id)
        else:
            request = amend_quote(verdict, step.order, step.price, own_id, reduces_risk=step.reduces_risk)
        # What closes a position, or merges with one, is protected with it.
        if step.position_id is not None or (self._guard.is_netted and verdict.held_cents):
            return request
        # An amendment says it again: what the venue does with a field left out is not documented.
        stop, profit = relative_e5(style.protection, spec, step.price)
        return replace(request, relative_stop_loss_e5=stop, relative_take_profit_e5=profit)
