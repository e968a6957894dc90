"""The decision engine: the same in live, dry run, replay, backtest and tests.

How it works: `receive` takes what happened, `decide` says once per batch what follows. Market data goes through
compiled loops (`market/evaluator.py`); leverage and the no-trade band are vector operations over the symbols; Python
objects are made only when something is to be traded, refused or reported.

    market data -> features -> goal (strategy) -> target (pace, caps) -> volume -> risk gate -> plan -> request

Invariants: time enters as `recv_ns` and `now_ns` only; a symbol has at most one order of ours on its way to the
market, and one resting a side; the gate in `account/risk.py` has approved every order that is sent.
"""

import math

import numpy as np

from bot.account.account import AccountState
from bot.account.loss import LossBreach
from bot.account.portfolio import Portfolio, Valuation
from bot.account.risk import Refused, RiskView
from bot.engine import events as ev
from bot.engine.account_guard import AccountGuard
from bot.engine.bookkeeping import Bookkeeping
from bot.engine.decision import Decision, IntendedOrder
from bot.engine.doubts import Doubts, market_doubts, restrictions
from bot.engine.feature_adapter import feature_table
from bot.engine.feed_watch import FeedWatch
from bot.engine.market_hours import MarketHours
from bot.engine.order_flow import OrderFlow
from bot.engine.order_maker import OrderMaker
from bot.engine.prices import PriceBoard, Prices
from bot.engine.quote_wishes import Moment
from bot.engine.quoter import CLOSING, ENDING, Quoter
from bot.engine.readiness import Readiness
from bot.engine.rows import NO_ROWS, decision_rows
from bot.engine.settings import EngineSettings
from bot.execution.requests import Request
from bot.market.book import BookArrays
from bot.market.evaluator import Evaluator, Features
from bot.market.symbols import SymbolSpec
from bot.sizing.leverage import LeverageRules, Targets
from bot.sizing.strategy import Strategy

_SECOND = 1_000_000_000
_TICK_NS = _SECOND // 4
_REFERENCE_NS = 60 * _SECOND
_REFERENCE_EQUITY_SHARE = 0.25  # the reference size is a resize of this much equity (models 2.3)


class Engine:
    """One account's decisions. Feed it events in the order they happened, then ask it to decide."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._portfolio = Portfolio(settings.label, manage_all=settings.manage_all)
        self._hours = MarketHours()
        self._orders = OrderFlow(settings.order_timeout_s, settings.settle_s, self._hours)
        self._guard = AccountGuard(settings, self._portfolio)
        self._bookkeeping = Bookkeeping(settings, self._portfolio, self._orders, self._guard)
        self._maker = OrderMaker(settings, self._portfolio, self._orders, self._bookkeeping.hands_off)
        parts = (self._portfolio, self._orders, self._maker, self._guard, self._hours)
        self._quoter = Quoter(settings, *parts, self._bookkeeping.hands_off)
        self._readiness = Readiness()
        self._stopping = False
        self._specs: tuple[SymbolSpec, ...] = ()
        self._index: dict[int, int] = {}
        self._traded = 0
        self._restrictions: Doubts = {}
        self._evaluator: Evaluator | None = None
        self._reference_ns: int | None = None
        self._feed_watch = FeedWatch()
        self._now_ns = 0
        self._valuation = Valuation(math.nan, np.empty(0), 0.0)
        choices = settings.symbols
        self._base = np.array([settings.base_leverage * c.weight for c in choices])
        # A symbol that follows what is held has no direction of its own; `signal` belongs to strategies that have one.
        self._fixed_direction = np.array([{"long": 1.0, "short": -1.0}.get(c.direction, math.nan) for c in choices])
        self._follows = np.array([c.direction == "follow" for c in choices])

    # -- what others may look at --------------------------------------------------------------------------------

    @property
    def features(self) -> Features | None:
        """The market as of the last batch; None before the symbols are known."""
        return self._evaluator.features if self._evaluator else None

    @property
    def books(self) -> BookArrays | None:
        """The books as of the last batch; None before the symbols are known."""
        return self._evaluator.books if self._evaluator else None

    @property
    def specs(self) -> tuple[SymbolSpec, ...]:
        """Every loaded symbol, traded ones first."""
        return self._specs

    @property
    def portfolio(self) -> Portfolio:
        """Positions and balance."""
        return self._portfolio

    @property
    def account(self) -> AccountState | None:
        """The account's settings; None before it was loaded."""
        return self._guard.account

    @property
    def valuation(self) -> Valuation:
        """Equity and leverage at the prices of the last decision."""
        return self._valuation

    @property
    def trading(self) -> str:
        """active, reducing or halted."""
        return self._guard.trading

    @property
    def strategy(self) -> Strategy:
        """The leverage model of this run."""
        return self._settings.strategy

    def quote_rate(self, symbol_index: int) -> float:
        """Return a symbol's quote currency in deposit currency at the last known prices; NaN if unknown."""
        return float(self._board.now(self._now_ns, self._hours.closed).quote_rate[symbol_index])

    def used_margin(self) -> float:
        """Return used margin in deposit currency at the last known prices; NaN when it cannot be computed."""
        if self._evaluator is None:
            return math.nan
        return self._view(self._board.now(self._now_ns, self._hours.closed)).used_margin()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way, and nothing of ours is left to close if it should be."""
        if self._orders.resting.is_waiting(keeping=self._settings.keep_on_stop):
            return False
        return not (self._is_closing and any(map(self._holds_own, range(self._traded))))

    def _holds_own(self, s: int) -> bool:
        return bool(self._portfolio.own_positions(self._specs[s].symbol_id))

    @property
    def _is_closing(self) -> bool:
        return self._guard.is_flattening or (self._stopping and self._settings.flatten_on_stop)

    # -- events -------------------------------------------------------------------------------------------------

    def receive(self, event: ev.Event) -> None:
        """Take in one event. Nothing is decided until `decide`."""
        match event:
            case ev.MarketDataChanged():
                if self._evaluator is not None:
                    self._changed |= self._evaluator.receive(event.rows, event.recv_ns)
            case ev.ExecutionReported():
                self._bookkeeping.executed(event)
            case ev.RequestRefused():
                self._orders.refused(event)
            case ev.ReadinessChanged():
                self._session_changed(event)
            case ev.AccountLoaded():
                self._guard.account_loaded(event.account, event.recv_ns)
            case ev.SymbolsLoaded():
                self._symbols_loaded(event)
            case ev.MarginStated():
                self._bookkeeping.margin_stated(event)
            case ev.LeverageTiersLoaded():
                self._guard.tiers_loaded(event.leverage_id, event.tiers)
            case ev.Reconciled():
                self._bookkeeping.reconciled(event)
            case ev.OrderHistoryListed():
                self._bookkeeping.history_listed(event)
            case ev.CommandGiven():
                if event.command == "stop":
                    self._stopping = True

    def _session_changed(self, event: ev.ReadinessChanged) -> None:
        self._readiness.session = event.reasons
        self._guard.changed()
        if {"disconnected", "account_disconnected"} & set(event.reasons):
            # What was written and not answered may have been executed: unknown, until the venue says otherwise.
            self._orders.connection_lost()
            if self._evaluator is not None:
                self._evaluator.clear()

    def _symbols_loaded(self, event: ev.SymbolsLoaded) -> None:
        before, old = self._index, self._evaluator
        self._specs, self._traded = event.symbols, event.traded_count
        self._index = {spec.symbol_id: i for i, spec in enumerate(event.symbols)}
        self._bookkeeping.symbols_loaded(event, self._index)
        self._hours.load(event.symbols)
        self._restrictions = restrictions(event.symbols[: self._traded])
        if old is None or self._index != before:
            self._evaluator = Evaluator(np.array([spec.pip for spec in event.symbols]), self._settings.evaluator)
            if old is not None:
                known = {i: before[s.symbol_id] for i, s in enumerate(event.symbols) if s.symbol_id in before}
                self._evaluator.take_over(old, known)
            self._rules = LeverageRules(self._traded, self._settings.pace, self._settings.leverage_limits)
            self._changed = np.zeros(len(event.symbols), np.bool_)
            self._reference_ns = None
        assert self._evaluator is not None
        self._board = PriceBoard(event, self._evaluator, self._settings.risk_limits.stale_quote_s)

    # -- deciding -----------------------------------------------------------------------------------------------

    def next_timeout_ns(self) -> int:
        """Return when `decide` wants to be called even if nothing arrives: the next quarter of a second.

        Silence is news too: a quote grows stale and an order overdue with no message to say so.
        """
        return (self._now_ns // _TICK_NS + 1) * _TICK_NS

    def decide(self, now_ns: int) -> Decision:
        """Return what follows from everything received so far."""
        self._now_ns = now_ns
        requests: list[Request] = list(self._orders.overdue(now_ns, ready=self._readiness.session_ready))
        if self._evaluator is None:
            state = self._readiness.changed(self._guard.trading, {})
            return Decision(now_ns, NO_ROWS, requests=tuple(requests), order_changes=self._orders.take(), state=state)
        if self._hours.is_due(now_ns):
            self._hours.update(self._evaluator.quiet_s(now_ns), now_ns)
        prices = self._board.now(now_ns, self._hours.closed)
        self._valuation = self._portfolio.value(prices.bid, prices.ask, prices.quote_rate)
        refused = self._check_account(prices, now_ns)
        self._set_reference_size(prices, now_ns)
        held = self._valuation.leverage[: self._traded]
        if self._quoter.is_needed:
            self._table = feature_table(self._evaluator.features)
        factors = self._factors()
        targets = self._targets(held, factors, now_ns)
        intended: list[IntendedOrder] = []
        if self._readiness.session_ready and self._are_quotes_due():
            # Cancels go before what is traded at the market.
            self._quoter.quote(self._moment(prices, held, factors, targets), intended, requests, refused)
        if self._readiness.session_ready and (self._is_closing or not self._stopping):
            self._trade(prices, held, factors, targets, intended, requests, refused)
        ready = self._readiness.session_ready
        requests.extend(self._feed_watch.requests(prices, self._specs, self._traded, now_ns, ready=ready))
        rows = decision_rows(
            self._changed[: self._traded], self._evaluator.features, held, targets.goal, targets.target, factors
        )
        self._changed[:] = False
        state = self._readiness.changed(self._guard.trading, self._doubts(prices))
        return Decision(now_ns, rows, tuple(intended), tuple(requests), self._orders.take(), tuple(refused), state)

    def _targets(self, held: np.ndarray, factors: np.ndarray, now_ns: int) -> Targets:
        assert self._evaluator is not None
        n = self._traded
        if self._is_closing:
            goal = np.zeros(n)
        elif self._quoter.strategy is not None:
            goal = self._quoter.goal(held, self._base * factors.prod(axis=0))
        else:
            direction = np.where(self._follows, np.sign(held), self._fixed_direction)
            goal = direction * self._base * factors.prod(axis=0)
        # Stale, doubtful, closed and halted symbols may wish: the gate refuses them by name, so that a person sees why.
        # One that has just reopened wishes anew, on its new prices.
        may_grow = ~self._hours.awaiting[:n] & (self._readiness.session_ready and not self._stopping)
        for symbol_id in self._bookkeeping.hands_off:
            may_grow[self._index[symbol_id]] = False
        # Positions of symbols that are not traded here use up the account's leverage as other people's do.
        others = self._valuation.foreign_leverage + float(np.abs(self._valuation.leverage[n:]).sum())
        return self._rules.targets(
            goal, self._base, held, may_grow, self._evaluator.watched_s(now_ns)[:n], others, self._guard.shrink, now_ns
        )

    def _factors(self) -> np.ndarray:
        assert self._evaluator is not None
        strategy = self._settings.strategy
        if self._quoter.strategy is None:
            return strategy.factors(self._evaluator.features)[:, : self._traded]
        return strategy.factors(self._table)[:, : self._traded]  # type: ignore[arg-type]

    def _are_quotes_due(self) -> bool:
        if not self._quoter.is_needed:
            return False
        n = self._traded
        return self._quoter.is_due(self._table, self._specs[:n], self._changed[:n], self._bar, self._now_ns)

    @property
    def _bar(self) -> str:
        return CLOSING if self._is_closing else ENDING if self._stopping else ""

    def _moment(self, prices: Prices, held: np.ndarray, factors: np.ndarray, targets: Targets) -> Moment:
        assert self._evaluator is not None
        n = self._traded
        return self._quoter.moment(
            self._now_ns,
            self._table,
            prices,
            self._specs[:n],
            (held, self._base * factors.prod(axis=0), self._base),
            targets,
            self._valuation.equity,
            self._evaluator.watched_s(self._now_ns)[:n],
            self._bar,
            view=lambda: self._view(prices),
        )

    def _trade(
        self,
        prices: Prices,
        held: np.ndarray,
        factors: np.ndarray,
        targets: Targets,
        intended: list[IntendedOrder],
        requests: list[Request],
        refused: list[Refused],
    ) -> None:
        """Walk the symbols whose target differs from what is held, and add what follows to the three lists."""
        assert self._evaluator is not None
        now_ns = self._now_ns
        view: RiskView | None = None
        # While everything is to be closed, a hedged pair counts although it nets to nothing.
        closing = self._is_closing
        wanted = filter(self._holds_own, range(self._traded)) if closing else np.flatnonzero(targets.target != held)
        for s in map(int, wanted):
            spec = self._specs[s]
            if prices.odd[s]:
                continue  # one price may be a slip; if it stays it becomes doubtful, and then it may reduce
            why_closed = self._hours.closings[s]
            if self._hours.awaiting[s] or (why_closed is not None and self._maker.has_told(spec.name, why_closed)):
                continue
            urgent = bool(targets.urgent[s]) or self._guard.is_flattening
            if not self._maker.may_act(s, spec.symbol_id, now_ns, urgent=urgent):
                continue
            view = view or self._view(prices)
            equity = self._valuation.equity
            made = self._maker.make(
                s, spec, prices, view, self._evaluator, factors, targets, equity, now_ns, closing=closing
            )
            if made is None:
                continue
            if isinstance(made, Refused):
                if self._maker.is_news(made, now_ns):
                    refused.append(made)
                continue
            order, request, grows = made
            intended.append(order)
            requests.append(request)
            self._guard.order_sent(now_ns)
            if grows:
                self._rules.note_growth(s, now_ns)
            view = None  # what is on its way counts from here on

    def _view(self, prices: Prices) -> RiskView:
        assert self._evaluator is not None
        return self._guard.view(
            prices,
            self._board,
            self._evaluator.features,
            self._specs,
            self._valuation,
            self._orders.pending_units(self._portfolio.own_units()),
            self._hours.closings,
            self._now_ns,
            ready=self._readiness.session_ready,
        )

    def _check_account(self, prices: Prices, now_ns: int) -> list[Refused]:
        if not self._guard.is_due(now_ns):
            return []
        long_units, short_units = self._portfolio.sides_units()
        odd = bool((prices.odd & ((long_units > 0) | (short_units > 0))).any())
        breach = self._guard.check(self._view(prices), self._valuation.equity, now_ns, odd=odd)
        return [] if breach is None else [_halted(breach)]

    def _set_reference_size(self, prices: Prices, now_ns: int) -> None:
        """Renew the size whose cost is watched: a quarter of equity, at least the smallest order."""
        assert self._evaluator is not None
        if self._reference_ns is not None and now_ns - self._reference_ns < _REFERENCE_NS:
            return
        equity = self._valuation.equity
        if not equity > 0:
            return
        units = _REFERENCE_EQUITY_SHARE * equity / prices.unit_notional
        least = np.array([spec.min_volume_cents / 100 for spec in self._specs])
        self._evaluator.set_reference_units(np.where(np.isnan(units), np.nan, np.maximum(units, least)))
        if not np.isnan(units[: self._traded]).any():
            self._reference_ns = now_ns

    # -- reporting ----------------------------------------------------------------------------------------------

    def _doubts(self, prices: Prices) -> Doubts:
        doubts = market_doubts(self._specs[: self._traded], prices, self._hours.closings) | self._restrictions
        others = [f"unknown_order:{self._specs[s].name}" for s in self._orders.unknown_symbols()]
        others += [f"closed_by_hand:{self._specs[self._index[i]].name}" for i in sorted(self._bookkeeping.hands_off)]
        others += [f"unpriced_position:{p.position_id}" for p in self._portfolio.unpriced()]
        return doubts | dict.fromkeys(others)


def _halted(breach: LossBreach) -> Refused:
    text = f"{breach.check} is {breach.value:.2%} of equity, the limit is {breach.limit:.2%}: trading is halted"
    return Refused("*", breach.check, breach.value, breach.limit, text)
