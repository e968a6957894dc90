"""What of a run is worth a message: a watcher of its Decisions, whose rules each know one kind of news.

How it works: every loud Decision is looked at, and a quiet one a second; the clock is that of the Decisions, which come
at least four times a second. Looking changes nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bot.alerts.alert import Alert
from bot.alerts.cause_rule import CauseRule, LeverageRule
from bot.alerts.composer import Composer
from bot.alerts.crisis_rule import CrisisRule
from bot.alerts.day_rule import DayFigures, DayRule, DealSums
from bot.alerts.link_rule import STOPPED_KEY, ConnectionRule, TokenRule
from bot.alerts.order_rule import UnknownOrderRule
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.observed import ObservedEngine

_EVERY_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What is told. Units: ns; `max_drawdown_frac` the run's own limit; `events` names of the config."""

    events: Collection[str]
    symbols: Collection[str]
    crisis_level: int
    heeds_crisis: bool
    disconnected_ns: int
    token_expiry_ns: int
    max_drawdown_frac: float


class AlertRules:
    """Makes the alerts of one run."""

    def __init__(self, settings: RuleSettings, session: Session, engine: ObservedEngine, composer: Composer) -> None:
        self._events = settings.events
        self._composer = composer
        self._connection = ConnectionRule(engine, composer, settings.disconnected_ns)
        level, is_heeded = settings.crisis_level, settings.heeds_crisis
        self._day = DayRule(engine, composer, settings.max_drawdown_frac)
        self._others = (
            CauseRule(engine, composer),
            LeverageRule(engine, composer),
            CrisisRule(engine, composer, settings.symbols, level, is_heeded=is_heeded),
            UnknownOrderRule(engine, composer),
            TokenRule(session, composer, settings.token_expiry_ns),
        )
        self._next_ns = 0
        self._days_over: list[DayFigures] = []

    def look(self, decision: Decision) -> list[Alert]:
        """Return what a Decision tells that is to be told; most tell nothing."""
        if decision.is_quiet and decision.now_ns < self._next_ns:
            return []
        self._next_ns = decision.now_ns + _EVERY_NS
        return [alert for alert in self._found(decision) if alert.event in self._events]

    def take_days_over(self) -> list[DayFigures]:
        """Return the days that have ended since the last call; `report` makes an alert of one."""
        days, self._days_over = self._days_over, []
        return days if "daily_report" in self._events else []

    def report(self, figures: DayFigures, deals: DealSums, *, is_whole: bool) -> Alert | None:
        """Return the report of a day: see `DayRule.report`."""
        return self._day.report(figures, deals, is_whole=is_whole)

    def stopped(self, text: str, code: int, now_ns: int) -> Alert | None:
        """Return that the run has ended by itself, for `text`; None when that is not to be told."""
        return self._stop(self._composer.say("stopped.text", why=text or "?", code=code), now_ns)

    def failed(self, kind: str, now_ns: int) -> Alert | None:
        """Return that an error of ours has ended the run; None when that is not to be told."""
        return self._stop(self._composer.say("stopped.error", kind=kind), now_ns)

    def broken(self, now_ns: int) -> Alert:
        """Return that there will be no alerts any more."""
        title, text = self._composer.say("broken.title"), self._composer.say("broken.text")
        return self._composer.alert("broken", "broken", "failure", title, text, now_ns)

    def _stop(self, text: str, now_ns: int) -> Alert | None:
        if "halted" not in self._events:
            return None
        title = self._composer.say("stopped.title")
        return self._composer.alert("halted", STOPPED_KEY, "failure", title, text, now_ns, lasts=True)

    def _found(self, decision: Decision) -> Iterator[Alert]:
        yield from self._connection.look(decision)
        for rule in self._others:
            yield from rule.look(decision)
        over = self._day.look(decision, is_ready=self._connection.is_ready)
        if over is not None:
            self._days_over.append(over)
