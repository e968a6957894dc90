"""Holds what we believe of the account against what the broker says of it: expected margin, used margin, profit.

How it works: once a second, and when an answer has come, it looks; on a quiet quote it does nothing. What it finds is
told as doubts, and acts through the picture that the risk gate is shown (`new_orders`) and through causes
(`bot.account.trading`).
"""

import math
from dataclasses import replace

import numpy as np

from bot.account.leverage_plan import LeveragePlan
from bot.account.new_orders import NewOrders, no_news
from bot.account.portfolio import Portfolio
from bot.account.position import Position
from bot.account.trading import Cause
from bot.engine.account_guard import AccountGuard
from bot.engine.doubts import Doubts
from bot.engine.events import ExpectedMarginStated, ProfitStated
from bot.engine.margin_watch import MarginWatch, SymbolMargin
from bot.engine.prices import PriceBoard, Prices
from bot.engine.profit_watch import ProfitWatch, unrealised_profit
from bot.engine.settings import EngineSettings
from bot.engine.stated_margin import StatedMargin
from bot.execution.requests import Request
from bot.market.symbols import SymbolSpec

_LOOK_NS = 1_000_000_000
_REACH = 1.25  # of what the limits allow: equity may grow before the next question


class AccountTruth:
    """The broker's word and ours, side by side.

    `awaited` (T,) bool: traded symbols whose first expected margin is on its way, which is no time to try to grow.
    `version` grows when it, or a doubt, has changed; `next_ns` is when to call `look` again.
    """

    def __init__(self, settings: EngineSettings, portfolio: Portfolio, guard: AccountGuard) -> None:
        self.awaited = np.zeros(0, np.bool_)
        self.version = 0
        self._portfolio = portfolio
        self._guard = guard
        self._plan = LeveragePlan(settings.leverage_bands, settings.leverage_windows)
        self._most = settings.risk_limits.max_symbol_leverage
        tolerance, profit_tolerance = settings.expected_margin_tolerance_frac, settings.profit_tolerance_frac
        self._margins = None if tolerance is None else MarginWatch(tolerance)
        self._profit = None if profit_tolerance is None else ProfitWatch(profit_tolerance)
        self._stated = StatedMargin()
        self._specs: tuple[SymbolSpec, ...] = ()
        self._index: dict[int, int] = {}
        self._names: tuple[str, ...] = ()
        self._answers: list[ExpectedMarginStated | ProfitStated] = []
        self.next_ns = self._look_ns = 0
        self._news: NewOrders | None = None
        self._plan_doubts: Doubts = {}
        self._told: tuple[object, ...] = ()
        self._older: dict[int, tuple[float, ...]] = {}
        self._unasked = np.zeros(0, np.int64)
        self._try_ns = 0
        self._units: tuple[np.ndarray, np.ndarray] = np.zeros(0), np.zeros(0)

    def load(self, specs: tuple[SymbolSpec, ...], traded: int) -> None:
        """Take the symbols, traded ones first."""
        self._specs, self._names = specs, tuple(spec.name for spec in specs)
        self._index = {spec.symbol_id: s for s, spec in enumerate(specs)}
        self.awaited = np.zeros(traded, np.bool_)
        if self._margins is not None:
            self._margins.load(specs[:traded])
        self.next_ns = self._look_ns = self._try_ns = 0
        self._news = None
        self._unasked = np.arange(traded if self._margins is not None else 0)

    def link_lost(self) -> None:
        """Forget the questions that nobody will answer."""
        self._answers.clear()
        if self._margins is not None:
            self._margins.link_lost()
        if self._profit is not None:
            self._profit.forget()
        self.next_ns = self._look_ns = 0
        self._news = None

    def take(self, event: ExpectedMarginStated | ProfitStated) -> None:
        """Take an answer; it is compared at the prices of the next decision."""
        self._answers.append(event)
        self.next_ns = 0

    def doubts(self) -> Doubts:
        """Return what differs, for programs and people."""
        margins: Doubts = {} if self._margins is None else self._margins.doubts
        return margins | self._stated.doubts | self._plan_doubts

    def new_orders(self, equity: float, now_ns: int) -> NewOrders:
        """Return what is known of the margin of new orders, of all loaded symbols."""
        if self._news is not None and not self._plan.is_any:
            return self._news
        news = no_news(len(self._specs))
        if self._margins is not None:
            bars = list(news.bars)
            for s in range(len(self.awaited)):
                news.factors[s], news.known_usd[:, s], bars[s] = self._margins.known(s)
            news = NewOrders(news.factors, news.leverage_caps, news.older_units, news.known_usd, tuple(bars))
        if self._plan.is_any:
            caps = self._plan.caps(equity, now_ns, self._names)
            news = replace(news, leverage_caps=caps, older_units=self._older_units(caps))
        self._news = news
        return news

    def _older_units(self, caps: np.ndarray) -> np.ndarray:
        """Return what is left of the positions from before the lower leverage, (2, S): what is closed meanwhile and
        bought again is new."""
        units = np.zeros((2, len(caps)))
        sides = self._portfolio.sides_units()
        for s in np.flatnonzero(np.isfinite(caps)).tolist():
            held = tuple(float(side[s]) for side in sides)
            before = self._older.get(self._specs[s].symbol_id, held)
            units[:, s] = np.minimum(held, before)
        self._older = {
            self._specs[s].symbol_id: (float(units[0, s]), float(units[1, s]))
            for s in np.flatnonzero(np.isfinite(caps)).tolist()
        }
        return units

    def look(self, prices: Prices, board: PriceBoard, equity: float, now_ns: int, *, ready: bool) -> list[Request]:
        """Take what has been answered, and return what is to be asked."""
        if self._profit is not None and self._profit.is_waiting:
            positions = self._portfolio.venue_positions()
            self._profit.observe(unrealised_profit(positions, prices, self._index), now_ns)
        if not ready or (now_ns < self._look_ns and not self._answers and not self._is_priced_at_last(prices, now_ns)):
            return []
        self._look_ns = now_ns + _LOOK_NS
        self._news = None
        self._units = prices.mid * prices.quote_rate, prices.mid * board.usd_rates(prices)
        held = self._portfolio.venue_positions()
        by_symbol: dict[int, list[Position]] = {}
        for p in held:
            by_symbol.setdefault(p.symbol_id, []).append(p)
        self._hear(held, by_symbol, equity, now_ns)
        self._stated.look(
            self._guard.margin_rules, self._guard.symbol_tiers, self._specs, by_symbol, self._unit_values, now_ns
        )
        self._look_at_plan()
        questions = self._questions(prices, held, by_symbol, equity, now_ns)
        is_waiting = len(self._unasked) or (self._profit is not None and self._profit.is_waiting)
        self.next_ns = 0 if is_waiting else self._look_ns
        told = self.doubts(), self.awaited.tobytes()
        if told != self._told:
            self._told = told
            self.version += 1
        return questions

    def _look_at_plan(self) -> None:
        leverage = self._guard.margin_rules.leverage
        of_plan = [band.leverage for band in self._plan.bands] + [w.leverage for w in self._plan.windows]
        above = [of for of in of_plan if leverage is not None and of >= leverage]
        if above:
            text = f"a leverage of {max(above):g} in risk.leverage_bands or risk.leverage_windows lowers nothing"
            self._plan_doubts = {"leverage_plan": f"{text}: the account's is {leverage:g}"}
        else:
            self._plan_doubts = {}

    def _is_priced_at_last(self, prices: Prices, now_ns: int) -> bool:
        """Return whether a symbol that could not be asked about for want of a price has one now."""
        if not len(self._unasked) or now_ns < self._try_ns or not (prices.unit_notional[self._unasked] > 0).any():
            return False
        self._try_ns = now_ns + _LOOK_NS // 4
        return True

    def _unit_values(self, s: int) -> tuple[float, float]:
        return float(self._units[0][s]), float(self._units[1][s])

    def _hear(self, held: list[Position], by_symbol: dict[int, list[Position]], equity: float, now_ns: int) -> None:
        for event in self._answers:
            if isinstance(event, ProfitStated):
                self._judge_profit(event, held, equity, now_ns)
                continue
            s = self._index.get(event.symbol_id)
            if self._margins is not None and s is not None and s < len(self.awaited):
                self._margins.answered(s, self._own(s, by_symbol, equity), event)
        self._answers.clear()

    def _judge_profit(self, event: ProfitStated, held: list[Position], equity: float, now_ns: int) -> None:
        verdict = None if self._profit is None else self._profit.answered(event, held, equity)
        if verdict is None:
            return
        if verdict.agrees:
            self._guard.states.release("profit_difference")
        elif self._guard.states.find("profit_difference") is None:
            self._guard.states.hold(Cause("profit_difference", "reducing", verdict.text, now_ns, by_limit=True))

    def _own(self, s: int, by_symbol: dict[int, list[Position]], equity: float) -> SymbolMargin:
        spec, account = self._specs[s], self._guard.account
        sides = [0.0, 0.0]
        for p in by_symbol.get(spec.symbol_id, ()):
            sides[p.volume_cents < 0] += abs(p.volume_cents) / 100
        unit_notional, unit_usd = self._unit_values(s)
        reach = _REACH * self._most * equity / unit_notional * unit_usd if unit_notional > 0 else math.nan
        return SymbolMargin(
            self._guard.margin_rules,
            self._guard.symbol_tiers(spec),
            (sides[0], sides[1]),
            unit_notional,
            unit_usd,
            reach if reach > 0 else 0.0,
            10.0 ** -(account.money_digits if account is not None else 2),
        )

    def _questions(
        self, prices: Prices, held: list[Position], by_symbol: dict[int, list[Position]], equity: float, now_ns: int
    ) -> list[Request]:
        asked: list[Request] = []
        if self._margins is not None:
            for s in range(len(self.awaited)):
                question = self._margins.ask(s, self._own(s, by_symbol, equity), now_ns)
                if question is not None:
                    asked.append(question)
                self.awaited[s] = self._margins.is_awaited(s, now_ns)
            self._unasked = np.array([s for s in range(len(self.awaited)) if self._margins.is_unasked(s)], np.int64)
        if self._profit is not None:
            question_of_profit = self._profit.ask(held, now_ns)
            if question_of_profit is not None:
                asked.append(question_of_profit)
                self._profit.observe(unrealised_profit(held, prices, self._index), now_ns)
            if not held:
                self._guard.states.release("profit_difference")
        return asked
