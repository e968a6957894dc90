"""The decision engine: the same in live, dry run, replay, backtest and tests.

How it works: `receive` takes what happened, `decide` says once per batch what follows. Market data goes through compiled
loops (`market/evaluator.py`); leverage and the no-trade band are vector operations over the symbols; Python objects are
made only when something is to be traded, refused or reported.

    market data -> features -> goal (strategy) -> target (pace, caps) -> volume -> risk gate -> plan -> request

Invariants: time enters as `recv_ns` and `now_ns` only; at most one order of ours is open per symbol; the gate in
`account/risk.py` has approved every order that is sent.
"""

import math
from collections import deque
from decimal import Decimal

import numpy as np

from bot.account.account import AccountState
from bot.account.loss import LossBreach, LossGuard
from bot.account.margin import MarginRules
from bot.account.portfolio import Portfolio, Valuation
from bot.account.position import Position
from bot.account.risk import ApprovedTarget, Refused, RiskGate, RiskView
from bot.engine import events as ev
from bot.engine.decision import DECISION_ROW, MAX_FACTORS, Decision, IntendedOrder
from bot.engine.order_flow import OrderFlow
from bot.engine.prices import PriceBoard, Prices
from bot.engine.readiness import Readiness
from bot.engine.settings import EngineSettings
from bot.execution.plan import PlannedOrder, plan
from bot.execution.requests import Request, ResubscribeDepth
from bot.market import features as formulas
from bot.market.book import ASK, BID, BookArrays, levels
from bot.market.evaluator import Evaluator, Features
from bot.market.symbols import SymbolSpec
from bot.sizing.leverage import LeverageRules, Targets
from bot.sizing.strategy import Strategy
from bot.sizing.target import target_volume_cents

_SECOND = 1_000_000_000
_ACCOUNT_CHECK_NS = _SECOND // 4
_REFUSAL_REPEAT_NS = 10 * _SECOND
_RESUBSCRIBE_NS = 30 * _SECOND
_REFERENCE_NS = 60 * _SECOND
_REFERENCE_EQUITY_SHARE = 0.25  # the reference size is a resize of this much equity (models 2.3)
_NO_ROWS = np.empty(0, DECISION_ROW)


class Engine:
    """One account's decisions. Feed it events in the order they happened, then ask it to decide."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._portfolio = Portfolio(settings.label, manage_all=settings.manage_all)
        self._orders = OrderFlow(settings.order_timeout_s, settings.settle_s)
        self._gate = RiskGate(settings.risk_limits)
        self._loss = LossGuard(settings.max_daily_loss_frac, settings.max_drawdown_frac)
        self._readiness = Readiness()
        self._trading = "active"
        self._stopping = False
        self._account: AccountState | None = None
        self._margin_rules = MarginRules(None, "MAX")
        self._tiers: dict[int, tuple[tuple[float, float], ...]] = {}
        self._loaded: ev.SymbolsLoaded | None = None
        self._specs: tuple[SymbolSpec, ...] = ()
        self._traded = 0
        self._evaluator: Evaluator | None = None
        self._shrink = 1.0
        self._account_checked_ns: int | None = None
        self._reference_ns: int | None = None
        self._sent_ns: deque[int] = deque()
        self._last_order_ns: dict[int, int] = {}
        self._refused_ns: dict[tuple[str, str], int] = {}
        self._resubscribed_ns: dict[int, int] = {}
        self._hands_off: set[int] = set()
        self._next_order = 1
        self._now_ns = 0
        self._valuation = Valuation(math.nan, np.empty(0), 0.0)

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
        return self._account

    @property
    def valuation(self) -> Valuation:
        """Equity and leverage at the prices of the last decision."""
        return self._valuation

    @property
    def trading(self) -> str:
        """active, reducing or halted."""
        return self._trading

    @property
    def strategy(self) -> Strategy:
        """The leverage model of this run."""
        return self._settings.strategy

    def quote_rate(self, symbol_index: int) -> float:
        """Return the rate of a symbol's quote currency into deposit currency at the last known prices; NaN if unknown."""
        return float(self._board.now(self._now_ns).quote_rate[symbol_index])

    def used_margin(self) -> float:
        """Return used margin in deposit currency at the last known prices; NaN when it cannot be computed."""
        if self._evaluator is None:
            return math.nan
        return self._view(self._board.now(self._now_ns)).used_margin()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way, and nothing of ours is left to close if it should be."""
        if self._orders.open_orders():
            return False
        closing = (self._stopping and self._settings.flatten_on_stop) or self._is_flattening
        return not (closing and any(self._portfolio.own_cents(spec.symbol_id) for spec in self._specs))

    @property
    def _is_flattening(self) -> bool:
        return self._trading == "halted" and self._settings.flatten_on_loss

    # -- events -------------------------------------------------------------------------------------------------

    def receive(self, event: ev.Event) -> None:
        """Take in one event. Nothing is decided until `decide`."""
        match event:
            case ev.MarketDataChanged():
                if self._evaluator is not None:
                    self._changed |= self._evaluator.receive(event.rows, event.recv_ns)
            case ev.ExecutionReported():
                self._execution(event)
            case ev.RequestRefused():
                self._orders.refused(event)
            case ev.ReadinessChanged():
                self._session_changed(event)
            case ev.AccountLoaded():
                self._account_loaded(event.account)
            case ev.SymbolsLoaded():
                self._symbols_loaded(event)
            case ev.LeverageTiersLoaded():
                self._tiers[event.leverage_id] = event.tiers
            case ev.Reconciled():
                self._portfolio.reconcile(event.positions)
                self._account_checked_ns = None
            case ev.OrderHistoryListed():
                self._portfolio.mark_seen(deal.deal_id for deal in event.deals)
                self._orders.history(event)
            case ev.CommandGiven():
                if event.command == "stop":
                    self._stopping = True

    def _session_changed(self, event: ev.ReadinessChanged) -> None:
        self._readiness.session = event.reasons
        if {"disconnected", "account_disconnected"} & set(event.reasons):
            # What was written and not answered may have been executed: unknown, until the venue says otherwise.
            self._orders.connection_lost(event.recv_ns)
            if self._evaluator is not None:
                self._evaluator.clear()

    def _account_loaded(self, account: AccountState) -> None:
        self._account = account
        self._margin_rules = MarginRules(account.leverage, account.margin_calculation, account.is_limited_risk)
        self._portfolio.set_balance(account.balance, account.balance_version)
        self._account_checked_ns = None

    def _symbols_loaded(self, event: ev.SymbolsLoaded) -> None:
        same = [s.symbol_id for s in event.symbols] == [s.symbol_id for s in self._specs]
        self._loaded, self._specs, self._traded = event, event.symbols, event.traded_count
        self._index = {spec.symbol_id: i for i, spec in enumerate(event.symbols)}
        self._portfolio.set_symbols(self._index)
        if not same or self._evaluator is None:
            pips = np.array([spec.pip for spec in event.symbols])
            self._evaluator = Evaluator(pips, self._settings.evaluator)
            self._rules = LeverageRules(self._traded, self._settings.pace, self._settings.leverage_limits)
            self._changed = np.zeros(len(event.symbols), np.bool_)
            self._reference_ns = None
        self._board = PriceBoard(event, self._evaluator, self._settings.risk_limits.stale_quote_s)
        choices = self._settings.symbols
        self._base = np.array([self._settings.base_leverage * c.weight for c in choices])
        self._fixed_direction = np.array([{"long": 1.0, "short": -1.0}.get(c.direction, math.nan) for c in choices])
        # A symbol that follows what is held has no direction of its own; `signal` belongs to strategies that have one.
        self._follows = np.array([c.direction == "follow" for c in choices])

    def _execution(self, event: ev.ExecutionReported) -> None:
        if event.deal is not None:
            label = event.order.label if event.order is not None else None
            before = self._portfolio.position(event.deal.position_id)
            counted = self._portfolio.apply_deal(event.deal, label=label, snapshot=event.position)
            if counted and before is not None and self._settings.respect_manual_close:
                self._notice_foreign_close(event, before)
        elif event.position is not None:
            self._portfolio.update_position(event.position)
        if event.balance is not None and self._portfolio.set_balance(event.balance, event.balance_version):
            self._loss.deposited(float(event.balance_change or Decimal(0)))
        self._orders.executed(event)
        self._account_checked_ns = None

    def _notice_foreign_close(self, event: ev.ExecutionReported, before: Position) -> None:
        """Keep away from a symbol after somebody else, or the venue itself, reduced a position of ours in it."""
        assert event.deal is not None
        order_id = event.order.order_id if event.order is not None else None
        reduced = before.volume_cents * event.deal.volume_cents < 0
        if reduced and self._portfolio.is_ours(before) and not self._orders.is_ours(event.client_order_id, order_id):
            self._hands_off.add(before.symbol_id)

    # -- deciding -----------------------------------------------------------------------------------------------

    def next_timeout_ns(self) -> int:
        """Return when `decide` wants to be called even if nothing arrives: the next whole second."""
        return (self._now_ns // _SECOND + 1) * _SECOND

    def decide(self, now_ns: int) -> Decision:
        """Return what follows from everything received so far."""
        self._now_ns = now_ns
        requests: list[Request] = list(self._orders.overdue(now_ns, ready=self._readiness.session_ready))
        if self._evaluator is None:
            state = self._readiness.changed(self._trading, ())
            return Decision(now_ns, _NO_ROWS, requests=tuple(requests), order_changes=self._orders.take(), state=state)
        prices = self._board.now(now_ns)
        self._valuation = self._portfolio.value(prices.bid, prices.ask, prices.quote_rate)
        refused: list[Refused] = []
        breach = self._check_account(prices, now_ns)
        if breach is not None:
            refused.append(Refused("*", breach.check, breach.value, breach.limit, _breach_text(breach)))
        self._set_reference_size(prices, now_ns)
        held = self._valuation.leverage[: self._traded]
        factors = self._settings.strategy.factors(self._evaluator.features)[:, : self._traded]
        targets = self._targets(prices, held, factors, now_ns)
        intended = self._trade(prices, held, factors, targets, requests, refused, now_ns)
        requests.extend(self._resubscriptions(prices, now_ns))
        rows = self._rows(held, factors, targets)
        self._changed[:] = False
        state = self._readiness.changed(self._trading, self._doubts(prices))
        return Decision(
            now_ns,
            rows,
            tuple(intended),
            tuple(requests),
            self._orders.take(),
            tuple(refused),
            state,
        )

    def _targets(self, prices: Prices, held: np.ndarray, factors: np.ndarray, now_ns: int) -> Targets:
        assert self._evaluator is not None
        n = self._traded
        direction = np.where(self._follows, np.sign(np.nan_to_num(held)), self._fixed_direction)
        if self._is_flattening or (self._stopping and self._settings.flatten_on_stop):
            goal = np.zeros(n)
        else:
            goal = direction * self._base * factors.prod(axis=0)
        may_grow = prices.fresh[:n] & ~prices.doubtful[:n]
        if self._trading != "active" or self._stopping or not self._readiness.session_ready:
            may_grow = np.zeros(n, np.bool_)
        for symbol_id in self._hands_off:
            if self._index[symbol_id] < n:
                may_grow[self._index[symbol_id]] = False
        return self._rules.targets(
            goal,
            self._base,
            held,
            may_grow,
            self._evaluator.watched_s(now_ns)[:n],
            self._valuation.foreign_leverage,
            self._shrink,
            now_ns,
        )

    def _trade(
        self,
        prices: Prices,
        held: np.ndarray,
        factors: np.ndarray,
        targets: Targets,
        requests: list[Request],
        refused: list[Refused],
        now_ns: int,
    ) -> list[IntendedOrder]:
        """Walk the symbols whose target differs from what is held; return the orders planned."""
        intended: list[IntendedOrder] = []
        if self._stopping and not self._settings.flatten_on_stop:
            return intended
        view: RiskView | None = None
        equity = self._valuation.equity
        for s in np.flatnonzero(targets.target != held):
            if not self._may_act(int(s), bool(targets.urgent[s]), now_ns):
                continue
            spec = self._specs[s]
            held_cents = self._portfolio.own_cents(spec.symbol_id)
            target_cents = target_volume_cents(
                spec,
                held_cents,
                float(targets.target[s]),
                float(prices.unit_notional[s]),
                equity,
                urgent=bool(targets.urgent[s]),
            )
            if target_cents == held_cents:
                continue
            view = view or self._view(prices)
            foreign = not self._settings.manage_all and self._portfolio.has_foreign(spec.symbol_id)
            verdict = self._gate.review(view, int(s), spec, held_cents, target_cents, foreign=foreign)
            if isinstance(verdict, Refused):
                if self._is_news(verdict, now_ns):
                    refused.append(verdict)
                continue
            planned = self._plan(verdict, spec, prices)
            if planned is None:
                continue
            order = self._intend(verdict, planned, spec, prices, held, factors, targets)
            self._next_order += 1
            grows = abs(verdict.target_cents) > abs(verdict.held_cents)
            self._orders.sent(order, int(s), spec.symbol_id, planned.request, now_ns, grows=grows)
            if grows:
                self._rules.note_growth(int(s), now_ns)
            self._last_order_ns[int(s)] = now_ns
            self._sent_ns.append(now_ns)
            intended.append(order)
            requests.append(planned.request)
            view = None  # the order rate has changed
        return intended

    def _may_act(self, s: int, urgent: bool, now_ns: int) -> bool:
        if not self._readiness.session_ready or self._orders.busy(s, now_ns):
            return False
        if self._specs[s].symbol_id in self._hands_off and not urgent and not self._is_flattening:
            return False
        last = self._last_order_ns.get(s)
        return urgent or last is None or now_ns - last >= self._settings.min_interval_s * _SECOND

    def _plan(self, verdict: ApprovedTarget, spec: SymbolSpec, prices: Prices) -> PlannedOrder | None:
        s = verdict.symbol_index
        return plan(
            verdict,
            spec,
            self._portfolio.own_positions(spec.symbol_id),
            float(prices.bid[s]),
            float(prices.ask[s]),
            self._settings.style,
            f"{self._settings.run_id}-{self._next_order}",
            netted=self._is_netted,
        )

    @property
    def _is_netted(self) -> bool:
        return self._account is not None and self._account.account_type == "NETTED"

    def _intend(
        self,
        verdict: ApprovedTarget,
        planned: PlannedOrder,
        spec: SymbolSpec,
        prices: Prices,
        held: np.ndarray,
        factors: np.ndarray,
        targets: Targets,
    ) -> IntendedOrder:
        s = verdict.symbol_index
        buys = planned.volume_cents > 0
        named = zip(self._settings.strategy.factor_names, factors[:, s], strict=True)
        why = ", ".join(f"{name} {factor:.2f}" for name, factor in named)
        reason = f"{self._settings.strategy.name}: {held[s]:+.2f}x -> {targets.target[s]:+.2f}x"
        reason += f" ({why})" if why else ""
        if targets.urgent[s]:
            reason += "; a leverage or margin limit is exceeded"
        if verdict.note:
            reason += f"; {verdict.note}"
        return IntendedOrder(
            symbol=spec.name,
            action=planned.action,
            side="buy" if buys else "sell",
            volume_cents=abs(planned.volume_cents),
            lots=spec.lots(abs(planned.volume_cents)),
            order_type=planned.order_type,
            position_id=planned.position_id,
            order_id=None,
            client_order_id=planned.request.client_order_id,
            leverage_now=_known(held[s]),
            leverage_target=_known(targets.target[s]),
            reason=reason,
            predicted_slippage_bps=self._predicted_slippage_bps(s, planned.volume_cents),
            margin_before=verdict.margin_before,
            margin_after=verdict.margin_after,
            margin_level_after=verdict.margin_level_after,
        )

    def _predicted_slippage_bps(self, s: int, volume_cents: int) -> float | None:
        """Return the walk-the-book cost of this very order against the mid of the book, in bps."""
        assert self._evaluator is not None
        side = 1 if volume_cents > 0 else -1
        prices, sizes = levels(self._evaluator.books, ASK if side > 0 else BID, s)
        features = self._evaluator.features
        mid = formulas.mid(float(features.depth_bid[s]), float(features.depth_ask[s]))
        if not math.isfinite(mid):
            mid = float(features.mid[s])
        cost = formulas.walk_cost_bps(prices / 1e5, sizes / 100, mid, abs(volume_cents) / 100, side)
        return _known(cost)

    def _view(self, prices: Prices) -> RiskView:
        assert self._evaluator is not None
        fresh_rates = self._board.fresh_rates(prices)
        long_units, short_units = self._portfolio.sides_units()
        exposed = (long_units > 0) | (short_units > 0)
        # Equity that rests on a stale conversion is not known well enough to add risk to it.
        equity = math.nan if np.isnan(fresh_rates[exposed]).any() else self._valuation.equity
        while self._sent_ns and self._sent_ns[0] <= self._now_ns - 60 * _SECOND:
            self._sent_ns.popleft()
        features = self._evaluator.features
        return RiskView(
            ready=self._readiness.session_ready,
            trading=self._trading,
            equity=equity,
            leverage=self._valuation.leverage,
            foreign_leverage=self._valuation.foreign_leverage,
            long_units=long_units,
            short_units=short_units,
            unit_notional=prices.mid * fresh_rates,
            unit_notional_usd=prices.mid * self._board.usd_rates(prices),
            quiet_s=prices.quiet_s,
            doubtful=prices.doubtful,
            has_bids=np.isfinite(features.depth_bid),
            has_asks=np.isfinite(features.depth_ask),
            tiers=tuple(self._tiers.get(spec.leverage_id or -1, ()) for spec in self._specs),
            margin_rules=self._margin_rules,
            netted=self._is_netted,
            orders_last_minute=len(self._sent_ns),
        )

    # -- the account --------------------------------------------------------------------------------------------

    def _check_account(self, prices: Prices, now_ns: int) -> LossBreach | None:
        """Look at margin use and loss limits, a few times a second and after every change of the account."""
        checked = self._account_checked_ns
        if checked is not None and now_ns - checked < _ACCOUNT_CHECK_NS:
            return None
        self._account_checked_ns = now_ns
        equity = self._valuation.equity
        long_units, short_units = self._portfolio.sides_units()
        self._shrink = 1.0
        if long_units.any() or short_units.any():
            use = self._view(prices).used_margin() / equity if equity > 0 else math.nan
            limit = self._settings.risk_limits.max_margin_use_frac
            if use > limit:
                self._shrink = limit / use
        breach = self._loss.check(equity, now_ns) if self._readiness.session_ready else None
        if breach is None or self._trading == "halted":
            return None
        self._trading = "halted"
        return breach

    def _set_reference_size(self, prices: Prices, now_ns: int) -> None:
        """Renew the size whose cost is watched: a quarter of equity, at least one step."""
        assert self._evaluator is not None
        if self._reference_ns is not None and now_ns - self._reference_ns < _REFERENCE_NS:
            return
        equity = self._valuation.equity
        if not equity > 0:
            return
        units = _REFERENCE_EQUITY_SHARE * equity / prices.unit_notional
        least = np.array([spec.min_volume_cents / 100 for spec in self._specs])
        units = np.where(np.isnan(units), np.nan, np.maximum(units, least))
        self._evaluator.set_reference_units(units)
        if not np.isnan(units[: self._traded]).any():
            self._reference_ns = now_ns

    # -- reporting ----------------------------------------------------------------------------------------------

    def _is_news(self, refusal: Refused, now_ns: int) -> bool:
        """Whether to report a refusal: the same one is said again every ten seconds, not on every tick."""
        key = (refusal.symbol, refusal.check)
        last = self._refused_ns.get(key)
        if last is not None and now_ns - last < _REFUSAL_REPEAT_NS:
            return False
        self._refused_ns[key] = now_ns
        return True

    def _doubts(self, prices: Prices) -> tuple[str, ...]:
        doubts = []
        for s in range(self._traded):
            name = self._specs[s].name
            if math.isinf(prices.quiet_s[s]) or math.isnan(prices.mid[s]):
                doubts.append(f"waiting_for_quotes:{name}")
            elif not prices.fresh[s]:
                doubts.append(f"stale_quote:{name}")
            if prices.doubtful[s]:
                doubts.append(f"book_health:{name}")
        doubts += [f"unknown_order:{self._specs[s].name}" for s in self._orders.unknown_symbols()]
        doubts += [f"closed_by_hand:{self._specs[self._index[i]].name}" for i in sorted(self._hands_off)]
        doubts += [f"unpriced_position:{p.position_id}" for p in self._portfolio.unpriced()]
        return tuple(doubts)

    def _resubscriptions(self, prices: Prices, now_ns: int) -> list[Request]:
        """Return a renewal of the depth subscription for each book in doubt, twice a minute at most."""
        renewals: list[Request] = []
        if not self._readiness.session_ready or not prices.doubtful.any():
            return renewals
        for s in np.flatnonzero(prices.doubtful[: self._traded]):
            last = self._resubscribed_ns.get(int(s))
            if last is None or now_ns - last >= _RESUBSCRIBE_NS:
                self._resubscribed_ns[int(s)] = now_ns
                renewals.append(ResubscribeDepth(self._specs[s].symbol_id))
        return renewals

    def _rows(self, held: np.ndarray, factors: np.ndarray, targets: Targets) -> np.ndarray:
        assert self._evaluator is not None
        changed = np.flatnonzero(self._changed[: self._traded])
        rows = np.zeros(len(changed), DECISION_ROW)
        features = self._evaluator.features
        rows["symbol"] = changed
        for name in (
            "mid", "spread_bps", "bid_depth_units", "ask_depth_units", "weighted_mid", "obi", "ofi", "liquidity_ratio",
        ):  # fmt: skip
            rows[name] = getattr(features, name)[changed]
        sell, buy = features.sell_cost_bps[changed], features.buy_cost_bps[changed]
        side = np.where(held[changed] != 0, held[changed], targets.goal[changed])
        rows["impact_bps"] = np.where(side > 0, sell, np.where(side < 0, buy, np.maximum(sell, buy)))
        rows["leverage_now"] = held[changed]
        rows["leverage_goal"] = targets.goal[changed]
        rows["leverage_target"] = targets.target[changed]
        rows["factors"] = np.nan
        shown = min(len(factors), MAX_FACTORS)
        rows["factors"][:, :shown] = factors[:shown, changed].T
        rows.flags.writeable = False
        return rows


def _known(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _breach_text(breach: LossBreach) -> str:
    return f"{breach.check} is {breach.value:.2%} of equity, the limit is {breach.limit:.2%}: trading is halted"
