"""Tells what a trading day has come to, when it has turned: equity, profit, deals, costs, the worst fall.

How it works: equity and losses are those that the loss limits go by, looked at once a second. Deals are those that the
run has counted, or, where there is a ledger, all of the day's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from bot.account.loss import trading_day
from bot.alerts.alert import Alert
from bot.alerts.composer import Composer, clock_time
from bot.engine.decision import CountedDeal, Decision
from bot.engine.observed import ObservedEngine
from bot.journal.broker_day import start_ns

_EVENT = "daily_report"
_FRESH_NS = _LATE_NS = 120_000_000_000
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class DealSums:
    """The deals of our positions on a day.

    Units: money in deposit currency; `slippage_bps` the mean against the mid of the decision, positive against us.
    Missing: `slippage_bps` NaN.
    """

    count: int
    realised: Decimal
    commission: Decimal
    swap: Decimal
    slippage_bps: float


@dataclass(frozen=True, slots=True)
class DayFigures:
    """A day that is over.

    `deals` are those that this run has seen, from `since_ns` on; `as_of_ns` is when `equity` was last known.
    Units: money in deposit currency; fractions, `profit_frac` of the day's first equity; times ns since the epoch.
    Missing: NaN; `as_of_ns` None for an equity that was never known.
    """

    day: date
    over_ns: int
    since_ns: int
    as_of_ns: int | None
    equity: float
    profit_frac: float
    worst_drawdown_frac: float
    currency: str
    deals: DealSums


class DayRule:
    """Watches the days of one run. Units: `max_drawdown_frac` the config's limit."""

    def __init__(self, engine: ObservedEngine, composer: Composer, max_drawdown_frac: float) -> None:
        self._engine = engine
        self._composer = composer
        self._max_drawdown_frac = max_drawdown_frac
        self._day: int | None = None
        self._since_ns = 0
        self._as_of_ns: int | None = None
        self._equity = self._loss = self._worst = math.nan
        self._deals: list[CountedDeal] = []

    def look(self, decision: Decision, *, is_ready: bool) -> DayFigures | None:
        """Take one Decision; return the day that it ends, if it does."""
        now_ns, over = decision.now_ns, None
        day = trading_day(now_ns)
        if day != self._day:
            if self._day is not None:
                over = self._figures(date.fromordinal(self._day), now_ns)
            self._day = day
            self._begin(now_ns)
        self._deals += [counted for counted in decision.deals if counted.is_own]
        equity, (loss, fall) = self._engine.valuation.equity, self._engine.losses
        if is_ready and math.isfinite(equity):
            self._as_of_ns, self._equity, self._loss = now_ns, equity, loss
            self._worst = fall if math.isnan(self._worst) else max(self._worst, fall)
        return over

    def report(self, figures: DayFigures, deals: DealSums, *, is_whole: bool) -> Alert | None:
        """Return the day's report; None for a day of the weekend on which nothing happened.

        Args: `is_whole` says that `deals` are all of the day's, those before the run began too.
        """
        profit = figures.equity * figures.profit_frac / (1 + figures.profit_frac)
        if figures.day.weekday() >= _SATURDAY and not deals.count and not abs(figures.profit_frac) > 0:
            return None
        composer, currency, say = self._composer, figures.currency, self._composer.say
        shown = composer.money(profit, currency, signed=True)
        share = composer.number(figures.profit_frac, "+.2%")
        parts = [say("day.equity", equity=composer.money(figures.equity, currency), profit=shown, share=share)]
        if deals.count:
            parts.append(
                say(
                    "day.deals",
                    count=deals.count,
                    realised=f"{deals.realised:+,.2f}",
                    commission=f"{deals.commission:+,.2f}",
                    swap=f"{deals.swap:+,.2f}",
                    slippage=composer.number(deals.slippage_bps),
                )
            )
        else:
            parts.append(say("day.no_deals"))
        worst = composer.number(max(figures.worst_drawdown_frac, 0.0), ".2%")
        parts.append(say("day.worst", drawdown=worst, limit=f"{self._max_drawdown_frac:.2%}"))
        if figures.as_of_ns is not None and figures.over_ns - figures.as_of_ns > _FRESH_NS:
            parts.append(say("day.as_of", as_of=clock_time(figures.as_of_ns)))
        if not is_whole and figures.since_ns - start_ns(figures.day) > _LATE_NS:
            parts.append(say("day.since", since=clock_time(figures.since_ns)))
        title = say("day.title", day=figures.day.isoformat(), profit=shown)
        key = f"{_EVENT}:{figures.day.isoformat()}"
        return composer.alert(_EVENT, key, "info", title, say("day.between").join(parts), figures.over_ns)

    def _begin(self, now_ns: int) -> None:
        self._since_ns, self._as_of_ns = now_ns, None
        self._equity = self._loss = self._worst = math.nan
        self._deals = []

    def _figures(self, day: date, now_ns: int) -> DayFigures:
        account = self._engine.account
        currency = "" if account is None else account.deposit_asset
        seen = sums_of(self._deals)
        return DayFigures(
            day, now_ns, self._since_ns, self._as_of_ns, self._equity, -self._loss, self._worst, currency, seen
        )


def sums_of(deals: list[CountedDeal]) -> DealSums:
    """Return the sums of deals as a run counts them."""
    money = [(c.deal.gross_profit, c.deal.swap, c.deal.close_commission) for c in deals]
    gross, swap, closed = (sum((m[i] or Decimal(0) for m in money), Decimal(0)) for i in range(3))
    costs = [
        (1 if c.deal.volume_cents > 0 else -1) * (c.deal.price - c.decision_mid) / c.decision_mid * 1e4
        for c in deals
        if c.decision_mid
    ]
    commission = sum((c.deal.commission for c in deals), Decimal(0))
    mean_bps = math.fsum(costs) / len(costs) if costs else math.nan
    return DealSums(len(deals), gross + swap + closed, commission, swap, mean_bps)


def sums_in(report: Mapping[str, Any]) -> DealSums:
    """Return the sums that a report of `bot.journal.day_report` holds."""
    deals, mean_bps = report["deals"], report["slippage"]["against_mid"]["mean_bps"]
    return DealSums(
        deals["count"],
        deals["realised_profit"],
        deals["commission"],
        deals["swap"],
        math.nan if mean_bps is None else mean_bps,
    )
