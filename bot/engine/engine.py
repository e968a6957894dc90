"""The decision engine: the same in live, dry run, replay, backtest and tests.

How it works: `receive` takes what happened, `decide` says once per batch what follows. The quiet path is compiled:
books and features (`market/evaluator.py`), prices (`prices.py`), equity (`account/portfolio.py`), factors (the
strategy) and targets (`sizing/leverage.py`) are one call each over all symbols. Python objects are made only when
something is to be traded, refused or reported.

    market data -> features -> goal (strategy) -> target (pace, caps) -> volume -> risk gate -> plan -> request

Invariants: time enters as `recv_ns` and `now_ns` only; a symbol has at most one order of ours on its way to the
market, and one resting a side; the gate in `account/risk.py` has approved every order that is sent.
"""

import math

import numpy as np

from bot.account.portfolio import Portfolio, Valuation
from bot.account.risk import Refused
from bot.account.risk_view import RiskView
from bot.engine import events as ev
from bot.engine import news
from bot.engine.account_guard import AccountGuard
from bot.engine.account_truth import AccountTruth
from bot.engine.actions import Actions
from bot.engine.bookkeeping import Bookkeeping
from bot.engine.day_clock import DayClock
from bot.engine.decision import Decision
from bot.engine.doubts import Doubts, Standing
from bot.engine.feed_watch import FeedWatch
from bot.engine.fill_watch import FillWatch
from bot.engine.foreign_resizer import ForeignResizer
from bot.engine.market_hours import MarketHours
from bot.engine.market_picture import market_risk
from bot.engine.observed import ObservedEngine
from bot.engine.order_flow import OrderFlow
from bot.engine.order_maker import OrderMaker
from bot.engine.prices import PriceBoard, Prices
from bot.engine.protector import Protector
from bot.engine.quoter import CLOSING, ENDING, Quoter
from bot.engine.readiness import Readiness
from bot.engine.rows import NO_ROWS, decision_rows
from bot.engine.settings import EngineSettings
from bot.engine.sizer import Sizer
from bot.engine.stray_orders import StrayOrders
from bot.engine.target_rester import TargetRester
from bot.engine.trader import Trader
from bot.engine.watched_sizes import WatchedSizes
from bot.execution.orders import OrderSnapshot
from bot.market.delta_sink import DeltaSink
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec
from bot.sizing.bound import Bound
from bot.sizing.leverage import Targets

_TICK_NS = 250_000_000


class Engine(ObservedEngine):
    """One account's decisions. Feed it events in the order they happened, then ask it to decide."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._portfolio = Portfolio(settings.label, manage_all=settings.manage_all)
        self._hours = MarketHours()
        self._orders = OrderFlow(settings.order_timeout_s, settings.settle_s, self._hours)
        self._guard = AccountGuard(settings, self._portfolio)
        self._truth = AccountTruth(settings, self._portfolio, self._guard)
        self._bookkeeping = Bookkeeping(settings, self._portfolio, self._orders, self._guard)
        self._maker = OrderMaker(settings, self._portfolio, self._orders, self._bookkeeping.hands_off)
        self._fills = FillWatch()
        self._sizer = Sizer(settings)
        rests = settings.style.order_type == "limit" and not self._sizer.quotes
        self._trader = Trader(
            self._portfolio, self._maker, self._guard, self._hours, self._fills, self._sizer, rests=rests
        )
        parts = (settings, self._portfolio, self._orders, self._maker, self._guard)
        hands_off, foreign = self._bookkeeping.hands_off, self._bookkeeping.foreign
        self._quoter: Quoter = (
            TargetRester(*parts, self._hours, hands_off, note_growth=self._sizer.note_growth)
            if rests
            else Quoter(*parts, self._hours, hands_off)
        )
        self._resizer = None if foreign is None else ForeignResizer(*parts, foreign, hands_off)
        self._protector = Protector(*parts, self._hours, hands_off)
        self._strays = StrayOrders(*parts[1:])
        self._readiness = Readiness()
        self._stopping = False
        self._specs: tuple[SymbolSpec, ...] = ()
        self._index: dict[int, int] = {}
        self._traded = 0
        self._evaluator: Evaluator | None = None
        self.sink: DeltaSink | None = None  # the books, as a taker of delta rows; None before the symbols are known
        self._sizes = WatchedSizes()
        self._usual: dict[str, dict[str, object]] = {}
        self._day = DayClock(calendar=settings.calendar, time_of_day=settings.evaluator.time_of_day)
        self._feed_watch = FeedWatch()
        self._barred: tuple[object, ...] = ()
        self._standing = Standing()
        self._doubts_seen: tuple[Doubts, int] = {}, -1
        self._all_doubts: Doubts = {}
        self._targets: Targets | None = None
        self._now_ns = 0
        self._valuation = Valuation(math.nan, np.empty(0), 0.0)

    def used_margin(self) -> float:
        """Return used margin in deposit currency at the last known prices; NaN when it cannot be computed."""
        if self._evaluator is None:
            return math.nan
        return self._view(self._board.now(self._now_ns)).used_margin()

    def foreign_order(self, order_id: int) -> OrderSnapshot | None:
        """Return what is known of somebody else's resting order that we resize; None for any other."""
        foreign = self._bookkeeping.foreign
        return None if foreign is None else foreign.find(order_id)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way, and nothing of ours is left to close if it should be."""
        keeping = self._settings.keep_on_stop and not self._is_closing
        if self._orders.resting.is_waiting(keeping=keeping) or self._orders.protections.pending:
            return False
        traded = {spec.symbol_id for spec in self._specs[: self._traded]}
        if not self._guard.is_flattening:
            traded -= self._bookkeeping.hands_off  # the end of a run closes nothing there
        return not (self._is_closing and any(map(self._portfolio.own_positions, traded)))

    @property
    def _is_closing(self) -> bool:
        return self._guard.is_flattening or (self._stopping and self._settings.flatten_on_stop)

    def moved(self) -> None:
        """Hear that a checkpoint was restored: arrays that compiled loops know by address lie elsewhere."""
        if self._evaluator is not None:
            self._evaluator.moved()
            self.sink = self._evaluator.sink

    # -- events -------------------------------------------------------------------------------------------------

    def receive(self, event: ev.Event) -> None:
        """Take in one event. Nothing is decided until `decide`."""
        if isinstance(event, ev.MarketDataChanged):
            if self._evaluator is not None:
                self._evaluator.apply(event.rows, event.recv_ns)
            return
        self._protector.changed()
        match event:
            case ev.ExecutionReported():
                self._fills.executed(event)
                self._bookkeeping.executed(event)
                self._quoter.executed(event)
            case ev.RequestRefused():
                self._orders.refused(event)
            case ev.ReadinessChanged():
                self._session_changed(event)
            case ev.SymbolsLoaded():
                self._symbols_loaded(event)
            case ev.CommandGiven():
                if event.command == "stop":
                    self._stopping = True
                else:
                    self._bookkeeping.commanded(event)
            case ev.UsualRestored():
                self._usual = event.contents
            case ev.ExpectedMarginStated() | ev.ProfitStated():
                self._truth.take(event)
            case _:
                self._bookkeeping.take(event)

    def _session_changed(self, event: ev.ReadinessChanged) -> None:
        self._readiness.session = event.reasons
        self._guard.changed()
        self._maker.programmes.forget_all()
        if {"disconnected", "account_disconnected"} & set(event.reasons):
            # What was written and not answered may have been executed: unknown, until the venue says otherwise.
            self._orders.connection_lost()
            self._truth.link_lost()
            if self._evaluator is not None:
                self._evaluator.clear()

    def _symbols_loaded(self, event: ev.SymbolsLoaded) -> None:
        before, old = self._index, self._evaluator
        self._specs, self._traded = event.symbols, event.traded_count
        self._maker.programmes.forget_all()
        self._index = {spec.symbol_id: i for i, spec in enumerate(event.symbols)}
        self._bookkeeping.symbols_loaded(event, self._index)
        self._hours.load(event.symbols)
        self._standing.load(event.symbols, self._traded)
        if old is None or self._index != before:
            self._evaluator = Evaluator(np.array([spec.pip for spec in event.symbols]), self._settings.evaluator)
            if old is not None:
                known = {i: before[s.symbol_id] for i, s in enumerate(event.symbols) if s.symbol_id in before}
                self._evaluator.take_over(old, known)
            for s, spec in enumerate(event.symbols):
                if (old is None or spec.symbol_id not in before) and spec.name in self._usual:
                    self._evaluator.restore_usual(s, self._usual[spec.name])
        assert self._evaluator is not None
        self.sink = self._evaluator.sink
        self._sizer.load(event.symbols, self._traded)
        self._truth.load(event.symbols, self._traded)
        self._sizes.load(event.symbols, self._sizer.base)
        self._day.load(event.symbols)
        self._fills.load(event.symbols)
        self._barred = ()
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
        ready = self._readiness.session_ready
        done = Actions(requests=self._orders.overdue(now_ns, ready=ready))
        done.requests += self._guard.questions(now_ns, ready=ready, looks=bool(done.requests))
        done.notices += self._bookkeeping.take_notices()
        if self._evaluator is None:
            return done.decision(now_ns, NO_ROWS, self._orders.take(), self._readiness.changed(self._guard.trading, {}))
        evaluator = self._evaluator
        if self._hours.is_due(now_ns):
            self._hours.update(evaluator.quiet_s(now_ns), now_ns)
            evaluator.set_closed(self._hours.closed)
        self._day.turn(evaluator, now_ns)
        if evaluator.looked_ns != now_ns:
            evaluator.advance(now_ns)
        prices = self._board.now(now_ns)
        self._valuation = self._portfolio.value_at(prices.table)
        if now_ns >= self._truth.next_ns:
            # Before anything is wanted: what has been asked for is not to be tried and refused meanwhile.
            done.requests += self._truth.look(prices, self._board, self._valuation.equity, now_ns, ready=ready)
        done.refused += self._check_account(prices, now_ns)
        self._sizes.renew(evaluator, prices, self._board, self._valuation.equity, now_ns)
        held, closing = self._valuation.leverage, self._is_closing
        factors, targets = self._find_targets(prices, held, now_ns, closing=closing)
        if ready:
            # Cancels go before what is traded at the market.
            self._tend_resting(prices, held, factors, targets, done)
        if ready and (closing or not self._stopping):
            self._trader.trade(
                self._specs[: self._traded], prices, evaluator, held[: self._traded], factors, targets,
                self._valuation.equity, now_ns, done, closing=closing, view=lambda: self._view(prices),
            )  # fmt: skip
        if ready and not closing and self._protector.is_due(now_ns):
            self._protector.look(self._specs[: self._traded], prices, held, now_ns, done)
        done.requests += self._feed_watch.requests(prices, self._specs, self._traded, now_ns, ready=ready)
        rows = decision_rows(evaluator.changed, evaluator.table, held, targets.rows, factors)
        changes = self._orders.take()
        done.deals += self._bookkeeping.deals.take(changes, self._fills)
        done.notices += [told for deal in done.deals if (told := news.dealt(deal)) is not None]
        self._fills.changed(changes)
        if changes:
            self._guard.limits.ended(changes, now_ns)
            self._guard.limits.filled(self._fills.take_excess_bps(), now_ns)
        if not done.intended:  # an order is not to wait for what others have taught
            done.marks += self._fills.look(evaluator, now_ns)
        state = self._readiness.changed(self._guard.trading, self._doubts(prices))
        return done.decision(now_ns, rows, changes, state)

    def _find_targets(
        self, prices: Prices, held: np.ndarray, now_ns: int, *, closing: bool
    ) -> tuple[np.ndarray, Targets]:
        assert self._evaluator is not None
        n = self._traded
        self._bar_growth()
        # Positions of symbols that are not traded here use up the account's leverage as other people's do.
        others = self._valuation.foreign_leverage
        if len(held) > n:
            others += float(np.abs(held[n:]).sum())
        factors, self._targets = self._sizer.targets(
            self._evaluator,
            prices.table,
            held,
            equity=self._valuation.equity,
            foreign=others,
            shrink=self._guard.shrink,
            now_ns=now_ns,
            closing=closing,
        )
        return factors, self._targets

    def _bar_growth(self) -> None:
        """Tell the rules why nothing may grow, when that has changed.

        Stale, doubtful, closed and halted symbols may wish: the gate refuses them by name, so that a person sees why.
        One that has just reopened wishes anew, on its new prices.
        """
        unready = not self._readiness.session_ready or self._stopping
        awaiting, n = self._hours.awaiting, self._traded
        hands_off = tuple(sorted(self._bookkeeping.hands_off))
        day = self._day
        told = (
            unready, hands_off, awaiting.tobytes(), day.barred.tobytes(), day.holiday_factor.tobytes(),
            self._truth.version,
        )  # fmt: skip
        if told == self._barred:
            return
        self._barred = told
        free = Bound.QUOTES if self._sizer.quotes else Bound.NONE
        barred = np.where(day.barred[:n], int(Bound.CALENDAR), int(free))
        barred[awaiting[:n] | self._truth.awaited] = Bound.NOT_READY
        barred[[self._index[symbol_id] for symbol_id in hands_off]] = Bound.HANDS_OFF
        if unready:
            barred[:] = Bound.NOT_READY
        self._sizer.bar(barred, day.holiday_factor)

    def _tend_resting(
        self,
        prices: Prices,
        held: np.ndarray,
        factors: np.ndarray,
        targets: Targets,
        done: Actions,
    ) -> None:
        """Resize other people's resting orders where we may, and move or take back our own, where there are any."""
        assert self._evaluator is not None
        evaluator, n, now_ns = self._evaluator, self._traded, self._now_ns
        specs, quoter, resizer = self._specs[:n], self._quoter, self._resizer
        bar = CLOSING if self._is_closing else ENDING if self._stopping else ""
        if not (bar == ENDING and self._settings.keep_on_stop):
            self._strays.look(self._specs, n, held, now_ns, done, bar)
        resizes = resizer is not None and bar != ENDING and resizer.is_due(now_ns)
        quotes = quoter.is_needed and quoter.is_due(evaluator.table, specs, evaluator.changed[:n] != 0, bar, now_ns)
        if not (resizes or quotes):
            return
        base = self._sizer.base * self._day.holiday_factor[:n]
        # A factor that is unknown makes the limit unknown: then the inventory may only shrink.
        limit = np.minimum(base * factors[:, :n].prod(axis=0), targets.rows["cap"])
        warm = evaluator.watched_s(now_ns)[:n] >= self._settings.pace.warm_up_s
        moment = quoter.moment(
            now_ns,
            evaluator.table,
            prices,
            specs,
            (held[:n], limit, base),
            targets,
            self._valuation.equity,
            warm & ~self._day.barred[:n] & ~self._truth.awaited,
            bar,
            view=lambda: self._view(prices),
        )
        if resizer is not None and resizes:
            resizer.resize(moment, limit, done)
        if quotes:
            quoter.quote(moment, done.intended, done.requests, done.refused)

    def _view(self, prices: Prices) -> RiskView:
        assert self._evaluator is not None
        return self._guard.view(
            prices,
            self._board,
            self._specs,
            self._valuation,
            self._orders.pending_units(self._portfolio.own_units()),
            self._hours.closings,
            self._now_ns,
            ready=self._readiness.session_ready,
            new_orders=self._truth.new_orders(self._valuation.equity, self._now_ns),
            market=market_risk(self._evaluator),
        )

    def _check_account(self, prices: Prices, now_ns: int) -> list[Refused]:
        if not self._guard.is_due(now_ns):
            return []
        unit_usd = prices.mid * self._board.usd_rates(prices)
        new = self._truth.new_orders(self._valuation.equity, now_ns)
        self._sizer.set_margin_rates(self._guard.margin_rates(unit_usd, self._traded, self._specs, new))
        long_units, short_units = self._portfolio.sides_units()
        odd = bool((prices.odd & ((long_units > 0) | (short_units > 0))).any())
        return self._guard.check(self._view(prices), self._valuation.equity, now_ns, odd=odd)

    # -- reporting ----------------------------------------------------------------------------------------------

    def _doubts(self, prices: Prices) -> Doubts:
        hands_off, exits = self._bookkeeping.hands_off, self._bookkeeping.protected_exits
        if exits:
            hands_off, exits = hands_off - exits, hands_off & exits
        doubts = self._standing.doubts(
            prices,
            closings=self._hours.closings,
            unknown=self._orders.unknown_symbols(),
            by_hand=[self._index[symbol_id] for symbol_id in sorted(hands_off)] if hands_off else [],
            unpriced=[p.position_id for p in self._portfolio.unpriced()],
            problem=self._sizer.strategy.problem,
            causes=self._guard.states.causes,
            is_changed=self._board.is_changed,
            exits=[self._index[symbol_id] for symbol_id in sorted(exits)] if exits else [],
            more=self._protector.problems,
        )
        self._board.is_changed = False
        version = self._guard.states.version + self._truth.version
        if doubts is not self._doubts_seen[0] or version != self._doubts_seen[1]:
            self._doubts_seen = doubts, version
            self._all_doubts = doubts | self._guard.doubts() | self._truth.doubts()
        return self._all_doubts
